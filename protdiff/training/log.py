"""The log of a run: one CSV line each time something was measured."""

from __future__ import annotations

import contextlib
import csv
from pathlib import Path
from typing import TextIO

from protdiff.files import write_atomically

__all__ = ["TrainingLog"]


class TrainingLog:
    """Append rows to a CSV file whose columns are fixed.

    Parameters
    ----------
    path
        The file.
    columns
        Its columns, ``step`` first; what a row does not name stays empty.
    resumed_step
        Rows after this step are dropped: they belong to a part of the run that was lost and is
        about to be done again.
    """

    def __init__(self, path: Path, columns: tuple[str, ...], resumed_step: int) -> None:
        self.path, self.columns = path, columns
        rows = _read_rows(path) if path.exists() and resumed_step > 0 else []
        rows = [row for row in rows if _is_done(row, resumed_step)]
        with (
            write_atomically(path, overwrite=True) as temporary,
            temporary.open("w", encoding="utf-8") as file,
        ):
            writer = self._writer(file)
            writer.writeheader()
            writer.writerows(rows)

    def append(self, row: dict[str, float]) -> None:
        """Write one row; counts in full, other numbers with six significant digits."""
        texts = {
            name: str(value) if isinstance(value, int) else f"{value:.6g}"
            for name, value in row.items()
        }
        with self.path.open("a", newline="", encoding="utf-8") as file:
            self._writer(file).writerow(texts)

    def _writer(self, file: TextIO) -> csv.DictWriter[str]:
        return csv.DictWriter(file, self.columns, extrasaction="ignore", lineterminator="\n")


def _read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows; of a file that is damaged as many as can be read."""
    rows: list[dict[str, str]] = []
    with (
        path.open(newline="", encoding="utf-8", errors="replace") as file,
        contextlib.suppress(csv.Error),
    ):
        rows.extend(csv.DictReader(file))
    return rows


def _is_done(row: dict[str, str], resumed_step: int) -> bool:
    try:
        return float(row["step"]) <= resumed_step
    except (KeyError, TypeError, ValueError):  # a line cut off when the run was killed
        return False

"""Write a report: collect, draw, and put the file in its place in one step.

A report is derived from the folder that it stands in and can always be made again, so one that an
earlier ``protdiff report`` wrote is replaced without asking. A file of that name which something
else wrote is not ours, and stays unless overwriting is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from protdiff.errors import InputError
from protdiff.files import write_atomically
from protdiff.report.collect import Collection, gather_designs
from protdiff.report.foreign import require_report_packages

__all__ = ["ReportSettings", "WrittenReport", "write_report"]

REPORT = "report.html"
LONGEST_MARK = 4096
"""Bytes from the start of a file in which it says what wrote it."""


@dataclass(frozen=True)
class ReportSettings:
    """How to write a report.

    Parameters
    ----------
    out
        The page; without it ``report.html`` in the folder that is reported on, or in the current
        folder if there are several sources.
    png
        A folder for the plots as PNG files; without it none are written.
    title
        The heading; without it the folder's name.
    max_designs
        How many designs are shown at most, from the first on.
    overwrite
        Replace files of these names even if no report wrote them.
    """

    out: Path | None = None
    png: Path | None = None
    title: str | None = None
    max_designs: int = 500
    overwrite: bool = False


@dataclass(frozen=True)
class WrittenReport:
    """What was written."""

    page: Path
    figures: Sequence[Path]
    collection: Collection


def write_report(
    sources: Path | Sequence[Path],
    settings: ReportSettings | None = None,
    *,
    on_start: Callable[[int], None] | None = None,
    on_design: Callable[[], None] | None = None,
) -> WrittenReport:
    """Write the report of a run, or of the structures in folders and files.

    Parameters
    ----------
    sources
        A folder of a run, any other folder, or files.
    settings
        See :class:`ReportSettings`.
    on_start, on_design
        As in :func:`protdiff.report.gather_designs`.

    Returns
    -------
    WrittenReport

    Raises
    ------
    InputError
        There is nothing to show, or a file of that name exists that no report wrote.
    DependencyError
        matplotlib or Jinja2 is not installed.
    """
    require_report_packages()
    from protdiff.report.figures import FIGURES, write_figures
    from protdiff.report.page import GENERATOR, build_page

    settings = settings or ReportSettings()
    paths = [sources] if isinstance(sources, Path) else list(sources)
    out = settings.out or _choose_place(paths)
    planned = [out]
    if settings.png is not None:
        planned += [settings.png / f"{name}.png" for name in FIGURES]
    if not settings.overwrite:
        for path in planned:
            _refuse_foreign(path, GENERATOR)
    collection = gather_designs(
        paths, max_designs=settings.max_designs, on_start=on_start, on_design=on_design
    )
    page = build_page(collection, settings.title or collection.source)
    with write_atomically(out, overwrite=True) as temporary:
        # Half a character, which JSON can hold and UTF-8 cannot, becomes a question mark.
        temporary.write_bytes(page.encode("utf-8", errors="replace"))
    figures: list[Path] = []
    if settings.png is not None:
        figures = write_figures(collection, settings.png, GENERATOR)
    return WrittenReport(out, figures, collection)


def _choose_place(paths: Sequence[Path]) -> Path:
    if len(paths) == 1 and paths[0].is_dir():
        return paths[0] / REPORT
    return Path(REPORT)


def _refuse_foreign(path: Path, mark: str) -> None:
    """Refuse to replace what no report wrote."""
    if not path.exists():
        return
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file")
    with path.open("rb") as file:
        if mark.encode() in file.read(LONGEST_MARK):
            return
    raise InputError(
        f"{path} exists and was not written by protdiff report; choose another name with --out "
        "or replace it with --overwrite"
    )

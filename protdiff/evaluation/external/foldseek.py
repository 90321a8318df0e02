"""Foldseek: the nearest structure of a database, in seconds where TM-align takes hours.

``foldseek easy-search`` with ``--alignment-type 1`` realigns by TM-align, exhaustively, without a
prefilter and without a threshold, and writes ``query, target, qtmscore`` in columns; qtmscore is
normalised by the design's length.

References
----------
M. van Kempen et al., Fast and accurate protein structure search with Foldseek, 2023.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from protdiff.errors import InputError
from protdiff.evaluation.external.command import (
    TIMEOUT,
    ExternalError,
    find_on_path,
    run_program,
    split_command,
)
from protdiff.structure import Backbone, write_backbone
from protdiff.structure.standard import standardise

__all__ = ["Foldseek", "Hit"]

OPTION = "--foldseek-command"


@dataclass(frozen=True)
class Hit:
    """The nearest structure of a database: its name, and the TM-score by the design's length."""

    target: str
    tm: float


@dataclass(frozen=True)
class Foldseek:
    """Search by Foldseek.

    Parameters
    ----------
    command
        The program.
    database
        A Foldseek database, or a folder of structure files.
    timeout
        Seconds for all designs together.
    """

    command: tuple[str, ...]
    database: Path
    timeout: float = TIMEOUT

    name = "Foldseek"

    @staticmethod
    def find_command(given: str | None) -> tuple[str, ...] | None:
        """Return the command that was given, or ``foldseek`` on PATH, or None."""
        if given is not None:
            return tuple(split_command(given, OPTION))
        found = find_on_path(["foldseek"])
        return None if found is None else (found,)

    def __post_init__(self) -> None:
        if not self.database.exists():
            raise InputError(
                f"there is no Foldseek database or folder {self.database}; check the path"
            )

    def search(self, designs: Mapping[str, Backbone]) -> dict[str, Hit]:
        """Find the nearest structure of each design.

        Parameters
        ----------
        designs
            By names that are fit for file names, without dots.

        Returns
        -------
        dict
            By name; a design without any hit is not there.

        Raises
        ------
        ExternalError
            The program fails, takes too long or writes what cannot be read.
        """
        with tempfile.TemporaryDirectory(prefix="protdiff-") as temporary:
            folder = Path(temporary)
            for name, backbone in designs.items():
                # Modified residues would be HETATM records, and not all of those are read.
                write_backbone(folder / "queries" / f"{name}.pdb", standardise(backbone))
            result = folder / "hits.tsv"
            run_program(
                [
                    *(*self.command, "easy-search", str(folder / "queries")),
                    *(str(self.database.resolve()), str(result), str(folder / "work")),
                    *("--alignment-type", "1", "--exhaustive-search", "1"),
                    *("--tmscore-threshold", "0.0", "-e", "inf", "--max-seqs", "10000000000"),
                    *("--format-output", "query,target,qtmscore"),
                ],
                name=self.name,
                folder=folder,
                timeout=self.timeout,
            )
            if not result.is_file():
                raise ExternalError(f"{self.name} ended without an error and wrote no result")
            return _read_hits(result.read_text(encoding="utf-8", errors="replace"), list(designs))


def _read_hits(text: str, names: list[str]) -> dict[str, Hit]:
    best: dict[str, Hit] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        try:
            query, target, score = line.split("\t")[:3]
            tm = float(score)
        except ValueError as error:
            raise ExternalError(
                f"Foldseek wrote a line that is not query, target, qtmscore: {line[:80]!r}"
            ) from error
        # Versions differ in whether they keep the suffix and whether they add the chain.
        query = query.removesuffix("_A").split(".")[0]
        if query in names and (query not in best or tm > best[query].tm):
            best[query] = Hit(target, tm)
    return best

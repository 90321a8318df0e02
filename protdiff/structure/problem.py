"""Motif problems as other programs write them: Genie 2's headers, MotifBench's tables.

Each becomes a contig and a total length, so that every problem is posed in one language. A Genie 2
problem is a PDB file whose header says, column by column, ::

    REMARK 999 INPUT      5  20              5 to 20 designed residues
    REMARK 999 INPUT  A  16  35 A            A16 to A35, of motif group A
    REMARK 999 MINIMUM TOTAL LENGTH      60
    REMARK 999 MAXIMUM TOTAL LENGTH      105

Where there are several groups, each segment of the contig names its own: ``A16-35#A``.

A MotifBench problem is a row of a table with the columns ``pdb_id``, ``motif_residues``
(``A16-35;A52-71``), ``redesign_idcs`` and ``length``; it leaves open how many residues lie between
the segments, and here they stay in the order given.

References
----------
Y. Lin et al., "Out of many, one: designing and scaffolding proteins at the scale of the structural
universe with Genie 2", 2024. Z. Zheng et al., "MotifBench: a standardized protein design benchmark
for motif-scaffolding problems", 2025.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from protdiff.errors import InputError
from protdiff.structure.contig import Contig
from protdiff.structure.contig_language import parse_contig
from protdiff.structure.selection import ResidueRange, parse_selection

__all__ = ["MotifProblem", "read_genie2_problem", "read_motifbench_problems"]

_INPUT = "REMARK 999 INPUT"
_TOTALS = ("REMARK 999 MINIMUM TOTAL LENGTH", "REMARK 999 MAXIMUM TOTAL LENGTH")
_COLUMNS = ("pdb_id", "motif_residues", "length")


@dataclass(frozen=True)
class MotifProblem:
    """A motif-scaffolding problem.

    Attributes
    ----------
    name
        What its source calls it.
    contig
        The segments and the lengths between them.
    total_length
        (low, high) of the whole design; None if the problem does not say.
    redesignable
        Residues whose amino acid is free, as in ``"A16-19,A21"``; None if there are none.
    groups
        The motif group of each motif segment; groups keep their shape, not their pose to each
        other.
    """

    name: str
    contig: Contig
    total_length: tuple[int, int] | None = None
    redesignable: str | None = None
    groups: tuple[str, ...] = ()


def read_genie2_problem(path: str | Path) -> MotifProblem:
    """Read the REMARK 999 header of a Genie 2 problem; the file itself holds the motif.

    Parameters
    ----------
    path
        A PDB file.

    Raises
    ------
    InputError
        The file cannot be read, has no such header, or one that is damaged.
    """
    path = Path(path)
    pieces: list[str] = []
    groups: list[str] = []
    totals: dict[str, int] = {}
    name = path.stem
    for number, line in enumerate(_read_lines(path), start=1):
        if not line.startswith("REMARK 999"):
            continue
        try:
            if line.startswith(_INPUT):
                low, high = int(line[19:23]), int(line[23:27])
                chain = line[18:19].strip()
                if chain:
                    group = line[28:29].strip() or "A"
                    pieces.append(f"{ResidueRange(chain, (low, ''), (high, ''))}#{group}")
                    groups.append(group)
                elif high:
                    pieces.append(f"{low}-{high}")
            elif line.startswith(_TOTALS):
                totals[line[11:18]] = int(line[31:])
            elif line.startswith("REMARK 999 NAME"):
                name = line[15:].strip() or name
        except ValueError as error:
            raise InputError(
                f"line {number} of {path} is no line of a Genie 2 header: {line.rstrip()!r}"
            ) from error
    if not groups:
        raise InputError(
            f"{path} has no Genie 2 header with a motif; expected lines such as "
            "'REMARK 999 INPUT  A  16  35 A', or give a contig"
        )
    if len(set(groups)) == 1:
        pieces = [piece.partition("#")[0] for piece in pieces]
    contig = parse_contig("/".join(pieces))
    if not totals:
        return MotifProblem(name, contig, None, None, tuple(groups))
    shortest, longest = contig.length_span
    total = (totals.get("MINIMUM", shortest), totals.get("MAXIMUM", longest))
    return MotifProblem(name, contig, total, None, tuple(groups))


def read_motifbench_problems(path: str | Path) -> list[MotifProblem]:
    """Read a table of MotifBench problems.

    Parameters
    ----------
    path
        A CSV file with the columns ``pdb_id``, ``motif_residues``, ``length`` and, if there are
        any, ``redesign_idcs``.

    Raises
    ------
    InputError
        The table cannot be read, lacks a column, or a row cannot be understood.
    """
    path = Path(path)
    reader = csv.DictReader(_read_lines(path))
    try:
        columns = reader.fieldnames or []
    except csv.Error as error:
        raise InputError(f"{path} is no table: {error}") from error
    lacking = [name for name in _COLUMNS if name not in columns]
    if lacking:
        raise InputError(
            f"{path} has no column {', '.join(lacking)}; expected a MotifBench table with "
            f"{', '.join(_COLUMNS)}"
        )
    problems = []
    for number, row in _enumerate_rows(path, reader):
        try:
            length = int(row["length"] or "")
            segments = [piece.strip() for piece in (row["motif_residues"] or "").split(";")]
            gap = f"0-{length}"
            contig = parse_contig("/".join([gap, *(f"{piece}/{gap}" for piece in segments)]))
            free = (row.get("redesign_idcs") or "").strip().replace(";", ",")
            if free:
                parse_selection(free)
        except ValueError as error:  # an InputError too
            raise InputError(f"row {number} of {path} is no MotifBench problem: {error}") from error
        total = (length, length)
        groups = ("A",) * len(segments)
        problems.append(MotifProblem(row["pdb_id"] or "", contig, total, free or None, groups))
    if not problems:
        raise InputError(f"{path} holds no problem; expected a row for each")
    return problems


def _enumerate_rows(
    path: Path, reader: csv.DictReader[str]
) -> Iterator[tuple[int, dict[str, str | None]]]:
    try:
        yield from enumerate(reader, start=2)
    except csv.Error as error:
        raise InputError(f"{path} is no table: {error}") from error


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error

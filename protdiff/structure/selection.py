"""Naming residues: the author's chain, number and insertion code.

``A10`` is a residue, ``A10-50`` a range with both ends, ``A52A-60`` begins at an inserted
residue, ``A-5-10`` and ``A-5--2`` have negative numbers, ``B`` is a whole chain. Chain ids of
several letters are written as they are (``AA10-50``); an id with a digit needs a colon
(``1:10-50``), and so does the chain of a file without ids (``:10-50``). The chain may be repeated
(``A10-A50``). Where there are several files, the name of the file and a dot stand before the chain
(``5TPN.A10-50``; :mod:`protdiff.structure.join`).

A range means all residues that stand between its two ends in the chain, whatever their numbers, so
that insertion codes that run backwards and jumps of the numbering do no harm.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protdiff.errors import InputError
from protdiff.structure.backbone import Backbone
from protdiff.structure.numbering import name_residue

__all__ = [
    "ResidueRange",
    "ScanError",
    "find_residue",
    "locate_range",
    "parse_residue_range",
    "parse_selection",
    "scan_residue_range",
    "select_residues",
]

# A name of a file may have dots in it, and digits after them: the chain is what a number follows.
_CHAIN = re.compile(r"[^\s,/:]*:|[^\s,/:]+?\.[A-Za-z]+(?=-?[0-9]+[A-Za-z]?(?:-|$)|$)|[A-Za-z]+")
# More digits than any residue number has are no number: Python itself refuses to read thousands.
_NUMBER = re.compile(r"(-?[0-9]{1,9})([A-Za-z]?)")


class ScanError(Exception):
    """A piece of text names no residues: ``index`` is the character, ``expected`` the reason."""

    def __init__(self, index: int, expected: str) -> None:
        super().__init__(expected)
        self.index = index
        self.expected = expected


@dataclass(frozen=True)
class ResidueRange:
    """A range of residues of one chain, in the author's numbering, both ends included.

    Attributes
    ----------
    chain
        The author's chain id.
    first, last
        Number and insertion code of the two ends, such as ``(52, "A")``; None for a whole chain.
    """

    chain: str
    first: tuple[int, str] | None = None
    last: tuple[int, str] | None = None

    @property
    def file(self) -> str:
        """The name of the file it is of, where there are several; ``""`` where there is one."""
        return self.chain.rpartition(".")[0]

    def __str__(self) -> str:
        if self.first is None or self.last is None:
            return name_residue(self.chain, "")
        first, last = (f"{number}{code}" for number, code in (self.first, self.last))
        return name_residue(self.chain, first if first == last else f"{first}-{last}")


def scan_residue_range(text: str) -> ResidueRange:
    """Read one residue, range or chain; what is wrong is said with its place in the text.

    Raises
    ------
    ScanError
        The text is none of these, or the range ends before it begins.
    """
    match = _CHAIN.match(text)
    if match is None:
        raise ScanError(0, "expected a chain id, as in A10-50")
    chain = match[0].removesuffix(":")
    index = match.end()
    if index == len(text):
        return ResidueRange(chain)
    first, index = _scan_number(text, index)
    if index == len(text):
        return ResidueRange(chain, first, first)
    if text[index] != "-":
        raise ScanError(index, "expected - and the last residue of the range, or its end")
    index += 1
    again = _CHAIN.match(text, index)
    if again is not None and _NUMBER.match(text, again.end()):
        if again[0].removesuffix(":") != chain:
            raise ScanError(index, f"a range stays in one chain, and this one began in {chain}")
        index = again.end()
    start = index
    last, index = _scan_number(text, index)
    if index < len(text):
        raise ScanError(index, "expected the end of the range")
    if last[0] < first[0]:
        raise ScanError(start, "the range ends before it begins; write the lower number first")
    return ResidueRange(chain, first, last)


def _scan_number(text: str, index: int) -> tuple[tuple[int, str], int]:
    match = _NUMBER.match(text, index)
    if match is None:
        raise ScanError(index, "expected a residue number, as in A10-50 or A52A-60")
    return (int(match[1]), match[2]), match.end()


def parse_residue_range(text: str) -> ResidueRange:
    """Read one residue, range or chain.

    Examples
    --------
    >>> parse_residue_range("A52A-60")
    ResidueRange(chain='A', first=(52, 'A'), last=(60, ''))
    >>> str(parse_residue_range("A-5--2"))
    'A-5--2'

    Raises
    ------
    InputError
        It is none of these, or it ends before it begins.
    """
    stripped = text.strip()
    try:
        return scan_residue_range(stripped)
    except ScanError as error:
        raise InputError(
            f"{stripped!r} names no residues: {error.expected} (character {error.index + 1}); "
            "write a chain and a range such as A10-50, A52A-60, A10 or B"
        ) from error


def parse_selection(text: str | Sequence[str]) -> list[ResidueRange]:
    """Read a comma-separated list of residues, ranges and chains; a later one may leave the chain.

    Examples
    --------
    >>> [str(piece) for piece in parse_selection("A10-50,60,B")]
    ['A10-50', 'A60', 'B']
    """
    pieces = (text if isinstance(text, str) else ",".join(text)).split(",")
    ranges: list[ResidueRange] = []
    for piece in pieces:
        stripped = piece.strip()
        if ranges and re.match(r"-?[0-9]+([A-Za-z]?(-|$))", stripped):
            stripped = f"{ranges[-1].chain}:{stripped}"
        ranges.append(parse_residue_range(stripped))
    return ranges


def find_residue(backbone: Backbone, chain: str, residue: tuple[int, str]) -> int:
    """Return the place of one residue, or explain that it is not there.

    Raises
    ------
    InputError
        The chain or the residue is not there, or the name stands for several residues.
    """
    in_chain = backbone.find_chain(chain)
    number, code = residue
    found = np.flatnonzero(
        in_chain & (backbone.residue_number == number) & (backbone.insertion_code == code)
    )
    if len(found) == 1:
        return int(found[0])
    label = name_residue(chain, f"{number}{code}")
    if len(found):
        raise InputError(
            f"residue {label} stands {len(found)} times in {backbone.name}; renumber the file so "
            "that each name stands for one residue"
        )
    places = np.flatnonzero(in_chain)
    twins = in_chain & (backbone.residue_number == number)
    if twins.any():
        names = ", ".join(backbone.label(int(i)) for i in np.flatnonzero(twins)[:5])
        hint = f"there is {names}"
    else:
        hint = (
            f"chain {chain} runs from {backbone.label(int(places[0]))} to "
            f"{backbone.label(int(places[-1]))}"
        )
        inside = backbone.residue_number[in_chain]
        if inside.min() < number < inside.max():
            hint += f", and {label} is missing there"
    raise InputError(f"{backbone.name} has no residue {label} with a full backbone; {hint}")


def select_residues(backbone: Backbone, selection: Sequence[ResidueRange]) -> NDArray[np.int64]:
    """Return the places of the selected residues, in the order of the structure, each once.

    Raises
    ------
    InputError
        A chain, or the first or last residue of a range, is not there.
    """
    chosen = np.zeros(len(backbone), dtype=bool)
    for piece in selection:
        chosen[locate_range(backbone, piece)] = True
    return np.flatnonzero(chosen)


def locate_range(backbone: Backbone, piece: ResidueRange) -> NDArray[np.int64]:
    """Return the places of one range.

    Raises
    ------
    InputError
        The chain, or the first or last residue, is not there, or they stand in reverse.
    """
    if piece.first is None or piece.last is None:
        return np.flatnonzero(backbone.find_chain(piece.chain))
    first = find_residue(backbone, piece.chain, piece.first)
    last = find_residue(backbone, piece.chain, piece.last)
    if last < first:
        raise InputError(
            f"residue {backbone.label(last)} of {backbone.name} stands before "
            f"{backbone.label(first)}; write the one that comes first in the chain first"
        )
    places = np.arange(first, last + 1)
    return np.asarray(places[backbone.chain_id[places] == piece.chain], dtype=np.int64)

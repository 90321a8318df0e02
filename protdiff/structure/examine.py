"""Looking up a range of residues in a structure: what is there, what is missing, what is broken."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protdiff.errors import InputError
from protdiff.structure.backbone import Backbone
from protdiff.structure.selection import ResidueRange, locate_range

__all__ = ["RangeReport", "examine_range"]


@dataclass(frozen=True)
class RangeReport:
    """What a structure has of a range of residues.

    Attributes
    ----------
    places
        Where the residues that are there stand in the structure.
    missing
        What is not there, as spans such as ``"A106-133"``.
    problem
        Why the range cannot be a motif segment; None if it can.
    """

    places: tuple[int, ...]
    missing: tuple[str, ...] = ()
    problem: str | None = None


def examine_range(backbone: Backbone, residues: ResidueRange) -> RangeReport:
    """Look up a range for use as one segment of a motif: all of it must be there, unbroken.

    A jump of the author's numbering where the chain itself goes on (as in antibodies) is no gap.
    """
    in_chain = np.flatnonzero(backbone.chain_id == residues.chain)
    first, last = residues.first, residues.last
    if not len(in_chain) or first is None or last is None:
        try:
            places = locate_range(backbone, residues)
        except InputError as error:
            return RangeReport((), (str(residues),), str(error))
    else:
        try:
            places = locate_range(backbone, residues)
        except InputError as error:
            keys = [
                (int(backbone.residue_number[i]), str(backbone.insertion_code[i])) for i in in_chain
            ]
            places = in_chain[[first <= key <= last for key in keys]]
            missing = _list_missing(backbone, residues, places)
            return RangeReport(tuple(places.tolist()), missing, str(error))
    broken = np.flatnonzero(np.diff(backbone.residue_index[places]) != 1)
    if not len(broken):
        return RangeReport(tuple(places.tolist()))
    before, after = int(places[broken[0]]), int(places[broken[0] + 1])
    missing = _list_missing(backbone, residues, places)
    label = backbone.label(before)
    what = f"{', '.join(missing)} missing there" if missing else "no residue missing there"
    return RangeReport(
        tuple(places.tolist()),
        missing,
        f"{residues} of {backbone.name} runs over a chain break between {label} and "
        f"{backbone.label(after)}, {what}; end a segment at {label}, begin one at "
        f"{backbone.label(after)}, and put a length between them",
    )


def _list_missing(
    backbone: Backbone, residues: ResidueRange, places: NDArray[np.int64]
) -> tuple[str, ...]:
    """Name the numbers of a range that no residue carries, but for jumps of an unbroken chain."""
    first, last = residues.first, residues.last
    if first is None or last is None:
        spans = []
    elif not len(places):
        return (str(residues),)
    else:
        spans = [(first[0], int(backbone.residue_number[places[0]]) - 1)]
    for before, after in itertools.pairwise(places):
        if backbone.residue_index[after] - backbone.residue_index[before] != 1:
            numbers = backbone.residue_number
            spans.append((int(numbers[before]) + 1, int(numbers[after]) - 1))
    if last is not None:
        spans.append((int(backbone.residue_number[places[-1]]) + 1, last[0]))
    return tuple(
        str(ResidueRange(residues.chain, (low, ""), (high, "")))
        for low, high in spans
        if low <= high
    )

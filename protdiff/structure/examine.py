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
    try:
        places = locate_range(backbone, residues)
    except InputError as error:
        places = _find_between(backbone, residues)
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


def _find_between(backbone: Backbone, residues: ResidueRange) -> NDArray[np.int64]:
    """Return the places of what has a name between the two ends, which need not be there."""
    first, last = residues.first, residues.last
    names = zip(backbone.residue_number.tolist(), backbone.insertion_code.tolist(), strict=True)
    between = [first is not None and last is not None and first <= name <= last for name in names]
    return np.flatnonzero((backbone.chain_id == residues.chain) & between)


def _list_missing(
    backbone: Backbone, residues: ResidueRange, places: NDArray[np.int64]
) -> tuple[str, ...]:
    """Name the numbers of a range that no residue carries, but for jumps of an unbroken chain."""
    if not len(places):
        return (str(residues),)
    numbers = backbone.residue_number
    spans = []
    if residues.first is not None:
        spans.append((residues.first[0], int(numbers[places[0]]) - 1))
    for before, after in itertools.pairwise(places):
        if backbone.residue_index[after] - backbone.residue_index[before] != 1:
            spans.append((int(numbers[before]) + 1, int(numbers[after]) - 1))
    if residues.last is not None:
        spans.append((int(numbers[places[-1]]) + 1, residues.last[0]))
    return tuple(
        str(ResidueRange(residues.chain, (low, ""), (high, "")))
        for low, high in spans
        if low <= high
    )

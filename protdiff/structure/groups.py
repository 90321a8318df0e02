"""Rigid groups of a motif: which segments keep their places to each other.

Two epitopes, or a site from one protein and a site from another, are to be in one design, and where
they stand to each other is open. They are groups: each keeps its shape, and each has a pose of its
own. In the chain their segments may come in any order.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace

from protdiff.errors import InputError
from protdiff.structure.backbone import Backbone
from protdiff.structure.contig import Contig
from protdiff.structure.segments import MotifSegment, Segment
from protdiff.structure.selection import parse_selection, select_residues

__all__ = ["group_segments"]


def group_segments(contig: Contig, backbone: Backbone, text: str) -> Contig:
    """Say which segments of a contig are one rigid body.

    Parameters
    ----------
    contig
        Resolved against the structure.
    backbone
        The structure.
    text
        The groups, divided by ``;``, each as the residues of its segments:
        ``"A16-35;A52-71,A90-95"``. Segments that are not named keep their group, and none of these
        groups is put together with it.

    Returns
    -------
    Contig
        The same, with a group for each segment that is named.

    Raises
    ------
    InputError
        A residue is not there; a segment is in two groups or in one by a part of it; a group has no
        segment, or segments of several files.
    """
    owner: dict[int, int] = {}
    pieces = text.split(";")
    for number, piece in enumerate(pieces, start=1):
        if not piece.strip():
            raise InputError(
                f"group {number} of {text!r} is empty; write e.g. A16-35;A52-71, with ; between "
                "groups"
            )
        for place in select_residues(backbone, parse_selection(piece)).tolist():
            if owner.setdefault(place, number) != number:
                raise InputError(
                    f"residue {backbone.label(place)} is in two groups of {text!r}; name it once"
                )
    numbers = {segment: _find_number(segment, owner, text) for segment in contig.motif_segments}
    for number, piece in enumerate(pieces, start=1):
        if number not in numbers.values():
            raise InputError(
                f"group {number}, {piece.strip()}, holds no segment of the contig {contig.text}; "
                "name segments that are in it"
            )
    taken = {segment.group for segment, number in numbers.items() if number is None}
    free = (name for name in map(str, itertools.count(1)) if name not in taken)
    names = dict(zip(range(1, len(pieces) + 1), free, strict=False))

    def label(segment: Segment) -> Segment:
        if not isinstance(segment, MotifSegment) or (number := numbers[segment]) is None:
            return segment
        return replace(segment, group=names[number])

    chains = tuple(tuple(map(label, chain)) for chain in contig.chains)
    grouped = replace(contig, chains=chains)
    grouped.check_groups()
    return grouped


def _find_number(segment: MotifSegment, owner: Mapping[int, int], text: str) -> int | None:
    """Return the number of the group that names a segment; None if none does."""
    found = {owner.get(place) for place in segment.places or ()}
    if len(found) > 1:
        raise InputError(
            f"the groups {text!r} divide the segment {segment.residues}; a segment is in one "
            "group, so name all of it, or cut it in two in the contig"
        )
    return found.pop() if found else None

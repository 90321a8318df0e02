"""Conditioners beside a motif: those that say, as it does, where a design stands or how long it is.

A target stands where the motif's place in their complex says, and a structure to start from has
residues at the motif's places. Both need to know these places before there is a design.
"""

from __future__ import annotations

from collections.abc import Sequence

from protdiff.conditioning.conditioner import Conditioner
from protdiff.design.conditions import lay_out_chains
from protdiff.errors import InputError
from protdiff.structure import Contig, Motif
from protdiff.structure.lengths import LengthRange

__all__ = ["check_beside_motif", "refuse_beside_motif", "refuse_beside_unindexed"]


def check_beside_motif(
    conditioners: Sequence[Conditioner],
    contig: Contig,
    motif: Motif,
    total_length: LengthRange | None,
) -> None:
    """Refuse conditioners that do not agree with a motif.

    Parameters
    ----------
    conditioners
        What is asked of the designs.
    contig
        Resolved.
    motif
        In one of its layouts.
    total_length
        As the layouts are drawn.

    Raises
    ------
    InputError
        One is made for a single length, and the layouts differ; or one refuses the motif.
    """
    for one in conditioners:
        if one.length is not None and contig.count_layouts(total_length) > 1:
            shortest, longest = contig.limit_lengths(total_length)
            span = str(shortest) if shortest == longest else f"{shortest} to {longest}"
            raise InputError(
                f"{one.describe()['kind']} is for designs of {one.length} residues in one layout, "
                f"and {contig.text} allows several, of {span}; write one down, such as "
                f"{motif.layout} (the manifest of a run tells that of each design)"
            )
        one.check_motif(motif)


def refuse_beside_motif(conditioners: Sequence[Conditioner]) -> None:
    """Refuse conditioners that lay chains out or place designs, and know nothing of the motif.

    Raises
    ------
    InputError
        There is one.
    """
    for one in conditioners:
        if one.reads_motif:
            continue
        places = type(one).place is not Conditioner.place
        if places or one.length is not None or len(lay_out_chains([1], [one])) != 1:
            raise InputError(
                f"the motif says where a design stands and which chains there are; "
                f"{one.describe()['kind']} goes with designs that have no motif"
            )


def refuse_beside_unindexed(conditioners: Sequence[Conditioner]) -> None:
    """Refuse conditioners that need to know where in the chain the motif is.

    Raises
    ------
    InputError
        There is one.
    """
    for one in conditioners:
        if one.reads_motif:
            raise InputError(
                f"the places of an unindexed motif are found on the way, and "
                f"{one.describe()['kind']} needs to know them from the start; give a contig"
            )

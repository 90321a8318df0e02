"""Scaffolds of several equal chains, each around its own copy of the motif.

The contig describes one chain, and so does a total length; a point group carries that chain into
the others. Every copy holds the whole motif, and the rigid groups of each are bodies of their own:
how a motif stands to its chain and to the axis is free, and the same in all chains.

What is symmetric stays so on the way. An estimate is projected on the symmetric backbones before
the motif is written in; the pose that fits a motif best turns with the chain that it is fitted to,
so the poses of the copies are each other's images too. In the end one chain is taken and the group
makes the others of it, which leaves no rounding between them. The design stands as a symmetric one
without a motif does, and not in the frame of the input: z is the n-fold axis, x the two-fold one
of Dn, and both pass through the origin.

A motif that lies on the axis itself, such as a metal site that all chains share, is another task:
its pose to the axis is given there, and is free here.

References
----------
Watson et al. 2023, "De novo design of protein structure and function with RFdiffusion" (symmetric
motif scaffolding).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from protdiff.conditioning.conditioner import Conditioner
from protdiff.conditioning.symmetry import Symmetry
from protdiff.design.samplers import DEFAULT_METHOD
from protdiff.errors import InputError
from protdiff.structure import Contig
from protdiff.structure.layout import Layout
from protdiff.structure.point_group import PointGroup

__all__ = ["check_symmetry", "find_symmetry", "leave_symmetry_out", "repeat_layout"]


def find_symmetry(conditioners: Sequence[Conditioner]) -> PointGroup | None:
    """Return the point group that is asked for, or None.

    Raises
    ------
    InputError
        There are several.
    """
    groups = [one.group for one in conditioners if isinstance(one, Symmetry)]
    if len(groups) > 1:
        raise InputError(f"{' and '.join(map(str, groups))} are asked for; give one symmetry")
    return groups[0] if groups else None


def leave_symmetry_out(conditioners: Sequence[Conditioner]) -> list[Conditioner]:
    """Return what else is asked for."""
    return [one for one in conditioners if not isinstance(one, Symmetry)]


def check_symmetry(conditioners: Sequence[Conditioner], contig: Contig, method: str) -> None:
    """Refuse what no copies can be made of; there is nothing to refuse without a symmetry.

    Parameters
    ----------
    conditioners
        All that is asked of the designs.
    contig
        Of one chain.
    method
        How the motif is imposed.

    Raises
    ------
    InputError
        There are two symmetries; the contig has several chains; the method weighs likelihoods, or
        another conditioner says where designs start or stand.
    """
    group = find_symmetry(conditioners)
    if group is None:
        return
    if len(contig.chains) > 1:
        raise InputError(
            f"{group} makes copies of one chain, and the contig {contig.text!r} has "
            f"{len(contig.chains)} chains; write the contig of one chain, without a break"
        )
    if method == "twisted-smc":
        raise InputError(
            f"twisted-smc weighs likelihoods, and the symmetry {group} is none; choose another "
            f"method, such as {DEFAULT_METHOD}"
        )
    for one in leave_symmetry_out(conditioners):
        hooks = type(one).place, type(one).begin, type(one).lay_out
        if hooks != (Conditioner.place, Conditioner.begin, Conditioner.lay_out):
            raise InputError(
                f"{one.describe()['kind']} says where designs start or stand, and so does the "
                f"symmetry {group} of a scaffold; give one of the two"
            )


def repeat_layout(layout: Layout, copies: int) -> Layout:
    """Lay a chain out ``copies`` times, as chains A, B, ...; bodies are numbered on through them.

    Parameters
    ----------
    layout
        Of one chain.
    copies
        How many.

    Examples
    --------
    >>> import numpy as np
    >>> from protdiff.structure import parse_contig
    >>> one = parse_contig("2/A5-6/1").sample_layout(np.random.default_rng(0))
    >>> two = repeat_layout(one, 2)
    >>> str(two), two.motif_groups.tolist(), two.motif_positions.tolist()
    ('2/A5-6#1/1/0 2/A5-6#2/1', [1, 1, 2, 2], [2, 3, 7, 8])
    """
    if copies == 1:
        return layout
    bodies: dict[tuple[int, tuple[str, str]], int] = {}
    placed = []
    for copy in range(copies):
        for segment in layout.segments:
            motif = segment.motif
            if motif is not None:
                number = bodies.setdefault((copy, motif.body), len(bodies) + 1)
                motif = replace(motif, group=str(number))
            start = segment.start + copy * layout.length
            placed.append(replace(segment, start=start, chain=copy, motif=motif))
    return Layout(tuple(placed))

"""A target that the network is shown beside designs: when it is, and where it stands in them.

What is sampled is then the design and, after it, residues of the target in chains of their own. The
target is a motif: of a design that has none, the only one; beside a motif of the same complex, more
of the first rigid body, since motif and target stand to each other as the complex has them.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from protdiff.conditioning import Conditioner, Contacts, Partner
from protdiff.conditioning import SecondaryStructure as SecondaryStructureConditioner
from protdiff.conditioning.shown_target import ShownTarget
from protdiff.design.engine import Plan
from protdiff.design.secondary_structure import SecondaryStructure
from protdiff.design.settings import SamplingSettings
from protdiff.evaluation.secondary_structure import assign_secondary_structure
from protdiff.model import LENGTH_RANGE
from protdiff.structure import Backbone, Motif
from protdiff.structure.layout import Layout, PlacedSegment
from protdiff.weights import is_for_single_chains

__all__ = [
    "FEWEST_SHOWN",
    "MOST_SHOWN",
    "add_target",
    "ask_beside",
    "count_room",
    "extend_layout",
    "find_problem",
    "find_target",
    "is_to_see",
    "keep_target",
    "show_target",
]

MOST_SHOWN = 128
"""Residues of the target that the network is shown, at most: they cost as much as designed ones."""
FEWEST_SHOWN = 24
_TRAINED = 384
"""The most residues that the weights for several chains know; a target stays within it."""
_ALONGSIDE = (SecondaryStructureConditioner, Contacts)
"""Conditioners that can be asked of a part of what is sampled."""


def find_problem(settings: SamplingSettings, conditioners: Sequence[Conditioner]) -> str | None:
    """Say why the network cannot be shown a target, if it cannot."""
    targets = [one for one in conditioners if isinstance(one, Partner | ShownTarget)]
    if len(targets) != 1:
        return f"there are {len(targets)} targets"
    if settings.handedness != "L":
        return "designs are D-proteins and the target is none"
    for one in conditioners:
        if not isinstance(one, (*_ALONGSIDE, Partner, ShownTarget)):
            return f"{one.describe()['kind']} is asked of all that is sampled"
    return None


def is_to_see(settings: SamplingSettings, conditioners: Sequence[Conditioner]) -> bool:
    """Tell whether the network is shown a target: there is one, it can be, and is not docked."""
    docked = any(isinstance(one, Partner) and one.docked for one in conditioners)
    return not docked and find_problem(settings, conditioners) is None


def keep_target(
    weights: str | None, settings: SamplingSettings, conditioners: Sequence[Conditioner]
) -> list[Conditioner]:
    """Return conditioners with a target that the network is not shown, if it would entwine it.

    That is what bundled weights do that know single chains.

    Parameters
    ----------
    weights
        What the weights are called; None if they are yet to be chosen, as what is asked for needs.
    settings, conditioners
        What is asked for.

    Warns
    -----
    UserWarning
        There is such a target.
    """
    is_seen = is_to_see(settings, conditioners)
    if weights is None or not (is_seen and is_for_single_chains(weights)):
        return list(conditioners)
    warnings.warn(
        f"{weights} was trained on single chains, so the target is not shown to it; take "
        "protdiff-complex to have designs made beside the target",
        stacklevel=3,
    )
    return [one.keep_unseen() if isinstance(one, Partner) else one for one in conditioners]


def count_room(longest: int) -> int:
    """Return how many residues of a target can stand beside designs of ``longest`` residues."""
    room = max(_TRAINED - longest, min(FEWEST_SHOWN, LENGTH_RANGE[1] - longest))
    return max(0, min(MOST_SHOWN, room))


def show_target(
    conditioners: Sequence[Conditioner], room: int, motif: Motif | None = None
) -> list[Conditioner]:
    """Return conditioners with the target as one that the network is shown.

    Parameters
    ----------
    conditioners
        What is asked of the designs.
    room
        How many residues the network is shown, at most.
    motif
        Which the designs hold, of one complex with the target.
    """
    return [
        ShownTarget(one, room, motif) if isinstance(one, Partner) else one for one in conditioners
    ]


def find_target(conditioners: Sequence[Conditioner]) -> ShownTarget | None:
    """Return the target that the network is shown, if there is one."""
    return next((one for one in conditioners if isinstance(one, ShownTarget)), None)


def extend_layout(layout: Layout, target: ShownTarget) -> Layout:
    """Lay out a design and, after it, what is shown of the chains of its target.

    Places of these segments are those in the target. They are of the body of the design's first
    motif, if it has one.
    """
    structure = target.partner.structure
    body = next((s.motif for s in layout.segments if s.motif is not None), None)
    segments = list(layout.segments)
    last = None
    for stretch in target.stretches:
        places = stretch.places
        assert places is not None
        chain, gap = segments[-1].chain, 0
        if last is None or structure.chain_id[places[0]] != structure.chain_id[last]:
            chain += 1
        else:
            gap = int(structure.residue_index[places[0]] - structure.residue_index[last]) - 1
        if body is not None:
            # The file is a part of the chain's name, and says with the group which body it is.
            residues = replace(stretch.residues, chain=body.residues.chain)
            stretch = replace(stretch, residues=residues, group=body.group)
        segments.append(PlacedSegment(segments[-1].stop, len(places), chain, stretch, gap=gap))
        last = places[-1]
    return Layout(tuple(segments))


def add_target(motif: Motif, target: ShownTarget) -> Motif:
    """Return a motif and, after the design, what is shown of the target, in one body with it."""
    shown = target.partner.structure.coordinates[target.shown]
    return Motif(
        Backbone.from_coordinates(np.concatenate([motif.source.coordinates, shown])),
        extend_layout(motif.layout, target),
        np.concatenate([motif.redesignable_mask, np.zeros(len(shown), dtype=bool)]),
    )


def ask_beside(plan: Plan, target: ShownTarget | None) -> SecondaryStructure:
    """Return what the network is told: of shares, those of a design and its target together."""
    wanted = plan.secondary
    if target is None or wanted.helix is None or wanted.strand is None:
        return wanted
    share = plan.size / plan.length
    helix, strand = (
        share * asked + (1 - share) * given
        for asked, given in zip((wanted.helix, wanted.strand), _measure_shares(target), strict=True)
    )
    return replace(wanted, helix=helix, strand=strand)


@lru_cache(maxsize=8)
def _measure_shares(target: ShownTarget) -> tuple[float, float]:
    """Return the shares of helix and strand of what the network is shown of a target."""
    states = assign_secondary_structure(target.partner.structure.coordinates)[target.shown]
    return float((states == "H").mean()), float((states == "E").mean())

"""Binders: designs beside a target that the network is shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protdiff.conditioning import Conditioner, Contacts, Partner, SecondaryStructure
from protdiff.conditioning.compose import Conditions
from protdiff.conditioning.conditioner import list_conditioners
from protdiff.conditioning.shown_target import ShownTarget
from protdiff.design.engine import Plan
from protdiff.design.generate import Generation
from protdiff.design.motif_denoiser import make_motif_parts
from protdiff.design.secondary_structure import SecondaryStructure as SecondaryStructureRequested
from protdiff.design.settings import SamplingSettings
from protdiff.diffusion import Denoiser
from protdiff.errors import InputError
from protdiff.evaluation.secondary_structure import assign_secondary_structure
from protdiff.model import LENGTH_RANGE
from protdiff.structure import Backbone, Motif, superimpose
from protdiff.structure.chain_layout import ChainLayout
from protdiff.structure.layout import Layout, PlacedSegment
from protdiff.structure.lengths import LengthRange

__all__ = ["Binding", "make_generation"]

MOST_SHOWN = 128
"""Residues of the target that the network is shown, at most: they cost as much as designed ones."""
FEWEST_SHOWN = 24
_METHOD = "amortized"
_ALONGSIDE = (SecondaryStructure, Contacts)
"""Conditioners that can be asked of a part of what is sampled."""


@dataclass(frozen=True, kw_only=True)
class BindingPlan(Plan):
    """A design of ``made`` residues, and the target after it."""

    motif: Motif


@dataclass(frozen=True)
class Binding(Generation):
    """A run of designs that bind one target, which the network sees.

    A design is the first chain of what is sampled; residues of the target around its hot spots are
    the chains after it. The target is no part of the finished design, which stands in its frame.

    Parameters
    ----------
    length, seed, settings
        As :class:`~protdiff.design.generate.Generation` has them.
    conditioners
        One :class:`~protdiff.conditioning.Partner`, of which the rest of the run knows what is
        shown, and secondary structure and contacts of the design.

    Raises
    ------
    InputError
        As for a generation; or something cannot be asked of a part of what is sampled, or there is
        no room for the target.
    """

    def __post_init__(self) -> None:
        asked = list_conditioners(self.conditioners)
        if problem := find_problem(self.settings, asked):
            raise InputError(f"{problem}; the target can only be docked")
        longest = self.chain_length_range[1]
        room = min(MOST_SHOWN, LENGTH_RANGE[1] - longest)
        if room < FEWEST_SHOWN:
            raise InputError(
                f"the network sees {LENGTH_RANGE[1]} residues, and a design of {longest} leaves "
                f"{max(room, 0)} for the target; give a shorter length"
            )
        shown = [ShownTarget(one, room) if isinstance(one, Partner) else one for one in asked]
        object.__setattr__(self, "conditioners", shown)
        super().__post_init__()

    @cached_property
    def target(self) -> ShownTarget:
        """What of the target the network is shown."""
        (found,) = (one for one in self.conditioners if isinstance(one, ShownTarget))
        return found

    @cached_property
    def target_shares(self) -> tuple[float, float]:
        """Shares of helix and strand of what the network is shown."""
        structure = self.target.partner.structure
        states = assign_secondary_structure(structure.coordinates)
        seen = states[self.target.shown]
        return float((seen == "H").mean()), float((seen == "E").mean())

    @property
    def length_range(self) -> tuple[int, int]:
        """The fewest and the most residues that are sampled, those of the target included."""
        shortest, longest = self.chain_length_range
        shown = len(self.target.shown)
        return shortest + shown, longest + shown

    @property
    def chains(self) -> int:
        """How many chains the network sees: the design and those of the target."""
        structure = self.target.partner.structure
        return 1 + len(set(structure.chain_id[self.target.shown].tolist()))

    def _draw(self, length: int, rng: np.random.Generator, index: int = 0) -> Plan:
        plan = super()._draw(length, rng, index)
        layout = self._lay_out(length)
        return BindingPlan(
            index,
            layout.length,
            ChainLayout.of_layout(layout),
            plan.secondary,
            made=length,
            motif=Motif.from_layout(self.target.partner.structure, layout),
        )

    def _lay_out(self, length: int) -> Layout:
        """Lay out a design and, after it, what is shown of the chains of the target."""
        structure = self.target.partner.structure
        segments = [PlacedSegment(0, length, 0, None)]
        last = None
        for stretch in self.target.stretches:
            places = stretch.places
            assert places is not None
            chain, gap = segments[-1].chain, 0
            if last is None or structure.chain_id[places[0]] != structure.chain_id[last]:
                chain += 1
            else:
                gap = int(structure.residue_index[places[0]] - structure.residue_index[last]) - 1
            segments.append(PlacedSegment(segments[-1].stop, len(places), chain, stretch, gap=gap))
            last = places[-1]
        return Layout(tuple(segments))

    def condition(self, conditions: Conditions, plans: Sequence[Plan]) -> Denoiser:
        """Return the denoiser that sees the target, with what else is asked of the designs."""
        return make_motif_parts(
            conditions.scene.model,
            conditions.scene.residue_mask,
            motifs=[plan.motif for plan in plans if isinstance(plan, BindingPlan)],
            method=_METHOD,
            settings=self.settings,
            wanted=[self._ask(plan) for plan in plans],
            conditions=conditions,
        ).project()

    def _ask(self, plan: Plan) -> SecondaryStructureRequested:
        """Return what the network is told: of shares, those of design and target together."""
        wanted = plan.secondary
        if wanted.helix is None or wanted.strand is None:
            return wanted
        share = plan.size / plan.length
        helix, strand = (
            share * asked + (1 - share) * given
            for asked, given in zip((wanted.helix, wanted.strand), self.target_shares, strict=True)
        )
        return replace(wanted, helix=helix, strand=strand)

    def finish(
        self, plan: Plan, coordinates: NDArray[np.float32]
    ) -> tuple[Backbone, dict[str, Any]]:
        """Move the design to where the target is that was sampled beside it."""
        assert isinstance(plan, BindingPlan)
        design = coordinates[: plan.size]
        if np.isfinite(coordinates).all():
            sampled = coordinates[plan.motif.motif_positions]
            given = plan.motif.source.coordinates[:, : sampled.shape[1]]
            design = superimpose(sampled, given).apply(design).astype(np.float32)
        chains = ChainLayout.of_one_chain(plan.size)
        backbone = chains.make_backbone(design, name=f"design_{plan.index:04d}")
        return backbone, {
            "asked": plan.secondary.to_dict(),
            "steps": self.settings.get_steps(plan.length),
        }


def make_generation(
    length: LengthRange | None,
    seed: int,
    settings: SamplingSettings,
    conditioners: Conditioner | Iterable[Conditioner] = (),
) -> Generation:
    """Return what makes designs: beside a target that the network sees, where it can.

    Parameters are those of :class:`~protdiff.design.generate.Generation`. A target is docked, as
    :class:`~protdiff.conditioning.Partner` says, where it is asked to be and beside what can only
    be asked of all that is sampled.
    """
    asked = list_conditioners(conditioners)
    partners = [one for one in asked if isinstance(one, Partner)]
    if any(one.docked for one in partners) or find_problem(settings, asked):
        return Generation(length, seed, settings, asked)
    return Binding(length, seed, settings, asked)


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

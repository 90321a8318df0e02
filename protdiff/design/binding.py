"""Binders: designs beside a target that the network is shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protdiff.conditioning import Conditioner
from protdiff.conditioning.compose import Conditions
from protdiff.conditioning.conditioner import list_conditioners
from protdiff.conditioning.shown_target import ShownTarget
from protdiff.design.beside_target import (
    FEWEST_SHOWN,
    ask_beside,
    count_room,
    extend_layout,
    find_problem,
    find_target,
    is_to_see,
    show_target,
)
from protdiff.design.engine import Plan
from protdiff.design.generate import Generation
from protdiff.design.motif_denoiser import make_motif_parts
from protdiff.design.settings import SamplingSettings
from protdiff.diffusion import Denoiser
from protdiff.errors import InputError
from protdiff.model import LENGTH_RANGE
from protdiff.structure import Backbone, Motif, superimpose
from protdiff.structure.chain_layout import ChainLayout
from protdiff.structure.layout import Layout
from protdiff.structure.lengths import LengthRange

__all__ = ["Binding", "make_generation"]

_METHOD = "amortized"


@dataclass(frozen=True, kw_only=True)
class BindingPlan(Plan):
    """A design of ``made`` residues, and the target after it.

    Attributes
    ----------
    motif
        The target, and where it stands.
    own
        The chains of the design.
    """

    motif: Motif
    own: ChainLayout


@dataclass(frozen=True)
class Binding(Generation):
    """A run of designs that bind one target, which the network sees.

    A design is the first of what is sampled; residues of the target around its hot spots are the
    chains after it. The target is no part of the finished design, which stands in its frame.

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
        longest = self.chain_lengths.span[1]
        room = count_room(longest)
        if room < FEWEST_SHOWN:
            raise InputError(
                f"the network sees {LENGTH_RANGE[1]} residues, and a design of {longest} leaves "
                f"{room} for the target; give a shorter length"
            )
        object.__setattr__(self, "conditioners", show_target(asked, room))
        super().__post_init__()

    @cached_property
    def target(self) -> ShownTarget:
        """What of the target the network is shown."""
        found = find_target(self.conditioners)
        assert found is not None
        return found

    @property
    def length_range(self) -> tuple[int, int]:
        """The fewest and the most residues that are sampled, those of the target included."""
        shortest, longest = self.chain_lengths.span
        shown = len(self.target.shown)
        return shortest + shown, longest + shown

    @property
    def chains(self) -> int:
        """How many chains the network sees: those of the design and those of the target."""
        return super().chains + self.target.chains

    def _draw(self, lengths: Sequence[int], rng: np.random.Generator, index: int = 0) -> Plan:
        plan = super()._draw(lengths, rng, index)
        assert plan.chains is not None
        layout = extend_layout(Layout.of_chains(lengths), self.target)
        return BindingPlan(
            index,
            layout.length,
            ChainLayout.of_layout(layout),
            plan.secondary,
            made=plan.length,
            motif=Motif.from_layout(self.target.partner.structure, layout),
            own=plan.chains,
        )

    def condition(self, conditions: Conditions, plans: Sequence[Plan]) -> Denoiser:
        """Return the denoiser that sees the target, with what else is asked of the designs."""
        return make_motif_parts(
            conditions.scene.model,
            conditions.scene.residue_mask,
            motifs=[plan.motif for plan in plans if isinstance(plan, BindingPlan)],
            method=_METHOD,
            settings=self.settings,
            wanted=[ask_beside(plan, self.target) for plan in plans],
            conditions=conditions,
        ).project()

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
        backbone = plan.own.make_backbone(design, name=f"design_{plan.index:04d}")
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
    make = Binding if is_to_see(settings, asked) else Generation
    return make(length, seed, settings, asked)

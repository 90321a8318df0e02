"""Scaffolding a motif whose place in the chain is found, not given.

There is no layout before there is a structure: a design begins as one from nothing, of the length
wanted, and its motif is given a place as soon as it takes shape
(:class:`~protdiff.conditioning.UnindexedMotif`). Afterwards the place is read off the design
itself, in which the motif fits nowhere as well as where it was put.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from protdiff.conditioning import UnindexedMotif
from protdiff.conditioning.compose import Conditions
from protdiff.conditioning.conditioner import Conditioner, list_conditioners
from protdiff.design.beside_motif import refuse_beside_unindexed
from protdiff.design.conditions import (
    choose_secondary_structure,
    describe_conditioners,
    list_beside,
)
from protdiff.design.engine import Plan
from protdiff.design.motif_denoiser import make_motif_parts
from protdiff.design.sample import make_denoiser
from protdiff.design.samplers import (
    DEFAULT_HOLD,
    DEFAULT_METHOD,
    describe_choice,
    is_adaptive,
)
from protdiff.design.scaffold import (
    check_motif_choices,
    choose_restarts,
    find_motif,
    finish_scaffold,
    get_free_below,
)
from protdiff.design.secondary_structure import SecondaryStructureRequest
from protdiff.design.seeds import make_layout_generator
from protdiff.design.settings import SamplingSettings
from protdiff.design.symmetric_scaffold import find_symmetry
from protdiff.diffusion import Denoiser
from protdiff.errors import InputError
from protdiff.plain import take_integer
from protdiff.structure import Backbone, Contig, Motif, parse_length
from protdiff.structure.chain_layout import ChainLayout
from protdiff.structure.lengths import LengthRange
from protdiff.structure.placement import MotifPlacer

__all__ = ["UnindexedScaffolding"]


@dataclass(frozen=True, eq=False)
class UnindexedScaffolding:
    """A run of designs around a motif that may stand anywhere in them.

    Parameters
    ----------
    source
        The structure of the motif.
    segments
        Its segments, such as ``parse_contig("A93-97,A118-120,A198-200")``; their order means
        nothing.
    length
        Residues of the design, a number or a range.
    seed, settings, method, hold, redesignable, groups, conditioners
        As in :class:`~protdiff.design.scaffold.Scaffolding`.
    spacing
        The least number of residues between two segments.

    Raises
    ------
    InputError
        The segments are not in the structure, or have no room in the shortest design; a choice does
        not exist, or does not go with a place that is found.
    """

    source: Backbone
    segments: Contig
    length: LengthRange = 100
    seed: int = 0
    settings: SamplingSettings = field(default_factory=SamplingSettings)
    method: str = DEFAULT_METHOD
    hold: str = DEFAULT_HOLD
    redesignable: str | None = None
    groups: str | None = None
    spacing: int = 2
    conditioners: Sequence[Conditioner] = ()

    def __post_init__(self) -> None:
        for name in ("seed", "spacing"):
            object.__setattr__(self, name, take_integer(name, getattr(self, name)))
        object.__setattr__(self, "conditioners", list_conditioners(self.conditioners))
        if find_symmetry(self.conditioners) is not None:
            raise InputError(
                "the places of an unindexed motif are found in one chain, and a symmetry makes "
                "several; give the places by a contig, or leave the symmetry out"
            )
        check_motif_choices(self.method, self.hold, self.settings, self.conditioners)
        refuse_beside_unindexed(self.conditioners)
        object.__setattr__(self, "settings", choose_restarts(self.method, self.settings))
        if self.method in ("repaint", "twisted-smc"):
            raise InputError(
                f"{self.method} samples for a motif of known places, and those of an unindexed one "
                f"are found on the way; choose another method, such as {DEFAULT_METHOD}"
            )
        if is_adaptive(self.settings.sampler):
            raise InputError(
                f"the sampler {describe_choice(self.settings.sampler)} goes back to larger noise, "
                "and the place of an unindexed motif is found on the way to smaller; choose "
                "another sampler"
            )
        if not 0 <= self.spacing <= 100:
            raise InputError(f"spacing is {self.spacing}; give 0 to 100 residues")
        contig = find_motif(self.segments, self.source, self.groups)
        object.__setattr__(self, "segments", contig)
        shortest = self.length_range[0]
        if shortest < self.placer.shortest:
            raise InputError(
                f"a design of {shortest} residues may have no room for the motif {contig.text} and "
                f"what joins its segments; give a length of {self.placer.shortest} or more"
            )
        for length in set(self.length_range):  # states that do not fit show here
            self.secondary_structure.draw(length, make_layout_generator(self.seed, 0))
        self._make_motif(np.zeros((shortest, 3, 3), np.float32))

    @cached_property
    def placer(self) -> MotifPlacer:
        """What finds the motif's place."""
        return MotifPlacer(self.source, self.segments, spacing=self.spacing)

    @property
    def length_range(self) -> tuple[int, int]:
        """The shortest and the longest design."""
        return parse_length(self.length)

    @property
    def copies(self) -> int:
        """One: a symmetry needs to know the motif's place."""
        return 1

    @property
    def chains(self) -> int:
        """One."""
        return 1

    @property
    def states(self) -> int:
        """One: particles weigh a motif of known place."""
        return 1

    @property
    def lengths(self) -> Sequence[int]:
        """The numbers of residues that a design may have."""
        shortest, longest = self.length_range
        return range(shortest, longest + 1)

    @property
    def shortest_chains(self) -> list[ChainLayout]:
        """The one chain of the shortest design."""
        return [ChainLayout.of_one_chain(self.length_range[0])]

    @property
    def beside(self) -> Collection[str]:
        """What the designs are made beside."""
        return ("motif", *list_beside(self.conditioners))

    @property
    def secondary_structure(self) -> SecondaryStructureRequest:
        """What secondary structure the designs are asked for."""
        return choose_secondary_structure(self.settings, self.conditioners)

    def plan(self, index: int) -> Plan:
        """Draw the length and the secondary structure of a design."""
        shortest, longest = self.length_range
        rng = make_layout_generator(self.seed, index)
        length = int(rng.integers(shortest, longest, endpoint=True))
        return Plan(index, length, secondary=self.secondary_structure.draw(length, rng))

    def condition(self, conditions: Conditions, plans: Sequence[Plan]) -> Denoiser:
        """Return the denoiser that finds the motifs of a batch their places."""
        model, residue_mask = conditions.scene.model, conditions.scene.residue_mask
        wanted = [plan.secondary for plan in plans]

        def settle(estimate: torch.Tensor) -> Denoiser:
            chains = model.to_angstrom(estimate).detach().float().cpu().numpy()
            return make_motif_parts(
                model,
                residue_mask,
                motifs=[
                    self._make_motif(chain[: plan.length])
                    for chain, plan in zip(chains, plans, strict=True)
                ],
                method=self.method,
                settings=self.settings,
                wanted=wanted,
                conditions=conditions,
                free_below=get_free_below(self.hold),
            ).project()

        free = make_denoiser(model, residue_mask, self.settings, wanted, conditions)
        return UnindexedMotif(free, settle, scale=model.scale)

    def _make_motif(self, chain: NDArray[np.float32]) -> Motif:
        """Return the motif at the place where it fits a chain best."""
        placement = self.placer.find(np.nan_to_num(chain))
        layout = self.placer.make_layout(placement, len(chain))
        return Motif.from_layout(self.source, layout, redesignable=self.redesignable)

    def finish(
        self, plan: Plan, coordinates: NDArray[np.float32]
    ) -> tuple[Backbone, dict[str, Any]]:
        """Find the motif in the sampled design, and set the input's on it."""
        motif = self._make_motif(coordinates)
        return finish_scaffold(plan, motif, coordinates, self.segments.text, hold=self.hold)

    def describe(self) -> dict[str, Any]:
        """Return what the designs depend on."""
        return {
            "task": "scaffold",
            "unindexed": self.segments.text,
            "motif": self.source.name,
            "motif_sha256": self.source.digest,
            "length": list(self.length_range),
            "method": self.method,
            "hold": self.hold,
            "redesignable": self.redesignable,
            "groups": self.groups,
            "spacing": self.spacing,
            **describe_conditioners(self.conditioners),
        }

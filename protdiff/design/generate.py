"""Generation: backbones from nothing but noise and a length, and what is asked of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protdiff.conditioning.compose import Conditions
from protdiff.conditioning.conditioner import Conditioner, list_conditioners
from protdiff.design.conditions import (
    choose_secondary_structure,
    describe_conditioners,
    lay_out_chains,
    list_beside,
)
from protdiff.design.engine import Plan
from protdiff.design.lengths import ChainLengths, parse_lengths
from protdiff.design.sample import make_denoiser
from protdiff.design.secondary_structure import SecondaryStructureRequest
from protdiff.design.seeds import make_layout_generator
from protdiff.design.settings import SamplingSettings
from protdiff.diffusion import Denoiser
from protdiff.errors import InputError
from protdiff.plain import take_integer
from protdiff.structure import Backbone
from protdiff.structure.chain_layout import ChainLayout
from protdiff.structure.lengths import LengthRange

__all__ = ["DEFAULT_LENGTH", "Generation"]

DEFAULT_LENGTH = 100


@dataclass(frozen=True)
class Generation:
    """A run of designs that are made from nothing.

    Parameters
    ----------
    length
        Residues: a number, or a law of which each design draws its own length: the shortest and
        the longest as ``(60, 128)`` or ``"60-128"``, a mixture as ``"64:2,100:1"``, or
        ``"natural"``; of several chains ``"60-80+100"``; see :mod:`protdiff.design.lengths`. With a
        symmetry it is the length of one chain. Without it the length that a conditioner is made
        for, or 100.
    seed
        Of the run.
    settings
        How to sample.
    conditioners
        What is asked of the designs.

    Raises
    ------
    InputError
        The length is none of these, the secondary structure asked for has another, or the seed is
        no whole number.
    """

    length: LengthRange | None = None
    seed: int = 0
    settings: SamplingSettings = field(default_factory=SamplingSettings)
    conditioners: Sequence[Conditioner] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", take_integer("seed", self.seed))
        object.__setattr__(self, "conditioners", list_conditioners(self.conditioners))
        self.secondary_structure  # noqa: B018 - asked for twice, it is refused
        for one in self.conditioners:
            one.check_motif(None)
        for lengths in {*self.chain_lengths.extremes}:  # states that do not fit show here
            self._draw(lengths, make_layout_generator(self.seed, 0))
            if len(lengths) > 1:
                self._check_chains(lengths)

    def _check_chains(self, lengths: Sequence[int]) -> None:
        """Refuse lengths of several chains where a conditioner has chains of its own."""
        chains = lay_out_chains(lengths, self.conditioners)
        own = np.bincount(chains.chain_index).tolist()
        if own != list(lengths):
            raise InputError(
                f"chains of {' and '.join(map(str, lengths))} residues are asked for, and the "
                f"structure where designs start has {' and '.join(map(str, own))}; leave the "
                "lengths to it"
            )

    @property
    def chain_lengths(self) -> ChainLengths:
        """How the lengths of the chains are drawn, of a symmetric design that of the one."""
        if self.length is not None:
            return parse_lengths(self.length)
        made_for = next((one.length for one in self.conditioners if one.length is not None), None)
        if made_for is None:
            return parse_lengths(DEFAULT_LENGTH)
        if made_for % self.copies:
            raise InputError(
                f"the structure where designs start has {made_for} residues, which do not make "
                f"{self.copies} equal chains; give one of that symmetry, or leave the symmetry out"
            )
        return parse_lengths(made_for // self.copies)

    @property
    def copies(self) -> int:
        """How often a symmetric design has its chain; once without a symmetry."""
        return len(lay_out_chains([1], self.conditioners))

    @property
    def chains(self) -> int:
        """How many chains the network sees."""
        return len(set(self.shortest_chains[0].chain_id))

    @property
    def states(self) -> int:
        """One."""
        return 1

    @property
    def length_range(self) -> tuple[int, int]:
        """The shortest and the longest design, all chains together."""
        shortest, longest = self.chain_lengths.span
        return shortest * self.copies, longest * self.copies

    @property
    def lengths(self) -> Sequence[int]:
        """The numbers of residues, all chains together, that a design may have."""
        copies = self.copies
        return [total * copies for total in self.chain_lengths.totals]

    @property
    def shortest_chains(self) -> list[ChainLayout]:
        """The chains of the shortest design."""
        return [lay_out_chains(self.chain_lengths.extremes[0], self.conditioners)]

    @property
    def beside(self) -> Collection[str]:
        """What the designs are made beside."""
        return list_beside(self.conditioners)

    @property
    def secondary_structure(self) -> SecondaryStructureRequest:
        """What secondary structure the designs are asked for."""
        return choose_secondary_structure(self.settings, self.conditioners)

    def plan(self, index: int) -> Plan:
        """Draw the length and the secondary structure of a design."""
        rng = make_layout_generator(self.seed, index)
        return self._draw(self.chain_lengths.draw(rng), rng, index)

    def _draw(self, lengths: Sequence[int], rng: np.random.Generator, index: int = 0) -> Plan:
        total = sum(lengths)
        secondary = self.secondary_structure.draw(total, rng)
        chains = lay_out_chains(lengths, self.conditioners)
        secondary = secondary.repeat(len(chains) // total)
        return Plan(index, len(chains), chains, secondary)

    def condition(self, conditions: Conditions, plans: Sequence[Plan]) -> Denoiser:
        """Return the model's own denoiser, with what is asked of it."""
        scene = conditions.scene
        wanted = [plan.secondary for plan in plans]
        return make_denoiser(
            scene.model, scene.residue_mask, self.settings, wanted, conditions=conditions
        )

    def finish(
        self, plan: Plan, coordinates: NDArray[np.float32]
    ) -> tuple[Backbone, dict[str, Any]]:
        """Make the backbone."""
        for conditioner in self.conditioners:
            coordinates = conditioner.place(coordinates)
        chains = plan.chains or ChainLayout.of_one_chain(plan.length)
        backbone = chains.make_backbone(coordinates, name=f"design_{plan.index:04d}")
        return backbone, {"asked": plan.secondary.to_dict()}

    def describe(self) -> dict[str, Any]:
        """Return what the designs depend on."""
        length = self.chain_lengths.describe()
        return {"task": "generate", "length": length, **describe_conditioners(self.conditioners)}

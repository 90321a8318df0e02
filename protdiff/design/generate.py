"""Generation: backbones from nothing but noise and a length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from protdiff.design.engine import Plan
from protdiff.design.lengths import LengthLaw, parse_lengths
from protdiff.design.sample import Conditioner, make_denoiser
from protdiff.design.secondary_structure import SecondaryStructureRequest
from protdiff.design.seeds import make_layout_generator
from protdiff.design.settings import SamplingSettings
from protdiff.diffusion import Denoiser
from protdiff.structure import Backbone
from protdiff.structure.contig import LengthRange

if TYPE_CHECKING:
    from protdiff.model import BackboneModel

__all__ = ["Generation"]


@dataclass(frozen=True)
class Generation:
    """A run of unconditional designs.

    Parameters
    ----------
    length
        Residues: a number, or a law of which each design draws its own length: the shortest and
        the longest as ``(60, 128)`` or ``"60-128"``, a mixture as ``"64:2,100:1"``, or
        ``"natural"``; see :mod:`protdiff.design.lengths`.
    seed
        Of the run.
    settings
        How to sample.

    Raises
    ------
    InputError
        The length is none of these, or the secondary structure asked for has another.
    """

    length: LengthRange = 100
    seed: int = 0
    settings: SamplingSettings = field(default_factory=SamplingSettings)

    def __post_init__(self) -> None:
        for length in {*self.length_range}:  # states that do not fit show here
            self.secondary_structure.draw(length, make_layout_generator(self.seed, 0))

    @property
    def length_range(self) -> tuple[int, int]:
        """The shortest and the longest design."""
        return self.length_law.span

    @property
    def length_law(self) -> LengthLaw:
        """How lengths are drawn."""
        return parse_lengths(self.length)

    @property
    def secondary_structure(self) -> SecondaryStructureRequest:
        """What secondary structure the designs are asked for."""
        return self.settings.secondary_structure_request

    def plan(self, index: int) -> Plan:
        """Draw the length and the secondary structure of a design."""
        rng = make_layout_generator(self.seed, index)
        length = self.length_law.draw(rng)
        secondary = self.secondary_structure.draw(length, rng)
        return Plan(index, length, secondary=secondary)

    def condition(self, model: BackboneModel, plans: Sequence[Plan]) -> Conditioner:
        """Return what makes the model's own denoiser."""
        wanted = [plan.secondary for plan in plans]

        def make(residue_mask: torch.Tensor) -> Denoiser:
            return make_denoiser(model, residue_mask, self.settings, wanted)

        return make

    def finish(
        self, plan: Plan, coordinates: NDArray[np.float32]
    ) -> tuple[Backbone, dict[str, Any]]:
        """Make the backbone."""
        backbone = Backbone.from_coordinates(coordinates, name=f"design_{plan.index:04d}")
        return backbone, {"asked": plan.secondary.to_dict()}

    def describe(self) -> dict[str, Any]:
        """Return what the designs depend on."""
        return {"task": "generate", "length": self.length_law.describe()}

"""How to sample: the choices that every design task shares."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar, cast

from protdiff.design.samplers import (
    GRID_NAMES,
    SAMPLER_NAMES,
    count_rungs,
    is_adaptive,
    make_grid,
    make_sampler,
)
from protdiff.design.secondary_structure import (
    SecondaryStructureRequest,
    parse_secondary_structure,
)
from protdiff.errors import InputError
from protdiff.handedness import Handedness, get_sign
from protdiff.names import check_name
from protdiff.plain import take_integer, take_number

__all__ = [
    "DEFAULT_STEPS",
    "MOST_DEFAULT_STEPS",
    "Handedness",
    "SamplingSettings",
    "get_sign",
    "make_settings",
]

Settings = TypeVar("Settings")

DEFAULT_SAMPLER = "sde-dpm++2m"
DEFAULT_STEPS = 33
"""Of designs of up to 128 residues."""
MOST_DEFAULT_STEPS = 41
"""Of designs of 256 residues, and of longer ones."""
MOST_STEPS = 100_000
MOST_RESTARTS = 100


@dataclass(frozen=True)
class SamplingSettings:
    """How to get from noise to a backbone.

    Parameters
    ----------
    sampler
        One of :data:`~protdiff.design.samplers.SAMPLER_NAMES`, or the place of a sampler of one's
        own, ``"module:object"``.
    steps
        Steps from noise to structure; None takes as many as a design's length asks for
        (:meth:`get_steps`).
    temperature
        The scale of the noise that a stochastic sampler adds at each step: 1 samples the model's
        own distribution, less is more ordered and less diverse. Deterministic samplers add none.
    step_scale
        How much further than its length to walk along the score where there is little noise; above
        1 sharpens. It fades to 1 where noise hides folds
        (:class:`~protdiff.diffusion.ScaledScore`).
    grid
        Where the steps are put: one of :data:`~protdiff.design.samplers.GRID_NAMES`, or a place.
    handedness
        ``"L"`` for natural proteins, ``"D"`` for mirror-image ones.
    self_condition
        Show the network its previous guess at each step.
    excluded_volume
        Push overlapping stretches of the chain apart while the noise is small.
    restarts
        How often the steps from 2 Å of noise on are taken again, with that noise put back
        (:class:`~protdiff.diffusion.sampler.Restart`); None is what the task takes: a scaffold 1,
        by ``repaint`` 0, and what is made from nothing 0.
    secondary_structure
        What secondary structure designs are asked for, in the words of
        :mod:`protdiff.design.secondary_structure`.

    Raises
    ------
    InputError
        A choice that does not exist, or a number out of its range.
    """

    sampler: str = DEFAULT_SAMPLER
    steps: int | None = None
    temperature: float = 1.0
    step_scale: float = 1.8
    grid: str = "karras"
    handedness: Handedness = "L"
    self_condition: bool = True
    excluded_volume: bool = True
    restarts: int | None = None
    secondary_structure: str = "any"

    def __post_init__(self) -> None:
        # Names are checked without torch; what is only named by its place has to be looked at.
        if ":" in self.sampler:
            make_sampler(self.sampler)
        else:
            check_name("sampler", self.sampler, SAMPLER_NAMES)
        if ":" in self.grid:
            make_grid(self.grid)
        else:
            check_name("time grid", self.grid, GRID_NAMES)
        for name in ("steps", "restarts"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, take_integer(name, getattr(self, name)))
        for name in ("temperature", "step_scale"):
            value = take_number(name.replace("_", " "), getattr(self, name))
            object.__setattr__(self, name, value)
        if self.steps is not None and not 1 <= self.steps <= MOST_STEPS:
            raise InputError(f"steps is {self.steps}; give 1 to {MOST_STEPS}")
        if not (math.isfinite(self.temperature) and 0.0 <= self.temperature <= 10.0):
            raise InputError(f"temperature is {self.temperature}; give a number from 0 to 10")
        if not (math.isfinite(self.step_scale) and 0.0 < self.step_scale <= 10.0):
            raise InputError(f"step scale is {self.step_scale}; give a number above 0, up to 10")
        if self.restarts is not None and not 0 <= self.restarts <= MOST_RESTARTS:
            raise InputError(f"restarts is {self.restarts}; give 0 to {MOST_RESTARTS}")
        get_sign(self.handedness)
        parse_secondary_structure(self.secondary_structure)

    def get_steps(self, length: int) -> int:
        """Return the steps of a design: those asked for, or those for its length.

        Parameters
        ----------
        length
            Residues of the design, all chains together, with padding or without.

        Returns
        -------
        int
            Without ``steps`` 33 up to 128 residues, and one more for every 16 from there to 41 at
            256 and above.
        """
        if self.steps is not None:
            return self.steps
        return min(DEFAULT_STEPS + count_rungs(length), MOST_DEFAULT_STEPS)

    @property
    def secondary_structure_request(self) -> SecondaryStructureRequest:
        """What secondary structure is asked for, understood."""
        return parse_secondary_structure(self.secondary_structure)

    @property
    def sign(self) -> int:
        """The handedness as the network takes it, +1 or −1."""
        return get_sign(self.handedness)

    @property
    def self_conditioned(self) -> bool:
        """Whether to self-condition: not where a solver calls its denoiser out of order."""
        return self.self_condition and not is_adaptive(self.sampler)


def make_settings(kind: type[Settings], values: Mapping[str, Any]) -> Settings:
    """Make settings, a dataclass, of keyword arguments.

    Raises
    ------
    TypeError
        One of them is no field of it.
    """
    known = [field.name for field in fields(cast(Any, kind))]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise TypeError(f"unknown arguments {', '.join(unknown)}; there are {', '.join(known)}")
    return kind(**values)

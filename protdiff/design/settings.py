"""How to sample: the choices that every design task shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, TypeVar, cast

from protdiff.design.samplers import (
    GRID_NAMES,
    SAMPLER_NAMES,
    count_rungs,
    describe_choice,
    hash_choice,
    is_adaptive,
    make_grid,
    make_sampler,
)
from protdiff.design.secondary_structure import (
    SecondaryStructureRequest,
    parse_secondary_structure,
)
from protdiff.errors import InputError, shorten
from protdiff.handedness import Handedness, get_sign
from protdiff.names import check_name
from protdiff.plain import take_integer, take_number

if TYPE_CHECKING:
    from protdiff.diffusion import Sampler, TimeGrid

    Choice: TypeAlias = str | Any
else:  # a configuration file has names alone, which are known without torch
    Choice = str

__all__ = [
    "DEFAULT_STEPS",
    "MOST_DEFAULT_STEPS",
    "LikelihoodOptions",
    "SamplingOptions",
    "SamplingSettings",
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
        own, ``"module:object"``, or the sampler itself.
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
    autoguidance
        How far to go from the estimate that the network makes half-way to its own: 1 is its own,
        more goes beyond it, which sharpens and costs nothing
        (:class:`~protdiff.model.BackboneDenoiser`).
    grid
        Where the steps are put: one of :data:`~protdiff.design.samplers.GRID_NAMES`, or a place,
        or the grid itself.
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

    sampler: Choice = DEFAULT_SAMPLER
    steps: int | None = None
    temperature: float = 1.0
    step_scale: float = 1.8
    autoguidance: float = 1.0
    grid: Choice = "karras"
    handedness: Handedness = "L"
    self_condition: bool = True
    excluded_volume: bool = True
    restarts: int | None = None
    secondary_structure: str = "any"

    def __post_init__(self) -> None:
        # Names are checked without torch; what is only named by its place has to be looked at.
        for name, kind, names, make in (
            ("sampler", "sampler", SAMPLER_NAMES, make_sampler),
            ("grid", "time grid", GRID_NAMES, make_grid),
        ):
            choice = getattr(self, name)
            if not isinstance(choice, str):
                object.__setattr__(self, name, make(choice))
            elif ":" in choice:
                make(choice)
            else:
                check_name(kind, choice, names)
        for name in ("steps", "restarts"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, take_integer(name, getattr(self, name)))
        for name in ("temperature", "step_scale", "autoguidance"):
            value = take_number(name.replace("_", " "), getattr(self, name))
            object.__setattr__(self, name, value)
        if self.steps is not None and not 1 <= self.steps <= MOST_STEPS:
            raise InputError(f"steps is {self.steps}; give 1 to {MOST_STEPS}")
        if not 0.0 <= self.temperature <= 10.0:
            raise InputError(f"temperature is {self.temperature}; give a number from 0 to 10")
        if not 0.0 < self.step_scale <= 10.0:
            raise InputError(f"step scale is {self.step_scale}; give a number above 0, up to 10")
        if not 0.0 <= self.autoguidance <= 10.0:
            raise InputError(f"autoguidance is {self.autoguidance}; give a number from 0 to 10")
        if self.restarts is not None and not 0 <= self.restarts <= MOST_RESTARTS:
            raise InputError(f"restarts is {self.restarts}; give 0 to {MOST_RESTARTS}")
        get_sign(self.handedness)
        parse_secondary_structure(self.secondary_structure)

    def describe(self) -> dict[str, Any]:
        """Return what designs depend on, as JSON knows it.

        A sampler or a grid that has no name has a hash of its code and its values beside.
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, make in (("sampler", make_sampler), ("grid", make_grid)):
            sha256 = hash_choice(values[name], make)
            values[name] = describe_choice(values[name])
            if sha256 is not None:
                values[f"{name}_sha256"] = sha256
        return values

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


class SamplingOptions(TypedDict, total=False):
    """The fields of :class:`SamplingSettings` as keyword arguments."""

    sampler: str | Sampler | type[Sampler]
    steps: int | None
    temperature: float
    step_scale: float
    autoguidance: float
    grid: str | TimeGrid | type[TimeGrid]
    handedness: Handedness
    self_condition: bool
    excluded_volume: bool
    restarts: int | None
    secondary_structure: str


class LikelihoodOptions(TypedDict, total=False):
    """The fields of :class:`~protdiff.evaluation.likelihood.LikelihoodSettings`, likewise."""

    probes: int
    seed: int
    rtol: float
    atol: float
    noise_floor: float


def make_settings(
    kind: type[Settings], values: Mapping[str, Any], settings: Settings | None = None
) -> Settings:
    """Make settings, a dataclass, of keyword arguments, which win over settings that are given.

    Raises
    ------
    InputError
        The settings that are given are of another kind.
    TypeError
        A keyword argument is no field of it.
    """
    if not (settings is None or isinstance(settings, kind)):
        raise InputError(
            f"settings is {shorten(repr(settings))}; give {kind.__name__}(...), or its fields as "
            "keyword arguments"
        )
    known = [field.name for field in fields(cast(Any, kind))]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise TypeError(f"unknown arguments {', '.join(unknown)}; there are {', '.join(known)}")
    made: Settings = kind(**values) if settings is None else replace(cast(Any, settings), **values)
    return made

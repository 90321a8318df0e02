"""Making designs: plan each by its index, batch those of like length, sample, measure.

A task says what design k is to be; everything random in it comes from generators of (seed, k). So
a design is the same whether it is made alone, in a batch, first, or by a run that was resumed.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from protdiff.conditioning.compose import Conditions
from protdiff.conditioning.conditioner import Conditioner
from protdiff.design.batching import get_padding, group_plans, make_scene
from protdiff.design.sample import count_steps, sample_coordinates
from protdiff.design.samplers import is_adaptive
from protdiff.design.secondary_structure import (
    NOTHING_ASKED,
    SecondaryStructure,
    SecondaryStructureRequest,
)
from protdiff.design.seeds import make_generator
from protdiff.design.settings import SamplingSettings
from protdiff.diffusion import Denoiser, StepInfo, Trajectory
from protdiff.errors import InputError
from protdiff.evaluation import Quality, measure_quality
from protdiff.model import LENGTH_RANGE, BackboneModel
from protdiff.structure import Backbone, superimpose
from protdiff.structure.chain_layout import ChainLayout
from protdiff.weights import choose_weights, list_weights

__all__ = [
    "Design",
    "DesignTask",
    "Frames",
    "OnProgress",
    "Plan",
    "SamplesItself",
    "choose_task_weights",
    "make_batches",
    "make_designs",
]

OnProgress = Callable[[float], None]
"""Called as sampling goes on with how much has been done since the last call, in designs."""


@dataclass(frozen=True, eq=False)
class Frames:
    """A sampling trajectory in Å: (frame, residue, 3, 3), from noise to structure."""

    noisy: NDArray[np.float32]
    denoised: NDArray[np.float32]

    def superimpose(self, sampled: NDArray[np.float32], design: Backbone) -> Frames:
        """Move the frames as what was sampled, (residue, 3, 3), was moved to be the design."""
        if not (design.is_finite and np.isfinite(sampled).all()):
            return self
        motion = superimpose(sampled, design.coordinates[:, : sampled.shape[1]])
        return Frames(
            noisy=motion.apply(self.noisy).astype(np.float32),
            denoised=motion.apply(self.denoised).astype(np.float32),
        )


@dataclass(frozen=True, eq=False)
class Design:
    """One finished design."""

    index: int
    """Its number, from 0."""
    backbone: Backbone
    quality: Quality
    seconds: float
    """Its share of the time that its batch took."""
    extra: dict[str, Any]
    """What its task adds to the manifest."""
    frames: Frames | None = None


@dataclass(frozen=True)
class Plan:
    """What is to be sampled for one design."""

    index: int
    length: int
    chains: ChainLayout | None = None
    """Where its residues stand; without it one unbroken chain."""
    secondary: SecondaryStructure = NOTHING_ASKED
    """What secondary structure it is asked for."""
    made: int | None = None
    """How many of its residues, the first ones, are the design; the others are given beside it and
    no part of it. All without it."""

    @property
    def size(self) -> int:
        """The number of residues of the design itself."""
        return self.length if self.made is None else self.made


class DesignTask(Protocol):
    """What the designs of a run have in common, and how they differ by index."""

    @property
    def seed(self) -> int:
        """The run's seed."""

    @property
    def settings(self) -> SamplingSettings:
        """How to sample."""

    @property
    def length_range(self) -> tuple[int, int]:
        """The fewest and the most residues that may be sampled for a design."""

    @property
    def copies(self) -> int:
        """How many alike chains a symmetric design has, each of its share of the length."""

    @property
    def chains(self) -> int:
        """How many chains the network sees, those of a target that it is shown included."""

    @property
    def states(self) -> int:
        """How many states a design is sampled with, each as large as one: its particles."""

    @property
    def lengths(self) -> Iterable[int]:
        """The numbers of residues, all chains together, that a design may have."""

    @property
    def shortest_chains(self) -> Sequence[ChainLayout]:
        """The chains of the shortest designs; each chain is as short as can be in one of them."""

    @property
    def conditioners(self) -> Sequence[Conditioner]:
        """What is asked of the designs."""

    @property
    def beside(self) -> Collection[str]:
        """What the designs are made beside: ``"motif"``, ``"target"``, ``"start"``."""

    @property
    def secondary_structure(self) -> SecondaryStructureRequest:
        """What secondary structure the designs are asked for."""

    def plan(self, index: int) -> Plan:
        """Draw what design ``index`` is to be."""

    def condition(self, conditions: Conditions, plans: Sequence[Plan]) -> Denoiser:
        """Return the denoiser of a batch of plans of one length, with its conditions."""

    def finish(
        self, plan: Plan, coordinates: NDArray[np.float32]
    ) -> tuple[Backbone, dict[str, Any]]:
        """Make the backbone of sampled coordinates (residue, 3, 3), and what to tell of it."""


@runtime_checkable
class SamplesItself(Protocol):
    """A task that does not leave its sampling to a sampler and a denoiser alone."""

    def sample(
        self, model: BackboneModel, plans: Sequence[Plan], callback: Callable[[StepInfo], None]
    ) -> tuple[NDArray[np.float32], Sequence[dict[str, Any]]]:
        """Sample a batch, (design, residue, 3, 3) in Å, and say what is to be told of each."""


def choose_task_weights(task: DesignTask) -> str:
    """Choose the bundled weights that know the chains of a task best.

    They are chosen by the longest of alike chains, and by whether the network sees several.
    """
    return choose_weights(task.length_range[1] // task.copies, chains=task.chains)


def make_designs(
    model: BackboneModel,
    task: DesignTask,
    indices: Iterable[int],
    *,
    batch_size: int = 8,
    frames: bool = False,
    on_progress: OnProgress | None = None,
) -> Iterator[Design]:
    """Make designs, batch by batch.

    Parameters
    ----------
    model
        The trained model.
    task
        What to make.
    indices
        Which designs.
    batch_size
        Most designs to sample at once. It does not change them.
    frames
        Keep the trajectories.
    on_progress
        Called as sampling goes on.

    Yields
    ------
    Design
        As soon as its batch is done: by index where all are of one length; else those of a batch
        together, and batches by their first design.
    """
    check_task(model, task)
    for batch in make_batches(
        model, task, indices, batch_size=batch_size, frames=frames, on_progress=on_progress
    ):
        yield from batch


def make_batches(
    model: BackboneModel,
    task: DesignTask,
    indices: Iterable[int],
    *,
    batch_size: int = 8,
    wanted: Container[int] | None = None,
    frames: bool = False,
    on_progress: OnProgress | None = None,
) -> Iterator[list[Design]]:
    """Make designs of a task that was checked, and give those of a batch together.

    A design depends on its batch by rounding only: products of matrices of another shape are added
    up in another order. For a stopped run that ends the same to the last bit, give all its designs
    as ``indices`` and the missing ones as ``wanted``. The batches are then those of a run that was
    never stopped, and a batch that has nothing missing is not sampled.

    Designs are planned as batches need them, so ``indices`` may be endless.

    Parameters
    ----------
    model, task, indices, batch_size, frames, on_progress
        As in :func:`make_designs`.
    wanted
        Which of the designs to give; all without it.
    """
    batch_size = max(1, batch_size // task.states)
    if is_adaptive(task.settings.sampler):
        batch_size = 1
    plans_of_all = (task.plan(index) for index in indices)
    for plans in group_plans(plans_of_all, batch_size, get_padding(task)):
        if wanted is None or any(plan.index in wanted for plan in plans):
            with model.in_full_precision():
                designs = _make_batch(model, task, plans, frames, on_progress)
            yield [design for design in designs if wanted is None or design.index in wanted]


def check_task(model: BackboneModel, task: DesignTask) -> None:
    """Refuse what the network cannot make, and warn of lengths it was not trained on.

    Raises
    ------
    InputError
        A design that the task may draw is too short or too long, or cannot meet its conditions; or
        it asks for secondary structure and the weights know nothing of that.
    """
    if task.secondary_structure.is_specific and not model.knows_secondary_structure:
        raise InputError(
            f"{model.name} was not trained to be told of secondary structure, and "
            f"{task.secondary_structure.text!r} is asked for; give other weights, or any"
        )
    shortest, longest = task.length_range
    span = str(shortest) if shortest == longest else f"{shortest} to {longest}"
    span += " residues" if longest == max(task.lengths) else " residues, with the target,"
    if shortest < LENGTH_RANGE[0] or longest > LENGTH_RANGE[1]:
        raise InputError(
            f"designs of {span} are asked for; the network makes {LENGTH_RANGE[0]} to "
            f"{LENGTH_RANGE[1]}, so give a length, or a total length, in between"
        )
    if task.conditioners:
        for length in task.lengths:
            for conditioner in task.conditioners:
                conditioner.check(length)
        for chains in task.shortest_chains:
            for conditioner in task.conditioners:
                conditioner.check_chains(chains)
    low, high = model.trained_lengths
    if task.chains > 1 and model.knows_chains:
        low = LENGTH_RANGE[0]  # the pieces of chains that are cut are short
    elif task.chains > 1 and model.name in list_weights():
        better = choose_task_weights(task)
        if better != model.name:
            warnings.warn(
                f"designs beside other chains are asked for, and {model.name} was trained on "
                f"single ones; take {better} for them",
                stacklevel=3,
            )
    if shortest < low or longest > high:
        better = choose_task_weights(task)
        known = longest // task.copies <= high or better == model.name
        hint = "" if known else f", or take {better} for them"
        warnings.warn(
            f"designs of {span} are asked for, and {model.name} was trained on {low} to "
            f"{high}; expect worse ones outside{hint}",
            stacklevel=3,
        )


def _make_batch(
    model: BackboneModel,
    task: DesignTask,
    plans: Sequence[Plan],
    frames: bool,
    on_progress: OnProgress | None,
) -> list[Design]:
    trajectory = Trajectory() if frames else None
    steps = count_steps(model, task.settings, plans[0].length)
    report = _Report(on_progress, designs=len(plans), steps=steps)

    def callback(info: StepInfo) -> None:
        report(info)
        if trajectory is not None:
            trajectory(info)

    start = time.perf_counter()
    notes: Sequence[dict[str, Any]] = [{} for _ in plans]
    if isinstance(task, SamplesItself):
        sampled, notes = task.sample(model, plans, callback)
    else:
        sampled = sample_plans(model, task, plans, callback)
    seconds = (time.perf_counter() - start) / len(plans)
    report.complete()
    designs = []
    for place, plan in enumerate(plans):
        own = sampled[place, : plan.length]
        backbone, extra = task.finish(plan, own)
        quality, extra = _measure(task, backbone, {**extra, **notes[place]})
        kept = None
        if trajectory is not None:
            whole = _take_frames(model, trajectory, place, plan)
            kept = whole.superimpose(own[: plan.size], backbone)
        designs.append(Design(plan.index, backbone, quality, seconds, extra, kept))
    return designs


def _measure(
    task: DesignTask, backbone: Backbone, extra: dict[str, Any]
) -> tuple[Quality, dict[str, Any]]:
    """Measure a design; return its quality, and ``extra`` with the numbers of its conditioners."""
    gaps = []
    for conditioner in task.conditioners:
        measured = dict(conditioner.measure(backbone))
        if (gap := measured.pop("partner_gap", None)) is not None:
            gaps.append(gap)
        extra = _join(extra, measured)
    quality = measure_quality(
        backbone.coordinates, backbone.residue_index, handedness=task.settings.handedness
    )
    return replace(quality, partner_gap=min(gaps, default=math.nan)), extra


def _join(told: dict[str, Any], measured: dict[str, Any]) -> dict[str, Any]:
    """Add what a conditioner measured; a name that is taken already gets a number.

    Examples
    --------
    >>> _join({"potential m:f": 1.0}, {"potential m:f": 2.0, "gap": 3.0})
    {'potential m:f': 1.0, 'potential m:f (2)': 2.0, 'gap': 3.0}
    """
    joined = dict(told)
    for name, value in measured.items():
        number, free = 1, name
        while free in joined:
            number += 1
            free = f"{name} ({number})"
        joined[free] = value
    return joined


def sample_plans(
    model: BackboneModel,
    task: DesignTask,
    plans: Sequence[Plan],
    callback: Callable[[StepInfo], None],
    sample: Callable[..., NDArray[np.float32]] = sample_coordinates,
) -> NDArray[np.float32]:
    """Sample a batch of plans by the task's denoiser, each with its own numbers.

    Parameters
    ----------
    model, task, plans, callback
        What to sample.
    sample
        How: :func:`~protdiff.design.sample.sample_coordinates`, or what takes the same arguments.

    Returns
    -------
    numpy.ndarray
        (design, residue, 3, 3), N, CA and C in Å; padding stands at the end.
    """
    conditions = Conditions(make_scene(model, plans, get_padding(task)), task.conditioners)
    return sample(
        conditions,
        task.condition(conditions, plans),
        [make_generator(task.seed, plan.index) for plan in plans],
        task.settings,
        callback=callback,
    )


def _take_frames(model: BackboneModel, trajectory: Trajectory, place: int, plan: Plan) -> Frames:
    def stack(states: Sequence[torch.Tensor]) -> NDArray[np.float32]:
        chosen = torch.stack([state[place, : plan.size] for state in states])
        angstrom: NDArray[np.float32] = model.to_angstrom(chosen).float().numpy()
        return angstrom

    return Frames(noisy=stack(trajectory.noisy), denoised=stack(trajectory.denoised))


class _Report:
    """Turns steps into the share of designs done; an adaptive sampler's number is a guess."""

    def __init__(self, on_progress: OnProgress | None, *, designs: int, steps: int) -> None:
        self.on_progress = on_progress
        self.designs = designs
        self.steps = steps
        self.done = 0.0

    def __call__(self, info: StepInfo) -> None:
        # The last step is announced by `complete`, whatever the sampler made of their number.
        self._advance(min((info.index + 1) / self.steps, 0.99))

    def complete(self) -> None:
        self._advance(1.0)

    def _advance(self, share: float) -> None:
        if self.on_progress is not None and share > self.done:
            self.on_progress((share - self.done) * self.designs)
            self.done = share

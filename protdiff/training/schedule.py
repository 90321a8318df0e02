"""The learning rate over a run, and where the end of a run lies that is given by its time."""

from __future__ import annotations

import warnings
from dataclasses import replace

from protdiff.training.config import TrainingConfig
from protdiff.training.state import Progress

__all__ = ["get_learning_rate", "set_end", "warn_of_schedule"]

FALL_BEGINS = 0.75  # of ``total_minutes``


def get_learning_rate(config: TrainingConfig, step: int) -> float:
    """Return the learning rate of step number ``step``, counted from 1.

    A linear rise, a constant, and a linear fall to zero at the end; a run that is to go on later
    is stopped before the fall.
    """
    rise = step / max(config.warmup_steps, 1)
    fall = (config.steps + 1 - step) / max(config.decay_steps, 1)
    return config.learning_rate * max(0.0, min(1.0, rise, fall))


def set_end(config: TrainingConfig, progress: Progress) -> TrainingConfig:
    """Let the learning rate fall from here if three quarters of ``total_minutes`` are spent.

    The fall gets a third of the steps so far, which take the last quarter of the time. From then on
    ``steps`` and ``decay_steps`` say when the run ends, as in any run, and they are saved with it:
    the same run can be repeated, number by number, by giving them.

    Returns
    -------
    TrainingConfig
        The same if it is not yet time, if the fall has begun, or if ``steps`` ends the run sooner.
    """
    if not 0 < FALL_BEGINS * config.total_minutes * 60 <= progress.seconds:
        return config
    fall = max(1, round(progress.step * (1 - FALL_BEGINS) / FALL_BEGINS))
    end = progress.step + fall
    falls_already = config.steps - config.decay_steps <= progress.step
    if falls_already or end >= config.steps:
        return config
    return replace(config, steps=end, decay_steps=fall)


def warn_of_schedule(config: TrainingConfig) -> None:
    """Warn of a run that is shorter than the fall of its learning rate."""
    if config.decay_steps > 2 * config.steps:
        warnings.warn(
            f"the learning rate falls over {config.decay_steps} steps and the run has "
            f"{config.steps}, so it never reaches half of {config.learning_rate:g}; lower "
            "decay_steps, or raise steps",
            stacklevel=3,
        )

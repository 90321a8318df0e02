"""A training run that is not run: its configuration and data are checked, nothing is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from protdiff.files import check_writable
from protdiff.training.begin import make_batches, make_network
from protdiff.training.config import TrainingConfig
from protdiff.training.dataset import load_dataset
from protdiff.training.processes import find_place
from protdiff.training.state import STATE, read_progress
from protdiff.training.trainer import check_continues

__all__ = ["plan_training"]


def plan_training(config: TrainingConfig) -> dict[str, Any]:
    """Return what a run would do: where, on what, from which step to which, all settings.

    Raises
    ------
    InputError
        What a run would raise before its first step.
    """
    out = Path(config.out)
    check_writable(out)
    device = find_place(config.device, config.devices, config.nodes)
    train_set, held_out_set = load_dataset(config.data, config.lengths)
    make_batches(config, train_set, config.devices * config.nodes)
    make_network(config)
    step = 0
    if (out / STATE).exists():
        progress, values = read_progress(out / STATE)
        check_continues(config, values, out)
        step = progress.step
    return {
        "folder": str(out),
        "training_chains": len(train_set),
        "held_out_chains": len(held_out_set),
        "done_steps": step,
        **config.to_dict(),
        "device": str(device),
    }

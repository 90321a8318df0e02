"""What a training run must remember to go on exactly: one safetensors file, written atomically."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from protdiff.errors import CheckpointError
from protdiff.files import write_atomically

__all__ = ["STATE", "Progress", "load_state", "read_progress", "save_state"]

STATE = "state.safetensors"
"""The file of it in a run's folder."""
_FORMAT, _VERSION = "protdiff-training-state", 2


@dataclass
class Progress:
    """How far a run has come.

    Parameters
    ----------
    step, samples
        Steps done; backbones seen.
    seconds
        Time spent training, all parts of the run together.
    """

    step: int = 0
    samples: int = 0
    seconds: float = 0.0


def save_state(
    path: Path,
    network: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    config: dict[str, Any],
) -> None:
    """Write weights, averaged weights, optimiser state, progress and configuration."""
    tensors: dict[str, Tensor] = {}
    for prefix, module in (("network", network), ("average", average)):
        tensors |= {f"{prefix}.{name}": value for name, value in module.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
    header = {
        "format": _FORMAT,
        "version": _VERSION,
        "progress": vars(progress),
        "config": config,
    }
    with write_atomically(path, overwrite=True) as temporary:
        save_file(
            {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
            temporary,
            metadata={"protdiff": json.dumps(header)},
        )


def load_state(
    path: Path,
    network: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
) -> tuple[Progress, dict[str, Any]]:
    """Restore what :func:`save_state` wrote; return the progress and the configuration.

    Raises
    ------
    CheckpointError
        The file is damaged, of another version, or of another network.
    """
    header, tensors = _read(path)
    progress, config = _get_progress(path, header)
    try:
        for prefix, module in (("network.", network), ("average.", average)):
            module.load_state_dict(_strip(tensors, prefix))
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in _strip(tensors, "optimizer.").items():
            index, entry = name.split(".", 1)
            state.setdefault(int(index), {})[entry] = value
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path} holds another network than the configuration describes"
        ) from error
    return progress, config


def read_progress(path: Path) -> tuple[Progress, dict[str, Any]]:
    """Return the progress and the configuration of a state without its tensors.

    Raises
    ------
    CheckpointError
        The file is damaged or of another version.
    """
    return _get_progress(path, _read(path, tensors=False)[0])


def _read(path: Path, *, tensors: bool = True) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("protdiff", "null"))
            names = file.keys() if tensors else ()
            values = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path} is not a whole training state ({error}); remove it to start again"
        ) from error
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise CheckpointError(f"{path} is no training state of protdiff")
    if header.get("version") != _VERSION:
        raise CheckpointError(
            f"{path} has version {header.get('version')}; this protdiff reads {_VERSION}; go on "
            "with the protdiff that began the run, or begin another with its weights as "
            "initial_weights"
        )
    return header, values


def _get_progress(path: Path, header: dict[str, Any]) -> tuple[Progress, dict[str, Any]]:
    progress, config = header.get("progress"), header.get("config")
    if (
        isinstance(progress, dict)
        and isinstance(config, dict)
        and set(progress) == set(vars(Progress()))
        and all(type(progress[name]) is int for name in ("step", "samples"))
        and isinstance(progress["seconds"], int | float)
    ):
        return Progress(**progress), config
    raise CheckpointError(f"{path} does not say how far the run was; remove it to start again")


def _strip(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }

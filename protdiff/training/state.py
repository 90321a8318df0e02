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

__all__ = ["Progress", "load_state", "save_state"]

_FORMAT, _VERSION = "protdiff-training-state", 1


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
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("protdiff", "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is not a whole training state ({error}); remove it to start again"
        ) from error
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise CheckpointError(f"{path} is no training state of protdiff")
    if header["version"] != _VERSION:
        raise CheckpointError(
            f"{path} has version {header['version']}; this protdiff reads {_VERSION}"
        )
    try:
        for prefix, module in (("network.", network), ("average.", average)):
            module.load_state_dict(_strip(tensors, prefix))
    except RuntimeError as error:
        raise CheckpointError(
            f"{path} holds another network than the configuration describes"
        ) from error
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in _strip(tensors, "optimizer.").items():
        index, entry = name.split(".", 1)
        state.setdefault(int(index), {})[entry] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    return Progress(**header["progress"]), header["config"]


def _strip(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }

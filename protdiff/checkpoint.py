"""Checkpoints: a model as one safetensors file, which says of itself all there is to know.

The header holds, as JSON, the network's sizes, the process and the card: lengths, data, steps.
Reading runs no code of the file, asks for no more memory than its tensors fill, and makes one clear
line of whatever is wrong with it. Checkpoints of older versions are read as the networks they were.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from protdiff.diffusion import (
    SDE,
    VESDE,
    BrownianSDE,
    CosineVPSDE,
    LinearVPSDE,
    OrnsteinUhlenbeckSDE,
    SubVPSDE,
)
from protdiff.errors import CheckpointError, InputError
from protdiff.files import hash_file, write_atomically
from protdiff.model import LENGTH_RANGE, BackboneModel, ExpertNetwork
from protdiff.network import NetworkConfig, ScoreNetwork

__all__ = ["CHECKPOINT_VERSION", "load_checkpoint", "read_header", "save_checkpoint"]

CHECKPOINT_VERSION = 4
_FORMAT = "protdiff-checkpoint"
_ADDED_IN_VERSION_2 = ("secondary.weight", "noise.composition")
_ADDED_IN_VERSION_4 = ("residue_type.weight", "type_head.weight", "type_head.bias")
"""Weights that older checkpoints lack; as they start, at zero, they change nothing."""
_SEPARATION = "pair.separation.weight"
_EXPERT = "expert."
"""What the names of an expert's weights begin with."""
_SDES: dict[str, type[SDE]] = {
    kind.__name__: kind
    for kind in (BrownianSDE, CosineVPSDE, LinearVPSDE, OrnsteinUhlenbeckSDE, SubVPSDE, VESDE)
}
"""Those that a few numbers describe."""


def save_checkpoint(path: str | Path, model: BackboneModel, *, overwrite: bool = False) -> None:
    """Write a model as one safetensors file whose header says all there is to know of it.

    Parameters
    ----------
    path
        File to write, ``.safetensors``.
    model
        Network, process and metadata.
    overwrite
        Replace an existing file.

    Raises
    ------
    InputError
        The process is none that a file can describe; or the file exists, or cannot be written.
    """
    if type(model.sde) not in _SDES.values():
        raise InputError(
            f"a checkpoint cannot hold the process {type(model.sde).__name__}; save the model with "
            f"{', '.join(_SDES)}, and give it its own once it is loaded"
        )
    sde = {f.name: getattr(model.sde, f.name) for f in fields(cast(Any, model.sde))}
    header = {
        "format": _FORMAT,
        "version": CHECKPOINT_VERSION,
        "network": model.network.config.to_dict(),
        "sde": {"name": type(model.sde).__name__, **sde},
        "metadata": dict(model.metadata),
    }
    if model.expert is not None:
        config = model.expert.network.config.to_dict()
        header["expert"] = {"network": config, "below": model.expert.below}
    weights = {
        prefix + name: tensor.detach().cpu().contiguous()
        for prefix, network in zip(("", _EXPERT), model.networks, strict=False)
        for name, tensor in network.state_dict().items()
    }
    with write_atomically(path, overwrite=overwrite) as temporary:
        save_file(weights, temporary, metadata={"protdiff": json.dumps(header)})


def load_checkpoint(path: str | Path, *, device: str | torch.device = "cpu") -> BackboneModel:
    """Read a model; no code in the file is executed.

    Parameters
    ----------
    path
        A file written by :func:`save_checkpoint`.
    device
        Where to put the weights.

    Returns
    -------
    BackboneModel
        In evaluation mode, float32, without gradients.

    Raises
    ------
    CheckpointError
        The file is missing, damaged, not a protdiff checkpoint, or of another version.
    """
    path = Path(path)
    header, weights = _read(path)
    try:
        of_expert = [name for name in weights if name.startswith(_EXPERT)]
        expert_weights = {name.removeprefix(_EXPERT): weights.pop(name) for name in of_expert}
        network = _make_network(header["network"], weights, header["version"])
        expert = None
        if "expert" in header:
            below = header["expert"]["below"]
            if type(below) not in (int, float):
                raise ValueError(f"an expert for noise below {below!r} Å")
            theirs = _make_network(header["expert"]["network"], expert_weights, header["version"])
            expert = ExpertNetwork(theirs, below=float(below))
        elif of_expert:
            raise ValueError("it has weights of an expert that it does not describe")
        sde_header = dict(header["sde"])
        sde = _SDES[sde_header.pop("name")](**sde_header)
        model = BackboneModel(
            network, sde, header["metadata"], path.stem, hash_file(path), expert=expert
        )
    except (KeyError, TypeError, ValueError, OverflowError, RuntimeError, InputError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path} does not describe a network of this protdiff ({reason}); "
            "fetch the checkpoint again or use the protdiff version that wrote it"
        ) from error
    return replace(model, digest=model.measure_digest()).to(device)


def _make_network(sizes: dict[str, Any], weights: dict[str, Tensor], version: int) -> ScoreNetwork:
    """Make a network of a checkpoint of some version, for use."""
    config = NetworkConfig(**sizes)
    _check_sizes(config, weights)
    # Its random weights are about to be replaced; the caller's random numbers are not ours, nor is
    # the precision that the caller makes tensors with.
    with torch.random.fork_rng(devices=[]):
        network = ScoreNetwork(config).float()
    initial = network.state_dict()
    for before, added in ((2, _ADDED_IN_VERSION_2), (4, _ADDED_IN_VERSION_4)):
        if version < before:
            weights |= {name: initial[name] for name in added}
    if version < 3:
        weights |= {_SEPARATION: _tell_chains_apart(weights[_SEPARATION])}
    network.load_state_dict(weights)
    return network.requires_grad_(False).eval()


def _tell_chains_apart(separation: Tensor) -> Tensor:
    """Add what pairs of two chains have to embeddings of separations, ``(2 reach + 1, width)``.

    Up to version 2, residues of two chains were residues of one that are far apart in it.
    """
    return torch.cat([separation, separation[[0, -1]].mean(dim=0, keepdim=True)])


def read_header(path: str | Path) -> dict[str, Any]:
    """Read what a checkpoint says of itself, without its tensors.

    Returns
    -------
    dict
        ``network``, ``sde`` and ``expert`` if there is one, their settings; ``metadata``, the card.

    Raises
    ------
    CheckpointError
        As in :func:`load_checkpoint`.
    """
    return _read(Path(path), tensors=False)[0]


def _check_sizes(config: NetworkConfig, weights: Mapping[str, Tensor]) -> None:
    """Refuse a header that lies about sizes before memory is asked for by its word.

    Each product below is the number of entries of matrices that a network of these sizes has.
    """
    values = config.to_dict()
    for name, value in values.items():
        if name == "scale":
            if not (type(value) in (int, float) and 0 < value < math.inf):
                raise ValueError(f"scale is {value!r}")
        elif name in ("pair_refresh", "hydrogen_bonds"):
            if type(value) is not bool:
                raise ValueError(f"{name} is {value!r}")
        elif type(value) is not int or value < (name != "neighbours"):
            raise ValueError(f"{name} is {value!r}")
    per_layer = (
        config.scalars * config.noise_width,
        config.scalars * config.hidden,
        config.scalars * config.heads * config.head_width,
        config.vectors * config.heads * config.points,
        config.vectors**2,
        config.heads * config.pair_width // 2,
    )
    held = sum(tensor.numel() for tensor in weights.values())
    if config.layers * max(per_layer) > held:
        raise ValueError(f"it holds {held} numbers, too few for the sizes {values}")


def _read(path: Path, *, tensors: bool = True) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read header and tensors, changing every way to fail into one clear line."""
    if not path.is_file():
        raise CheckpointError(
            f"there is no checkpoint {path}; give the path of a .safetensors file"
        )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            names = file.keys() if tensors else ()
            weights = {name: file.get_tensor(name) for name in names}
        header = json.loads(metadata.get("protdiff", "null"))
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path} is not a whole safetensors file ({error}); fetch or copy it again"
        ) from error
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise CheckpointError(
            f"{path} is a safetensors file but not a protdiff checkpoint; "
            "expected one written by protdiff train"
        )
    if header.get("version") not in range(1, CHECKPOINT_VERSION + 1):
        raise CheckpointError(
            f"{path} has checkpoint version {header.get('version')}, this protdiff reads versions "
            f"1 to {CHECKPOINT_VERSION}; use the protdiff release that wrote it"
        )
    if not _is_card(header.get("metadata")):
        raise CheckpointError(
            f"the header of {path} is damaged: its metadata make no sense; fetch it again"
        )
    whole = [name for name, tensor in weights.items() if not tensor.is_floating_point()]
    if whole:
        raise CheckpointError(f"{path} is damaged: {whole[0]!r} holds no real numbers")
    return header, {name: tensor.float() for name, tensor in weights.items()}


def _is_card(metadata: object) -> bool:
    if not isinstance(metadata, dict):
        return False
    lengths = metadata.get("lengths", list(LENGTH_RANGE))
    return (
        isinstance(lengths, list)
        and len(lengths) == 2
        and all(type(length) is int for length in lengths)
        and 1 <= lengths[0] <= lengths[1]
    )

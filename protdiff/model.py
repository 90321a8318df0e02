r"""A score network, an SDE and a unit of length: a denoiser of backbones, and its checkpoint.

This is the one door between Å and model units, and the one place where the theory meets the
network: at time t the network is shown :math:`y = x_t / \alpha_t` and the noise ratio
:math:`s = \sigma_t / \alpha_t`, and returns :math:`E[x_0 \mid x_t]`. Because *s* is all that it is
told of the schedule, one network serves every linear SDE.

Everything lives in the centre-of-mass-free subspace: the noise, the prior and the network's output
have zero mean over the atoms that exist, and are zero on padding.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, cast

import torch
from einops import rearrange
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from protdiff.diffusion import SDE, CentredSubspace, CosineVPSDE, Denoiser, LinearVPSDE
from protdiff.errors import CheckpointError, InputError
from protdiff.files import hash_file, write_atomically
from protdiff.network import NetworkConfig, ScoreNetwork

__all__ = [
    "CHECKPOINT_VERSION",
    "DIFFUSED_ATOMS",
    "LENGTH_RANGE",
    "BackboneDenoiser",
    "BackboneModel",
    "MotifInput",
    "SecondaryStructureInput",
    "load_checkpoint",
    "make_residue_mask",
    "read_header",
    "save_checkpoint",
]

DIFFUSED_ATOMS = ("N", "CA", "C")
LENGTH_RANGE = (30, 512)  # residues that the network is built for; checkpoints name what they saw
CHECKPOINT_VERSION = 2
_FORMAT = "protdiff-checkpoint"
_ADDED_IN_VERSION_2 = ("secondary.weight", "noise.composition")
"""Weights that a checkpoint of version 1 lacks; as they start, at zero, they change nothing."""
_SDES: dict[str, type[SDE]] = {"LinearVPSDE": LinearVPSDE, "CosineVPSDE": CosineVPSDE}


@dataclass(frozen=True)
class MotifInput:
    """What the network is told of a motif: which residues, and their shape but not their pose.

    Parameters
    ----------
    group
        ``(batch, residue)`` integers: 0 for designed residues, k > 0 for residues of the k-th
        rigid motif.
    positions
        ``(batch, residue, 3, 3)``, N, CA, C in model units; read where ``group`` is not 0.
    """

    group: Tensor
    positions: Tensor


@dataclass(frozen=True)
class SecondaryStructureInput:
    """What the network is told of the secondary structure; either part may be left out.

    Parameters
    ----------
    states
        ``(batch, residue)`` integers, places in :data:`protdiff.network.SECONDARY_STATES`: 0 not
        told, 1 loop, 2 helix, 3 strand.
    composition
        ``(batch, 2)``, shares of helix and strand of each protein; NaN where they are not told.
    """

    states: Tensor | None = None
    composition: Tensor | None = None


class BackboneDenoiser(Denoiser):
    """E[x0 | x_t] of a batch of backbones, ``(batch, residue, 3 atoms, 3)`` in model units.

    With self-conditioning (Chen et al. 2022) it remembers its last estimate and shows it to the
    network in the next evaluation, so make a new one for each sampling run. Without it, it is a
    function of (x_t, t), as likelihoods and adaptive solvers need.

    Parameters
    ----------
    network
        The score network.
    sde
        The process whose x_t it denoises.
    residue_mask
        ``(batch, residue)``, True where the residue exists.
    residue_index
        ``(batch or 1, residue)``, places along the chain.
    handedness
        ``(batch,)``, +1 for L-proteins and -1 for D-proteins.
    self_condition
        Remember the last estimate.
    motif
        Shape of the motif, if the network is to know one.
    secondary_structure
        Secondary structure, if the network is to know of it.

    References
    ----------
    Chen, Zhang, Hinton 2022, "Analog bits: generating discrete data using diffusion models with
    self-conditioning".
    """

    def __init__(
        self,
        network: ScoreNetwork,
        sde: SDE,
        residue_mask: Tensor,
        residue_index: Tensor,
        handedness: Tensor,
        *,
        self_condition: bool = True,
        motif: MotifInput | None = None,
        secondary_structure: SecondaryStructureInput | None = None,
    ) -> None:
        self.network = network
        self.sde = sde
        self.residue_mask = residue_mask
        self.residue_index = residue_index
        self.handedness = handedness
        self.self_condition = self_condition
        self.motif = motif
        self.secondary_structure = secondary_structure or SecondaryStructureInput()
        self.previous: Tensor | None = None

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Denoise ``x_t`` of shape ``(batch, residue, 3, 3)`` at time ``t``, ``()`` or (batch,)."""
        time = t.double()
        alpha = self.sde.alpha(time).to(x_t)
        noise_ratio = self.sde.noise_ratio(time).to(x_t)
        if alpha.ndim:
            alpha = rearrange(alpha, "batch -> batch 1 1 1")
        estimate: Tensor = self.network(
            x_t / alpha,
            noise_ratio.expand(x_t.shape[0]),
            self.residue_index,
            self.residue_mask,
            self.handedness,
            self.previous,
            None if self.motif is None else self.motif.group,
            None if self.motif is None else self.motif.positions,
            self.secondary_structure.states,
            self.secondary_structure.composition,
        )[-1]
        if self.self_condition:
            self.previous = estimate.detach()
        return estimate

    def reorder(self, indices: Tensor) -> None:
        """Follow a resampling of the batch: element k becomes what element ``indices[k]`` was."""
        if self.previous is not None:
            self.previous = self.previous[indices]


@dataclass(frozen=True)
class BackboneModel:
    """A trained score network with the process and the unit it was trained for.

    Parameters
    ----------
    network
        The score network; ``network.config.scale`` is the number of Å in a model unit.
    sde
        The default process for sampling.
    metadata
        The model card's machine-readable part: lengths, data, steps, samples seen, ...
    name, sha256
        Of the checkpoint it came from.
    """

    network: ScoreNetwork
    sde: SDE = field(default_factory=LinearVPSDE)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    name: str = "untrained"
    sha256: str = ""

    @property
    def scale(self) -> float:
        """Å per model unit."""
        return self.network.config.scale

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.network.parameters()).device

    @property
    def trained_lengths(self) -> tuple[int, int]:
        """The shortest and longest protein seen in training."""
        shortest, longest = self.metadata.get("lengths", LENGTH_RANGE)
        return int(shortest), int(longest)

    @property
    def knows_secondary_structure(self) -> bool:
        """Whether the network learned to be told of secondary structure."""
        return bool((self.network.secondary.weight != 0).any())

    def to(self, device: torch.device | str) -> BackboneModel:
        """Return the model on another device."""
        return replace(self, network=self.network.to(device))

    def to_angstrom(self, positions: Tensor) -> Tensor:
        """Change model units into Å."""
        return positions * self.scale

    def from_angstrom(self, positions: Tensor) -> Tensor:
        """Change Å into model units."""
        return positions / self.scale

    def subspace(self, residue_mask: Tensor) -> CentredSubspace:
        """Return the centre-of-mass-free subspace of a ``(batch, residue)`` mask."""
        return CentredSubspace(residue_mask.to(self.device), atoms=len(DIFFUSED_ATOMS))

    def denoiser(
        self,
        residue_mask: Tensor,
        *,
        residue_index: Tensor | None = None,
        handedness: float | Tensor = 1.0,
        self_condition: bool = True,
        motif: MotifInput | None = None,
        secondary_structure: SecondaryStructureInput | None = None,
        sde: SDE | None = None,
    ) -> BackboneDenoiser:
        """Make the denoiser of one batch, for one sampling run.

        Parameters
        ----------
        residue_mask
            ``(batch, residue)``, True where the residue exists.
        residue_index
            ``(batch or 1, residue)``, places along the chain; 0, 1, 2, ... if not given. A jump is
            a chain break.
        handedness
            +1 (L-proteins), -1 (D-proteins), or one of them for each element.
        self_condition
            See :class:`BackboneDenoiser`.
        motif
            See :class:`MotifInput`.
        secondary_structure
            See :class:`SecondaryStructureInput`.
        sde
            Another process than the model's own.

        Raises
        ------
        InputError
            The number of residues is out of range.
        """
        batch, count = residue_mask.shape
        shortest, longest = LENGTH_RANGE
        fewest = int(residue_mask.sum(dim=1).min())
        if count > longest or fewest < shortest:
            odd = count if count > longest else fewest
            raise InputError(
                f"{odd} residues asked for; this network makes {shortest} to {longest} residues"
            )
        if residue_index is None:
            residue_index = torch.arange(count)[None]
        hands = torch.as_tensor(handedness, dtype=torch.float32).expand(batch)
        if not bool((hands.abs() == 1).all()):
            raise InputError(f"handedness is {handedness}; expected +1 (L) or -1 (D)")
        return BackboneDenoiser(
            self.network,
            sde or self.sde,
            residue_mask.to(self.device),
            residue_index.to(self.device),
            hands.to(self.device),
            self_condition=self_condition,
            motif=motif,
            secondary_structure=secondary_structure,
        )


def make_residue_mask(lengths: Sequence[int]) -> Tensor:
    """Return the ``(batch, longest)`` mask of proteins of the given numbers of residues.

    Examples
    --------
    >>> make_residue_mask([2, 3]).int().tolist()
    [[1, 1, 0], [1, 1, 1]]
    """
    return torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


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
    """
    sde = {f.name: getattr(model.sde, f.name) for f in fields(cast(Any, model.sde))}
    header = {
        "format": _FORMAT,
        "version": CHECKPOINT_VERSION,
        "network": model.network.config.to_dict(),
        "sde": {"name": type(model.sde).__name__, **sde},
        "metadata": dict(model.metadata),
    }
    weights = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in model.network.state_dict().items()
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
        config = NetworkConfig(**header["network"])
        _check_sizes(config, weights)
        network = ScoreNetwork(config)
        sde_header = dict(header["sde"])
        sde = _SDES[sde_header.pop("name")](**sde_header)
        if header["version"] == 1:
            initial = network.state_dict()
            weights |= {name: initial[name] for name in _ADDED_IN_VERSION_2}
        network.load_state_dict(weights)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path} does not describe a network of this protdiff ({reason}); "
            "fetch the checkpoint again or use the protdiff version that wrote it"
        ) from error
    network.requires_grad_(False).eval()
    return BackboneModel(
        network=network.to(device),
        sde=sde,
        metadata=header["metadata"],
        name=path.stem,
        sha256=hash_file(path),
    )


def read_header(path: str | Path) -> dict[str, Any]:
    """Read what a checkpoint says of itself, without its tensors.

    Returns
    -------
    dict
        ``network`` and ``sde``, their settings; ``metadata``, the card.

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
        elif name == "pair_refresh":
            if type(value) is not bool:
                raise ValueError(f"pair_refresh is {value!r}")
        elif type(value) is not int or value < 1:
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

"""Prepared backbones, read without Biotite: what ``protdiff prepare`` wrote, ready for batches."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from protdiff.errors import InputError
from protdiff.network import SECONDARY_STATES

__all__ = ["BackboneDataset", "Batch", "load_dataset", "send"]

_FORMAT, _VERSION = "protdiff-dataset", "2"
_PER_CHAIN = {"held_out": torch.uint8, "cluster40": torch.int64}


@dataclass(frozen=True)
class Batch:
    """Backbones of one batch.

    Parameters
    ----------
    positions
        N, CA, C, ``(batch, residue, 3, 3)`` Å, centred; zero on padding.
    residue_mask
        ``(batch, residue)``, True where the residue exists.
    secondary
        ``(batch, residue)`` integers, places in :data:`protdiff.network.SECONDARY_STATES`; 0 on
        padding.
    """

    positions: Tensor
    residue_mask: Tensor
    secondary: Tensor


@dataclass(frozen=True)
class BackboneDataset:
    """Backbones end to end in one tensor.

    Parameters
    ----------
    coordinates
        N, CA, C of all chains, each centred, ``(total residues, 3, 3)`` Å.
    secondary
        Secondary structure by hydrogen bonds, ``(total residues,)`` uint8, places in
        :data:`protdiff.network.SECONDARY_STATES`.
    offsets
        Where each chain starts, ``(chains + 1,)``.
    cluster
        Cluster of each chain at 40 % sequence identity, ``(chains,)``.
    ids
        Names of the chains.
    """

    coordinates: Tensor
    secondary: Tensor
    offsets: Tensor
    cluster: Tensor
    ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> Tensor:
        """Number of residues of each chain, ``(chains,)``."""
        return self.offsets[1:] - self.offsets[:-1]

    @cached_property
    def composition(self) -> Tensor:
        """Shares of helix and strand of each chain, ``(chains, 2)``."""
        states = torch.stack([self.secondary == SECONDARY_STATES.index(s) for s in "HE"], dim=-1)
        counts = torch.cat([torch.zeros(1, 2, dtype=torch.int64), states.cumsum(dim=0)])
        return counts[self.offsets].diff(dim=0) / self.lengths[:, None]

    def to(self, device: torch.device) -> BackboneDataset:
        """Return the data set with its residues on a device, whence batches come; counts stay."""
        return replace(
            self, coordinates=self.coordinates.to(device), secondary=self.secondary.to(device)
        )

    def get(self, index: int) -> Tensor:
        """Return one backbone, ``(residue, 3, 3)`` Å, centred."""
        return self.coordinates[int(self.offsets[index]) : int(self.offsets[index + 1])]

    def collate(self, indices: Sequence[int] | Tensor, padded_length: int | None = None) -> Batch:
        """Gather backbones, padded to the longest or to ``padded_length`` residues.

        The places are counted on the CPU and the residues gathered where they are, without waiting
        for that device.
        """
        chosen = torch.as_tensor(indices)
        lengths = self.lengths[chosen]
        place = torch.arange(padded_length or int(lengths.max()))
        mask = place < lengths[:, None]
        source = torch.where(mask, self.offsets[chosen][:, None] + place, 0)
        mask, source = (send(tensor, self.coordinates.device) for tensor in (mask, source))
        return Batch(
            positions=self.coordinates[source].masked_fill(~mask[:, :, None, None], 0.0),
            residue_mask=mask,
            secondary=self.secondary[source].long().masked_fill(~mask, 0),
        )


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor of the CPU on a device, without waiting for it: from pinned memory."""
    if device.type != "cuda" or tensor.is_cuda:
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def load_dataset(
    path: str | Path, lengths: tuple[int, int] = (1, 1 << 20)
) -> tuple[BackboneDataset, BackboneDataset]:
    """Read prepared backbones and return the training and the held-out part.

    Parameters
    ----------
    path
        A file written by ``protdiff prepare``.
    lengths
        Keep chains of this many residues only, ends included.

    Raises
    ------
    InputError
        The file is missing, damaged or of another kind, or leaves nothing to train on.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no prepared data {path}; make it with protdiff prepare")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path} is not a whole prepared file ({error}); prepare again") from error
    if metadata.get("format") != _FORMAT or metadata.get("version") != _VERSION:
        raise InputError(
            f"{path} is no prepared data of version {_VERSION}; make it with protdiff prepare"
        )
    ids = _check(path, metadata, tensors)
    sizes = tensors["offsets"].diff()
    wanted = (sizes >= lengths[0]) & (sizes <= lengths[1])
    parts = []
    for held_out in (False, True):
        chosen = wanted & (tensors["held_out"].bool() == held_out)
        parts.append(_take(tensors, ids, chosen.nonzero()[:, 0]))
    if not len(parts[0]):
        raise InputError(f"{path} holds no training chain of {lengths[0]} to {lengths[1]} residues")
    return parts[0], parts[1]


def _check(path: Path, metadata: dict[str, str], tensors: dict[str, Tensor]) -> list[str]:
    """Refuse a file whose parts are not there or do not fit together; return the chains' names."""

    def fit() -> bool:
        offsets, total = tensors["offsets"], len(tensors["coordinates"])
        chains = len(offsets) - 1
        sizes = offsets.diff()
        return (
            isinstance(ids, list)
            and all(isinstance(name, str) for name in ids)
            and len(ids) == chains > 0
            and tensors["coordinates"].shape == (total, 3, 3)
            and tensors["coordinates"].dtype == torch.float32
            and bool(tensors["coordinates"].isfinite().all())
            and tensors["secondary"].shape == (total,)
            and tensors["secondary"].dtype == torch.uint8
            and int(tensors["secondary"].max()) < len(SECONDARY_STATES)
            and offsets.dtype == torch.int64
            and bool((sizes >= 1).all() & (offsets[0] == 0) & (offsets[-1] == total))
            and all(
                tensors[name].shape == (chains,) and tensors[name].dtype == kind
                for name, kind in _PER_CHAIN.items()
            )
        )

    try:
        ids = json.loads(metadata["ids"])
        sound = fit()
    except (KeyError, TypeError, ValueError, RuntimeError, IndexError, RecursionError):
        sound = False
    if not sound:
        raise InputError(f"{path} is damaged: its parts do not fit together; prepare again")
    return list(ids)


def _take(tensors: dict[str, Tensor], ids: list[str], chosen: Tensor) -> BackboneDataset:
    offsets = tensors["offsets"]
    sizes = offsets.diff()[chosen]
    places = [slice(int(offsets[k]), int(offsets[k + 1])) for k in chosen]
    chains = [tensors["coordinates"][place] for place in places]
    nothing = tensors["coordinates"][:0]
    return BackboneDataset(
        coordinates=torch.cat([nothing, *(chain - chain.mean(dim=(0, 1)) for chain in chains)]),
        secondary=torch.cat([tensors["secondary"][:0], *(tensors["secondary"][p] for p in places)]),
        offsets=torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)]),
        cluster=tensors["cluster40"][chosen],
        ids=tuple(ids[int(k)] for k in chosen),
    )

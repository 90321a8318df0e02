"""Prepared backbones, without Biotite: the file of ``protdiff prepare``, and batches of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from protdiff.device import send
from protdiff.diffusion import CentredSubspace
from protdiff.errors import InputError
from protdiff.files import write_atomically
from protdiff.network import RESIDUE_TYPES, SECONDARY_STATES
from protdiff.training.cuts import Cuts

__all__ = ["BackboneDataset", "Batch", "load_dataset", "write_dataset"]

_FORMAT, _VERSION = "protdiff-dataset", "3"
_PER_RESIDUE = {
    "coordinates": torch.float32,
    "residue_index": torch.int32,
    "secondary": torch.uint8,
    "residue_type": torch.uint8,
}
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
    residue_index
        ``(batch, residue)`` integers; a jump is a chain break, past which nothing is bonded.
    secondary
        ``(batch, residue)`` integers, places in :data:`protdiff.network.SECONDARY_STATES`; 0 on
        padding.
    residue_type
        ``(batch, residue)`` integers, one more than the place in
        :data:`protdiff.network.RESIDUE_TYPES`; 0 where it is none of these, and on padding.
    """

    positions: Tensor
    residue_mask: Tensor
    residue_index: Tensor
    secondary: Tensor
    residue_type: Tensor


@dataclass(frozen=True)
class BackboneDataset:
    """Backbones end to end in one tensor.

    Parameters
    ----------
    coordinates
        N, CA, C of all chains, each centred, ``(total residues, 3, 3)`` Å.
    residue_index
        Place of each residue in its chain, with a jump at a chain break, ``(total residues,)``
        int32.
    secondary
        Secondary structure by hydrogen bonds, ``(total residues,)`` uint8, places in
        :data:`protdiff.network.SECONDARY_STATES`.
    residue_type
        ``(total residues,)`` uint8, one more than the place in
        :data:`protdiff.network.RESIDUE_TYPES`, or 0.
    offsets
        Where each chain starts, ``(chains + 1,)``.
    cluster
        Cluster of each chain at 40 % sequence identity, ``(chains,)``.
    ids
        Names of the chains.
    """

    coordinates: Tensor
    residue_index: Tensor
    secondary: Tensor
    residue_type: Tensor
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
        return replace(self, **{name: getattr(self, name).to(device) for name in _PER_RESIDUE})

    def get(self, index: int) -> Tensor:
        """Return one backbone, ``(residue, 3, 3)`` Å, centred."""
        return self.coordinates[int(self.offsets[index]) : int(self.offsets[index + 1])]

    def collate(
        self,
        indices: Sequence[int] | Tensor,
        padded_length: int | None = None,
        cuts: Cuts | None = None,
    ) -> Batch:
        """Gather backbones, padded to the longest or to ``padded_length`` residues.

        The places are counted on the CPU and the residues gathered where they are, without waiting
        for that device. With ``cuts`` chains are cut in two.
        """
        chosen = torch.as_tensor(indices)
        lengths = self.lengths[chosen]
        place = torch.arange(padded_length or int(lengths.max()))
        source, jump = place, torch.zeros(1, 1, dtype=torch.int64)
        if cuts is not None:
            source, jump = cuts.find_sources(lengths, place)
            lengths = lengths - cuts.gap
        mask = place < lengths[:, None]
        source = torch.where(mask, self.offsets[chosen][:, None] + source, 0)
        device = self.coordinates.device
        mask, source, jump = (send(tensor, device) for tensor in (mask, source, jump))
        positions = self.coordinates[source].masked_fill(~mask[:, :, None, None], 0.0)
        if cuts is not None:
            positions = CentredSubspace(mask).project(positions)
        return Batch(
            positions=positions,
            residue_mask=mask,
            residue_index=(self.residue_index[source] + jump).masked_fill(~mask, 0),
            secondary=self.secondary[source].long().masked_fill(~mask, 0),
            residue_type=self.residue_type[source].long().masked_fill(~mask, 0),
        )


def write_dataset(
    path: str | Path,
    tensors: Mapping[str, Tensor],
    ids: Sequence[str],
    report: Mapping[str, Any] | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Write prepared backbones, whole or not at all.

    Parameters
    ----------
    path
        The file, .safetensors.
    tensors
        What :func:`protdiff.training.prepare.prepare_dataset` lists.
    ids
        Names of the chains.
    report
        What became of the chains that were looked at.
    overwrite
        Replace an existing file.

    Raises
    ------
    InputError
        The file exists and ``overwrite`` is not set.
    """
    metadata = {
        "format": _FORMAT,
        "version": _VERSION,
        "ids": json.dumps(list(ids)),
        "report": json.dumps(report or {}),
    }
    data = save(dict(tensors), metadata)
    with write_atomically(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(data)


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
            and bool(tensors["coordinates"].isfinite().all())
            and all(
                len(tensors[name]) == total and tensors[name].dtype == kind
                for name, kind in _PER_RESIDUE.items()
            )
            and all(tensors[name].ndim == 1 for name in _PER_RESIDUE if name != "coordinates")
            and int(tensors["secondary"].max()) < len(SECONDARY_STATES)
            and int(tensors["residue_type"].max()) <= len(RESIDUE_TYPES)
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

    def join(name: str, change: Callable[[Tensor], Tensor] = lambda chain: chain) -> Tensor:
        values = tensors[name]
        return torch.cat([values[:0], *(change(values[place]) for place in places)])

    return BackboneDataset(
        coordinates=join("coordinates", lambda chain: chain - chain.mean(dim=(0, 1))),
        residue_index=join("residue_index", lambda chain: chain - chain[0]),
        secondary=join("secondary"),
        residue_type=join("residue_type"),
        offsets=torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)]),
        cluster=tensors["cluster40"][chosen],
        ids=tuple(ids[int(k)] for k in chosen),
    )

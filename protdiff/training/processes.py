"""The processes that share a run, through Lightning Fabric; one process needs none of it.

Each of them computes some rows of every batch, on a device of its own. Gradients and losses are
sums over the processes, because each divides by the coordinates of the whole batch; after that all
make the same step, and the first one alone measures and writes. So the number of processes is no
part of what a run is: losses are those of one process, to rounding.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from protdiff.device import find_device
from protdiff.errors import DependencyError, InputError

__all__ = ["Processes", "find_place", "start_processes"]


class Processes:
    """The processes of a run, seen from this one.

    Parameters
    ----------
    device
        Where this process computes.
    fabric
        A launched ``lightning_fabric.Fabric``; None for a run of one process.
    """

    def __init__(self, device: torch.device, fabric: Any = None) -> None:
        self.device = device
        self._fabric = fabric
        self.rank: int = 0 if fabric is None else fabric.global_rank
        self.count: int = 1 if fabric is None else fabric.world_size

    @property
    def is_first(self) -> bool:
        """Whether this is the process that measures and writes."""
        return self.rank == 0

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors, in place, by their sums over the processes: one message for all."""
        if self._fabric is None:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        total = self._fabric.all_reduce(flat, reduce_op="sum")
        parts = total.split([tensor.numel() for tensor in tensors])
        torch._foreach_copy_(
            list(tensors), [part.view_as(own) for part, own in zip(parts, tensors, strict=True)]
        )

    def share(self, value: Any) -> Any:
        """Return what the first process passed."""
        return value if self._fabric is None else self._fabric.broadcast(value, src=0)


def start_processes(device: str, devices: int, nodes: int) -> Processes:
    """Start the processes of a run and return this one's place among them.

    The command of this process is started ``devices`` - 1 times more, unless torchrun or SLURM have
    started all already; on several nodes it is given once on each, with ``NODE_RANK``,
    ``MASTER_ADDR`` and ``MASTER_PORT`` set, or by ``srun``.

    Parameters
    ----------
    device
        As :func:`find_place` takes it.
    devices
        Processes on each node, each with a GPU of its own; or just processes, on CPUs.
    nodes
        Machines.

    Raises
    ------
    DependencyError
        There shall be several processes and Lightning Fabric is not installed.
    InputError
        The device is not there, or there are not as many as processes.
    """
    place = find_place(device, devices, nodes)
    if devices * nodes == 1:
        return Processes(place)
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise DependencyError(
            "training by several processes needs Lightning Fabric; "
            "pip install 'protdiff[distributed]'"
        ) from error
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    fabric = Fabric(accelerator=place.type, devices=devices, num_nodes=nodes, strategy="ddp")
    fabric.launch()
    return Processes(fabric.device, fabric)


def find_place(device: str, devices: int, nodes: int) -> torch.device:
    """Return where a run computes: the device of its one process, or the kind of all of them.

    Parameters
    ----------
    device
        ``"auto"``, ``"cpu"`` or ``"cuda"``; or, for one process, ``"cuda:1"``.
    devices, nodes
        Processes on each node; nodes.

    Raises
    ------
    InputError
        The device is not there, or there are not as many as processes.
    """
    place = find_device(device)
    count = devices * nodes
    if count == 1:
        return place
    if place.index is not None:
        raise InputError(
            f"device {device!r} serves one process, and {count} share this run (devices = "
            f"{devices}, nodes = {nodes}); give cuda, with a GPU for each, cpu or auto"
        )
    if place.type == "cuda" and devices > torch.cuda.device_count():
        raise InputError(
            f"devices = {devices}, and torch sees {torch.cuda.device_count()} CUDA devices here; "
            "give no more than there are"
        )
    return place

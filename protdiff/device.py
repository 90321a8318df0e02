"""Where torch computes: a name becomes a device that is there, and tensors get there."""

from __future__ import annotations

import torch
from torch import Tensor

from protdiff.errors import InputError

__all__ = ["find_device", "list_devices", "send"]


def find_device(name: str | torch.device) -> torch.device:
    """Return a device of this machine; torch says whether it is there, and nothing is put on it.

    Parameters
    ----------
    name
        ``"auto"`` takes a CUDA device if there is one, else the CPU; or ``"cpu"``, ``"cuda"``,
        ``"cuda:1"``; or a device of torch. Apple's ``"mps"`` has no double precision, in which the
        noise is embedded.

    Raises
    ------
    InputError
        It is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    there = list_devices()
    if str(name) not in there:
        raise InputError(
            f"device {str(name)!r} is not there; torch sees {', '.join(there)} here: give one of "
            "these or auto (a GPU needs a torch built for it)"
        )
    return torch.device(name)


def list_devices() -> list[str]:
    """Return the names of devices to compute on, those of CUDA with and without a number."""
    devices = ["cpu"]
    if torch.cuda.is_available():
        devices += ["cuda", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    return devices


def send(tensor: Tensor, target: Tensor | torch.device) -> Tensor:
    """Return a tensor on a device, as :meth:`torch.Tensor.to` does, without waiting for it.

    A copy from ordinary memory to a GPU waits until the GPU has done all that it was given; from
    pinned memory it takes its turn. What records gradients goes the ordinary way.

    Parameters
    ----------
    tensor
        Of the CPU, or there already.
    target
        The device; or a tensor there, whose precision is taken over too.
    """
    device = target.device if isinstance(target, Tensor) else target
    if device.type == "cuda" and tensor.device.type == "cpu" and not tensor.requires_grad:
        tensor = tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(target)

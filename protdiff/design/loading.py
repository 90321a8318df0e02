"""Loading weights: a name and a device become a model that makes backbones."""

from __future__ import annotations

from pathlib import Path

import torch

from protdiff.checkpoint import load_checkpoint
from protdiff.design.designer import Designer
from protdiff.errors import InputError
from protdiff.weights import DEFAULT_WEIGHTS, find_weights

__all__ = ["load", "resolve_device"]


def load(
    name_or_path: str | Path = DEFAULT_WEIGHTS, device: str = "auto", *, compile: bool = False
) -> Designer:
    """Load weights.

    Parameters
    ----------
    name_or_path
        A checkpoint that comes with the package, by name, or the path of a file.
    device
        ``"auto"`` takes a CUDA device if there is one; or ``"cpu"``, ``"cuda"``, ``"cuda:1"``,
        ``"mps"``.
    compile
        Compile the network with ``torch.compile``: minutes once a machine, and faster sampling from
        then on. Designs are the same but for rounding. Evaluations that are differentiated, as by
        guidance, and likelihoods are not compiled.

    Returns
    -------
    Designer

    Raises
    ------
    CheckpointError
        There are no such weights, or the file is damaged.
    InputError
        The device is not there; or there is no compiler of C++, and ``compile`` needs one.
    """
    model = load_checkpoint(find_weights(name_or_path), device=resolve_device(device))
    return Designer(model.compile() if compile else model)


def resolve_device(name: str) -> torch.device:
    """Return the device of a name, ``"auto"`` being the best there is.

    Raises
    ------
    InputError
        It is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(
            f"device {name!r} is not there; give auto, cpu, or cuda on a machine with a GPU "
            "and a torch built for it"
        ) from error
    return device

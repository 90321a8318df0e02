"""Loading weights: a name and a device become a model that makes backbones."""

from __future__ import annotations

from pathlib import Path

import torch

from protdiff.checkpoint import load_checkpoint
from protdiff.design.designer import Designer
from protdiff.device import find_device
from protdiff.weights import DEFAULT_WEIGHTS, find_weights

__all__ = ["load"]


def load(
    name_or_path: str | Path = DEFAULT_WEIGHTS,
    device: str | torch.device = "auto",
    *,
    compile: bool = False,
) -> Designer:
    """Load weights.

    Parameters
    ----------
    name_or_path
        A checkpoint that comes with the package, by name, or the path of a file.
    device
        ``"auto"`` takes a CUDA device if there is one; or ``"cpu"``, ``"cuda"``, ``"cuda:1"``;
        or a device of torch.
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
    model = load_checkpoint(find_weights(name_or_path), device=find_device(device))
    return Designer(model.compile() if compile else model)

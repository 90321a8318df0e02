"""Averages of the weights, which sample better than the weights do."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Generic, TypeVar

import torch
from torch import nn

from protdiff.errors import InputError
from protdiff.model import BackboneModel

__all__ = ["WeightAverage", "average_models"]

Module = TypeVar("Module", bound=nn.Module)


class WeightAverage(Generic[Module]):
    """Keep an exponential moving average of a module's parameters.

    The decay at step k is the smaller of ``decay`` and (1 + k) / (10 + k), so that the start is
    forgotten quickly.

    Parameters
    ----------
    module
        The module that is trained.
    decay
        Share of the old average that is kept in a step.
    """

    def __init__(self, module: Module, decay: float) -> None:
        self.module: Module = copy.deepcopy(module).requires_grad_(False).eval()
        self.decay = decay

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move the average towards the module after step number ``step``, counted from 1."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.module.parameters()), list(module.parameters()), 1.0 - decay)


@torch.no_grad()
def average_models(models: Sequence[BackboneModel]) -> BackboneModel:
    """Return the model whose weights are the mean of those of several moments of a run.

    Under a constant learning rate the weights wander about a valley of the loss, and their mean
    lies nearer to its floor. That is what a falling rate does too, after which a run cannot go on.

    Parameters
    ----------
    models
        One or more, of one network and one process.

    Returns
    -------
    BackboneModel
        With the metadata of the last, and the steps of all as ``averaged_steps``.

    Raises
    ------
    InputError
        There is none, they differ in more than their weights, or one has an expert.

    References
    ----------
    Izmailov, Podoprikhin, Garipov, Vetrov, Wilson, "Averaging weights leads to wider optima and
    better generalization", 2018. Karras, Aittala, Lehtinen, Hellsten, Aila, Laine, "Analyzing and
    improving the training dynamics of diffusion models", 2024.
    """
    if not models:
        raise InputError("there are no weights to average; give one model or more")
    if any(model.expert is not None for model in models):
        raise InputError("weights with an expert are not averaged; average first, then add it")
    last = models[-1]
    for model in models:
        if (model.network.config, model.sde) != (last.network.config, last.sde):
            raise InputError(
                f"{model.name} and {last.name} differ in their network or process, so that the "
                "mean of their weights is no model; give weights of one run"
            )
    network = copy.deepcopy(last.network)
    weights = [model.network.state_dict() for model in models]
    for name, mean in network.state_dict().items():
        if mean.is_floating_point():
            mean.copy_(torch.stack([found[name].double() for found in weights]).mean(dim=0))
    steps = [model.metadata.get("steps") for model in models]
    return replace(
        last,
        network=network,
        metadata={**last.metadata, "averaged_steps": steps},
        name="averaged",
        sha256="",
        digest="",
        compiled=None,
    )

"""The exponential moving average of the weights, which samples better than the weights do."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

__all__ = ["WeightAverage"]

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

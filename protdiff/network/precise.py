"""Where precision matters: what a whole protein shares, and geometry.

A matrix product of a few rows is summed in another order than one of many, so that its last bit
depends on the size of the batch. What is one row for a protein (its noise level, its length) feeds
every residue in every layer, and a run of sampling magnifies a last bit. These maps are tiny, so
they are computed in double precision and rounded once: then the design does not depend on what was
made beside it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["PreciseLinear", "in_single_precision"]


class PreciseLinear(nn.Linear):
    """A linear layer computed in double precision, rounded to the precision of its input."""

    def forward(self, input: Tensor) -> Tensor:
        """Map ``(..., in_features)`` to ``(..., out_features)``."""
        bias = None if self.bias is None else self.bias.double()
        with in_single_precision(input):
            return nn.functional.linear(input.double(), self.weight.double(), bias).to(input)


def in_single_precision(tensor: Tensor) -> torch.autocast:
    """Suspend autocast for geometry, on the device of ``tensor``.

    Under ``torch.autocast`` the perceptrons and the pair features run in bfloat16. Positions,
    vectors, distances and attention logits (a difference of large squares) do not: with eight bits
    of mantissa an atom at 30 Å would be known to a tenth of an Å.
    """
    return torch.autocast(tensor.device.type, enabled=False)

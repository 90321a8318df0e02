"""Linear maps of what a whole protein shares, the same whatever the batch.

A matrix product of a few rows is summed in another order than one of many, so that its last bit
depends on the size of the batch. What is one row for a protein (its noise level, its length) feeds
every residue in every layer, and a run of sampling magnifies a last bit. These maps are tiny, so
they are computed in double precision and rounded once: then the design does not depend on what was
made beside it.
"""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["PreciseLinear"]


class PreciseLinear(nn.Linear):
    """A linear layer computed in double precision, rounded to the precision of its input."""

    def forward(self, input: Tensor) -> Tensor:
        """Map ``(..., in_features)`` to ``(..., out_features)``."""
        bias = None if self.bias is None else self.bias.double()
        return nn.functional.linear(input.double(), self.weight.double(), bias).to(input)

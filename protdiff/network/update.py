r"""What a residue does with its own features: tensor products, handedness and gates.

The pair products of vectors are where geometry becomes chemistry: :math:`1o \times 1o \to 0e` (dot
products: lengths and angles) and :math:`1o \times 1o \to 1e` (cross products: planes). An axial
vector (1e) changes differently from a displacement (1o) under reflection, so in a network of
positions alone it could never act on a displacement. It can when it meets the handedness
pseudoscalar h (0o): :math:`1e \times 0o \to 1o`. This is the only door through which chirality
enters, and it keeps the parity algebra of e3nn intact.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from protdiff.network.irreps import o3
from protdiff.network.precise import in_single_precision

__all__ = ["NodeUpdate", "VectorNorm"]


class VectorNorm(nn.Module):
    """Divide the vectors of a residue by their root-mean-square length; scale each channel.

    Parameters
    ----------
    vectors
        Number of 1o channels.
    """

    def __init__(self, vectors: int) -> None:
        super().__init__()
        self.irreps_in = self.irreps_out = o3.Irreps(f"{vectors}x1o")
        self.weight = nn.Parameter(torch.ones(vectors))

    def forward(self, vectors: Tensor) -> Tensor:
        """Normalise ``(..., vectors * 3)``."""
        # The mean of the three components is a third of the squared length.
        weight = self.weight.repeat_interleave(3)
        return nn.functional.rms_norm(vectors, weight.shape, weight, eps=1e-4)


class NodeUpdate(nn.Module):
    """A gated perceptron on ``scalars x 0e + vectors x 1o``, with the handedness as third input.

    Parameters
    ----------
    scalars, vectors
        Channels of the node features.
    hidden
        Width of the hidden layer.
    products
        Number of vector pairs that are multiplied.
    """

    def __init__(self, scalars: int, vectors: int, hidden: int, products: int = 16) -> None:
        super().__init__()
        self.irreps_in = o3.Irreps(f"{scalars}x0e + {vectors}x1o + 1x0o")
        self.irreps_out = o3.Irreps(f"{scalars}x0e + {vectors}x1o")
        self.products = products
        self.to_factors = o3.Linear(f"{vectors}x1o", f"{2 * products}x1o")
        factor = o3.Irreps(f"{products}x1o")
        self.product = o3.ElementwiseTensorProduct(factor, factor, ["0e", "1e"])
        self.to_hidden = nn.Linear(scalars + products, hidden)
        self.from_hidden = nn.Linear(hidden, scalars + vectors + products)
        self.to_vectors = o3.Linear(f"{vectors + products}x1o", f"{vectors}x1o")
        self.sizes = [scalars, vectors + products]

    def forward(
        self, scalars: Tensor, vectors: Tensor, handedness: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Compute the update.

        Parameters
        ----------
        scalars
            ``(batch, residue, scalars)``.
        vectors
            ``(batch, residue, vectors * 3)``, 1o.
        handedness
            Pseudoscalar (0o), broadcastable to ``(batch, residue, 1)``.

        Returns
        -------
        scalars, vectors : Tensor
            Updates, of the shapes of the inputs.
        """
        with in_single_precision(vectors):
            left, right = self.to_factors(vectors).chunk(2, dim=-1)
            product = self.product(left, right)
        dots, axial = product.split([self.products, 3 * self.products], dim=-1)
        turned = axial * handedness  # 1e x 0o -> 1o
        hidden = nn.functional.silu(self.to_hidden(torch.cat([scalars, dots], dim=-1)))
        update, gates = self.from_hidden(hidden).split(self.sizes, dim=-1)
        odd = torch.cat([vectors, turned], dim=-1).unflatten(-1, (-1, 3)) * gates[..., None]
        with in_single_precision(vectors):
            return update, self.to_vectors(odd.flatten(-2))

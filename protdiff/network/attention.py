r"""Attention by geometry, on the fused kernel.

Each residue has query and key points, its alpha carbon plus learned combinations of its vectors:
:math:`p_i = x_i + W v_i`. With a weight :math:`\gamma` for each head the logit

.. math:: q_i \cdot k_j - \gamma \sum_p |p_i - p_j|^2 + b_{ij}

is, up to a term that does not depend on j and so drops out of the softmax, an inner product of the
extended query :math:`(q_i, 2\gamma p_i, 1)` and key :math:`(k_j, p_j, -\gamma |p_j|^2)`. Values are
scalars and points, and :math:`\sum_j a_{ij} p_j - x_i` is a vector that knows no origin. So one
call of ``scaled_dot_product_attention`` carries equivariant messages, and no tensor of size
residue x residue x channel exists but the bias.

The idea of invariant points is that of Jumper et al. 2021, "Highly accurate protein structure
prediction with AlphaFold" (invariant point attention), without frames: distances between points
are invariant, weighted sums of points are equivariant, under rotations and reflections alike.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from protdiff.network.irreps import o3
from protdiff.network.precise import in_single_precision

__all__ = ["GeometricAttention"]


class GeometricAttention(nn.Module):
    """Attention over residues with scalar and point queries, keys and values.

    Parameters
    ----------
    scalars, vectors
        Channels of the node features, ``scalars x 0e`` and ``vectors x 1o``.
    heads
        Number of attention heads.
    head_width
        Scalars per head.
    points
        Points per head.
    """

    def __init__(
        self, scalars: int, vectors: int, heads: int = 8, head_width: int = 16, points: int = 4
    ) -> None:
        super().__init__()
        self.irreps_in = o3.Irreps(f"{scalars}x0e + {vectors}x1o")
        self.irreps_out = self.irreps_in
        self.heads, self.head_width, self.points = heads, head_width, points
        self.to_qkv = nn.Linear(scalars, 3 * heads * head_width, bias=False)
        self.to_points = o3.Linear(f"{vectors}x1o", f"{3 * heads * points}x1o")
        # Heads start from long-sighted (about 20 Å at 8 Å a unit) to short-sighted (3 Å).
        sharpness = torch.logspace(-1.0, 0.8, heads)
        self.log_sharpness = nn.Parameter(sharpness.log())
        self.from_scalars = nn.Linear(heads * (head_width + points), scalars)
        self.from_points = o3.Linear(f"{heads * points}x1o", f"{vectors}x1o")
        # Every key gets the same width, a multiple of eight, for the sake of the fused kernels.
        used = head_width + 3 * points + 1
        self.padding = -used % 8

    def forward(
        self, scalars: Tensor, vectors: Tensor, alpha_carbon: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Gather messages.

        Parameters
        ----------
        scalars
            ``(batch, residue, scalars)``.
        vectors
            ``(batch, residue, vectors * 3)``, 1o.
        alpha_carbon
            Positions to attend on, ``(batch, residue, 3)``, near the origin.
        bias
            ``(batch, head, residue, residue)``, minus infinity at keys to be ignored.

        Returns
        -------
        scalars, vectors : Tensor
            Messages, of the shapes of the inputs.
        """
        heads = self.heads
        q, k, v = rearrange(self.to_qkv(scalars), "b l (kind h w) -> kind b h l w", kind=3, h=heads)
        origin = alpha_carbon[:, None, :, None]
        with in_single_precision(vectors):
            moved = self.to_points(vectors)
            towards, seen = self._gather(
                q.to(origin), k.to(origin), v.to(origin), moved, origin, bias
            )
            vector_message = self.from_points(rearrange(towards, "b h l p x -> b l (h p x)"))
        distances = (towards.square().sum(-1) + 1e-6).sqrt()
        invariants = rearrange(torch.cat([seen, distances], dim=-1), "b h l w -> b l (h w)")
        return self.from_scalars(invariants), vector_message

    def _gather(
        self, q: Tensor, k: Tensor, v: Tensor, offsets: Tensor, origin: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Attend; return vectors to points ``(b, h, l, p, 3)`` and scalars ``(b, h, l, w)``."""
        width, points = self.head_width, self.points
        offsets = rearrange(
            offsets, "b l (kind h p x) -> kind b h l p x", kind=3, h=self.heads, p=points
        )
        q_points, k_points, v_points = (offsets * 0.3 + origin).flatten(-2).unbind(0)
        sharpness = self.log_sharpness.exp()[:, None, None] / points
        one = torch.ones_like(q[..., :1])
        spare = q.new_zeros(*q.shape[:-1], self.padding)
        query = torch.cat([q * width**-0.5, q_points * (2 * sharpness), one, spare], dim=-1)
        lengths = k_points.square().sum(-1, keepdim=True)
        key = torch.cat([k, k_points, -sharpness * lengths, spare], dim=-1)
        value = torch.cat([v, v_points, torch.zeros_like(one), spare], dim=-1)
        message = _attend(query, key, value, bias)
        seen = message[..., :width]
        towards = message[..., width : width + 3 * points]
        towards = towards.unflatten(-1, (points, 3)) - origin
        return towards, seen


def _attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """Return softmax(query key^T + bias) value, by the fused kernel where there is one."""
    if bias.is_cuda or not bias.requires_grad:
        return nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=bias, scale=1.0
        )
    # On the CPU torch has no fused backward for a bias that is learned, and its fallback takes
    # twice the time of the formula.
    flat = [tensor.flatten(0, 1) for tensor in (bias, query, key, value)]
    weights = torch.baddbmm(flat[0], flat[1], flat[2].mT).softmax(dim=-1)
    message: Tensor = (weights @ flat[3]).unflatten(0, bias.shape[:2])
    return message

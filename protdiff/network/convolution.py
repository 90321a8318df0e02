r"""A convolution along the chain: what neighbours are, and in which direction they stand.

The message to residue i from its neighbours i + d, 0 < \|d\| <= reach, is the tensor product of
their features with the spherical harmonics of the displacement between the CA,

.. math:: m_i = \sum_d W_d(r_{i,i+d}) \left( f_{i+d} \otimes Y(\hat r_{i,i+d}) \right) ,

with a weight for each path that depends on distance and offset. Of the harmonics of degree two one
path ends in scalars and vectors: it stretches a vector along the displacement.

References
----------
Thomas et al. (2018), Tensor field networks; Geiger and Smidt (2022), e3nn: Euclidean neural
networks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from protdiff.network.irreps import o3
from protdiff.network.precise import in_single_precision
from protdiff.network.radial import get_radial_bases

__all__ = ["ChainConvolution"]

_RADIAL_BASES = 8
_FARTHEST = 16.0  # Å: the last radial basis


class ChainConvolution(nn.Module):
    """Messages from neighbours along the chain, ``scalars x 0e + vectors x 1o`` to the same.

    Parameters
    ----------
    scalars, vectors
        Channels of the node features.
    reach
        Residues on either side that are neighbours.
    lmax
        Largest degree of the spherical harmonics, 1 or 2.
    scale
        Å per unit of the positions.
    channels
        Of either kind, that are convolved.
    """

    offsets: Tensor
    centres: Tensor

    def __init__(
        self,
        scalars: int,
        vectors: int,
        reach: int,
        lmax: int,
        scale: float,
        channels: int = 16,
    ) -> None:
        super().__init__()
        self.irreps_in = self.irreps_out = o3.Irreps(f"{scalars}x0e + {vectors}x1o")
        self.scale = scale
        self.harmonics = o3.Irreps.spherical_harmonics(lmax)
        inner = o3.Irreps(f"{channels}x0e + {channels}x1o")
        self.to_inner = o3.Linear(self.irreps_in, inner)
        paths = sorted(
            (kind, place, degree)
            for place, (_, feature) in enumerate(inner)
            for degree, (_, harmonic) in enumerate(self.harmonics)
            for kind in feature * harmonic
            if kind in inner
        )
        self.product = o3.TensorProduct(
            inner,
            self.harmonics,
            o3.Irreps([(channels, kind) for kind, *_ in paths]),
            [(*path[1:], place, "uvu", True) for place, path in enumerate(paths)],
            shared_weights=False,
            internal_weights=False,
        )
        self.from_inner = o3.Linear(self.product.irreps_out.simplify(), self.irreps_out)
        steps = torch.arange(1, reach + 1)
        self.register_buffer("offsets", torch.cat([-steps.flip(0), steps]), persistent=False)
        centres = torch.linspace(0.0, _FARTHEST, _RADIAL_BASES, dtype=torch.float32)
        self.register_buffer("centres", centres, persistent=False)
        self.place = nn.Parameter(torch.randn(2 * reach, 2 * _RADIAL_BASES))
        self.radial = nn.Linear(_RADIAL_BASES, 2 * _RADIAL_BASES)
        self.to_weights = nn.Linear(2 * _RADIAL_BASES, self.product.weight_numel)

    def forward(
        self,
        scalars: Tensor,
        vectors: Tensor,
        alpha_carbon: Tensor,
        residue_index: Tensor,
        residue_mask: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Compute the messages.

        Parameters
        ----------
        scalars, vectors
            ``(batch, residue, scalars)`` and ``(batch, residue, vectors * 3)``.
        alpha_carbon
            ``(batch, residue, 3)``.
        residue_index
            ``(batch or 1, residue)``; a jump is a break, over which nobody is a neighbour.
        residue_mask
            ``(batch, residue)``, True where the residue exists.

        Returns
        -------
        scalars, vectors : Tensor
            Of the shapes of the inputs; sums over the neighbours there are.
        """
        count = scalars.shape[1]
        places = torch.arange(count, device=scalars.device)[:, None] + self.offsets
        there = places.clamp(0, count - 1)
        along = residue_index[:, there] - residue_index[..., None]
        linked = (places == there) & (along == self.offsets)
        linked = linked & residue_mask[:, there] & residue_mask[..., None]
        with in_single_precision(vectors):
            inner = self.to_inner(torch.cat([scalars.to(vectors), vectors], dim=-1))
            step = (alpha_carbon[:, there] - alpha_carbon[:, :, None]) * self.scale
            distance = (step.square().sum(-1, keepdim=True) + 1e-6).sqrt()
            harmonics = o3.spherical_harmonics(
                self.harmonics, step / distance, normalize=False, normalization="component"
            )
            width = _FARTHEST / (_RADIAL_BASES - 1)
            bases = get_radial_bases(distance, self.centres, width)
            hidden = nn.functional.silu(self.radial(bases) + self.place)
            weights = self.to_weights(hidden) * linked[..., None]
            product = self.product(inner[:, there], harmonics, weights)
            message = self.from_inner(product.sum(2) / len(self.offsets) ** 0.5)
        of_scalars, of_vectors = message.split([scalars.shape[-1], vectors.shape[-1]], dim=-1)
        return of_scalars, of_vectors

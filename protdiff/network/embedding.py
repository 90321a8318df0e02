r"""What a residue and a noise level look like before any message is passed.

The noise level enters as random-free Fourier features of :math:`c_{noise} = \tfrac14 \ln s`, with
:math:`s = \sigma_t/\alpha_t` the noise ratio (Karras et al. 2022). The place in the chain enters as
the distance to either end, and the size of the chain as Fourier features of its log-length.

Secondary structure may be told, of the whole protein as shares of helix and strand, or residue by
residue, and so may the types of residues. What is not told adds nothing, so that one network serves
with and without.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from protdiff.network.precise import PreciseLinear

__all__ = [
    "RESIDUE_TYPES",
    "SECONDARY_STATES",
    "ChainEmbedding",
    "NoiseEmbedding",
    "fourier_features",
]

RESIDUE_TYPES = "ACDEFGHIKLMNPQRSTVWY"
"""The types of residues as the network takes and gives them, by place: the letters of the twenty
amino acids."""

SECONDARY_STATES = "?-HE"
"""Secondary structure of a residue as the network takes it, by place: 0 not told, 1 loop, 2 helix,
3 strand."""

_MEAN_SHARE, _SHARE_DEVIATION = 0.3, 0.2
"""Of the shares of helix and of strand in natural domains, roughly."""


def fourier_features(x: Tensor, count: int, longest_period: float) -> Tensor:
    """Sines and cosines of ``x`` with periods falling geometrically.

    Parameters
    ----------
    x
        Any shape.
    count
        Number of features, even.
    longest_period
        The longest period, in the units of ``x``; the shortest is 1/100 of it.

    Returns
    -------
    Tensor
        Shape ``(*x.shape, count)``.
    """
    steps = torch.linspace(0.0, 1.0, count // 2, device=x.device, dtype=x.dtype)
    angles = x[..., None] * (2 * math.pi / longest_period) * 100.0**steps
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


class NoiseEmbedding(nn.Module):
    """Embed the noise ratio ``s = sigma / alpha`` of each sample: ``(batch,) -> (batch, width)``.

    The composition, if it is told, joins before the non-linearity: how much it matters depends on
    the noise, at most where the fold is being decided.

    Parameters
    ----------
    width
        Size of the embedding.
    features
        Number of Fourier features of ``ln(s) / 4``.

    References
    ----------
    Karras, Aittala, Aila, Laine 2022, "Elucidating the design space of diffusion-based generative
    models", Table 1.
    """

    def __init__(self, width: int, features: int = 32) -> None:
        super().__init__()
        self.features = features
        self.mlp = nn.Sequential(
            PreciseLinear(features, width), nn.SiLU(), PreciseLinear(width, width)
        )
        self.composition = nn.Parameter(torch.zeros(6, width))

    def forward(self, noise_ratio: Tensor, composition: Tensor | None = None) -> Tensor:
        """Embed noise ratios.

        Parameters
        ----------
        noise_ratio
            ``(batch,)``.
        composition
            ``(batch, 2)``, shares of helix and of strand; NaN where they are not told.

        Returns
        -------
        Tensor
            ``(batch, width)``.
        """
        first, activation, last = self.mlp
        # ln(s)/4 runs over about -1.5 ... 1.3: a period of 8 keeps the slowest wave monotonic.
        c_noise = noise_ratio.double().log() / 4
        hidden = first(fourier_features(c_noise, self.features, 8.0))
        if composition is not None:
            told = _expand_composition(composition.double())
            hidden = hidden + (told[:, :, None] * self.composition.double()).sum(dim=1)
        embedded: Tensor = last(activation(hidden))
        return embedded.to(noise_ratio)


def _expand_composition(composition: Tensor) -> Tensor:
    """Give the monomials up to degree two of the shares of helix and strand, (batch, 6).

    The shares are counted in standard deviations from the mean of nature. Where nothing is told,
    all is zero.
    """
    helix, strand = ((composition.nan_to_num() - _MEAN_SHARE) / _SHARE_DEVIATION).unbind(dim=-1)
    told = composition.isfinite().all(dim=-1).to(helix)
    monomials = (told, helix, strand, helix * helix, strand * strand, helix * strand)
    return torch.stack(monomials, dim=-1) * told[..., None]


class ChainEmbedding(nn.Module):
    """Embed where a residue stands in its protein: ``(batch, residue) -> (batch, residue, width)``.

    The distance to the first and to the last residue of its chain (clipped) and the number of
    residues of the chain. Chain ends bend, fray and lie at the surface; the size of a chain decides
    its compactness, alone and beside others.

    Parameters
    ----------
    width
        Size of the embedding.
    reach
        Distances to the ends are told apart up to this many residues.
    """

    def __init__(self, width: int, reach: int = 16) -> None:
        super().__init__()
        self.reach = reach
        self.from_start = nn.Embedding(reach + 1, width)
        self.from_end = nn.Embedding(reach + 1, width)
        self.length = PreciseLinear(16, width)

    def forward(self, chain: Tensor, residue_mask: Tensor) -> Tensor:
        """Embed residues.

        Parameters
        ----------
        chain
            The number of each residue's chain, ``(batch or 1, residue)``; see
            :func:`~protdiff.network.chain.get_chain_numbers`.
        residue_mask
            ``(batch, residue)``, True where the residue exists.
        """
        place = torch.arange(residue_mask.shape[1], device=residue_mask.device)
        is_start = chain.diff(dim=1, prepend=chain[:, :1] - 1) > 0
        first = torch.where(is_start, place, 0).cummax(dim=1).values
        # The first residue of the next chain, or of the padding.
        is_next = nn.functional.pad(is_start[:, 1:], (0, 1), value=True)
        after = torch.where(is_next, place + 1, len(place)).flip(1).cummin(dim=1).values.flip(1)
        after = torch.minimum(after, residue_mask.sum(dim=1, keepdim=True))
        to_end = (after - 1 - place).clamp(0, self.reach)
        ends: Tensor = self.from_start((place - first).clamp(max=self.reach)) + self.from_end(
            to_end
        )
        log_length = (after - first).clamp(min=1).double().log()
        size: Tensor = self.length(fourier_features(log_length, 16, 8.0))
        return ends + size.to(ends)

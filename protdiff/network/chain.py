r"""The geometry of the chain around each residue, as vectors and invariants.

Bond lengths and angles are the finest thing a backbone has, and secondary structure is a matter of
a few residues along the chain; both are visible in eleven displacement vectors per residue

=====================================  =======================
N - CA, C - CA                         within the residue
N(+1) - C, C(-1) - N                   the two peptide links
CA(+k) - CA, k = ±1, ±2, +3, ±4        the run of the chain
=====================================  =======================

in their lengths (even scalars, 0e) and in the angles between them (0e); the vectors themselves are
odd (1o). Displacements that do not exist, at chain ends, breaks and padding, are zero.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from protdiff.chains import CHAIN_JUMP
from protdiff.network.irreps import o3
from protdiff.network.precise import in_single_precision

__all__ = [
    "CHAIN_LENGTHS",
    "ChainGeometry",
    "get_chain_links",
    "get_chain_numbers",
    "get_chain_vectors",
]

# (atom here, residue offset, atom there), atoms N, CA, C = 0, 1, 2; and the usual length in Å.
_DISPLACEMENTS = (
    (1, 0, 0, 1.46),
    (1, 0, 2, 1.525),
    (2, 1, 0, 1.33),
    (0, -1, 2, 1.33),
    (1, 1, 1, 3.81),
    (1, -1, 1, 3.81),
    (1, 2, 1, 5.9),
    (1, -2, 1, 5.9),
    (1, 3, 1, 7.2),
    (1, 4, 1, 8.5),
    (1, -4, 1, 8.5),
)
CHAIN_LENGTHS = tuple(length for *_, length in _DISPLACEMENTS)
_REACH = max(abs(offset) for _, offset, *_ in _DISPLACEMENTS)


def get_chain_numbers(residue_index: Tensor) -> Tensor:
    """Return the number of each residue's chain, from 0, of the shape of ``residue_index``.

    Examples
    --------
    >>> get_chain_numbers(torch.tensor([[0, 1, 5, 205, 206]]))
    tensor([[0, 0, 0, 1, 1]])
    """
    jumps = residue_index.diff(dim=-1, prepend=residue_index[..., :1]) >= CHAIN_JUMP
    return jumps.cumsum(dim=-1)


def get_chain_links(residue_index: Tensor, residue_mask: Tensor) -> Tensor:
    """Tell which of the displacements around each residue exist.

    Parameters
    ----------
    residue_index
        Place along the chain, shape ``(batch or 1, residue)``; a jump is a break.
    residue_mask
        Shape ``(batch, residue)``, True where the residue exists.

    Returns
    -------
    Tensor
        Shape ``(batch, residue, 11)``, True where both residues exist and no break is between.
    """
    index, mask = (
        nn.functional.pad(values, (_REACH, _REACH)).unfold(1, 2 * _REACH + 1, 1)
        for values in (residue_index, residue_mask)
    )
    offsets = torch.arange(-_REACH, _REACH + 1, device=residue_index.device)
    linked = (index - residue_index[..., None] == offsets) & mask & residue_mask[..., None]
    return torch.stack([linked[..., _REACH + offset] for _, offset, *_ in _DISPLACEMENTS], dim=-1)


def get_chain_vectors(positions: Tensor, links: Tensor) -> Tensor:
    """Return the displacement vectors around each residue.

    Parameters
    ----------
    positions
        Atoms N, CA, C, shape ``(batch, residue, 3, 3)``.
    links
        From :func:`get_chain_links`, ``(batch, residue, 11)``.

    Returns
    -------
    Tensor
        Shape ``(batch, residue, 11, 3)``, in the units of ``positions``; zero where there is none.
    """
    count = positions.shape[1]
    padded = nn.functional.pad(positions, (0, 0, 0, 0, _REACH, _REACH))
    near, far = [], []
    for here, offset, there, _ in _DISPLACEMENTS:
        first = _REACH + offset
        near.append(positions[:, :, here])
        far.append(padded[:, first : first + count, there])
    return (torch.stack(far, dim=2) - torch.stack(near, dim=2)) * links[..., None]


class ChainGeometry(nn.Module):
    """Embed the chain's local geometry: positions to scalars (0e) and vectors (1o) per residue.

    Lengths are given twice, against a fine (0.15 Å) and a coarse (1.5 Å) yardstick, so that both a
    stretched bond and a turn of the chain are far from rounding; angles as cosines.

    Parameters
    ----------
    scalars, vectors
        Number of output channels of either kind.
    scale
        Å per unit of the positions.
    """

    lengths: Tensor
    upper: Tensor

    def __init__(self, scalars: int, vectors: int, scale: float) -> None:
        super().__init__()
        kinds = len(_DISPLACEMENTS)
        self.irreps_in = o3.Irreps(f"{kinds}x1o")
        self.irreps_out = o3.Irreps(f"{scalars}x0e + {vectors}x1o")
        lengths = torch.tensor(CHAIN_LENGTHS, dtype=torch.float32) / scale
        self.register_buffer("lengths", lengths, persistent=False)
        upper = torch.triu_indices(kinds, kinds, offset=1)
        self.register_buffer("upper", upper[0] * kinds + upper[1], persistent=False)
        self.fine, self.coarse = scale / 0.15, scale / 1.5
        self.to_scalars = nn.Linear(2 * kinds + upper.shape[1], scalars, bias=False)
        self.to_vectors = o3.Linear(self.irreps_in, o3.Irreps(f"{vectors}x1o"))

    def forward(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Embed chain vectors.

        Parameters
        ----------
        vectors
            From :func:`get_chain_vectors`, ``(batch, residue, 11, 3)``.

        Returns
        -------
        scalars : Tensor
            ``(batch, residue, scalars)``.
        vectors : Tensor
            ``(batch, residue, vectors * 3)``.
        """
        squared = vectors.square().sum(-1)
        norms = (squared + 1e-8).sqrt()
        unit = vectors / (norms + 0.05 * self.lengths)[..., None]
        with in_single_precision(vectors):
            cosines = (unit @ unit.mT).flatten(-2)[..., self.upper]
        excess = norms - self.lengths
        scalars = torch.cat(
            [(excess * self.fine).tanh(), (excess * self.coarse).tanh(), cosines], dim=-1
        )
        # Soft saturation: exact direction, size in native lengths, bounded for wild guesses.
        bounded = vectors / (self.lengths + 0.25 * norms)[..., None]
        with in_single_precision(vectors):
            seen_vectors = self.to_vectors(bounded.flatten(-2))
        return self.to_scalars(scalars), seen_vectors

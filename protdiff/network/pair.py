r"""What two residues see of each other, as attention biases.

Sheets are made by residues far apart in the chain; their geometry is a matter of pairs. For each
guess of the structure, a pair (i, j) is described by invariants only:

- the CA-CA distance on Gaussian radial bases;
- with the local vectors :math:`e_1` = N - CA, :math:`e_2` = C - CA, :math:`e_3 = h\, e_1 \times e_2`
  of either residue (:math:`e_3` is odd, because the handedness *h* is a pseudoscalar: 1o x 1o ->
  1e, and 1e x 0o -> 1o): the direction of j seen from i, of i seen from j, and the nine cosines
  between the two sets. Together they fix the relative placement of the two residues;
- the separation along the chain.

Nothing here carries a gradient to the positions: the guesses are inputs, as in recycling.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["PairBias", "PairEmbedding", "get_pair_features"]

RADIAL_BASES = 16
PAIR_FEATURES = RADIAL_BASES + 15
_FARTHEST = 22.0  # Å: the last radial basis


def _to_unit(vectors: Tensor, soften: float) -> Tensor:
    return vectors / (vectors.square().sum(-1, keepdim=True) + soften**2).sqrt()


def get_pair_features(
    positions: Tensor,
    handedness: Tensor,
    scale: float,
    distances_between: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Describe every pair of residues by invariants of their relative placement.

    Parameters
    ----------
    positions
        Atoms N, CA, C, ``(batch, residue, 3, 3)``, no gradient needed.
    handedness
        Pseudoscalar h, ``(batch,)``.
    scale
        Å per unit of the positions.
    distances_between
        ``(pair_mask, positions)``: where the ``(batch, residue, residue)`` mask is True the
        features are computed from these other positions instead. Used for motifs, whose inner
        geometry is known and whose pose is not.

    Returns
    -------
    Tensor
        ``(batch, residue, residue, 31)``.
    """
    features = _get_pair_features(positions * scale, handedness)
    if distances_between is not None:
        mask, other = distances_between
        features = torch.where(
            mask[..., None], _get_pair_features(other * scale, handedness), features
        )
    return features


def _get_pair_features(positions: Tensor, handedness: Tensor) -> Tensor:
    alpha_carbon = positions[:, :, 1]
    first = positions[:, :, 0] - alpha_carbon
    second = positions[:, :, 2] - alpha_carbon
    axial = torch.linalg.cross(first, second)
    third = axial * handedness[:, None, None]
    frame = torch.stack(
        [_to_unit(first, 0.3), _to_unit(second, 0.3), _to_unit(third, 0.5)], dim=2
    )  # batch residue 3 xyz
    batch, count = frame.shape[:2]
    displacement = alpha_carbon[:, None] - alpha_carbon[:, :, None]  # [i, j] = CA_j - CA_i
    distance = (displacement.square().sum(-1) + 1e-6).sqrt()
    direction = displacement / (distance + 1.0)[..., None]
    towards = torch.einsum("bijx,bikx->bijk", direction, frame)
    away = torch.einsum("bijx,bjkx->bijk", direction, frame)
    flat = frame.reshape(batch, count * 3, 3)
    cosines = (flat @ flat.mT).reshape(batch, count, 3, count, 3).transpose(2, 3).flatten(-2)
    centres = torch.linspace(2.0, _FARTHEST, RADIAL_BASES, device=positions.device)
    width = (_FARTHEST - 2.0) / (RADIAL_BASES - 1)
    radial = torch.exp(-(((distance[..., None] - centres) / width) ** 2))
    return torch.cat([radial, towards, away, cosines], dim=-1)


class PairEmbedding(nn.Module):
    """The part of the pair description that does not change within one evaluation.

    Sums (before the non-linearity) the separation along the chain, the noise level, the features of
    the previous estimate and a flag for pairs within one motif.

    Parameters
    ----------
    width
        Number of hidden features of a pair.
    noise_width
        Size of the noise embedding.
    reach
        Separations along the chain are told apart up to this many residues.
    """

    def __init__(self, width: int, noise_width: int, reach: int = 32) -> None:
        super().__init__()
        self.reach = reach
        self.separation = nn.Embedding(2 * reach + 1, width)
        self.noise = nn.Linear(noise_width, width)
        self.previous = nn.Linear(PAIR_FEATURES, width, bias=False)
        self.has_previous = nn.Parameter(torch.zeros(width))
        self.motif = nn.Parameter(torch.zeros(width))

    def forward(
        self,
        residue_index: Tensor,
        noise: Tensor,
        previous_features: Tensor | None,
        motif_pairs: Tensor | None,
    ) -> Tensor:
        """Return ``(batch, residue, residue, width)`` before the non-linearity.

        Parameters
        ----------
        residue_index
            ``(batch or 1, residue)``.
        noise
            Noise embedding, ``(batch, noise_width)``.
        previous_features
            :func:`get_pair_features` of the previous estimate, or None in the first evaluation.
        motif_pairs
            ``(batch, residue, residue)``, True where both residues belong to one rigid motif.
        """
        separation = residue_index[:, None, :] - residue_index[:, :, None]
        embedded = self.separation(separation.clamp(-self.reach, self.reach) + self.reach)
        embedded = embedded + self.noise(noise)[:, None, None]
        if previous_features is not None:
            embedded = embedded + self.previous(previous_features) + self.has_previous
        if motif_pairs is not None:
            embedded = embedded + motif_pairs[..., None] * self.motif
        return embedded


class PairBias(nn.Module):
    """Turn pair embeddings and the current guess into attention biases and a message per residue.

    Parameters
    ----------
    width
        Number of hidden features of a pair.
    heads
        Number of biases per pair (layers times heads).
    scalars
        Size of the message to each residue.
    pooling_heads
        Number of softmax-weighted sums over partners that make the message.
    """

    def __init__(self, width: int, heads: int, scalars: int, pooling_heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.current = nn.Linear(PAIR_FEATURES, width, bias=False)
        self.to_heads = nn.Linear(width, heads + pooling_heads, bias=False)
        self.to_message = nn.Linear(width * pooling_heads, scalars)

    def forward(
        self, embedded: Tensor, current_features: Tensor, key_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Compute biases and messages.

        Parameters
        ----------
        embedded
            From :class:`PairEmbedding`, ``(batch, residue, residue, width)``.
        current_features
            :func:`get_pair_features` of the current guess.
        key_mask
            ``(batch, residue)``, True where the residue exists.

        Returns
        -------
        biases : Tensor
            ``(batch, heads, residue, residue)``, minus infinity at keys that do not exist.
        message : Tensor
            ``(batch, residue, scalars)``.
        """
        hidden = nn.functional.silu(embedded + self.current(current_features))
        # One transposed copy here spares every layer a strided read.
        logits = self.to_heads(hidden).permute(0, 3, 1, 2).contiguous()
        logits = logits.masked_fill(~key_mask[:, None, None], float("-inf"))
        biases, pooling = logits[:, : self.heads], logits[:, self.heads :]
        weights = pooling.softmax(dim=-1).permute(0, 2, 1, 3)  # batch residue head partner
        pooled = (weights @ hidden).flatten(-2)
        return biases, self.to_message(pooled)

r"""What two residues see of each other, as attention biases.

Sheets are made by residues far apart in the chain; their geometry is a matter of pairs. For each
guess of the structure, a pair (i, j) is described by invariants only:

- the CA-CA distance on Gaussian radial bases;
- with the local vectors :math:`e_1` = N - CA, :math:`e_2` = C - CA and
  :math:`e_3 = h\, e_1 \times e_2` of either residue (:math:`e_3` is odd, because the handedness
  *h* is a pseudoscalar: 1o x 1o -> 1e, and 1e x 0o -> 1o): the direction of j seen from i, of i
  seen from j, and the nine cosines between the two sets. Together they fix the relative placement
  of the two residues;
- the separation along the chain.

In training nothing here carries a gradient to the positions: the guesses are inputs, as in
recycling. In evaluation it does, so that a Jacobian is that of the whole denoiser.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from protdiff.network.precise import PreciseLinear, in_single_precision

__all__ = ["PAIR_FEATURES", "PairBias", "PairEmbedding", "get_pair_features"]

RADIAL_BASES = 16
PAIR_FEATURES = RADIAL_BASES + 15
_FARTHEST = 22.0  # Å: the last radial basis


def get_pair_features(
    positions: Tensor,
    handedness: Tensor,
    scale: float,
    known: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Describe every pair of residues by invariants of their relative placement.

    Parameters
    ----------
    positions
        Atoms N, CA, C, ``(batch, residue, 3, 3)``.
    handedness
        Pseudoscalar h, ``(batch,)``.
    scale
        Å per unit of the positions.
    known
        ``(pair_mask, positions)``: where the ``(batch, residue, residue)`` mask is True the
        features are computed from these other positions instead. Used for motifs, whose inner
        geometry is known and whose pose is not.

    Returns
    -------
    Tensor
        ``(batch, 31, residue, residue)``: features first, so that every product with them is a
        large matrix product and the biases come out in attention's layout without a copy.
    """
    with in_single_precision(positions):
        features = _describe_pairs(positions * scale, handedness)
        if known is not None:
            mask, other = known
            described = _describe_pairs(other * scale, handedness)
            features = torch.where(mask[:, None], described, features)
    return features


def _describe_pairs(positions: Tensor, handedness: Tensor) -> Tensor:
    alpha_carbon = positions[:, None, :, 1]  # batch 1 residue xyz
    first = positions[:, :, 0] - positions[:, :, 1]
    second = positions[:, :, 2] - positions[:, :, 1]
    third = torch.linalg.cross(first, second) * handedness[:, None, None]
    frame = torch.stack(
        [_to_unit(first, 0.3), _to_unit(second, 0.3), _to_unit(third, 0.5)], dim=1
    )  # batch 3 residue xyz
    distance = torch.cdist(alpha_carbon, alpha_carbon, compute_mode="donot_use_mm_for_euclid_dist")
    inverse = 1 / (distance + 1.0)
    own = (frame * alpha_carbon).sum(-1)  # the residue's own place along its vectors
    towards = (frame @ alpha_carbon.mT - own[..., None]) * inverse
    away = (own[..., None, :] - alpha_carbon @ frame.mT) * inverse
    cosines = (frame[:, :, None] @ frame[:, None].mT).flatten(1, 2)
    centres = torch.linspace(2.0, _FARTHEST, RADIAL_BASES, device=positions.device)
    width = (_FARTHEST - 2.0) / (RADIAL_BASES - 1)
    radial = torch.exp(-(((distance - centres[:, None, None]) / width).square()))
    return torch.cat([radial, towards, away, cosines], dim=1)


def _to_unit(vectors: Tensor, soften: float) -> Tensor:
    return vectors / (vectors.square().sum(-1, keepdim=True) + soften**2).sqrt()


def _mix(weight: Tensor, features: Tensor) -> Tensor:
    """Apply a matrix to the features of every pair, ``(batch, features, residue, residue)``."""
    mixed: Tensor = (weight @ features.flatten(2)).unflatten(2, features.shape[2:])
    return mixed


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
    features
        Number of features that describe a pair.
    reach
        Separations along the chain are told apart up to this many residues.
    """

    def __init__(
        self, width: int, noise_width: int, features: int = PAIR_FEATURES, reach: int = 32
    ) -> None:
        super().__init__()
        self.reach = reach
        self.separation = nn.Embedding(2 * reach + 1, width)
        self.noise = PreciseLinear(noise_width, width)
        self.previous = nn.Linear(features, width, bias=False)
        self.has_previous = nn.Parameter(torch.zeros(width))
        self.motif = nn.Parameter(torch.zeros(width))

    def forward(
        self,
        residue_index: Tensor,
        noise: Tensor,
        previous_features: Tensor | None,
        motif_pairs: Tensor | None,
    ) -> Tensor:
        """Return ``(batch, width, residue, residue)`` before the non-linearity.

        Parameters
        ----------
        residue_index
            ``(batch or 1, residue)``.
        noise
            Noise embedding, ``(batch, noise_width)``.
        previous_features
            Of the previous estimate, as :func:`get_pair_features` gives them, or None in the first
            evaluation.
        motif_pairs
            ``(batch, residue, residue)``, True where both residues belong to one rigid motif.
        """
        separation = residue_index[:, None, :] - residue_index[:, :, None]
        place = separation.clamp(-self.reach, self.reach) + self.reach
        constant: Tensor = self.noise(noise)
        if previous_features is not None:
            constant = constant + self.has_previous
        embedded: Tensor = self.separation(place).permute(0, 3, 1, 2) + constant[..., None, None]
        if previous_features is not None:
            embedded = embedded + _mix(self.previous.weight, previous_features)
        if motif_pairs is not None:
            embedded = embedded + motif_pairs[:, None] * self.motif[:, None, None]
        return embedded


class PairBias(nn.Module):
    """Turn pair embeddings and the current guess into attention biases and a message per residue.

    Biases are a linear map of the hidden features; so are the logits of the pooling, whose
    softmax-weighted sums over partners make the message.

    Parameters
    ----------
    width
        Number of hidden features of a pair.
    layers, heads
        Number of layers that take a bias, and of their attention heads.
    scalars
        Size of the message to each residue.
    features
        Number of features that describe a pair.
    pooling_heads
        Number of softmax-weighted sums over partners that make the message.
    """

    def __init__(
        self,
        width: int,
        layers: int,
        heads: int,
        scalars: int,
        features: int = PAIR_FEATURES,
        pooling_heads: int = 4,
    ) -> None:
        super().__init__()
        self.layers, self.heads, self.pooling_heads = layers, heads, pooling_heads
        self.current = nn.Linear(features, width, bias=False)
        self.to_heads = nn.Linear(width, layers * heads + pooling_heads, bias=False)
        self.to_message = nn.Linear(width * pooling_heads, scalars)

    def forward(
        self, embedded: Tensor, current_features: Tensor, key_mask: Tensor
    ) -> tuple[list[Tensor], Tensor]:
        """Compute biases and messages.

        Parameters
        ----------
        embedded
            From :class:`PairEmbedding`, ``(batch, width, residue, residue)``.
        current_features
            :func:`get_pair_features` of the current guess.
        key_mask
            ``(batch, residue)``, True where the residue exists.

        Returns
        -------
        biases : list of Tensor
            For each layer ``(batch, heads, residue, residue)``, minus infinity at keys that do
            not exist.
        message : Tensor
            ``(batch, residue, scalars)``.
        """
        batch, _, count, _ = embedded.shape
        hidden = nn.functional.silu(embedded + _mix(self.current.weight, current_features))
        flat = hidden.flatten(2)
        blocked = torch.zeros(batch, 1, 1, count, dtype=flat.dtype, device=flat.device)
        blocked = blocked.masked_fill(~key_mask[:, None, None], float("-inf"))
        blocked = blocked.expand(-1, -1, count, -1).flatten(2)

        def to_logits(weight: Tensor) -> Tensor:
            # The mask is the summand of the matrix product: no pass over the pairs of its own.
            weights = weight.expand(batch, -1, -1)
            logits: Tensor = torch.baddbmm(blocked.to(flat), weights.to(flat), flat)
            logits = logits.to(current_features)
            return logits.reshape(batch, -1, count, count)

        sizes = [self.heads] * self.layers
        *per_layer, pooling = self.to_heads.weight.split([*sizes, self.pooling_heads])
        weights = to_logits(pooling).softmax(dim=-1).transpose(1, 2)  # batch residue head partner
        pooled = (weights @ hidden.permute(0, 2, 3, 1)).flatten(-2)
        return [to_logits(weight) for weight in per_layer], self.to_message(pooled)

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

All of it can be worked out block by block (:mod:`protdiff.network.pair_block`), and on a CPU is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from protdiff.network.pair_block import PairBlock, assemble
from protdiff.network.precise import PreciseLinear, in_single_precision
from protdiff.network.radial import get_radial_bases

__all__ = [
    "PAIR_FEATURES",
    "PairBias",
    "PairDescription",
    "PairEmbedding",
    "get_pair_features",
]

RADIAL_BASES = 16
PAIR_FEATURES = RADIAL_BASES + 15
_FARTHEST = 22.0  # Å: the last radial basis


@dataclass(frozen=True, eq=False)
class PairDescription:
    """Describe the pairs of a structure, a block at a time.

    Parameters
    ----------
    positions, handedness, scale, known
        As for :func:`get_pair_features`.
    bonds
        ``(batch, features, residue, residue)``, more features of all pairs, if there are any.
    """

    positions: Tensor
    handedness: Tensor
    scale: float
    known: tuple[Tensor, Tensor] | None = None
    bonds: Tensor | None = None

    def __call__(self, block: PairBlock) -> Tensor:
        """Return ``(proteins, features, rows, residue)``."""
        proteins, rows = block.proteins, block.rows
        known = None
        if self.known is not None:
            pair_mask, other = self.known
            known = (pair_mask[proteins, rows], other[proteins])
        features = get_pair_features(
            self.positions[proteins], self.handedness[proteins], self.scale, known, rows
        )
        if self.bonds is None:
            return features
        return torch.cat([features, self.bonds[proteins, :, rows]], dim=1)


def get_pair_features(
    positions: Tensor,
    handedness: Tensor,
    scale: float,
    known: tuple[Tensor, Tensor] | None = None,
    rows: slice = slice(None),
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
        ``(pair_mask, positions)``: where the ``(batch, rows, residue)`` mask is True the features
        are computed from these other positions instead. Used for motifs, whose inner geometry is
        known and whose pose is not.
    rows
        The residues i of the pairs (i, j) that are described.

    Returns
    -------
    Tensor
        ``(batch, 31, rows, residue)``: features first, so that every product with them is a
        large matrix product and the biases come out in attention's layout without a copy.
    """
    with in_single_precision(positions):
        features = _describe_pairs(positions * scale, handedness, rows)
        if known is not None:
            mask, other = known
            described = _describe_pairs(other * scale, handedness, rows)
            features = torch.where(mask[:, None], described, features)
    return features


def _describe_pairs(positions: Tensor, handedness: Tensor, rows: slice) -> Tensor:
    alpha_carbon = positions[:, None, :, 1]  # batch 1 residue xyz
    first = positions[:, :, 0] - positions[:, :, 1]
    second = positions[:, :, 2] - positions[:, :, 1]
    third = torch.linalg.cross(first, second) * handedness[:, None, None]
    frame = torch.stack(
        [_to_unit(first, 0.3), _to_unit(second, 0.3), _to_unit(third, 0.5)], dim=1
    )  # batch 3 residue xyz
    own = (frame * alpha_carbon).sum(-1)  # the residue's own place along its vectors
    of_rows, frame_of_rows = alpha_carbon[:, :, rows], frame[:, :, rows]
    distance = torch.cdist(of_rows, alpha_carbon, compute_mode="donot_use_mm_for_euclid_dist")
    inverse = 1 / (distance + 1.0)
    towards = (frame_of_rows @ alpha_carbon.mT - own[:, :, rows, None]) * inverse
    away = (own[..., None, :] - of_rows @ frame.mT) * inverse
    cosines = (frame_of_rows[:, :, None] @ frame[:, None].mT).flatten(1, 2)
    centres = torch.linspace(
        2.0, _FARTHEST, RADIAL_BASES, dtype=positions.dtype, device=positions.device
    )
    width = (_FARTHEST - 2.0) / (RADIAL_BASES - 1)
    radial = get_radial_bases(distance, centres[:, None, None], width)
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
    the previous estimate and a flag for pairs within one motif. Pairs of two chains have no
    separation, and one embedding of their own.

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
        # From -reach to reach, then the pairs of two chains.
        self.separation = nn.Embedding(2 * reach + 2, width)
        self.noise = PreciseLinear(noise_width, width)
        self.previous = nn.Linear(features, width, bias=False)
        self.has_previous = nn.Parameter(torch.zeros(width))
        self.motif = nn.Parameter(torch.zeros(width))

    def forward(
        self,
        blocks: Sequence[PairBlock],
        residue_index: Tensor,
        chain: Tensor,
        noise: Tensor,
        previous: PairDescription | None,
        motif_pairs: Tensor | None,
    ) -> Tensor:
        """Return ``(batch, width, residue, residue)`` before the non-linearity.

        Parameters
        ----------
        blocks
            From :func:`list_blocks`.
        residue_index
            ``(batch or 1, residue)``; one for all proteins is embedded once.
        chain
            The number of each residue's chain, shape of ``residue_index``.
        noise
            Noise embedding, ``(batch, noise_width)``.
        previous
            The previous estimate, or None in the first evaluation.
        motif_pairs
            ``(batch, residue, residue)``, True where both residues belong to one rigid motif.
        """
        constant: Tensor = self.noise(noise)
        if previous is not None:
            constant = constant + self.has_previous
        is_shared = len(residue_index) == 1

        def embed(block: PairBlock) -> tuple[Tensor]:
            proteins = slice(None) if is_shared else block.proteins
            index, number = residue_index[proteins], chain[proteins]
            separation = index[:, None, :] - index[:, block.rows, None]
            place = separation.clamp(-self.reach, self.reach) + self.reach
            is_within = number[:, None, :] == number[:, block.rows, None]
            place = torch.where(is_within, place, 2 * self.reach + 1)
            embedded: Tensor = self.separation(place).permute(0, 3, 1, 2).contiguous()
            embedded = embedded + constant[block.proteins, :, None, None]
            if previous is not None:
                embedded = embedded + _mix(self.previous.weight, previous(block))
            if motif_pairs is not None:
                told = motif_pairs[block.proteins, None, block.rows]
                embedded = embedded + told * self.motif[:, None, None]
            return (embedded,)

        (embedded,) = assemble(blocks, embed, len(noise))
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
        self,
        blocks: Sequence[PairBlock],
        embedded: Tensor,
        current: PairDescription,
        key_mask: Tensor,
    ) -> tuple[Sequence[Tensor], Tensor]:
        """Compute biases and messages.

        Parameters
        ----------
        blocks
            From :func:`list_blocks`.
        embedded
            From :class:`PairEmbedding`, ``(batch, width, residue, residue)``.
        current
            The current guess.
        key_mask
            ``(batch, residue)``, True where the residue exists.

        Returns
        -------
        biases : sequence of Tensor
            For each layer ``(batch, heads, residue, residue)``, minus infinity at keys that do
            not exist.
        message : Tensor
            ``(batch, residue, scalars)``.
        """

        def evaluate(block: PairBlock) -> list[Tensor]:
            proteins, rows = block.proteins, block.rows
            return self._evaluate(embedded[proteins, :, rows], current(block), key_mask[proteins])

        *biases, pooled = assemble(blocks, evaluate, len(embedded))
        return biases, self.to_message(pooled[:, 0])

    def _evaluate(self, embedded: Tensor, features: Tensor, key_mask: Tensor) -> list[Tensor]:
        """Return the biases and, ``(proteins, 1, rows, ...)``, the pooled features of a block."""
        batch, _, rows, count = embedded.shape
        hidden = nn.functional.silu(embedded + _mix(self.current.weight, features))
        flat = hidden.flatten(2)
        blocked = torch.zeros(batch, 1, 1, count, dtype=flat.dtype, device=flat.device)
        blocked = blocked.masked_fill(~key_mask[:, None, None], float("-inf"))
        blocked = blocked.expand(-1, -1, rows, -1).flatten(2)

        def to_logits(weight: Tensor) -> Tensor:
            # The mask is the summand of the matrix product: no pass over the pairs of its own.
            weights = weight.expand(batch, -1, -1)
            logits: Tensor = torch.baddbmm(blocked.to(flat), weights.to(flat), flat)
            logits = logits.to(features)
            return logits.reshape(batch, -1, rows, count)

        sizes = [self.heads] * self.layers
        *per_layer, pooling = self.to_heads.weight.split([*sizes, self.pooling_heads])
        weights = to_logits(pooling).softmax(dim=-1).transpose(1, 2)  # protein row head partner
        pooled = _pool(weights, hidden).flatten(-2)
        return [*map(to_logits, per_layer), pooled[:, None]]


def _pool(weights: Tensor, features: Tensor) -> Tensor:
    """Sum the features of pairs over partners, ``(protein, row, head, width)``.

    Parameters
    ----------
    weights
        ``(protein, row, head, partner)``.
    features
        ``(protein, width, row, partner)``.
    """
    if features.device.type != "cpu" or torch.compiler.is_compiling():
        return weights @ features.permute(0, 2, 3, 1)
    # Protein by protein nothing is copied; for all at once, pairs would be put in another order.
    of_proteins = zip(weights, features, strict=True)
    return torch.stack([torch.bmm(own, of_own.permute(1, 2, 0)) for own, of_own in of_proteins])

r"""The E(3)-equivariant network: noisy backbone to denoised backbone.

Each residue carries scalars (0e) and vectors (1o); the positions of N, CA and C are refined from
layer to layer, starting at the preconditioned guess :math:`c_{skip}\,y`. A layer

1. reads the chain's local geometry off the current positions (:mod:`protdiff.network.chain`),
2. attends on the current positions, biased by pair geometry (:mod:`~protdiff.network.attention`,
   :mod:`~protdiff.network.pair`, on request with :mod:`~protdiff.network.hydrogen_bond`), and on
   request convolves along the chain (:mod:`~protdiff.network.convolution`),
3. multiplies vectors with vectors and with the handedness (:mod:`~protdiff.network.update`),
4. moves the three atoms by :math:`c_{out}` times three output vectors.

Of the last scalars it reads which residue type would stand where. Fine detail of a backbone is that
of its sequence; told of types, the network knows better which detail it is.

The map is equivariant under rotations and reflections, ``f(R x, det(R) h) = R f(x, h)``, and does
not see translations; padding and the order of the batch do not matter. The handedness h is +1 for
natural L-proteins and -1 for their mirror images.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn

from protdiff.network.attention import GeometricAttention
from protdiff.network.chain import (
    CHAIN_LENGTHS,
    ChainGeometry,
    get_chain_links,
    get_chain_numbers,
    get_chain_vectors,
)
from protdiff.network.convolution import ChainConvolution
from protdiff.network.embedding import (
    RESIDUE_TYPES,
    SECONDARY_STATES,
    ChainEmbedding,
    NoiseEmbedding,
)
from protdiff.network.hydrogen_bond import BOND_FEATURES, get_bond_strengths
from protdiff.network.irreps import o3
from protdiff.network.pair import PAIR_FEATURES, PairBias, PairDescription, PairEmbedding
from protdiff.network.pair_block import list_blocks
from protdiff.network.precise import PreciseLinear, in_single_precision
from protdiff.network.precondition import get_preconditioning
from protdiff.network.update import NodeUpdate, VectorNorm

__all__ = ["Estimates", "NetworkConfig", "ScoreNetwork"]


@dataclass(frozen=True)
class NetworkConfig:
    """The size of a :class:`ScoreNetwork`.

    Parameters
    ----------
    layers
        Number of layers, even: pair features are refreshed from the positions half-way.
    scalars, vectors
        Channels of a residue, 0e and 1o.
    hidden
        Width of the hidden layer of the node update.
    heads, head_width, points
        Of the attention.
    pair_width
        Hidden features of a pair.
    noise_width
        Size of the noise embedding.
    scale
        Å per model unit: the standard deviation of the coordinates of the data.
    pair_refresh
        Describe pairs anew from the positions of the first half of the layers; if not, the second
        half sees the pairs of the preconditioned guess, as the first does.
    hydrogen_bonds
        Describe pairs by the hydrogen bonds between them too.
    neighbours
        Residues on either side that a layer convolves over, beside its attention; 0: no
        convolution.
    lmax
        Largest degree of the convolution's spherical harmonics, 1 or 2.
    """

    layers: int = 6
    scalars: int = 128
    vectors: int = 32
    hidden: int = 320
    heads: int = 8
    head_width: int = 16
    points: int = 4
    pair_width: int = 32
    noise_width: int = 64
    scale: float = 8.0
    pair_refresh: bool = True
    hydrogen_bonds: bool = False
    neighbours: int = 0
    lmax: int = 1

    def to_dict(self) -> dict[str, int | float]:
        """Return the plain values, for a checkpoint's header."""
        return asdict(self)


class Estimates(NamedTuple):
    """What a network says of noisy backbones.

    Attributes
    ----------
    halfway, final
        The half-way and the final estimate of x0, ``(batch, residue, 3, 3)``, mean-free.
    residue_types
        Log-probabilities, but for a constant, of the types of residues that were not told, by their
        places in :data:`~protdiff.network.embedding.RESIDUE_TYPES`: ``(batch, residue, 20)``.
    """

    halfway: Tensor
    final: Tensor
    residue_types: Tensor


class _Layer(nn.Module):
    """Chain geometry, attention, node update, move: the four steps of one layer."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        scalars, vectors = config.scalars, config.vectors
        self.irreps_in = o3.Irreps(f"{scalars}x0e + {vectors}x1o + 1x0o")
        self.irreps_out = o3.Irreps(f"{scalars}x0e + {vectors}x1o")
        self.chain = ChainGeometry(scalars, vectors, config.scale)
        self.attention = GeometricAttention(
            scalars, vectors, config.heads, config.head_width, config.points
        )
        self.convolution = None
        if config.neighbours:
            self.convolution = ChainConvolution(
                scalars, vectors, config.neighbours, config.lmax, config.scale
            )
        self.update = NodeUpdate(scalars, vectors, config.hidden)
        self.norms = nn.ModuleList(
            nn.LayerNorm(scalars, elementwise_affine=False) for _ in range(2)
        )
        self.vector_norms = nn.ModuleList(VectorNorm(vectors) for _ in range(2))
        # Scale, shift and gate for the scalars, gate for the vectors, for both sub-layers.
        self.sizes = [scalars, scalars, scalars, vectors]
        self.modulation = PreciseLinear(config.noise_width, 2 * sum(self.sizes))
        self.move = o3.Linear(f"{vectors}x1o", "3x1o")
        with torch.no_grad():
            self.move.weight.mul_(0.1)
            self.modulation.weight.mul_(0.3)

    def forward(
        self,
        scalars: Tensor,
        vectors: Tensor,
        positions: Tensor,
        noise: Tensor,
        bias: Tensor,
        handedness: Tensor,
        residue_index: Tensor,
        residue_mask: Tensor,
        links: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        first, second = self.modulation(noise)[:, None].chunk(2, dim=-1)
        seen_scalars, seen_vectors = self.chain(get_chain_vectors(positions, links))
        scalars, vectors = scalars + seen_scalars, vectors + seen_vectors

        scale, shift, gate, vector_gate = first.split(self.sizes, dim=-1)
        normed = self.norms[0](scalars) * (1 + scale) + shift
        normed_vectors = self.vector_norms[0](vectors)
        alpha_carbon = positions[:, :, 1]
        message, vector_message = self.attention(normed, normed_vectors, alpha_carbon, bias)
        if self.convolution is not None:
            local, vector_local = self.convolution(
                normed, normed_vectors, alpha_carbon, residue_index, residue_mask
            )
            message, vector_message = message + local, vector_message + vector_local
        scalars = scalars + message * (1 + gate)
        vectors = vectors + _gate(vector_message, vector_gate)

        scale, shift, gate, vector_gate = second.split(self.sizes, dim=-1)
        normed = self.norms[1](scalars) * (1 + scale) + shift
        normed_vectors = self.vector_norms[1](vectors)
        update, vector_update = self.update(normed, normed_vectors, handedness)
        scalars = scalars + update * (1 + gate)
        vectors = vectors + _gate(vector_update, vector_gate)
        with in_single_precision(vectors):
            moved = self.move(vectors).unflatten(-1, (3, 3))
        return scalars, vectors, moved


def _gate(vectors: Tensor, gate: Tensor) -> Tensor:
    gated: Tensor = vectors.unflatten(-1, (-1, 3)) * (1 + gate)[..., None]
    return gated.flatten(-2)


class ScoreNetwork(nn.Module):
    """Denoise backbones: ``(y, s, h) -> E[x0 | y = x0 + s noise]``, E(3)-equivariant in (y, h).

    Parameters
    ----------
    config
        Sizes; a network is fully described by them and its weights.
    """

    lengths: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        scalars, vectors = config.scalars, config.vectors
        kinds = len(CHAIN_LENGTHS)
        self.irreps_in = o3.Irreps("3x1o + 1x0o")  # N, CA, C; handedness
        self.irreps_out = o3.Irreps("3x1o")
        self.noise = NoiseEmbedding(config.noise_width)
        self.noise_to_scalars = PreciseLinear(config.noise_width, scalars)
        self.place = ChainEmbedding(scalars)
        # Places of the atoms about the centre, and their displacements along the chain, both
        # in the noisy structure and in the previous estimate.
        self.embed_vectors = o3.Linear(f"{2 * (kinds + 3)}x1o", f"{vectors}x1o")
        self.previous_chain = ChainGeometry(scalars, vectors, config.scale)
        self.motif = nn.Parameter(torch.zeros(2, scalars))
        # The row of what is not told stays zero: nothing is added for it.
        self.secondary = nn.Embedding.from_pretrained(
            torch.zeros(len(SECONDARY_STATES), scalars), freeze=False, padding_idx=0
        )
        # So are these of networks that have not learned of types; they take no random numbers.
        self.residue_type = nn.Embedding.from_pretrained(
            torch.zeros(len(RESIDUE_TYPES), scalars), freeze=False
        )
        self.type_norm = nn.LayerNorm(scalars, elementwise_affine=False)
        self.type_head = nn.utils.skip_init(nn.Linear, scalars, len(RESIDUE_TYPES))
        nn.init.zeros_(self.type_head.weight)
        nn.init.zeros_(self.type_head.bias)
        features = PAIR_FEATURES + (BOND_FEATURES if config.hydrogen_bonds else 0)
        self.pair = PairEmbedding(config.pair_width, config.noise_width, features)
        self.pair_bias = nn.ModuleList(
            PairBias(config.pair_width, config.layers // 2, config.heads, scalars, features)
            for _ in range(2)
        )
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.layers))
        lengths = torch.tensor(CHAIN_LENGTHS, dtype=torch.float32) / config.scale
        self.register_buffer("lengths", lengths, persistent=False)

    def forward(
        self,
        noisy: Tensor,
        noise_ratio: Tensor,
        residue_index: Tensor,
        residue_mask: Tensor,
        handedness: Tensor,
        previous: Tensor | None = None,
        motif_group: Tensor | None = None,
        motif: Tensor | None = None,
        secondary: Tensor | None = None,
        composition: Tensor | None = None,
        residue_types: Tensor | None = None,
    ) -> Estimates:
        """Denoise.

        Parameters
        ----------
        noisy
            ``y = x_t / alpha_t``, atoms N, CA, C in model units, ``(batch, residue, 3, 3)``,
            mean-free over the residues that exist, zero elsewhere.
        noise_ratio
            ``s = sigma_t / alpha_t``, ``(batch,)``.
        residue_index
            Place along the chain, ``(batch or 1, residue)``; jumps are chain breaks, and from
            :data:`~protdiff.chains.CHAIN_JUMP` up another chain begins.
        residue_mask
            ``(batch, residue)``, True where the residue exists.
        handedness
            +1 for L-proteins, -1 for D-proteins, ``(batch,)``.
        previous
            An earlier estimate of x0 (self-conditioning), shape of ``noisy``.
        motif_group
            ``(batch, residue)`` integers: 0 for designed residues, k > 0 for residues of the k-th
            rigid motif.
        motif
            Positions of the motif residues in any pose, shape of ``noisy``; only distances and
            angles within a group are read.
        secondary
            ``(batch, residue)`` integers, the secondary structure that is told of each residue:
            places in :data:`~protdiff.network.embedding.SECONDARY_STATES`, 0 for not told.
        composition
            ``(batch, 2)``, the shares of helix and strand that are told of each protein, NaN for
            not told.
        residue_types
            ``(batch, residue, 20)``, the types that are told, as probabilities of
            :data:`~protdiff.network.embedding.RESIDUE_TYPES`: a one for a known type; zeros for
            not told.

        Returns
        -------
        Estimates
            The half-way and the final estimate of x0, and the types of residues.
        """
        skip, out, scale_in = (
            rearrange(c, "batch -> batch 1 1 1") for c in get_preconditioning(noise_ratio)
        )
        node_mask = rearrange(residue_mask, "batch residue -> batch residue 1 1")
        count = 3 * node_mask.sum(dim=1, keepdim=True)
        noise = self.noise(noise_ratio, composition)
        chain = get_chain_numbers(residue_index)
        place = self.place(chain, residue_mask)
        scalars = place + self.noise_to_scalars(noise)[:, None]
        if motif_group is not None:
            scalars = scalars + self.motif[(motif_group > 0).long()]
        if secondary is not None:
            # A gain as of embeddings in transformers: weights that start at zero grow in time.
            scalars = scalars + self.config.scalars**0.5 * self.secondary(secondary)
        if residue_types is not None:
            told = residue_types.to(self.residue_type.weight) @ self.residue_type.weight
            scalars = scalars + self.config.scalars**0.5 * told

        links = get_chain_links(residue_index, residue_mask)
        noisy_vectors = get_chain_vectors(noisy, links)
        spread = self.lengths + 2**0.5 * noise_ratio[:, None, None]
        parts = [noisy * scale_in, noisy_vectors / spread[..., None]]
        if previous is None:
            parts.append(noisy.new_zeros(*noisy.shape[:2], len(CHAIN_LENGTHS) + 3, 3))
        else:
            previous_vectors = get_chain_vectors(previous, links)
            parts += [previous, previous_vectors / self.lengths[:, None]]
        with in_single_precision(noisy):
            vectors = self.embed_vectors(torch.cat(parts, dim=2).flatten(-2))
        if previous is not None:
            seen_scalars, seen_vectors = self.previous_chain(previous_vectors)
            scalars, vectors = scalars + seen_scalars, vectors + seen_vectors

        motif_pairs, known = None, None
        if motif_group is not None and motif is not None:
            together = motif_group[:, :, None] == motif_group[:, None]
            motif_pairs = together & (motif_group[:, :, None] > 0)
            known = (motif_pairs, motif.detach())
        estimate = previous
        if estimate is None and known is not None:
            estimate = torch.zeros_like(noisy)
        described = None
        if estimate is not None:
            described = self._describe_pairs(
                estimate.detach(), residue_index, links, handedness, known
            )
        batch, residues = residue_mask.shape
        blocks = list_blocks(batch, residues, noisy.device)
        embedded = self.pair(blocks, residue_index, chain, noise, described, motif_pairs)

        positions = noisy * skip
        turn = rearrange(handedness, "batch -> batch 1 1")
        estimates = []
        half = len(self.layers) // 2
        for index, layer in enumerate(self.layers):
            if index % half == 0 and index < 2 * half:
                if index == 0 or self.config.pair_refresh:
                    # Recycled guesses carry no gradient in training, which is cheaper; likelihoods
                    # and guidance need the whole Jacobian of the denoiser that is evaluated.
                    guess = positions.detach() if self.training else positions
                    current = self._describe_pairs(guess, residue_index, links, handedness)
                biases, message = self.pair_bias[index // half](
                    blocks, embedded, current, residue_mask
                )
                scalars = scalars + message
            scalars, vectors, moved = layer(
                scalars,
                vectors,
                positions,
                noise,
                biases[index % half],
                turn,
                residue_index,
                residue_mask,
                links,
            )
            moved = moved * out * node_mask
            moved = moved - moved.sum(dim=(1, 2), keepdim=True) / count * node_mask
            positions = positions + moved
            if (index + 1) % half == 0:
                estimates.append(positions)
        halfway, final = estimates
        return Estimates(halfway, final, self.type_head(self.type_norm(scalars)))

    def _describe_pairs(
        self,
        positions: Tensor,
        residue_index: Tensor,
        links: Tensor,
        handedness: Tensor,
        known: tuple[Tensor, Tensor] | None = None,
    ) -> PairDescription:
        scale, bonds = self.config.scale, None
        if self.config.hydrogen_bonds:
            bonds = get_bond_strengths(positions, residue_index, links, scale)
            if known is not None:
                pair_mask, other = known
                of_known = get_bond_strengths(other, residue_index, links, scale)
                bonds = torch.where(pair_mask[:, None], of_known, bonds)
        return PairDescription(positions, handedness, scale, known, bonds)

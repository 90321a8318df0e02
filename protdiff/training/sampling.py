r"""The laws that a training step draws from: chains, noise levels, motifs, hints.

Chains are drawn with weights that give each 40 % cluster one share and, to begin with, shift the
balance of secondary structure: helices are learned in minutes and sheets are not, so all-helical
chains are drawn less often and chains with strands more often. Designs come to have the secondary
structure of what is drawn; with sheets once learned, draw as in nature. A batch holds chains of one
length bucket and about a fixed number of residues, so that little is spent on padding and shapes
are few.

Noise ratios are log-normal, :math:`\ln s \sim N(\mu, \sigma^2)` (Karras et al. 2022), with a small
uniform part that keeps both ends of the schedule trained, and stratified over the batch, which
takes variance out of the gradient at no cost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from protdiff.network import SECONDARY_STATES
from protdiff.training.dataset import BackboneDataset, Batch

__all__ = [
    "BatchSampler",
    "NoiseLevels",
    "choose_hints",
    "draw_motif_groups",
    "draw_told_types",
    "get_chain_weights",
]

BUCKET = 8  # residues


def get_chain_weights(dataset: BackboneDataset, sheet_preference: float = 1.0) -> Tensor:
    """Return the weight with which each chain is drawn, ``(chains,)``.

    One share for each 40 % cluster, times 1.4 for chains with 20 % strand or more, times 0.5 for
    chains of helices alone; the two factors to the power of ``sheet_preference``.
    """
    _, cluster, sizes = dataset.cluster.unique(return_inverse=True, return_counts=True)
    weights: Tensor = 1.0 / sizes[cluster].float()
    helix, strand = dataset.composition.unbind(dim=-1)
    sheet = strand >= 0.2
    all_helix = (strand < 0.05) & (helix > 0.3)
    balance: Tensor = torch.where(sheet, 1.4, torch.where(all_helix, 0.5, 1.0))
    return weights * balance**sheet_preference


class BatchSampler:
    """Draw chains of similar length, with their weights.

    Parameters
    ----------
    dataset
        Chains to draw from.
    residues
        Residues of a batch, padding included.
    weights
        Of each chain, ``(chains,)``; from :func:`get_chain_weights` if not given.
    """

    def __init__(
        self, dataset: BackboneDataset, residues: int, weights: Tensor | None = None
    ) -> None:
        self.dataset = dataset
        self.residues = residues
        weights = get_chain_weights(dataset) if weights is None else weights
        bucket = (dataset.lengths - 1) // BUCKET
        self.members = [(bucket == k).nonzero()[:, 0] for k in range(int(bucket.max()) + 1)]
        self.weights = [weights[members] for members in self.members]
        self.shares = torch.stack([w.sum() for w in self.weights])

    @property
    def fewest(self) -> int:
        """Chains of a batch of the longest ones, the smallest there is."""
        return self._count(len(self.members) * BUCKET)

    def draw(self, generator: torch.Generator) -> tuple[Tensor, int]:
        """Draw the chains of a batch, ``(batch,)``; return them and the top of their bucket."""
        bucket = int(torch.multinomial(self.shares, 1, generator=generator))
        padded_length = (bucket + 1) * BUCKET
        chosen = torch.multinomial(
            self.weights[bucket],
            self._count(padded_length),
            replacement=True,
            generator=generator,
        )
        return self.members[bucket][chosen], padded_length

    def _count(self, padded_length: int) -> int:
        return max(1, round(self.residues / padded_length))


@dataclass(frozen=True)
class NoiseLevels:
    """The law of the noise ratio s in training.

    Parameters
    ----------
    mean, deviation
        Of ln s.
    uniform_share
        Share of the draws that are uniform in ln s over ``log_range``.
    log_range
        Smallest and largest ln s.
    """

    mean: float = -1.1
    deviation: float = 1.5
    uniform_share: float = 0.05
    log_range: tuple[float, float] = (-6.2, 5.1)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw ``count`` noise ratios, stratified, in random order: ``(count,)``."""
        u = (torch.arange(count) + torch.rand(count, generator=generator)) / count
        normal = self.mean + self.deviation * math.sqrt(2) * torch.erfinv(2 * u - 1)
        low, high = self.log_range
        uniform = low + (high - low) * torch.rand(count, generator=generator)
        is_uniform = torch.rand(count, generator=generator) < self.uniform_share
        log_ratio = torch.where(is_uniform, uniform, normal).clamp(low, high)
        return log_ratio[torch.randperm(count, generator=generator)].exp()


def draw_motif_groups(lengths: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Choose motifs to reveal: one to three segments, of up to half of the residues in all.

    Parameters
    ----------
    lengths
        Number of residues of each chain, ``(batch,)``, on the CPU.
    size
        Number of residues with the padding.
    generator
        Source of randomness.

    Returns
    -------
    Tensor
        ``(batch, residue)`` integers: 0 for designed residues; the segments of a chain form one
        rigid group (1) in six of ten cases and groups of their own (1, 2, 3) in the others.
    """
    # At most six numbers a chain, drawn at once and used one after the other.
    uniform = iter(torch.rand(6 * len(lengths), generator=generator).tolist())
    segments = []  # of each chain three: start, stop, group; the last ones may be empty
    for length in lengths.tolist():
        count = 1 + int(3 * next(uniform))
        residues = max(2, int(length * (0.08 + 0.42 * next(uniform))) // count)
        one_group = next(uniform) < 0.6
        starts = [int((length - residues) * next(uniform)) for _ in range(count)]
        found = [
            (start, start + residues, 1 if one_group else k + 1) for k, start in enumerate(starts)
        ]
        segments.append([*found, *[(0, 0, 0)] * (3 - count)])
    place = torch.arange(size)
    groups = torch.zeros(len(lengths), size, dtype=torch.int64)
    for segment in torch.tensor(segments).unbind(dim=1):
        start, stop, group = segment[:, :, None].unbind(dim=1)
        groups = torch.where((place >= start) & (place < stop), group, groups)
    return groups


def draw_told_types(share: float, count: int, size: int, generator: torch.Generator) -> Tensor:
    """Choose the residues whose types are told.

    Of ``share`` of the chains each residue's type is told with a probability that is drawn for the
    chain: evenly from 0 to 1.2, so that of one such chain in six all are told.

    Parameters
    ----------
    share
        Share of the chains of which types are told.
    count, size
        Number of chains, and of residues with the padding.
    generator
        Source of randomness.

    Returns
    -------
    Tensor
        ``(batch, residue)``, True where the type is told.
    """
    told, probability = torch.rand(2, count, 1, generator=generator).unbind()
    chosen = torch.rand(count, size, generator=generator) < 1.2 * probability
    return chosen & (told < share)


def choose_hints(batch: Batch, share: float, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Choose what the network is told of the secondary structure of each chain.

    Of ``share`` of the chains something is told: of four in ten the composition alone, of as many
    the states, of the others both. Half of the states that are told are told of one stretch only.

    Parameters
    ----------
    batch
        Chains with their secondary structure.
    share
        Share of the chains of which something is told.
    uniform
        Random numbers from 0 to 1, ``(5, batch)``.

    Returns
    -------
    secondary : Tensor
        ``(batch, residue)`` integers, 0 where nothing is told.
    composition : Tensor
        ``(batch, 2)``, NaN where nothing is told.
    """
    count = batch.secondary.shape[1]
    lengths = batch.residue_mask.sum(dim=1)
    told, kind, partly, *ends = uniform
    tells_states = (told < share) & (kind >= 0.4)
    tells_composition = (told < share) & ((kind < 0.4) | (kind >= 0.8))
    start, stop = (torch.stack(ends).sort(dim=0).values * lengths)[:, :, None]
    place = torch.arange(count, device=lengths.device)
    inside = (place >= start) & (place <= stop)
    shown = tells_states[:, None] & (inside | (partly >= 0.5)[:, None])
    shares = [
        (batch.secondary == SECONDARY_STATES.index(state)).sum(dim=1) / lengths for state in "HE"
    ]
    composition = torch.stack(shares, dim=-1)
    return batch.secondary * shown, composition.masked_fill(~tells_composition[:, None], math.nan)

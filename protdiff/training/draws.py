"""Everything random of a training step, and the batches that are made of it.

It is drawn on the CPU from one generator seeded with (seed, step), for the whole batch, whoever
computes it: on any device, by any number of processes and in any number of parts a step is the same
step. Then each process gathers its rows from the data set on its own device.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from protdiff.device import send
from protdiff.training.config import TrainingConfig
from protdiff.training.cuts import Cuts, draw_cuts, draw_partners
from protdiff.training.dataset import BackboneDataset
from protdiff.training.objective import NoisyBatch
from protdiff.training.sampling import (
    BatchSampler,
    choose_hints,
    draw_motif_groups,
    draw_told_types,
)

__all__ = ["Draws", "draw_step"]


@dataclass(frozen=True)
class Draws:
    """What a step drew, on the CPU.

    Parameters
    ----------
    chains
        Places in the data set, ``(batch,)``.
    lengths
        Numbers of their residues without those that cuts take out, ``(batch,)``.
    padded_length
        Number of residues with the padding.
    noise_ratio
        s, ``(batch,)``.
    noise
        Standard normal, ``(batch, residue, 3, 3)``.
    hints
        Uniform numbers that decide what is told of the secondary structure, ``(5, batch)``.
    motif_group
        ``(batch, residue)``, or None in a step without motifs.
    self_condition
        Whether the step shows the network its own first estimate.
    cuts
        Where chains are cut in two; None where a run cuts none.
    told_types
        ``(batch, residue)``, True where the type of the residue is told; None in a run that tells
        none.
    """

    chains: Tensor
    lengths: Tensor
    padded_length: int
    noise_ratio: Tensor
    noise: Tensor
    hints: Tensor
    motif_group: Tensor | None
    self_condition: bool
    cuts: Cuts | None = None
    told_types: Tensor | None = None

    def __len__(self) -> int:
        return len(self.chains)

    @property
    def coordinates(self) -> int:
        """Number of coordinates of the whole batch, over which the loss is a mean."""
        return int(self.lengths.sum()) * 9

    def get_rows(self, part: int, parts: int) -> slice:
        """Return the rows of one of ``parts`` parts, which differ by one row at most."""
        size = len(self)
        return slice(size * part // parts, size * (part + 1) // parts)

    def make_batch(
        self, dataset: BackboneDataset, rows: slice, config: TrainingConfig
    ) -> NoisyBatch:
        """Make some rows of the batch, on the device that holds the data set's residues."""
        device = dataset.coordinates.device
        cuts = None if self.cuts is None else self.cuts[rows]
        batch = dataset.collate(self.chains[rows], self.padded_length, cuts)
        secondary, composition = choose_hints(
            batch, config.secondary_structure, send(self.hints[:, rows], device)
        )
        groups, told_types = self.motif_group, self.told_types
        return NoisyBatch.add_noise(
            batch,
            send(self.noise[rows], device),
            send(self.noise_ratio[rows], device),
            config.network.scale,
            motif_group=None if groups is None else send(groups[rows], device),
            secondary=secondary,
            composition=composition,
            residue_type=batch.residue_type,
            told_types=None if told_types is None else send(told_types[rows], device),
        )


def draw_step(config: TrainingConfig, sampler: BatchSampler, step: int) -> Draws:
    """Draw everything random of step number ``step``."""
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
    chains, padded_length = sampler.draw(generator)
    size = len(chains)
    lengths = sampler.dataset.lengths[chains]
    noise_ratio = config.noise.draw(size, generator)
    noise = torch.randn(size, padded_length, 3, 3, generator=generator)
    has_motif, self_condition = torch.rand(2, generator=generator).tolist()
    hints = torch.rand(5, size, generator=generator)
    cuts, groups, first_piece = None, None, lengths
    if config.cut:
        whole = [sampler.dataset.get(chain) for chain in chains.tolist()]
        cuts = draw_cuts(whole, config.cut, generator)
        first_piece, lengths = cuts.get_first_piece(lengths), lengths - cuts.gap
    if has_motif < config.motif:
        groups = draw_motif_groups(lengths, padded_length, generator)
        if cuts is not None:
            groups = draw_partners(groups, first_piece, lengths, generator)
    told_types = None
    if config.residue_types:
        told_types = draw_told_types(config.residue_types, size, padded_length, generator)
    return Draws(
        chains=chains,
        lengths=lengths,
        padded_length=padded_length,
        noise_ratio=noise_ratio,
        noise=noise,
        hints=hints,
        motif_group=groups,
        self_condition=self_condition < config.self_condition,
        cuts=cuts,
        told_types=told_types,
    )

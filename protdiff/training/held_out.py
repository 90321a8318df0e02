r"""The held-out loss by noise level: what a network has learned, free of sampling's tricks.

The same chains, noise ratios and noise in every evaluation of a run, so that its course is smooth.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch

from protdiff.errors import InputError
from protdiff.network import ScoreNetwork
from protdiff.training.cuts import draw_cuts
from protdiff.training.dataset import BackboneDataset
from protdiff.training.objective import NoisyBatch
from protdiff.training.sampling import NoiseLevels

__all__ = ["NOISE_EDGES", "HeldOutLoss"]

# Edges of the bands, as the noise's standard deviation in Å.
NOISE_EDGES = (0.05, 0.4, 1.0, 2.0, 4.0, 8.0, 80.0)
# At most so many chains are used, spread over the lengths; and so many at once.
CHAINS, BATCH_SIZE = 96, 12


class HeldOutLoss:
    """Denoising loss on held-out chains.

    Parameters
    ----------
    dataset
        Held-out chains.
    levels
        The law of the noise ratio in training. The mean over noise levels is weighted by its normal
        part; the small uniform part is left out.
    scale
        Å per model unit.
    cut
        Cut the chains in two (:mod:`protdiff.training.cuts`), and leave out those that cannot be.
    revealed
        Of each cut chain, reveal the piece that comes first, as a target.

    Raises
    ------
    InputError
        No chain can be cut.
    """

    def __init__(
        self,
        dataset: BackboneDataset,
        levels: NoiseLevels,
        scale: float,
        *,
        cut: bool = False,
        revealed: bool = False,
    ) -> None:
        generator = torch.Generator().manual_seed(20_01)
        by_length = dataset.lengths.argsort(stable=True)
        if cut:
            chains = [dataset.get(chain) for chain in by_length.tolist()]
            cuts = draw_cuts(chains, 1.0, torch.Generator().manual_seed(20_02))
            found = cuts.gap > 0
            if not found.any():
                raise InputError("none of the held-out chains can be cut in two; give longer ones")
            by_length, cuts = by_length[found], cuts[found]
        count = len(by_length)
        picked = torch.linspace(0, count - 1, min(CHAINS, count)).long()
        low, high = (math.log(edge / scale) for edge in (NOISE_EDGES[0], NOISE_EDGES[-1]))
        self.batches: list[NoisyBatch] = []
        for some in picked.split(BATCH_SIZE):
            batch = dataset.collate(by_length[some], cuts=cuts[some] if cut else None)
            size = len(batch.residue_mask)
            group = None
            if revealed:
                first = cuts[some].get_first_piece(dataset.lengths[by_length[some]])
                group = (torch.arange(batch.residue_mask.shape[1]) < first[:, None]).long()
            # Evenly spread in ln s over the whole range, the same share of it in every batch.
            place = (torch.randperm(size, generator=generator) + 0.5) / size
            noise = torch.randn(batch.positions.shape, generator=generator)
            noise_ratio = (low + (high - low) * place).exp()
            self.batches.append(
                NoisyBatch.add_noise(
                    batch,
                    noise,
                    noise_ratio,
                    scale,
                    motif_group=group,
                    residue_type=batch.residue_type,
                )
            )
        self.levels = levels
        self.scale = scale

    @torch.no_grad()
    def measure(self, network: ScoreNetwork) -> dict[str, float]:
        """Return losses per coordinate.

        Returns
        -------
        dict
            ``held_out``: mean under the normal part of ``levels``, with self-conditioning;
            ``held_out_first``: the same without; ``held_out_A-B``: with, for noise of A to B Å;
            ``held_out_types``: cross-entropy of the residue types per residue, in nats, under the
            normal part, with.
        """
        device = next(network.parameters()).device
        rows = []
        for batch in self.batches:
            moved = batch.to(device)
            first = moved.denoise(network, None).final
            estimates = moved.denoise(network, first)
            columns = [
                moved.noise_ratio,
                moved.get_losses(first) / moved.coordinates,
                moved.get_losses(estimates.final) / moved.coordinates,
                moved.get_type_losses(estimates.residue_types) / moved.residue_mask.sum(dim=1),
            ]
            rows.append(torch.stack(columns, dim=1).cpu())
        ratio, first, second, types = torch.cat(rows).double().unbind(dim=1)
        z = (ratio.log() - self.levels.mean) / self.levels.deviation
        weight = (-0.5 * z.square()).exp()
        weight = weight / weight.sum()
        result = {
            "held_out": float((second * weight).sum()),
            "held_out_first": float((first * weight).sum()),
            "held_out_types": float((types * weight).sum()),
        }
        for low, high in pairwise(NOISE_EDGES):
            inside = (ratio * self.scale >= low) & (ratio * self.scale < high)
            result[f"held_out_{low:g}-{high:g}"] = (
                float(second[inside].mean()) if bool(inside.any()) else math.nan
            )
        return result

#!/usr/bin/env python3
"""What the weights know by heart: seen chains against unseen ones, and designs against seen chains.

A network that has learned what proteins are denoises a chain of an unseen cluster as well as one
that it was trained on; one that has learned the training set by heart does not. So noise of several
levels is put on held-out chains, whose clusters at 30 % sequence identity were kept out of training
by ``protdiff prepare``, and on as many training chains, of the same lengths and nearly the same
secondary structure, and taken off again:

    python scripts/memorisation.py prepared.safetensors --num 96

The deviation of a chain is the root of the mean squared error of its N, CA and C, as the loss
counts it: nothing is superposed, for the noise leaves no doubt of the pose. Held-out and training
chain of a pair see the same noise. With ``--designs RUN`` the training chain nearest by TM-score
is found for each design of a run, and listed for those that are most like one.

Prints Markdown; ``--out`` gets the numbers of each chain and of each design as JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from markdown_table import make_table
from numpy.typing import NDArray

from protdiff.cli.evaluation_steps import load_references, measure_all, take_sources
from protdiff.design import load
from protdiff.design.listing import list_structures
from protdiff.errors import InputError, ProtdiffError
from protdiff.evaluation.novelty import measure_novelty
from protdiff.files import write_atomically
from protdiff.model import BackboneModel
from protdiff.training.dataset import BackboneDataset, load_dataset
from protdiff.training.objective import NoisyBatch
from protdiff.weights import DEFAULT_WEIGHTS

LEVELS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Standard deviation of the noise on each coordinate, Å."""

ALIKE_IN_LENGTH = 32
"""Of so many training chains of the nearest lengths that of the nearest composition is taken."""

Array = NDArray[np.float64]


def choose_pairs(
    held_out: BackboneDataset, training: BackboneDataset, num: int
) -> tuple[list[int], list[int]]:
    """Choose held-out chains, spread over the lengths, and a training chain like each."""
    num = min(num, len(held_out), len(training))
    by_length = held_out.lengths.argsort(stable=True)
    chosen = by_length[torch.linspace(0, len(held_out) - 1, num).long()].tolist()
    free = torch.ones(len(training), dtype=torch.bool)
    partners = []
    for k in chosen:
        away = (training.lengths - held_out.lengths[k]).abs()
        away[~free] = 1 << 20
        near = away.argsort(stable=True)[: min(ALIKE_IN_LENGTH, int(free.sum()))]
        unlike = (training.composition[near] - held_out.composition[k]).abs().sum(dim=1)
        # A difference of one residue counts as much as one residue of another structure.
        unlike += away[near] / held_out.lengths[k]
        partner = int(near[unlike.argmin()])
        free[partner] = False
        partners.append(partner)
    return chosen, partners


@torch.no_grad()
def measure_deviations(
    model: BackboneModel,
    dataset: BackboneDataset,
    chains: Sequence[int],
    levels: Sequence[float],
    *,
    seed: int,
    batch_size: int,
) -> Array:
    """Return the root mean squared error of each chain at each level, (chain, level) Å.

    The noise of the k-th chain at a level depends on k and on nothing else.
    """
    rows = []
    for start in range(0, len(chains), batch_size):
        places = range(start, min(start + batch_size, len(chains)))
        batch = dataset.collate([chains[place] for place in places])
        columns = []
        for number, level in enumerate(levels):
            noise = torch.zeros_like(batch.positions)
            for row, place in enumerate(places):
                generator = torch.Generator().manual_seed((seed * 1000 + number) * 100_000 + place)
                count = int(batch.residue_mask[row].sum())
                noise[row, :count] = torch.randn(count, 3, 3, generator=generator)
            noise_ratio = torch.full((len(places),), level / model.scale)
            noisy = NoisyBatch.add_noise(batch, noise, noise_ratio, model.scale).to(model.device)
            network = model.get_network(level)
            first = noisy.denoise(network, None).final
            estimate = noisy.denoise(network, first).final
            squared = (estimate - noisy.clean).square().sum(dim=(1, 2, 3))
            atoms = noisy.coordinates / 3
            columns.append((squared / atoms).sqrt().double().cpu() * model.scale)
        rows.append(torch.stack(columns, dim=1))
    found: Array = torch.cat(rows).numpy()
    return found


def write_levels(levels: Sequence[float], held_out: Array, seen: Array) -> str:
    """Write a line a noise level: both deviations, and their difference in standard errors."""
    lines = []
    for level, (mean, error), (of_seen, seen_error), (gap, gap_error) in zip(
        levels, average(held_out), average(seen), average(held_out - seen), strict=True
    ):
        lines.append(
            [
                f"{level:g}",
                f"{mean:.3f} ± {error:.3f}",
                f"{of_seen:.3f} ± {seen_error:.3f}",
                f"{gap:+.3f} ± {gap_error:.3f}",
            ]
        )
    return make_table(["noise (Å)", "held out (Å)", "seen (Å)", "difference (Å)"], lines)


def average(values: Array) -> list[tuple[float, float]]:
    """Return mean and standard error of each column."""
    count = len(values)
    error = values.std(axis=0, ddof=1) / math.sqrt(count) if count > 1 else values[0] * math.nan
    return list(zip(values.mean(axis=0).tolist(), error.tolist(), strict=True))


def find_nearest(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Find the training chain nearest to each design, the most similar design first."""
    sources = take_sources(list_structures([options.designs]), None)[: options.designs_num]
    chosen = measure_all(sources, quiet=options.quiet).choose_comparable()
    references = load_references(options.data, [], quiet=options.quiet)
    novelties = measure_novelty([one.judged for one in chosen], references, workers=options.workers)
    rows = [
        {"design": one.source.path.name, "nearest": found.nearest, "tm": round(found.tm, 4)}
        for one, found in zip(chosen, novelties, strict=True)
    ]
    return sorted(rows, key=lambda row: -row["tm"])


def write_nearest(rows: Sequence[dict[str, Any]], most: int) -> str:
    """Write a line a design for those most like a training chain."""
    lines = [[row["design"], row["nearest"], f"{row['tm']:.3f}"] for row in rows[:most]]
    return make_table(["design", "nearest training chain", "TM"], lines)


def run(options: argparse.Namespace) -> str:
    """Measure, write what was asked for, and return the tables."""
    model = load(options.weights, options.device).model
    training, held_out = load_dataset(options.data, model.trained_lengths)
    if not len(held_out):
        raise InputError(f"{options.data} holds no held-out chain; prepare with a held-out share")
    chosen, partners = choose_pairs(held_out, training, options.num)
    several = {"seed": options.seed, "batch_size": options.batch_size}
    unseen = measure_deviations(model, held_out, chosen, options.levels, **several)
    seen = measure_deviations(model, training, partners, options.levels, **several)
    shares = [
        dataset.composition[indices].mean(dim=0).tolist()
        for dataset, indices in ((held_out, chosen), (training, partners))
    ]
    text = (
        f"{model.name}: {len(chosen)} chains of unseen clusters and as many of the training set "
        f"like them (helix {shares[0][0]:.2f} and {shares[1][0]:.2f}, strand {shares[0][1]:.2f} "
        f"and {shares[1][1]:.2f}); mean ± standard error.\n\n"
        + write_levels(options.levels, unseen, seen)
    )
    found: dict[str, Any] = {
        "weights": model.name,
        "weights_sha256": model.sha256,
        "levels": list(options.levels),
        "held_out": to_rows(held_out, chosen, unseen),
        "seen": to_rows(training, partners, seen),
    }
    if options.designs is not None:
        found["designs"] = find_nearest(options)
        text += f"\n{len(found['designs'])} designs, those most like a training chain first:\n\n"
        text += write_nearest(found["designs"], options.most)
    if options.out is not None:
        with write_atomically(options.out, overwrite=True) as temporary:
            temporary.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return text


def to_rows(
    dataset: BackboneDataset, chains: Sequence[int], deviations: Array
) -> list[dict[str, Any]]:
    """Return what was found of each chain, as JSON knows it."""
    return [
        {"id": dataset.ids[k], "length": int(dataset.lengths[k]), "rmsd": row.round(4).tolist()}
        for k, row in zip(chains, deviations, strict=True)
    ]


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("data", type=Path, help="what protdiff prepare wrote, with its split")
    add("--num", type=int, default=96, help="held-out chains, and as many seen (%(default)s)")
    add("--levels", nargs="+", type=float, default=LEVELS, help="noise in Å", metavar="Å")
    add("--designs", type=Path, help="a run of protdiff generate")
    add("--designs-num", type=int, help="the first so many designs of it (all)")
    add("--most", type=int, default=10, help="designs that are listed (%(default)s)")
    add("--weights", default=DEFAULT_WEIGHTS, help="name or path (%(default)s)")
    add("--device", default="auto")
    add("--batch-size", type=int, default=8, help="chains at once (%(default)s)")
    add("--workers", type=int, default=1, help="processes for the alignments (%(default)s)")
    add("--seed", type=int, default=0)
    add("--out", type=Path, help="JSON file for all numbers")
    add("--quiet", action="store_true", help="no progress bars")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    try:
        print(run(parse_arguments(arguments)), end="")
    except ProtdiffError as error:
        print(f"memorisation: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

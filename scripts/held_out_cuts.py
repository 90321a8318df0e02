#!/usr/bin/env python3
"""Measure the held-out loss of weights on chains that are cut in two, by noise level.

    python scripts/held_out_cuts.py prepared.safetensors --weights protdiff-long protdiff-complex

Either both pieces are made, or one is revealed as a target. Chains and cuts, noise and its levels
are the same for all weights.
"""

from __future__ import annotations

import argparse
import sys
from itertools import pairwise

import torch
from markdown_table import make_table

from protdiff.design import load
from protdiff.training.config import load_config
from protdiff.training.dataset import load_dataset
from protdiff.training.held_out import NOISE_EDGES, HeldOutLoss


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", help="prepared chains")
    parser.add_argument("--weights", nargs="+", default=["protdiff-complex"])
    parser.add_argument("--lengths", type=int, nargs=2, default=(96, 384))
    parser.add_argument("--preset", default="complex", help="whose law of the noise to weigh by")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)

    _, held_out = load_dataset(options.data, tuple(options.lengths))
    levels = load_config(preset=options.preset, data=options.data).noise
    models = [load(weights).model for weights in options.weights]
    rows = []
    for revealed in (False, True):
        for model in models:
            loss = HeldOutLoss(held_out, levels, model.scale, cut=True, revealed=revealed)
            found = loss.measure(model.network)
            bands = [found[f"held_out_{low:g}-{high:g}"] for low, high in pairwise(NOISE_EDGES)]
            values = [f"{value:.4f}" for value in (*bands, found["held_out"])]
            rows.append(["one revealed" if revealed else "both made", model.name, *values])
    bands = [f"{low:g}–{high:g} Å" for low, high in pairwise(NOISE_EDGES)]
    print(make_table(["pieces", "weights", *bands, f"law of {options.preset}"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
r"""Measure symmetric designs: whether their chains are proteins of their own, or intertwined.

Makes designs of each symmetry with each weights, from the same seed, and prints how their chains
are packed, by themselves and against each other, and how sound they are:

    python scripts/assemblies.py C3x40 C2x60 D2x32 --num 16 \
        --weights protdiff-base protdiff-complex

Contacts are pairs of alpha carbons within 8 Å, for each residue of a chain; the interface is its
residues that have one with another chain.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
import torch
from interface import measure_chain
from markdown_table import make_table

from protdiff.conditioning import Symmetry
from protdiff.design import Designer, load


def measure(designer: Designer, group: str, length: int, num: int, seed: int) -> dict[str, float]:
    start = time.process_time()
    designs = designer.generate(length, num, seed, conditioners=[Symmetry(group)])
    seconds = (time.process_time() - start) / num
    rows = []
    for design, quality in zip(designs, designs.qualities, strict=True):
        alpha = design.coordinates[:, 1]
        rows.append(
            {
                **measure_chain(alpha[:length], alpha[length:]),
                "helix": quality.helix,
                "strand": quality.strand,
                "Ramachandran": quality.ramachandran,
                "pass": quality.passes,
            }
        )
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]} | {
        "CPU s": seconds
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("assemblies", nargs="+", metavar="GROUPxLENGTH")
    parser.add_argument("--weights", nargs="+", default=["protdiff-complex"])
    parser.add_argument("--num", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)

    rows = []
    for weights in options.weights:
        designer = load(weights)
        for text in options.assemblies:
            group, _, length = text.partition("x")
            means = measure(designer, group, int(length), options.num, options.seed)
            values = [f"{value:.2f}" for value in means.values()]
            rows.append([f"{group} × {length}", designer.model.name, *values])
    print(make_table(["assembly", "weights", *means], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())

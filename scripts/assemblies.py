#!/usr/bin/env python3
r"""Measure designs of several chains: whether these are proteins of their own, or intertwined.

Makes designs of each assembly with each weights, from the same seed, and prints how their chains
are packed, by themselves and against each other, and how sound they are. An assembly is a symmetry
of one chain, or different chains:

    python scripts/assemblies.py C3x40 C2x60 60+80 --num 16 --weights protdiff-base protdiff-complex

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


def measure(designer: Designer, assembly: str, num: int, seed: int) -> dict[str, float]:
    group, _, length = assembly.rpartition("x")
    start = time.process_time()
    conditioners = [Symmetry(group)] if group else []
    designs = designer.generate(length, num, seed, conditioners=conditioners)
    seconds = (time.process_time() - start) / num
    rows = []
    for design, quality in zip(designs, designs.qualities, strict=True):
        alpha, chains = (
            design.coordinates[:, 1],
            [design.chain_id == name for name in design.chains],
        )
        packings = [measure_chain(alpha[own], alpha[~own]) for own in chains]
        rows.append(
            {
                **{name: np.mean([one[name] for one in packings]) for name in packings[0]},
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
    parser.add_argument("assemblies", nargs="+", metavar="GROUPxLENGTH|LENGTH+LENGTH")
    parser.add_argument("--weights", nargs="+", default=["protdiff-complex"])
    parser.add_argument("--num", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)

    rows = []
    for weights in options.weights:
        designer = load(weights)
        for text in options.assemblies:
            means = measure(designer, text, options.num, options.seed)
            values = [f"{value:.2f}" for value in means.values()]
            rows.append([text.replace("x", " × "), designer.model.name, *values])
    print(make_table(["assembly", "weights", *means], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Binders whose target the network sees, beside binders to which it is docked.

Makes designs for each target with ``protdiff.load(...).generate``, either way from the same seed,
and prints how they touch it and how sound they are:

    python scripts/binders.py 1ycr.pdb:A=A54,A61,A93 1aki.pdb=A35,A62 --length 60 --num 24

Contacts are pairs of alpha carbons within 8 Å, for each residue of the design; the interface is the
residues that have one. Of natural complexes, given by ``--complexes``, the same is printed for the
smaller chain of each pair of chains.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from itertools import combinations

import numpy as np
import torch
from interface import measure_chain
from markdown_table import make_table

from protdiff.conditioning import Partner
from protdiff.design import Designer, DesignSet, load
from protdiff.structure import Backbone, read_backbone
from protdiff.structure.part import read_chains
from protdiff.weights import choose_weights


def measure_beside(design: Backbone, target: Backbone) -> dict[str, float]:
    return measure_chain(design.coordinates[:, 1], target.coordinates[:, 1])


def measure_run(designs: DesignSet, target: Backbone) -> dict[str, float]:
    records = designs.to_records()
    rows = [measure_beside(design, target) for design in designs]
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    for name in ("hotspots_touched", "ramachandran", "helix", "strand"):
        means[name] = float(np.mean([record[name] for record in records]))
    means["gap"] = float(np.median([record["partner_gap"] for record in records]))
    clear = [record["partner_gap"] >= 2.5 for record in records]
    means["all hot spots"] = float(np.mean([record["hotspots_touched"] == 1 for record in records]))
    means["no clash"] = float(np.mean(clear))
    means["pass"] = float(np.mean([quality.passes for quality in designs.qualities]))
    return means


def measure_complexes(paths: Iterable[str], fewest: int) -> dict[str, float]:
    """Measure the interfaces of natural complexes, those of ``fewest`` contacts and more."""
    rows = []
    for path in paths:
        whole = read_backbone(path)
        chains = [whole.select_chain(chain) for chain in whole.chains]
        for one, other in combinations(chains, 2):
            small, large = sorted((one, other), key=len)
            row = measure_beside(small, large)
            if row["contacts across"] * len(small) >= fewest:
                rows.append(row)
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]} | {
        "pairs": len(rows)
    }


def make(
    designer: Designer, target: Backbone, hotspots: str, docked: bool, options: argparse.Namespace
) -> tuple[DesignSet, float]:
    partner = Partner(target, hotspots, docked=docked)
    start = time.process_time()
    designs = designer.generate(options.length, options.num, options.seed, conditioners=[partner])
    return designs, (time.process_time() - start) / options.num


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="+", metavar="FILE[:CHAINS]=HOTSPOTS")
    parser.add_argument("--length", type=int, default=60)
    parser.add_argument("--num", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", help="of the binders that see; the bundled ones without it")
    parser.add_argument("--complexes", nargs="*", default=[], metavar="FILE")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)

    rows = []
    for text in options.targets:
        file, _, hotspots = text.partition("=")
        target = read_chains(file)
        for docked in (True, False):
            chains = 1 if docked else 2
            name = choose_weights(options.length, chains=chains)
            designer = load(options.weights if options.weights and not docked else name)
            designs, seconds = make(designer, target, hotspots, docked, options)
            means = measure_run(designs, target)
            kind = "docked" if docked else "seen"
            rows.append([target.name, kind, *(f"{value:.2f}" for value in means.values()),
                         f"{seconds:.1f}"])  # fmt: skip
    print(make_table(["target", "the target is", *means, "CPU s"], rows))
    if options.complexes:
        natural = measure_complexes(options.complexes, fewest=10)
        print(make_table(list(natural), [[f"{value:.2f}" for value in natural.values()]]))
    return 0


if __name__ == "__main__":
    sys.exit(main())

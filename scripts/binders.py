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
import time
from collections.abc import Iterable
from itertools import combinations

import numpy as np
import torch
from markdown_table import make_table
from numpy.typing import NDArray

from protdiff.conditioning import Partner
from protdiff.design import Designer, DesignSet, load
from protdiff.structure import Backbone, read_backbone
from protdiff.structure.part import read_chains
from protdiff.structure.size import expect_radius
from protdiff.weights import choose_weights

CONTACT = 8.0  # Å
FAR_ENOUGH = 6  # residues along the chain


def count_contacts(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.int64]:
    """Count the contacts of each alpha carbon of one chain with those of another."""
    apart = np.linalg.norm(one[:, None] - other, axis=-1)
    contacts: NDArray[np.int64] = (apart < CONTACT).sum(axis=1)
    return contacts


def measure_design(design: Backbone, target: Backbone) -> dict[str, float]:
    alpha = design.coordinates[:, 1].astype(float)
    across = count_contacts(alpha, target.coordinates[:, 1].astype(float))
    place = np.arange(len(alpha))
    apart = np.linalg.norm(alpha[:, None] - alpha, axis=-1)
    within = (apart < CONTACT) & (np.abs(place[:, None] - place) >= FAR_ENOUGH)
    radius = np.sqrt(((alpha - alpha.mean(axis=0)) ** 2).sum(axis=-1).mean())
    return {
        "contacts across": across.mean(),
        "interface": (across > 0).mean(),
        "contacts within": within.sum() / len(alpha),
        "Rg": radius / expect_radius(len(alpha)),
    }


def measure_run(designs: DesignSet, target: Backbone) -> dict[str, float]:
    records = designs.to_records()
    rows = [measure_design(design, target) for design in designs]
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    for name in ("hotspots_touched", "ramachandran", "helix", "strand"):
        means[name] = float(np.mean([record[name] for record in records]))
    means["gap"] = float(np.median([record["partner_gap"] for record in records]))
    clear = [record["partner_gap"] >= 2.5 for record in records]
    means["no clash"] = float(np.mean(clear))
    means["pass"] = float(np.mean([quality.passes for quality in designs.qualities]))
    return means


def measure_complexes(paths: Iterable[str], fewest: int) -> dict[str, float]:
    """Measure the interfaces of natural complexes, those of ``fewest`` contacts and more."""
    rows = []
    for path in paths:
        whole = read_backbone(path)
        chains = [whole.select_chain(chain) for chain in dict.fromkeys(whole.chain_id.tolist())]
        for one, other in combinations(chains, 2):
            small, large = sorted((one, other), key=len)
            row = measure_design(small, large)
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="+", metavar="FILE[:CHAINS]=HOTSPOTS")
    parser.add_argument("--length", type=int, default=60)
    parser.add_argument("--num", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", help="of the binders that see; the bundled ones without it")
    parser.add_argument("--complexes", nargs="*", default=[], metavar="FILE")
    options = parser.parse_args()
    torch.set_num_threads(1)

    rows = []
    for text in options.targets:
        file, _, hotspots = text.partition("=")
        target = read_chains(file)
        for docked in (True, False):
            name = choose_weights(options.length + (0 if docked else len(target)))
            designer = load(name if docked or not options.weights else options.weights)
            designs, seconds = make(designer, target, hotspots, docked, options)
            means = measure_run(designs, target)
            kind = "docked" if docked else "seen"
            rows.append([target.name, kind, *(f"{value:.2f}" for value in means.values()),
                         f"{seconds:.1f}"])  # fmt: skip
    print(make_table(["target", "the target is", *means, "CPU s"], rows))
    if options.complexes:
        natural = measure_complexes(options.complexes, fewest=10)
        print(make_table(list(natural), [[f"{value:.2f}" for value in natural.values()]]))


if __name__ == "__main__":
    main()

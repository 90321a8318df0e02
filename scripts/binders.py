#!/usr/bin/env python3
"""Binders whose target the network sees, beside binders to which it is docked.

Makes designs for each target, either way from the same seed, and prints how they touch it and how
sound they are:

    python scripts/binders.py 1ycr.pdb:A=A54,A61,A93 1aki.pdb=A35,A62 --length 60 --num 24

Around a motif of a complex, the target is held where the motif has it instead of docked:

    python scripts/binders.py --motif 1ycr.pdb 10-40/B19-27/10-40 70 1ycr.pdb:A --num 24

Contacts are pairs of alpha carbons within 8 Å, for each residue of the design; the interface is the
residues that have one. Of natural complexes, given by ``--complexes``, the same is printed for the
smaller chain of each pair of chains.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from interface import measure_chain
from markdown_table import make_table

from protdiff.conditioning import Partner
from protdiff.design import DesignSet, load
from protdiff.structure import Backbone, read_backbone
from protdiff.structure.part import read_chains
from protdiff.weights import choose_weights


def measure_beside(design: Backbone, target: Backbone) -> dict[str, float]:
    return measure_chain(design.coordinates[:, 1], target.coordinates[:, 1])


def measure_run(designs: DesignSet, target: Backbone) -> dict[str, float]:
    records = designs.to_records()
    rows = [measure_beside(design, target) for design in designs]
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    for name in ("ramachandran", "helix", "strand"):
        means[name] = float(np.mean([record[name] for record in records]))
    means["gap"] = float(np.median([record["partner_gap"] for record in records]))
    clear = [record["partner_gap"] >= 2.5 for record in records]
    means["no clash"] = float(np.mean(clear))
    if "hotspots_touched" in records[0]:
        touched = np.array([record["hotspots_touched"] for record in records])
        means["hot spots touched"] = float(touched.mean())
        means["all hot spots"] = float((touched == 1).mean())
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


@dataclass(frozen=True)
class Problem:
    """A target, and what is to bind it: designs of a length, or around a motif."""

    target: Backbone
    hotspots: str | None
    length: int
    motif: tuple[str, str] | None = None  # file and contig

    @classmethod
    def read(cls, text: str, length: int, motif: tuple[str, str] | None = None) -> Problem:
        """Read a target as it is given, ``FILE[:CHAINS]=HOTSPOTS``."""
        file, _, hotspots = text.partition("=")
        return cls(read_chains(file), hotspots or None, length, motif)

    def make(
        self, docked: bool, weights: str | None, num: int, seed: int
    ) -> tuple[DesignSet, float]:
        """Make designs; return them and the seconds of CPU that each took."""
        partner = Partner(self.target, self.hotspots, docked=docked)
        own = weights and not docked
        designer = load(weights if own else choose_weights(self.length, chains=1 if docked else 2))
        start = time.process_time()
        if self.motif is None:
            designs = designer.generate(self.length, num, seed, conditioners=[partner])
        else:
            designs = designer.scaffold(
                *self.motif, num=num, seed=seed, total_length=self.length, conditioners=[partner]
            )
        return designs, (time.process_time() - start) / num


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", metavar="FILE[:CHAINS]=HOTSPOTS")
    parser.add_argument(
        "--motif",
        nargs=4,
        action="append",
        default=[],
        metavar=("FILE", "CONTIG", "LENGTH", "TARGET"),
        help="TARGET as FILE[:CHAINS], of the same complex; =HOTSPOTS may follow",
    )
    parser.add_argument("--length", type=int, default=60)
    parser.add_argument("--num", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", help="of the binders that see; the bundled ones without it")
    parser.add_argument("--complexes", nargs="*", default=[], metavar="FILE")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)

    problems = [Problem.read(text, options.length) for text in options.targets]
    around = [
        Problem.read(target, int(length), (file, contig))
        for file, contig, length, target in options.motif
    ]
    for given, kinds in ((problems, ("docked", "seen")), (around, ("held", "seen"))):
        rows = []
        for problem in given:
            for kind in kinds:
                docked = kind != "seen"
                made = problem.make(docked, options.weights, options.num, options.seed)
                means = measure_run(made[0], problem.target)
                figures = (f"{value:.2f}" for value in means.values())
                rows.append([problem.target.name, kind, *figures, f"{made[1]:.1f}"])
        if rows:
            print(make_table(["target", "the target is", *means, "CPU s"], rows))
    if options.complexes:
        natural = measure_complexes(options.complexes, fewest=10)
        print(make_table(list(natural), [[f"{value:.2f}" for value in natural.values()]]))
    return 0


if __name__ == "__main__":
    sys.exit(main())

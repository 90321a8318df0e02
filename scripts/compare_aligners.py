#!/usr/bin/env python3
"""How far Biotite's TM-scores lie below TM-align's, on pairs of natural chains.

Draws pairs from a folder of structures with a ``manifest.tsv``: unrelated ones (of different
clusters at 30 % sequence identity) and related ones (of one cluster), and prints the difference by
the size of TM-align's score:

    python scripts/compare_aligners.py ../structures --num 60 --lengths 60-150
"""

from __future__ import annotations

import argparse
import csv
import itertools
import random
import time
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np

from protdiff.evaluation.tm_score import get_aligner
from protdiff.structure import StructureWarning, parse_length, read_backbone


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--num", type=int, default=60, help="pairs of each kind")
    parser.add_argument("--lengths", default="60-150")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    low, high = parse_length(options.lengths)
    families: dict[str, list[str]] = defaultdict(list)
    with (options.folder / "manifest.tsv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if row["recommended"] == "1" and low <= int(row["length"]) <= high:
                families[row["cluster30"]].append(row["file"])
    rng = random.Random(options.seed)
    related = [pair for files in families.values() for pair in itertools.combinations(files, 2)]
    pairs = rng.sample(related, min(options.num, len(related)))
    for _ in range(options.num):
        one, other = rng.sample(sorted(families), 2)
        pairs.append((rng.choice(families[one]), rng.choice(families[other])))

    aligners = [get_aligner("tm-align"), get_aligner("biotite")]
    scores = np.zeros((len(pairs), 2))
    seconds = [0.0, 0.0]
    for place, files in enumerate(pairs):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StructureWarning)
            one, other = (read_backbone(options.folder / file).coordinates for file in files)
        for column, aligner in enumerate(aligners):
            start = time.perf_counter()
            scores[place, column] = aligner.score(one, other).by_shorter
            seconds[column] += time.perf_counter() - start
    for aligner, spent in zip(aligners, seconds, strict=True):
        print(f"{aligner.name:10s}{1000 * spent / len(pairs):7.1f} ms a pair")
    print(f"{'TM-align':>12s}{'pairs':>7s}{'mean':>8s}{'biotite':>9s}{'lower by':>10s}{'most':>7s}")
    for least, most in ((0.0, 0.3), (0.3, 0.4), (0.4, 0.5), (0.5, 0.7), (0.7, 1.01)):
        inside = scores[(scores[:, 0] >= least) & (scores[:, 0] < most)]
        if len(inside):
            lower = inside[:, 0] - inside[:, 1]
            print(
                f"{least:6.1f}-{min(most, 1):4.1f} {len(inside):7d}{inside[:, 0].mean():8.3f}"
                f"{inside[:, 1].mean():9.3f}{lower.mean():10.3f}{lower.max():7.2f}"
            )
    print(
        f"Biotite scores higher than TM-align by at most {(scores[:, 1] - scores[:, 0]).max():.3f}"
    )


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""What natural proteins show, by the definitions that designs are judged by.

Draws chains from a folder of structures with a ``manifest.tsv`` (columns file, length, recommended,
cluster40, method), one of each cluster, and prints every quantity's mean and 5-95 % range:

    python scripts/native_reference.py ../shared/structures --num 300 --lengths 40-100

They are those that the manifest recommends. Where it recommends none, with
``--not-only-recommended``, chains pass the screen that training data pass: whole, sound, compact.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import itertools
import json
import random
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from protdiff.evaluation import NATIVE, Quality, measure_backbone, summarise_quality
from protdiff.structure import (
    Backbone,
    ChainFilter,
    StructureWarning,
    parse_length,
    read_backbone,
)


def list_files(options: argparse.Namespace) -> list[Path]:
    """List one file of each cluster at 40 % identity, in the order of the seed."""
    low, high = parse_length(options.lengths)
    with (options.folder / "manifest.tsv").open(newline="", encoding="utf-8") as file:
        rows = [
            row
            for row in csv.DictReader(file, delimiter="\t")
            if (options.not_only_recommended or row["recommended"] == "1")
            and low <= int(row["length"]) <= high
            and options.method.lower() in row["method"].lower()
        ]
    random.Random(options.seed).shuffle(rows)
    one_of_each = {row["cluster40"]: row for row in rows}
    return [options.folder / row["file"] for row in one_of_each.values()]


def read_chains(options: argparse.Namespace) -> Iterator[Backbone]:
    """Read the chains; those that nobody recommends are screened."""
    gate = ChainFilter(*parse_length(options.lengths))
    for path in list_files(options):
        backbone = read_backbone(path)
        if not (options.not_only_recommended and gate.find_fault(backbone)):
            yield backbone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--num", type=int, default=300)
    parser.add_argument("--lengths", default="40-100")
    parser.add_argument("--method", default="", help="such as X-RAY; default: any")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    parser.add_argument("--not-only-recommended", action="store_true")
    arguments = parser.parse_args()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StructureWarning)
        chains = itertools.islice(read_chains(arguments), arguments.num)
        qualities = [measure_backbone(chain) for chain in chains]
    if not qualities:
        parser.error(f"no chain of {arguments.lengths} residues is to be had of {arguments.folder}")

    summary = summarise_quality(qualities)
    print(f"{len(qualities)} chains of {arguments.lengths} residues")
    print(f"{'quantity':24s}{'mean':>9s}{'sd':>8s}{'5 %':>9s}{'95 %':>9s}   reference")
    for field in dataclasses.fields(Quality):
        if field.name in ("length", "finite", "partner_gap") or field.name.endswith("_sd"):
            continue
        values = np.array([getattr(quality, field.name) for quality in qualities], dtype=float)
        low, high = np.nanpercentile(values, [5, 95])
        spread = summary.get(f"{field.name}_sd", float(np.nanstd(values)))
        print(
            f"{field.name:24s}{np.nanmean(values):9.3f}{spread:8.3f}{low:9.3f}{high:9.3f}"
            f"   {NATIVE.get(field.name, '')}"
        )
    failed = Counter(name for quality in qualities for name in quality.failed)
    print("share that fails a check:", {k: round(v / len(qualities), 3) for k, v in failed.items()})
    for name in ("passing", "rg_in_band", "contacts_in_band", "phi_positive_in_band", "all_helix"):
        print(f"share {name}: {summary[name]:.3f}")
    if arguments.json is not None:
        numbers = [quality.to_dict() for quality in qualities]
        arguments.json.write_text(json.dumps({"summary": summary, "chains": numbers}, indent=1))


if __name__ == "__main__":
    main()

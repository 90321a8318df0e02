#!/usr/bin/env python3
"""Make the table of native bands, protdiff/evaluation/native_bands.json.

Draws natural single-domain chains from a folder of structures with a ``manifest.tsv`` (columns id,
file, length, recommended, cluster40, nbreak, o_rebuilt, kind, method, rg, contacts), one of each
cluster of sequences, and writes the 95 % range of every quantity for each range of lengths:

    python scripts/native_bands.py ../structures --num 350 --out native_bands.json

Left out are chains with a break, with rebuilt oxygens or prepared by a program, and NMR ensembles,
whose geometry says more of the force field than of nature. Above 256 residues nothing is
"recommended" in such manifests, so the same rule is applied here: Rg below 1.25 x 2.2 L^.38 and
more than 2.2 contacts per residue.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import sys
import warnings
from pathlib import Path

from protdiff.evaluation import measure_backbone
from protdiff.evaluation.bands import TAIL, LengthBands, NativeBands
from protdiff.files import write_atomically
from protdiff.structure import StructureWarning, read_backbone
from protdiff.structure.size import expect_radius

BINS = ((40, 64), (65, 96), (97, 128), (129, 192), (193, 256), (257, 400))


def is_sound(row: dict[str, str]) -> bool:
    """Whether a chain of the manifest may speak for nature."""
    if row["nbreak"] != "0" or row["o_rebuilt"] != "0" or row["kind"] != "exp":
        return False
    if "NMR" in row["method"]:
        return False
    length = int(row["length"])
    compact = float(row["rg"]) < 1.25 * expect_radius(length) and float(row["contacts"]) > 2.2
    return row["recommended"] == "1" if length <= 256 else compact


def draw_chains(rows: list[dict[str, str]], num: int, seed: int) -> list[dict[str, str]]:
    """Draw chains, one of each cluster, in an order that the seed alone decides."""
    rows = sorted(rows, key=lambda row: row["id"])
    random.Random(seed).shuffle(rows)
    one_of_each = {row["cluster40"]: row for row in rows}
    return list(one_of_each.values())[:num]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--num", type=int, default=350, help="chains for each range of lengths")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("native_bands.json"))
    parser.add_argument("--overwrite", action="store_true")
    options = parser.parse_args()

    with (options.folder / "manifest.tsv").open(newline="", encoding="utf-8") as file:
        sound = [row for row in csv.DictReader(file, delimiter="\t") if is_sound(row)]
    made = []
    for low, high in BINS:
        fitting = [row for row in sound if low <= int(row["length"]) <= high]
        drawn = draw_chains(fitting, options.num, options.seed)
        if not drawn:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StructureWarning)
            qualities = [
                measure_backbone(read_backbone(options.folder / row["file"])) for row in drawn
            ]
        made.append(LengthBands.from_qualities(qualities, (low, high)))
        print(
            f"{low}-{high}: {len(drawn)} of {len(fitting)} chains; a native is inside "
            f"{made[-1].expected_share:.3f} of its bands, 95 % of natives inside "
            f"{made[-1].least_share:.3f} or more; {sum(q.passes for q in qualities)} pass the "
            "quick checks",
            file=sys.stderr,
        )
    table = NativeBands(
        tuple(made),
        {
            "script": "scripts/native_bands.py",
            "data": "experimental chains of the Protein Data Bank, one of each cluster at 40 % "
            "sequence identity; compact single domains without a chain break, no NMR",
            "seed": options.seed,
            "percent_outside": TAIL,
        },
    )
    with write_atomically(options.out, overwrite=options.overwrite) as temporary:
        temporary.write_text(json.dumps(table.to_dict(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""The secondary-structure compositions of natural domains, which designs draw theirs from.

Reads one recommended chain of each 40 % cluster of a folder of structures with a ``manifest.tsv``
and writes length and percentages of helix and strand by hydrogen bonds, the same measure that
designs are judged by:

    python scripts/native_compositions.py STRUCTURES --out protdiff/design/native_compositions.csv
"""

from __future__ import annotations

import argparse
import csv
import warnings
from pathlib import Path

from protdiff.evaluation import assign_secondary_structure
from protdiff.files import write_atomically
from protdiff.structure import StructureWarning, read_backbone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--lengths", type=int, nargs=2, default=(40, 256))
    parser.add_argument("--every", type=int, default=1, help="take every so many-th chain")
    arguments = parser.parse_args()

    shortest, longest = arguments.lengths
    with (arguments.folder / "manifest.tsv").open(newline="", encoding="utf-8") as file:
        rows = [
            row
            for row in csv.DictReader(file, delimiter="\t")
            if row["recommended"] == "1" and shortest <= int(row["length"]) <= longest
        ]
    one_of_each = {row["cluster40"]: row for row in sorted(rows, key=lambda row: row["id"])}
    table = []
    for row in list(one_of_each.values())[:: arguments.every]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StructureWarning)
            backbone = read_backbone(arguments.folder / row["file"])
        states = assign_secondary_structure(backbone.coordinates)
        shares = (round(100 * float((states == state).mean())) for state in "HE")
        table.append((len(backbone), *shares))
    with write_atomically(arguments.out, overwrite=True) as temporary:
        lines = ["length,helix,strand", *(",".join(map(str, row)) for row in sorted(table))]
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(table)} chains written to {arguments.out}")


if __name__ == "__main__":
    main()

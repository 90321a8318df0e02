#!/usr/bin/env python3
"""Make data/demo_motif.pdb: an ideal helix of 16 residues with a sequence of its own.

python scripts/make_demo_motif.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from protdiff.structure import Backbone, build_backbone, write_backbone

SEQUENCE = "ELAKLLEEALKLLEKA"
NAMES = {"A": "ALA", "E": "GLU", "K": "LYS", "L": "LEU"}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    default = Path(__file__).parent.parent / "data" / "demo_motif.pdb"
    parser.add_argument("--out", type=Path, default=default, help="(%(default)s)")
    out = parser.parse_args().out
    backbone = Backbone.from_coordinates(
        build_backbone(np.full(len(SEQUENCE), -62.0), -43.0),
        residue_name=[NAMES[letter] for letter in SEQUENCE],
        motif_mask=True,
        name="demo_motif",
    )
    write_backbone(out, backbone, overwrite=True)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""How sure ProteinMPNN is of sequences for designs, and for natural chains of such lengths.

    python scripts/sequence_scores.py panel/100 panel/200 --natives ../shared/structures

Of each run the first designs get sequences, and as many unbroken natural chains within a tenth of
their mean length, one of each cluster; of these too after a blow of Gaussian noise, and as mirror
images. Printed are the score, the mean −log p of a designed residue in nats with its standard
error over the chains, and how much of the sequences is alanine and large and hydrophobic.

The score compares like with like: it does not know a mirror image for what it is.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from argparse import Namespace
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from markdown_table import make_table
from native_reference import read_chains
from numpy.typing import NDArray

from protdiff.design.inverse_folding import find_protein_mpnn
from protdiff.design.reading import read_designs
from protdiff.errors import ProtdiffError
from protdiff.evaluation.external import ProteinMPNN
from protdiff.structure import Backbone, StructureWarning

NOISE = 0.2  # Å a coordinate: that of ProteinMPNN's own training, which hides no fold
LARGE = "FILMVWY"


def add_noise(coordinates: NDArray[np.float32]) -> NDArray[np.float32]:
    """Add Gaussian noise, the same to the same coordinates."""
    noise = np.random.default_rng(0).normal(0.0, NOISE, coordinates.shape)
    return coordinates + noise.astype(np.float32)


CHANGES = {f"with {NOISE} Å of noise": add_noise, "as mirror images": np.negative}


def draw_natives(folder: Path, length: float, num: int) -> list[Backbone]:
    """Draw unbroken natural chains of about a length."""
    chains = read_chains(
        Namespace(
            folder=folder,
            lengths=f"{round(0.9 * length)}-{round(1.1 * length)}",
            method="",
            seed=0,
            not_only_recommended=False,
        )
    )
    return list(islice((chain for chain in chains if len(chain.segment_starts) == 1), num))


def score(name: str, backbones: Sequence[Backbone], program: ProteinMPNN) -> list[str]:
    """Return the row of some backbones."""
    found = [one.sequences for one in program.design_all(backbones) if not one.problem]
    scores = np.array([np.mean([sequence.score for sequence in group]) for group in found])
    letters = "".join(sequence.sequence for group in found for sequence in group)
    shares = [letters.count("A"), sum(letters.count(letter) for letter in LARGE)]
    error = scores.std(ddof=1) / np.sqrt(len(scores))
    cells = [f"{share / len(letters):.3f}" for share in shares]
    return [name, str(len(scores)), f"{scores.mean():.3f} ± {error:.3f}", *cells]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("runs", nargs="+", help="run folders of designs of one chain")
    parser.add_argument("--natives", type=Path, help="folder of structures with a manifest.tsv")
    parser.add_argument("--num", type=int, default=40, help="chains of each")
    parser.add_argument("--sequences", type=int, default=2, help="for each chain")
    parser.add_argument("--mpnn-command", help="ProteinMPNN, if it is not on PATH")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore", StructureWarning)
    try:
        program = find_protein_mpnn(options.mpnn_command, sequences=options.sequences)
        rows = []
        for run in options.runs:
            designs = list(read_designs(run)[: options.num])
            rows.append(score(run, designs, program))
            if options.natives is None:
                continue
            length = float(np.mean([len(design) for design in designs]))
            natives = draw_natives(options.natives, length, len(designs))
            rows.append(score("natural chains", natives, program))
            for name, change in CHANGES.items():
                changed = [chain.with_coordinates(change(chain.coordinates)) for chain in natives]
                rows.append(score(name, changed, program))
    except ProtdiffError as error:
        print(f"sequence_scores: {error}", file=sys.stderr)
        return 1
    print(make_table(["of", "chains", "score, nats", "alanine", LARGE], rows), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())

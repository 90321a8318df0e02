#!/usr/bin/env python3
"""How near the fragments of designs lie to fragments of natural proteins.

For fragments of several lengths: the RMSD of CA (Å) to the nearest fragment of a library of
training chains, averaged over fragments of the designs (L), and beside it over fragments of
held-out natural chains as long as they are, which are of other clusters than the library:

    python scripts/fragments.py prepared.safetensors designs/100 designs/200

Short fragments are turns and the ends of helices and strands, long ones how these pack on the next.
Where designs are farther from the library than new natural proteins are, their local structure is
not yet nature's.

References
----------
Kolodny, Koehl, Guibas and Levitt 2002, "Small libraries of protein fragments model native protein
structures accurately".
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from markdown_table import make_table
from torch import Tensor

from protdiff.design.listing import list_structures
from protdiff.errors import InputError, ProtdiffError
from protdiff.files import write_atomically
from protdiff.structure import read_backbone
from protdiff.structure.standard import mirror_to_l
from protdiff.training.dataset import BackboneDataset, load_dataset

LENGTHS = [9, 15, 25]
AT_ONCE = 1 << 20  # pairs of fragments
NEIGHBOURHOOD = 0.1  # held-out chains may be so much shorter or longer than the designs


def choose_chains(
    dataset: BackboneDataset, num: int, lengths: tuple[float, float], seed: int
) -> list[list[Tensor]]:
    """Draw as many chains of these lengths, one of each cluster; return the pieces of each."""
    generator = torch.Generator().manual_seed(seed)
    one_of_each = {
        int(dataset.cluster[k]): k
        for k in torch.randperm(len(dataset), generator=generator).tolist()
        if lengths[0] <= int(dataset.lengths[k]) <= lengths[1]
    }
    chosen = list(one_of_each.values())[:num]
    batches = [dataset.collate([k]) for k in chosen]
    return [split(batch.positions[0, :, 1], batch.residue_index[0]) for batch in batches]


def split(trace: Tensor, residue_index: Tensor) -> list[Tensor]:
    """Split a CA trace, (residue, 3) Å, at the chain breaks, across which there is no fragment."""
    starts = (residue_index.diff() != 1).nonzero()[:, 0] + 1
    return list(trace.tensor_split(starts.tolist()))


def read_traces(folder: Path) -> list[list[Tensor]]:
    """Return the pieces of each design's CA trace, of a D-protein those of its mirror image."""
    found = []
    for design in list_structures([folder]).structures:
        judged = mirror_to_l(read_backbone(design.path), design.handedness)
        trace, index = judged.coordinates[:, 1], judged.residue_index
        found.append(split(torch.from_numpy(trace).float(), torch.from_numpy(index)))
    return found


def cut(chains: Sequence[Sequence[Tensor]], length: int) -> Tensor:
    """Return every fragment of so many residues, centred, (fragment, residue, 3)."""
    pieces = [piece for chain in chains for piece in chain if len(piece) >= length]
    if not pieces:
        raise InputError(
            f"there is no unbroken chain of {length} residues or more to cut fragments from; give "
            "shorter --lengths"
        )
    fragments = torch.cat([piece.unfold(0, length, 1).mT for piece in pieces])
    return fragments - fragments.mean(dim=1, keepdim=True)


def draw(fragments: Tensor, num: int, seed: int) -> Tensor:
    """Draw at most so many fragments."""
    order = torch.randperm(len(fragments), generator=torch.Generator().manual_seed(seed))
    return fragments[order[:num]]


def find_nearest(fragments: Tensor, library: Tensor) -> Tensor:
    """Return the RMSD (Å) of each fragment to the nearest of the library, superimposed (Kabsch)."""
    size = library.square().sum(dim=(1, 2))
    nearest = []
    for block in fragments.split(max(1, AT_ONCE // len(library))):
        covariance = torch.einsum("qki,lkj->qlij", block, library)
        singular = torch.linalg.svdvals(covariance)
        # A mirror image is another fragment: the weakest axis counts against it.
        singular[..., 2] *= torch.linalg.det(covariance).sign()
        squared = block.square().sum(dim=(1, 2))[:, None] + size - 2 * singular.sum(dim=-1)
        nearest.append((squared.amin(dim=1).clamp_min(0) / block.shape[1]).sqrt())
    return torch.cat(nearest)


def run(options: argparse.Namespace) -> str:
    """Measure, write what was asked for, and return a table."""
    training, held_out = load_dataset(options.data)
    library = choose_chains(training, options.chains, (1, math.inf), options.seed)
    head = ["designs", "fragments of", "designs (Å)", "held-out chains (Å)", "chains"]
    lines, found = [], []
    for folder in options.designs:
        designs = read_traces(folder)
        sizes = [sum(map(len, pieces)) for pieces in designs]
        band = (min(sizes) * (1 - NEIGHBOURHOOD), max(sizes) * (1 + NEIGHBOURHOOD))
        natural = choose_chains(held_out, len(designs), band, options.seed)
        if not natural:
            raise InputError(
                f"{options.data} holds out no chain of {band[0]:.0f} to {band[1]:.0f} residues, "
                f"as long as the designs of {folder}; prepare longer or shorter chains"
            )
        for length in options.lengths:
            known = draw(cut(library, length), options.fragments, options.seed)
            row: dict[str, Any] = {"designs": str(folder), "length": length}
            for name, chains in (("designed", designs), ("natural", natural)):
                sample = draw(cut(chains, length), options.num, options.seed + 1)
                distance = find_nearest(sample, known)
                row[name] = float(distance.mean())
                row[f"{name}_error"] = float(distance.std() / math.sqrt(len(distance)))
            found.append(row)
            lines.append(
                [
                    str(folder),
                    f"{length} residues",
                    "{designed:.3f} ± {designed_error:.3f}".format(**row),
                    "{natural:.3f} ± {natural_error:.3f}".format(**row),
                    f"{len(designs)} and {len(natural)}",
                ]
            )
    if options.out is not None:
        with write_atomically(options.out, overwrite=True) as temporary:
            temporary.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return make_table(head, lines)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("data", type=Path, help="what protdiff prepare wrote, with its split")
    add("designs", type=Path, nargs="+", help="runs of protdiff generate")
    add("--lengths", nargs="+", type=int, default=LENGTHS, help="of fragments (%(default)s)")
    add("--num", type=int, default=600, help="fragments that are looked up (%(default)s)")
    add("--chains", type=int, default=300, help="training chains of the library (%(default)s)")
    add("--fragments", type=int, default=20_000, help="fragments of the library (%(default)s)")
    add("--seed", type=int, default=0)
    add("--out", type=Path, help="JSON file for all numbers")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    try:
        print(run(parse_arguments(arguments)), end="")
    except ProtdiffError as error:
        print(f"fragments: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

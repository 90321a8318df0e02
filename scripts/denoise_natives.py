"""What a motif tells the network: natives made noisy are denoised, told of a part of them and not.

    python scripts/denoise_natives.py 7OK9.pdb 2GTL.pdb

A native chain with a little noise on it is denoised once, with every third stretch of its residues
given as a motif and without. Told of it, the network brings what was not given back nearer to the
native; at 1 Å the noisy chain says nearly all by itself.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from markdown_table import make_table

from protdiff.conditioning import make_motif_conditions
from protdiff.design import load
from protdiff.errors import InputError, ProtdiffError
from protdiff.model import BackboneModel
from protdiff.structure import Backbone, read_backbone, sample_motif, superimpose
from protdiff.weights import DEFAULT_WEIGHTS

NOISES = (1.0, 2.0, 4.0)
"""Å of noise."""
DRAWS = 4
"""How often noise is drawn for each."""


def measure_native(
    model: BackboneModel, native: Backbone, contig: str, noise_level: float
) -> tuple[float, float]:
    """Denoise a native with a little noise, told of the motif of its own contig and not.

    Parameters
    ----------
    model, native
        What denoises, and what is denoised.
    contig
        Of the native's own length and places.
    noise_level
        Å.

    Returns
    -------
    with_motif, without
        RMSD (Å) to the native of what is not given, all residues superimposed.
    """
    motif = sample_motif(native, contig, np.random.default_rng(0))
    if motif.length != len(native):
        raise InputError(f"the contig {contig} is not of the length of {native.name}")
    made = ~motif.motif_mask
    mask = torch.ones(DRAWS, len(native), dtype=torch.bool, device=model.device)
    clean = torch.from_numpy(native.coordinates[None, :, :3]).to(model.device)
    subspace = model.subspace(mask)
    centred = model.from_angstrom(clean - clean.mean(dim=(1, 2), keepdim=True))
    noise_ratio = noise_level / model.scale
    t = model.sde.time_of_noise_ratio(torch.tensor(noise_ratio, dtype=torch.float64))
    drawn = torch.randn((DRAWS, *centred.shape[1:]), generator=torch.Generator().manual_seed(0))
    noise = subspace.project(drawn.to(centred))
    x_t = model.sde.alpha(t).to(centred) * (centred + noise_ratio * noise)

    def measure(estimate: torch.Tensor) -> float:
        given = native.coordinates[:, :3]
        squares = []
        for found in model.to_angstrom(estimate).detach().cpu().numpy():
            moved = superimpose(found, given).apply(found)
            squares.append((((moved - given)[made]) ** 2).sum(-1).mean())
        return float(np.sqrt(np.mean(squares)))

    index = torch.from_numpy(np.asarray(native.residue_index))[None]
    told = make_motif_conditions(model, mask, [motif] * DRAWS, excluded_volume=False).project()
    free = model.denoiser(mask, residue_index=index)
    return measure(told(x_t, t)), measure(free(x_t, t))


def write_native_contig(native: Backbone, stretch: int = 12) -> str:
    """Give every third stretch of a chain as a motif, at its own place in its own chain."""
    pieces = []
    for number, start in enumerate(range(0, len(native), stretch)):
        stop = min(start + stretch, len(native))
        first, last = native.label(start), native.label(stop - 1)
        pieces.append(f"{first}-{last}" if number % 3 == 1 else str(stop - start))
    return "/".join(pieces)


def iterate_natives(paths: Sequence[Path]) -> Iterator[Backbone]:
    """Give the first chain of each file, its longest unbroken piece, cut to 128 residues."""
    for path in paths:
        whole = read_backbone(path)
        chain = whole.select_chain(whole.chains[0])
        starts = [*chain.segment_starts, len(chain)]
        start, stop = max(itertools.pairwise(starts), key=lambda span: span[1] - span[0])
        yield chain.select(slice(start, min(stop, start + 128)))


def write_table(paths: Sequence[Path], model: BackboneModel) -> str:
    """Denoise the native of each file at each noise, and return the errors as a table."""
    lines = []
    for native in iterate_natives(paths):
        contig = write_native_contig(native)
        for noise in NOISES:
            told, free = measure_native(model, native, contig, noise)
            size, level = str(len(native)), f"{noise:g}"
            lines.append([native.name, size, level, f"{told:.3f}", f"{free:.3f}"])
    head = ["native", "residues", "noise (Å)", "with its motif (Å)", "without (Å)"]
    return make_table(head, lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="with natives")
    parser.add_argument("--weights", default=DEFAULT_WEIGHTS, help="name or path (%(default)s)")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args(arguments)
    try:
        print(write_table(options.files, load(options.weights, options.device).model))
    except ProtdiffError as error:
        print(f"denoise_natives: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

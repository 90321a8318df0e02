#!/usr/bin/env python3
"""What the noise hides of the size of a backbone: the constants of conditioning/mean_size.py.

Makes designs, adds noise to them, denoises them once, and prints for each noise ratio k the share
of the squared size that the denoised mean lacks, beside the law k² / (k² + c²), and the mean square
error of a coordinate over the variance k² / (k² + 1) of a collective motion:

    python scripts/mean_size.py --length 60 --num 16
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import torch

from protdiff.conditioning.mean_size import COLLECTIVE
from protdiff.design import load
from protdiff.diffusion.noise import GaussianNoise, ProjectedNoise
from protdiff.model import BackboneModel, make_residue_mask
from protdiff.weights import DEFAULT_WEIGHTS


def measure(
    model: BackboneModel, clean: torch.Tensor, ratio: float, seed: int
) -> tuple[float, float]:
    """Return what is hidden of the size, and the mean square error of a coordinate.

    Parameters
    ----------
    model
        What denoises.
    clean
        ``(batch, residue, 3, 3)``, centred, in model units.
    ratio
        The noise ratio.
    seed
        Of the noise.
    """
    mask = make_residue_mask([clean.shape[1]] * len(clean)).to(clean.device)
    noise = ProjectedNoise(GaussianNoise(torch.Generator().manual_seed(seed)), model.subspace(mask))
    time = model.sde.time_of_noise_ratio(torch.tensor(ratio, dtype=torch.float64))
    noisy = model.sde.perturb(clean, time, noise(clean)).to(clean)
    denoised = model.denoiser(mask)(noisy, time.to(clean.device))
    kept = float(denoised.square().sum() / clean.square().sum())
    return 1 - kept, float((denoised - clean).square().mean())


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", default=DEFAULT_WEIGHTS)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--length", type=int, default=60)
    parser.add_argument("--num", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=45)
    parser.add_argument("--ratios", type=float, nargs="+", default=[0.1, 0.3, 1, 2, 3, 5, 8])
    arguments = parser.parse_args(argv)

    designer = load(arguments.weights, arguments.device)
    model = designer.model
    designs = designer.generate(
        arguments.length, arguments.num, arguments.seed, steps=arguments.steps
    )
    positions = np.stack([design.coordinates[:, :3] for design in designs])
    clean = model.from_angstrom(torch.from_numpy(positions).to(model.device))
    clean = clean - clean.mean(dim=(1, 2), keepdim=True)
    print("| noise ratio | hidden of the size | law | of a coordinate, over v_t |")
    print("|---|---|---|---|")
    with torch.inference_mode():
        for ratio in arguments.ratios:
            hidden, error = measure(model, clean, ratio, arguments.seed)
            law = ratio**2 / (ratio**2 + COLLECTIVE**2)
            share = error * (1 + ratio**2) / ratio**2
            print(f"| {ratio:g} | {hidden:.1%} | {law:.1%} | {share:.1%} |", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

#!/usr/bin/env python3
"""Whether a model gives a native more likelihood than spoiled copies of it.

Takes held-out chains of prepared data and compares the log-likelihood of each with that of three
copies: with 0.5 Å of noise on every coordinate, mirrored, and with its pairs of phi and psi
shuffled (the same bonds and the same Ramachandran plot, but another fold). All four see the same
probes. The ranking accuracy is the share of chains whose native is the likeliest:

    python scripts/likelihood_ranking.py prepared.safetensors --num 100
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from protdiff.design import load
from protdiff.design.weights import DEFAULT_WEIGHTS
from protdiff.errors import ProtdiffError
from protdiff.evaluation.likelihood import Likelihood, LikelihoodSettings, measure_likelihood
from protdiff.structure import Backbone, backbone_dihedrals, build_backbone
from protdiff.training.dataset import load_dataset

NOISE = 0.5  # Å


def perturb(native: Backbone, rng: np.random.Generator) -> Backbone:
    atoms = native.coordinates[:, :3]
    return native.with_coordinates(atoms + rng.normal(0.0, NOISE, atoms.shape))


def mirror(native: Backbone, rng: np.random.Generator) -> Backbone:
    del rng
    return native.with_coordinates(native.coordinates * np.array([-1.0, 1.0, 1.0]))


def shuffle_torsions(native: Backbone, rng: np.random.Generator) -> Backbone:
    phi, psi, omega = backbone_dihedrals(native.coordinates)
    # The ends lack a torsion each, and every residue keeps both of its own together.
    order = np.arange(len(native))
    order[1:-1] = rng.permutation(order[1:-1])
    torsions = (np.nan_to_num(angle[order], nan=120.0) for angle in (phi, psi))
    return native.with_coordinates(build_backbone(*torsions, np.nan_to_num(omega, nan=180.0)))


COPIES: dict[str, Callable[[Backbone, np.random.Generator], Backbone]] = {
    "perturbed": perturb,
    "mirrored": mirror,
    "shuffled": shuffle_torsions,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prepared", type=Path, help="written by protdiff prepare")
    parser.add_argument("--weights", default=DEFAULT_WEIGHTS)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--num", type=int, default=100)
    parser.add_argument("--lengths", type=int, nargs=2, default=(40, 128))
    parser.add_argument("--shortest", action="store_true", help="take the shortest chains")
    parser.add_argument("--probes", type=int, default=8)
    parser.add_argument("--rtol", type=float, default=1e-3)
    parser.add_argument("--atol", type=float, default=1e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    arguments = parser.parse_args()

    model = load(arguments.weights, arguments.device).model
    settings = LikelihoodSettings(
        probes=arguments.probes, seed=arguments.seed, rtol=arguments.rtol, atol=arguments.atol
    )
    _, held_out = load_dataset(arguments.prepared, tuple(arguments.lengths))
    rng = np.random.default_rng(arguments.seed)
    order = rng.permutation(len(held_out))
    if arguments.shortest:
        order = np.argsort(held_out.lengths.numpy(), kind="stable")

    chains: list[dict[str, object]] = []
    wins = dict.fromkeys((*COPIES, "all"), 0)
    print(f"{'chain':14s}{'length':>7s}{'native':>10s}{'±':>6s}", end="")
    print("".join(f"{name:>12s}{'±':>6s}" for name in COPIES) + f"{'seconds':>9s}")
    for place in order[: arguments.num].tolist():
        start = time.perf_counter()
        native = Backbone.from_coordinates(held_out.get(place).numpy(), name=held_out.ids[place])
        found: dict[str, Likelihood | None] = {}
        found["native"] = measure_likelihood(model, native, settings)
        for name, spoil in COPIES.items():
            try:
                found[name] = measure_likelihood(model, spoil(native, rng), settings)
            except ProtdiffError:  # so unlikely that the flow cannot be solved
                found[name] = None
        seconds = time.perf_counter() - start
        nats = {name: -np.inf if one is None else one.nats for name, one in found.items()}
        for name in COPIES:
            wins[name] += nats["native"] > nats[name]
        wins["all"] += nats["native"] > max(nats[name] for name in COPIES)
        row = f"{native.name:14s}{len(native):7d}"
        for name, one in found.items():
            width = 10 if name == "native" else 12
            error = np.nan if one is None else one.standard_error
            row += f"{nats[name]:{width}.1f}{error:6.1f}"
        print(f"{row}{seconds:9.1f}", flush=True)
        chains.append(
            {
                "chain": native.name,
                "length": len(native),
                "nats": {name: None if one is None else one.nats for name, one in found.items()},
                "standard_error": {
                    name: None if one is None else one.standard_error for name, one in found.items()
                },
                "seconds": seconds,
            }
        )
    accuracy = {name: count / len(chains) for name, count in wins.items()}
    print(f"ranking accuracy over {len(chains)} chains:")
    for name, share in accuracy.items():
        print(f"  native above {name:10s}{share:6.2f}")
    if arguments.json is not None:
        report = {"weights": model.sha256, "accuracy": accuracy, "chains": chains}
        arguments.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()

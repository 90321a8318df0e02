#!/usr/bin/env python3
"""Whether a model gives a native more likelihood than spoiled copies of it.

Takes held-out chains of prepared data and compares the log-likelihood of each with that of three
copies: with 0.5 Å of noise on every coordinate, mirrored, and with its pairs of phi and psi
shuffled (the same bonds and the same Ramachandran plot, but another fold). All four see the same
probes. The ranking accuracy is the share of chains whose native is the likeliest:

    python scripts/likelihood_ranking.py prepared.safetensors --num 100

Each chain is written to the file --out when it is done, and a run that was stopped goes on there.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from protdiff.design import load
from protdiff.errors import ProtdiffError
from protdiff.evaluation.likelihood import LikelihoodSettings, measure_likelihood
from protdiff.structure import Backbone, backbone_dihedrals, build_backbone
from protdiff.training.dataset import load_dataset
from protdiff.weights import DEFAULT_WEIGHTS

if TYPE_CHECKING:
    from protdiff.model import BackboneModel

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
    parser.add_argument(
        "--out", type=Path, default=Path("likelihood_ranking.jsonl"), help="a line a chain"
    )
    arguments = parser.parse_args()

    model = load(arguments.weights, arguments.device).model
    settings = LikelihoodSettings(
        probes=arguments.probes, seed=arguments.seed, rtol=arguments.rtol, atol=arguments.atol
    )
    _, held_out = load_dataset(arguments.prepared, tuple(arguments.lengths))
    order = np.random.default_rng(arguments.seed).permutation(len(held_out))
    if arguments.shortest:
        order = np.argsort(held_out.lengths.numpy(), kind="stable")

    names = ("native", *COPIES)
    done = read_lines(arguments.out, model.sha256)
    print(f"{'chain':14s}{'length':>7s}", end="")
    print("".join(f"{name:>12s}{'±':>6s}" for name in names) + f"{'seconds':>9s}")
    for place in order[: arguments.num].tolist():
        native = Backbone.from_coordinates(held_out.get(place).numpy(), name=held_out.ids[place])
        if native.name not in done:
            start = time.perf_counter()
            # Each chain has random numbers of its own, so that a resumed run is the run that was.
            rng = np.random.default_rng([arguments.seed, place])
            copies = {name: spoil(native, rng) for name, spoil in COPIES.items()}
            found = {
                name: measure(model, structure, settings)
                for name, structure in ({"native": native} | copies).items()
            }
            line = {
                "chain": native.name,
                "length": len(native),
                "nats": {name: nats for name, (nats, _) in found.items()},
                "standard_error": {name: error for name, (_, error) in found.items()},
                "seconds": round(time.perf_counter() - start, 1),
                "weights_sha256": model.sha256,
            }
            with arguments.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            done[native.name] = line
        print(format_line(done[native.name], names), flush=True)
    chains = list(done.values())
    print(f"ranking accuracy over {len(chains)} chains:")
    for name in COPIES:
        print(f"  native above {name:10s}{np.mean([beats(one, [name]) for one in chains]):6.2f}")
    print(f"  native above {'all':10s}{np.mean([beats(one, COPIES) for one in chains]):6.2f}")


def measure(
    model: BackboneModel, backbone: Backbone, settings: LikelihoodSettings
) -> tuple[float | None, float | None]:
    """Return nats and their standard error; nothing where the flow cannot be solved."""
    try:
        found = measure_likelihood(model, backbone, settings)
    except ProtdiffError:  # so unlikely is it
        return None, None
    return found.nats, found.standard_error


def beats(line: dict[str, Any], copies: Iterable[str]) -> bool:
    nats = line["nats"]
    return all(nats[name] is None or nats["native"] > nats[name] for name in copies)


def read_lines(path: Path, weights: str) -> dict[str, dict[str, Any]]:
    """Return the finished chains of these weights, by name."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
    return {line["chain"]: line for line in lines if line["weights_sha256"] == weights}


def format_line(line: dict[str, Any], names: Iterable[str]) -> str:
    row = f"{line['chain']:14s}{line['length']:7d}"
    for name in names:
        nats, error = line["nats"][name], line["standard_error"][name]
        row += f"{-np.inf if nats is None else nats:12.1f}{np.nan if error is None else error:6.1f}"
    return f"{row}{line['seconds']:9.1f}"


if __name__ == "__main__":
    main()

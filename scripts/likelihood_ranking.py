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
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from json_lines import append_line, read_lines

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


def main(argv: list[str] | None = None) -> None:
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
    arguments = parser.parse_args(argv)

    model = load(arguments.weights, arguments.device).model
    settings = LikelihoodSettings(
        probes=arguments.probes, seed=arguments.seed, rtol=arguments.rtol, atol=arguments.atol
    )
    _, held_out = load_dataset(arguments.prepared, tuple(arguments.lengths))
    order = np.random.default_rng(arguments.seed).permutation(len(held_out))
    if arguments.shortest:
        order = np.argsort(held_out.lengths.numpy(), kind="stable")

    names = ("native", *COPIES)
    circumstances = {"weights_sha256": model.sha256, "settings": asdict(settings)}
    done = {
        line["chain"]: line
        for line in read_lines(arguments.out)
        if circumstances.items() <= line.items()
    }
    print(f"{'chain':14s}{'length':>7s}", end="")
    print("".join(f"{name:>12s}{'±':>6s}" for name in names) + f"{'seconds':>9s}")
    chains = []
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
                **circumstances,
            }
            append_line(arguments.out, line)
            done[native.name] = line
        chains.append(done[native.name])
        print(format_line(chains[-1], names), flush=True)
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
    """Tell whether a native is likelier than these copies; without nats one is least likely."""
    nats = {name: -np.inf if one is None else one for name, one in line["nats"].items()}
    return all(nats["native"] > nats[name] for name in copies)


def format_line(line: dict[str, Any], names: Iterable[str]) -> str:
    row = f"{line['chain']:14s}{line['length']:7d}"
    for name in names:
        nats, error = line["nats"][name], line["standard_error"][name]
        row += f"{-np.inf if nats is None else nats:12.1f}{np.nan if error is None else error:6.1f}"
    return f"{row}{line['seconds']:9.1f}"


if __name__ == "__main__":
    main()

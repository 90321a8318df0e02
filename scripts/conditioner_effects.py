#!/usr/bin/env python3
"""How far designs hold to what conditioners ask of them, and what that costs in quality.

Makes designs with and without each condition from the same noise, as ``protdiff generate`` makes
them, and prints what was asked, what came, and how sound they are:

    python scripts/conditioner_effects.py --length 60 --num 8
    python scripts/conditioner_effects.py --partner target.pdb --hotspots A11,A20,A30
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from protdiff.conditioning import Conditioner, Contacts, Partner, RadiusOfGyration, Shape
from protdiff.conditioning.shape import transport
from protdiff.design import Designer, load
from protdiff.design.settings import DEFAULT_STEPS
from protdiff.evaluation import measure_quality
from protdiff.evaluation.clashes import count_clashes
from protdiff.structure import read_backbone
from protdiff.structure.geometry import place_oxygen
from protdiff.structure.size import expect_radius
from protdiff.weights import DEFAULT_WEIGHTS

Designs = NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    """A request, and what to say of designs about it."""

    name: str
    conditioners: Sequence[Conditioner]
    measure: Callable[[Designs], str]


def make(
    designer: Designer,
    arguments: argparse.Namespace,
    conditioners: Sequence[Conditioner],
) -> tuple[Designs, float]:
    """Make designs, N, CA and C, and say how many CPU seconds they took."""
    start = time.process_time()
    made = designer.generate(
        arguments.length,
        arguments.num,
        arguments.seed,
        conditioners=conditioners,
        steps=arguments.steps,
    )
    seconds = time.process_time() - start
    return np.stack([backbone.coordinates[:, :3] for backbone in made]), seconds


def measure_radius(designs: Designs) -> str:
    radius = [measure_quality(design).rg for design in designs]
    return f"{np.mean(radius):.2f} ± {np.std(radius):.2f} Å"


def measure_contacts(pairs: Sequence[tuple[int, int]], designs: Designs) -> str:
    apart = np.array(
        [np.linalg.norm(designs[:, i - 1, 1] - designs[:, j - 1, 1], axis=-1) for i, j in pairs]
    )
    return f"{(apart <= 8).mean():.0%} within 8 Å, {(apart <= 9).mean():.0%} within 9 Å"


def measure_shape(shape: Shape, designs: Designs) -> str:
    body = shape.scale_to(designs.shape[1]).float().repeat(len(designs), 1, 1)
    mask = torch.ones(designs.shape[:2], dtype=torch.bool)
    cost = transport(torch.from_numpy(designs).mean(2), mask, body).sqrt()
    asked = float(body[0].square().sum(-1).mean().sqrt())
    return f"{cost.mean():.1f} Å off; Rg {measure_radius(designs)} of {asked:.2f}"


def measure_partner(partner: Partner, designs: Designs) -> str:
    clashes, touched = [], []
    there = partner.structure.coordinates
    for design in designs:
        placed = partner.place(design)
        touched.append(partner.measure_contacts(placed).mean())
        placed = np.concatenate([placed, place_oxygen(placed)[:, None]], axis=1)
        index = np.arange(len(placed)), 10_000 + 3 * np.arange(len(there))
        alone = count_clashes(placed, index[0]) + count_clashes(there, index[1])
        both = count_clashes(np.concatenate([placed, there]), np.concatenate(index))
        clashes.append(both - alone)
    return (
        f"{np.mean(touched):.0%} of hot spots, clashes with the partner: median "
        f"{np.median(clashes):g}, none in {np.mean(np.array(clashes) == 0):.0%}"
    )


def make_cases(length: int, partner: Partner | None) -> list[Case]:
    box = np.random.default_rng(0).uniform(-0.5, 0.5, (2000, 3))
    near, far = length // 12, length - length // 12
    pairs = [(near, far), (length // 3, 2 * length // 3)]
    contacts = Contacts(pairs)
    cases = [
        Case(f"Rg x{share} ({share * expect_radius(length):.2f} Å)",
             [RadiusOfGyration(f"x{share}")], measure_radius)
        for share in (0.95, 1.1, 1.2)
    ]  # fmt: skip
    cases.append(
        Case(
            f"contacts {pairs[0][0]}-{far}, {pairs[1][0]}-{pairs[1][1]}",
            [contacts],
            lambda designs: measure_contacts(pairs, designs),
        )
    )
    for name, sides in (("rod 3.5:1:1", (3.5, 1, 1)), ("disc 3:3:1.2", (3, 3, 1.2))):
        shape = Shape(box * sides)
        cases.append(
            Case(name, [shape], lambda designs, shape=shape: measure_shape(shape, designs))
        )
    if partner is not None:
        cases.append(
            Case(
                f"partner {partner.structure.name}",
                [partner],
                lambda designs: measure_partner(partner, designs),
            )
        )
    cases.append(
        Case(
            "contacts + Rg x1.1",
            [contacts, RadiusOfGyration("x1.1")],
            lambda designs: f"{measure_contacts(pairs, designs)}; {measure_radius(designs)}",
        )
    )
    return cases


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", default=DEFAULT_WEIGHTS)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--length", type=int, default=60)
    parser.add_argument("--num", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--partner", type=Path, metavar="FILE")
    parser.add_argument("--hotspots", metavar="RESIDUES")
    parser.add_argument("--steps", type=int, default=DEFAULT_STEPS)
    arguments = parser.parse_args(argv)

    designer = load(arguments.weights, arguments.device)
    partner = None
    if arguments.partner:
        partner = Partner(read_backbone(arguments.partner), arguments.hotspots, docked=True)

    def describe(designs: Designs, seconds: float) -> list[str]:
        found = [measure_quality(design) for design in designs]
        numbers = [
            f"{np.mean([getattr(one, name) for one in found]):.{digits}f}"
            for name, digits in (("links", 3), ("ramachandran", 3), ("clashes", 2), ("passes", 2))
        ]
        return [*numbers, f"{seconds / len(designs):.1f}"]

    columns = ("asked", "without", "with", "links", "Ramachandran", "clashes", "pass", "CPU s")
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))
    free, seconds = make(designer, arguments, ())
    print("| " + " | ".join(["nothing", "", "", *describe(free, seconds)]) + " |", flush=True)
    for case in make_cases(arguments.length, partner):
        held, seconds = make(designer, arguments, case.conditioners)
        row = [case.name, case.measure(free), case.measure(held), *describe(held, seconds)]
        print("| " + " | ".join(row) + " |", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

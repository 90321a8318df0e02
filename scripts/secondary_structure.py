#!/usr/bin/env python3
"""How far designs hold to the secondary structure that they are asked for.

Makes designs for each request and compares what the manifest says was asked with what came out:

    python scripts/secondary_structure.py --length 100 --num 32
"""

from __future__ import annotations

import argparse

import numpy as np

from protdiff.design import Generation, SamplingSettings, load
from protdiff.weights import DEFAULT_WEIGHTS

REQUESTS = ("any", "natural", "mainly-alpha", "mainly-beta", "alpha-beta")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", default=DEFAULT_WEIGHTS)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--length", type=int, default=100)
    parser.add_argument("--num", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--requests", nargs="+", default=REQUESTS, metavar="REQUEST")
    arguments = parser.parse_args()

    designer = load(arguments.weights, arguments.device)
    columns = ("asked for", "helix asked", "got", "strand asked", "got")
    print("| " + " | ".join([*columns, "correlation of helix", "of strand", "pass"]) + " |")
    print("|---|---|---|---|---|---|---|---|")
    for text in arguments.requests:
        settings = SamplingSettings(secondary_structure=text)
        task = Generation(arguments.length, arguments.seed, settings)
        designs = list(designer.make(task, range(arguments.num)))
        cells = []
        correlations = []
        for name in ("helix", "strand"):
            asked = np.array([d.extra["asked"].get(name, np.nan) for d in designs], dtype=float)
            got = np.array([getattr(d.quality, name) for d in designs])
            cells += [f"{asked.mean():.2f}", f"{got.mean():.2f}"]
            varied = np.std(asked) > 0 and np.std(got) > 0
            correlations.append(f"{np.corrcoef(asked, got)[0, 1]:.2f}" if varied else "–")
        passing = np.mean([d.quality.passes for d in designs])
        row = [f"`{text}`", *cells, *correlations, f"{passing:.2f}"]
        print("| " + " | ".join(row).replace("nan", "–") + " |", flush=True)


if __name__ == "__main__":
    main()

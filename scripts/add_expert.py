#!/usr/bin/env python3
r"""Add an expert for low noise, as a training run made it, to weights.

    protdiff train --preset base-expert --data prepared.safetensors
    python scripts/add_expert.py protdiff-base runs/expert --data prepared.safetensors \
        --hardware "one CPU core" --out with-expert.safetensors

The expert is asked for estimates below ``--below`` Å of noise, the network above. The card stays as
it was, and gets the expert's own, which is printed; its held-out loss is measured with nothing told
of residue types.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from release_weights import make_card, measure_held_out

from protdiff.checkpoint import load_checkpoint, save_checkpoint
from protdiff.errors import ProtdiffError
from protdiff.model import ExpertNetwork
from protdiff.weights import find_weights


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("weights", help="checkpoint, by its path or a bundled name")
    parser.add_argument("run", type=Path, help="folder of the expert's training run")
    parser.add_argument("--below", type=float, default=2.0, help="Å of noise")
    parser.add_argument("--earlier", type=Path, nargs="*", default=[], help="logs of parts before")
    parser.add_argument("--data", help="prepared chains, to measure the held-out loss on")
    parser.add_argument("--hardware", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--overwrite", action="store_true")
    options = parser.parse_args(arguments)
    try:
        model = load_checkpoint(find_weights(options.weights))
        trained = load_checkpoint(options.run / "weights.safetensors")
        card = make_card(dict(trained.metadata), options.run, options.earlier)
        if options.data:
            card["held_out_loss"] = measure_held_out(trained, options.run, options.data)
        card |= {"below": options.below, "hardware": options.hardware}
        released = replace(
            model,
            expert=ExpertNetwork(trained.network, below=options.below),
            metadata={**model.metadata, "expert": card},
        )
        save_checkpoint(options.out, released, overwrite=options.overwrite)
    except ProtdiffError as error:
        print(f"add_expert: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(card, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())

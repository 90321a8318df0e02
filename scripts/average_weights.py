#!/usr/bin/env python3
r"""Average weights of several moments of a training run, which wander from one to the next.

    protdiff train --preset base-4 --data prepared.safetensors
    python scripts/average_weights.py runs/base-4/weights-*.safetensors --out mean.safetensors

A run keeps them where ``keep_every`` says so.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from protdiff.checkpoint import load_checkpoint, save_checkpoint
from protdiff.errors import ProtdiffError
from protdiff.training.average import average_models


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("weights", type=Path, nargs="+", help="checkpoints of one run, in order")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--overwrite", action="store_true")
    options = parser.parse_args(arguments)
    try:
        averaged = average_models([load_checkpoint(path) for path in options.weights])
        save_checkpoint(options.out, averaged, overwrite=options.overwrite)
    except ProtdiffError as error:
        print(f"average_weights: {error}", file=sys.stderr)
        return error.exit_code
    steps = averaged.metadata["averaged_steps"]
    print(f"{options.out}: the mean of {len(steps)}, steps {', '.join(map(str, steps))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
r"""Make released weights of a training run: its averaged weights, with the whole card.

    python scripts/release_weights.py runs/final --earlier docs/models/protdiff-base-log.csv \
        --description "backbones of 40-128 residues" --hardware "one CPU core" \
        --out protdiff/weights/protdiff-base.safetensors

A run that began from other weights saw less than its weights did; ``--earlier`` names the logs of
the parts before it, whose steps, samples and seconds are added. The held-out loss on the card is
the last that the run's log holds, or with ``--data`` measured now, of weights that were saved
between two measurements. What is printed is the card.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from protdiff.checkpoint import load_checkpoint, save_checkpoint
from protdiff.errors import ProtdiffError
from protdiff.model import BackboneModel
from protdiff.training import TrainingConfig
from protdiff.training.dataset import load_dataset
from protdiff.training.held_out import HeldOutLoss


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("run", type=Path, help="folder of the training run")
    parser.add_argument("--earlier", type=Path, nargs="*", default=[], help="logs of parts before")
    parser.add_argument("--data", help="prepared chains, to measure the held-out loss on")
    parser.add_argument("--description", required=True)
    parser.add_argument("--hardware", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--overwrite", action="store_true")
    options = parser.parse_args(arguments)
    try:
        model = load_checkpoint(options.run / "weights.safetensors")
        card = make_card(dict(model.metadata), options.run, options.earlier)
        if options.data:
            card["held_out_loss"] = measure_held_out(model, options.run, options.data)
        card |= {"description": options.description, "hardware": options.hardware}
        save_checkpoint(options.out, replace(model, metadata=card), overwrite=options.overwrite)
    except ProtdiffError as error:
        print(f"release_weights: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(card, indent=2))
    return 0


def make_card(card: dict[str, Any], run: Path, earlier: list[Path]) -> dict[str, Any]:
    """Return the run's card with what the parts before it did, and what was measured last."""
    del card["initial_weights"]
    for path in earlier:
        last = read_log(path)[-1]
        # Logs of earlier versions write a million as 1e+06.
        card["steps"] += int(float(last["step"]))
        card["samples"] += int(float(last["samples"]))
        card["training_seconds"] += round(float(last["seconds"]))
    config = json.loads((run / "config.json").read_text())
    card["secondary_structure"] = config["secondary_structure"]
    card["cut"] = config.get("cut", 0.0)  # runs of earlier versions cut none
    measured = [row for row in read_log(run / "log.csv") if row["held_out"]]
    if measured:
        card["held_out_loss"] = {
            name: float(value) for name, value in measured[-1].items() if name.startswith("held")
        }
    return card


def measure_held_out(model: BackboneModel, run: Path, data: str) -> dict[str, float]:
    """Return the held-out loss of weights, by the lengths and the noise of their run."""
    values = json.loads((run / "config.json").read_text())
    config = TrainingConfig.from_dict(values, str(run))
    _, held_out = load_dataset(data, config.lengths)
    losses = HeldOutLoss(held_out, config.noise, model.scale).measure(model.network)
    return {name: float(f"{loss:.6g}") for name, loss in losses.items()}


def read_log(path: Path) -> list[dict[str, str]]:
    """Return the rows of a run's log."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    sys.exit(main())

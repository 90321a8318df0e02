"""Train variants of the recipe side by side under one budget, and print what each reached.

    python scripts/ablation.py --data prepared.safetensors --steps 1000 --out ablation
    python scripts/ablation.py --data prepared.safetensors --table mine.toml --out mine

A variant is a run of ``protdiff train`` that differs from the base by a few keys; all of one seed
see the same chains, noise and number of samples, because a step draws from (seed, step) alone. The
table is TOML: ``[base]`` for all, ``[variants.NAME]`` for one of them, each with the keys of a run.
Without ``--table`` it is that of docs/ablations.md, in this file.

Each finished variant is a line of ``OUT/ablation.jsonl``: change, steps, samples, seconds, held-out
loss by noise level, panel. What is there is not made again and a run that was killed goes on, so
the same command may be given until all is done; ``--report`` prints what is there.
``OUT/ablation.md`` holds the table. Processor seconds are counted, because a machine may be busy
with other work.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

from json_lines import append_line, read_lines
from markdown_table import make_table

from protdiff.errors import InputError, ProtdiffError
from protdiff.files import write_atomically
from protdiff.toml import read_toml
from protdiff.training import Trainer, TrainingConfig
from protdiff.training.folder import hold_folder
from protdiff.training.held_out import NOISE_EDGES
from protdiff.training.machine import use_cpu

TABLE = """
[base]
lengths = [40, 64]
residues_per_batch = 500
warmup_steps = 20
threads = 1

[variants.base]
[variants.another-seed]
seed = 1
[variants.third-seed]
seed = 2
[variants.no-self-conditioning]
self_condition = 0.0
[variants.pairs-not-refreshed]
network = { pair_refresh = false }
[variants.adamw]
muon = false
[variants.no-halfway-loss]
halfway = 0.0
[variants.four-wider-layers]
network = { layers = 4, scalars = 160, vectors = 40, hidden = 400 }
[variants.no-motifs]
motif = 0.0
[variants.hydrogen-bonds]
network = { hydrogen_bonds = true }
[variants.chain-convolution]
network = { neighbours = 3 }
[variants.chain-convolution-another-seed]
seed = 1
network = { neighbours = 3 }
[variants.chain-convolution-third-seed]
seed = 2
network = { neighbours = 3 }
[variants.chain-convolution-lmax-2]
network = { neighbours = 3, lmax = 2 }
[variants.less-noise]
noise = { mean = -1.6 }
[variants.more-noise]
noise = { mean = -0.6 }
[variants.all-noise-alike]
noise = { uniform_share = 1.0 }
"""
PANEL = ("links", "ramachandran", "helix", "strand", "helix_left", "rg_ratio")
BANDS = tuple(f"held_out_{low:g}-{high:g}" for low, high in pairwise(NOISE_EDGES))


def make_configs(table: dict[str, Any], options: argparse.Namespace) -> dict[str, TrainingConfig]:
    """Return the run of each variant by its name.

    Raises
    ------
    InputError
        The table does not describe runs.
    """
    base, variants = table.get("base", {}), table.get("variants", {})
    if set(table) - {"base", "variants"} or not variants:
        raise InputError("the table has [base] and [variants.NAME], one for each variant")
    steps = options.steps
    budget = {
        "data": options.data,
        "steps": steps,
        "decay_steps": max(1, steps // 4),
        "log_every": max(1, steps // 10),
        "evaluate_every": 0,
        "panel_every": 0,
        "panel_designs": options.panel_designs,
        "checkpoint_every": max(1, steps // 4),
    }
    return {
        name: TrainingConfig.from_dict(
            budget | base | keys | {"out": str(options.out / name)}, f"variant {name}"
        )
        for name, keys in variants.items()
    }


def describe(keys: dict[str, Any]) -> str:
    """Write what a variant changes on one line."""
    return json.dumps(keys)[1:-1].replace('"', "") or "–"


def make(config: TrainingConfig) -> dict[str, float]:
    """Train a variant to its end, and return its last row of the log with the seconds of a CPU."""
    with use_cpu(config.threads), hold_folder(Path(config.out)):
        trainer = Trainer(config)
        begun, cpu = trainer.progress.step, time.process_time()
        trainer.run()
        cpu = time.process_time() - cpu
    with (Path(config.out) / "log.csv").open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    row = {name: float(value) for name, value in last.items() if value}
    if config.steps > begun:
        row["cpu_seconds"] = cpu * config.steps / (config.steps - begun)
    return row


def read_results(path: Path) -> dict[str, dict[str, Any]]:
    """Read the finished variants by name."""
    return {result["name"]: result for result in read_lines(path)}


def tabulate(results: list[dict[str, Any]]) -> str:
    """Return the results as a table in Markdown, one line a variant."""
    bands = [f"{name.removeprefix('held_out_')} Å" for name in BANDS]
    head = ["variant", "change", "steps", "samples", "CPU s", "held-out", *bands, *PANEL]
    lines = []
    for result in results:
        row = result["row"]
        lines.append(
            [
                result["name"],
                f"`{result['change']}`",
                f"{row['step']:.0f}",
                f"{row['samples']:.0f}",
                f"{row.get('cpu_seconds', float('nan')):.0f}",
                f"{row['held_out']:.4f}",
                *(f"{row[name]:.3f}" for name in BANDS),
                *(f"{row[name]:.2f}" if name in row else "–" for name in PANEL),
            ]
        )
    return make_table(head, lines)


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", required=True, help="prepared by protdiff prepare, with held-out chains")
    add("--out", type=Path, default=Path("ablation"), help="folder (%(default)s)")
    add("--table", type=Path, help="TOML file of variants")
    add("--only", nargs="+", metavar="NAME", help="of these variants alone")
    add("--steps", type=int, default=1000, help="of each variant (%(default)s)")
    add("--panel-designs", type=int, default=4, help="backbones of a panel (%(default)s)")
    add("--report", action="store_true", help="train nothing; print what is there")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> None:
    table = tomllib.loads(TABLE) if options.table is None else read_toml(options.table)
    configs = make_configs(table, options)
    unknown = set(options.only or ()) - set(configs)
    if unknown:
        raise InputError(f"no variant {', '.join(unknown)}; there are {', '.join(configs)}")
    path = options.out / "ablation.jsonl"
    options.out.mkdir(parents=True, exist_ok=True)
    done = read_results(path)
    for name, config in configs.items():
        if options.report or name in done or (options.only and name not in options.only):
            continue
        change = describe(table["variants"][name])
        result = {"name": name, "change": change, "config": config.to_dict(), "row": make(config)}
        append_line(path, result)
        done[name] = result
        print(f"{name}: held-out {result['row']['held_out']:.4f}", file=sys.stderr, flush=True)
    text = tabulate([done[name] for name in configs if name in done])
    with write_atomically(options.out / "ablation.md", overwrite=True) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(text, end="")


def main(arguments: list[str] | None = None) -> int:
    try:
        run(parse_arguments(arguments))
    except ProtdiffError as error:
        print(f"ablation: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Quality against diversity: what temperature and step scale buy, and what they cost.

Makes designs at each temperature, with the step scale that users get, and at each step scale, at
temperature 1, and measures both sides of the trade:

    python scripts/temperature.py --length 80 --num 16 --out temperature

Each cell is a run folder of ``OUT``, so a run that was killed goes on where it was. ``OUT`` also
gets the table, ``temperature.md``, the numbers, ``temperature.json``, and, where matplotlib is
installed, the curves, ``temperature.png``. All cells start from the same noise.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from markdown_table import make_table
from panel import measure_run, to_number

from protdiff.design import Generation, SamplingSettings, load, run_designs
from protdiff.design.settings import DEFAULT_STEPS
from protdiff.errors import ProtdiffError
from protdiff.evaluation.tm_score import get_aligner
from protdiff.files import write_atomically
from protdiff.weights import DEFAULT_WEIGHTS

DEFAULTS = SamplingSettings()
COLUMNS = {
    "passing": "passing",
    "ramachandran": "Ramachandran",
    "phi_positive_in_band": "φ > 0 in band",
    "rg_in_band": "Rg in band",
    "contacts_in_band": "contacts in band",
    "clashes": "clashes per 100",
    "helix": "helix",
    "strand": "strand",
    "strand_above_20": "≥ 20 % strand",
    "all_helix": "all-helix",
    "mean_pairwise_tm": "pairwise TM",
    "clusters_per_design": "clusters per design",
}
CURVES = {"passing": "designs without a fault", "ramachandran": "Ramachandran", "strand": "strand"}
"""What is drawn against diversity."""
STYLES = {"temperature": ("#00798c", "o"), "step scale": ("#d1495b", "s")}

Cell = tuple[float, float]
"""Temperature and step scale."""


def list_cells(options: argparse.Namespace) -> list[Cell]:
    """Give the cells, each once: temperatures first."""
    cells = [(temperature, options.step_scale) for temperature in options.temperatures]
    cells += [(options.temperature, scale) for scale in options.step_scales]
    return list(dict.fromkeys(cells))


def name_cell(cell: Cell) -> str:
    """Return the name of a cell's folder.

    Examples
    --------
    >>> name_cell((1.0, 1.3))
    't1_s1.3'
    """
    return f"t{cell[0]:g}_s{cell[1]:g}"


def write_table(found: dict[Cell, dict[str, float]]) -> str:
    """Write a line a cell."""
    lines = []
    for (temperature, scale), summary in found.items():
        numbers = [summary[name] for name in COLUMNS]
        cells = ["–" if math.isnan(number) else f"{number:.3f}" for number in numbers]
        lines.append([f"{temperature:g}", f"{scale:g}", *cells])
    return make_table(["temperature", "step scale", *COLUMNS.values()], lines)


def draw(path: Path, found: dict[Cell, dict[str, float]], options: argparse.Namespace) -> bool:
    """Draw quality against diversity, a curve a knob; False where matplotlib is not installed."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    knobs = {
        "temperature": [(t, options.step_scale) for t in sorted(options.temperatures)],
        "step scale": [(options.temperature, s) for s in sorted(options.step_scales)],
    }
    figure, axes = plt.subplots(
        1, len(CURVES), figsize=(4.0 * len(CURVES), 3.6), layout="constrained"
    )
    for axis, (name, label) in zip(axes, CURVES.items(), strict=True):
        for place, (knob, cells) in enumerate(knobs.items()):
            color, marker = STYLES[knob]
            points = [(1 - found[c]["mean_pairwise_tm"], found[c][name]) for c in cells]
            axis.plot(
                *zip(*points, strict=True), color=color, marker=marker, ms=4, lw=1.4, label=knob
            )
            for cell, point in zip(cells, points, strict=True):
                axis.annotate(
                    f"{cell[place]:g}",
                    point,
                    xytext=(4, 4 if place == 0 else -10),
                    textcoords="offset points",
                    size=8,
                    color=color,
                )
        axis.set_xlabel("diversity: 1 − mean pairwise TM")
        axis.set_title(label, size=11)
        axis.grid(color="#eeeeee")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, fontsize=9)
    with write_atomically(path, overwrite=True) as temporary:
        figure.savefig(temporary, dpi=130)
    plt.close(figure)
    return True


def run(options: argparse.Namespace) -> str:
    """Make the cells, write table, numbers and figure, and return the table."""
    cells = list_cells(options)
    designer, aligner = load(options.weights, options.device), get_aligner()
    found: dict[Cell, dict[str, float]] = {}
    for number, cell in enumerate(cells, start=1):
        settings = SamplingSettings(
            temperature=cell[0], step_scale=cell[1], steps=options.steps, grid=options.grid
        )
        folder = options.out / name_cell(cell)
        task = Generation(options.length, options.seed, settings)
        run_designs(designer, task, folder, options.num, batch_size=options.batch_size)
        found[cell] = measure_run(folder, aligner).summary
        print(f"{number}/{len(cells)} {folder.name}", file=sys.stderr, flush=True)
    text = (
        f"{designer.model.name}, {options.length} residues, {options.num} designs a line, "
        f"{options.steps} steps, {options.grid} grid, seed {options.seed}.\n\n" + write_table(found)
    )
    with write_atomically(options.out / "temperature.md", overwrite=True) as temporary:
        temporary.write_text(text, encoding="utf-8")
    rows = [
        {"temperature": t, "step_scale": s, **{k: to_number(v) for k, v in summary.items()}}
        for (t, s), summary in found.items()
    ]
    with write_atomically(options.out / "temperature.json", overwrite=True) as temporary:
        temporary.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    if not draw(options.out / "temperature.png", found, options):
        print("temperature: no figure without matplotlib; pip install matplotlib", file=sys.stderr)
    return text


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--out", type=Path, default=Path("temperature"), help="folder (%(default)s)")
    add("--length", type=int, default=80, help="residues (%(default)s)")
    add("--num", type=int, default=16, help="designs a cell (%(default)s)")
    add("--temperatures", nargs="*", type=float, default=[0.6, 0.8, 1.0, 1.2], metavar="T")
    add("--step-scales", nargs="*", type=float, default=[1.0, 1.3, 1.5, 2.0], metavar="S")
    add(
        "--temperature",
        type=float,
        default=DEFAULTS.temperature,
        help="at which step scales are varied (%(default)s)",
    )
    add(
        "--step-scale",
        type=float,
        default=DEFAULTS.step_scale,
        help="at which temperatures are varied (%(default)s)",
    )
    add("--steps", type=int, default=DEFAULT_STEPS, help="(%(default)s)")
    add("--grid", default=DEFAULTS.grid, help="(%(default)s)")
    add("--batch-size", type=int, help="designs at once")
    add("--seed", type=int, default=0)
    add("--weights", default=DEFAULT_WEIGHTS, help="name or path (%(default)s)")
    add("--device", default="auto")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    try:
        print(run(parse_arguments(arguments)), end="")
    except ProtdiffError as error:
        print(f"temperature: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

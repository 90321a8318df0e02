"""What each sampler makes of a budget of evaluations: the error–cost curves, table and figure.

    python scripts/sampler_cost.py analytic --out cost
    python scripts/sampler_cost.py backbones --out cost --samplers sde-dpm++2m --budgets 16 32 60

Two cases, by the samplers and grids that users name:

analytic
    A Gaussian mixture in the plane, whose denoiser is exact, so that the sampler alone errs. Error
    is the sliced Wasserstein distance of the draws to the exact law; its floor is the distance of
    as many exact draws, below which nothing can be seen.
backbones
    Designs of a checkpoint, made as ``protdiff generate`` makes them, and their quality: the share
    that passes every check and the panel of ``protdiff evaluate``.

A cell is one sampler, grid, budget and step scale. The steps are those that the budget allows
(``Sampler.count_steps``); evaluations are counted, not computed. All cells start from the same
seeds. An adaptive sampler has no budget: it gets one step of the grid, and on the mixture a curve
over its tolerance. Seconds are those of a design within its batch; CPU seconds leave out what a
busy machine's other work takes.

Each finished cell is a line of ``FOLDER/analytic.jsonl`` or ``FOLDER/backbones.jsonl``; cells that
are there are not made again, so a run that was killed goes on where it was. ``FOLDER`` also gets
``sampler_cost.md`` and, where matplotlib is installed, ``sampler_cost.png``, with every cell that
was asked for and is there. ``--report`` writes these from what is there and makes nothing.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from json_lines import append_line, read_lines
from markdown_table import make_table
from torch import Tensor

from protdiff.design import Designer, load
from protdiff.design.generate import Generation
from protdiff.design.samplers import (
    SAMPLER_NAMES,
    is_adaptive,
    make_grid,
    make_sampler,
)
from protdiff.design.settings import SamplingSettings
from protdiff.diffusion import (
    DormandPrince,
    GaussianNoise,
    LinearVPSDE,
    MixtureDenoiser,
    Sampler,
    draw_prior,
)
from protdiff.errors import InputError, ProtdiffError
from protdiff.evaluation import summarise_quality
from protdiff.files import write_atomically
from protdiff.weights import DEFAULT_WEIGHTS

PARTS = ("analytic", "backbones")
BUDGETS = (10, 16, 24, 32, 45, 60, 100, 200, 500)
TOLERANCES = (0.05, 0.01, 1e-3, 1e-4, 1e-5)
PANEL = {
    "links": "links in band",
    "unbroken": "unbroken",
    "ramachandran": "Ramachandran",
    "clashes": "clashes per 100",
    "rg_in_band": "Rg in band",
    "contacts_in_band": "contacts in band",
    "helix": "helix",
    "strand": "strand",
    "all_helix": "all-helix",
}
"""The columns of the table; the lines of the file hold the whole panel."""
COLOURS = {
    "euler-maruyama": "#d1495b",
    "exponential": "#edae49",
    "predictor-corrector": "#8d6a9f",
    "annealed-langevin": "#8a8a8a",
    "heun-churn": "#30638e",
    "sde-dpm++2m": "#00798c",
    "euler": "#f08a99",
    "ddim": "#b5651d",
    "heun": "#7aa6d6",
    "dpm++2m": "#5fb49c",
    "dormand-prince": "#000000",
}

Row = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """One point of a curve; an adaptive sampler has no budget, and a tolerance on the mixture."""

    sampler: str
    grid: str
    budget: int | None
    step_scale: float = 1.0
    autoguidance: float = 1.0
    tolerance: float | None = None

    @property
    def sharpening(self) -> str:
        """What was done to the score, in words."""
        guided = "" if self.autoguidance == 1.0 else f", autoguidance {self.autoguidance:g}"
        return f"step scale {self.step_scale:g}{guided}"


class Results:
    """The finished cells of a file, found again by everything that they depend on.

    Parameters
    ----------
    path
        One line a cell.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: dict[str, Row] = {}
        for record in read_lines(path):
            self._rows[_write_key(record["cell"])] = record["result"]

    def get(self, cell: dict[str, Any]) -> Row | None:
        """Return what was found, or None."""
        return self._rows.get(_write_key(cell))

    def add(self, cell: dict[str, Any], result: Row) -> None:
        """Put a finished cell on the disk."""
        append_line(self.path, {"cell": cell, "result": result})
        self._rows[_write_key(cell)] = result


def _write_key(cell: dict[str, Any]) -> str:
    return json.dumps(cell, sort_keys=True)


def make_mixture() -> MixtureDenoiser:
    """Make seven clusters of different sizes on a spiral, of unit variance in all."""
    angle = torch.linspace(0.6, 2.1 * torch.pi, 7).double()
    radius = 0.16 * angle + 0.55
    means = torch.stack([radius * angle.cos(), radius * angle.sin()], 1)
    means = means - means.mean(0)
    along = torch.stack([-angle.sin(), angle.cos()], 1)
    covariances = 0.035 * along[:, :, None] * along[:, None] + 0.004 * torch.eye(2)
    return MixtureDenoiser(LinearVPSDE(), torch.linspace(1, 2, 7).double(), means, covariances)


def measure_distance(x: Tensor, mixture: MixtureDenoiser) -> float:
    """Give the sliced Wasserstein-1 distance of draws, ``(number, 2)``, to the mixture's law.

    Along each direction the law is a mixture of normals, whose quantiles are those of the draws
    in the limit; so only the draws themselves add a Monte-Carlo error.
    """
    angle = torch.linspace(0, torch.pi, 33)[:-1].double()
    directions = torch.stack([angle.cos(), angle.sin()])  # (2, direction)
    means = mixture.means @ directions  # (component, direction)
    variances = torch.einsum("cij,id,jd->cd", mixture.covariances, directions, directions)
    reach = 4.0 * float(mixture.means.norm(dim=1).max())
    places = torch.linspace(-reach, reach, 4_001).double()
    ranks = (torch.arange(len(x)).double() + 0.5) / len(x)
    distances = []
    for direction in range(directions.shape[1]):
        standard = (places - means[:, direction, None]) / variances[:, direction, None].sqrt()
        below = mixture.weights @ torch.special.ndtr(standard)  # (place,)
        quantiles = torch.from_numpy(np.interp(ranks, below, places))
        draws = (x.double() @ directions[:, direction]).sort().values
        distances.append((draws - quantiles).abs().mean())
    return float(torch.stack(distances).mean())


def measure_floor(draws: int, repeats: int = 10) -> tuple[float, float]:
    """Give the mean distance of exact draws to their law, and its spread."""
    mixture = make_mixture()
    generator = torch.Generator().manual_seed(1_000)
    found = [measure_distance(mixture.sample(draws, generator), mixture) for _ in range(repeats)]
    return float(np.mean(found)), float(np.std(found, ddof=1))


def measure_on_mixture(cell: Cell, *, draws: int, seed: int) -> Row:
    """Sample the mixture and compare with its law."""
    mixture = make_mixture()
    noise = GaussianNoise(torch.Generator().manual_seed(seed))
    x_T = draw_prior(mixture.sde, noise, torch.zeros(draws, 2, dtype=torch.float64))
    sampler: Sampler = make_sampler(cell.sampler)
    if cell.tolerance is not None:
        sampler = DormandPrince(rtol=cell.tolerance, atol=cell.tolerance)
    steps = 1 if cell.budget is None else sampler.count_steps(cell.budget)
    taken: list[int] = []
    x = sampler(
        mixture,
        x_T,
        make_grid(cell.grid)(mixture.sde, steps),
        noise=noise,
        callback=lambda info: taken.append(info.evaluations),
    )
    return {"steps": steps, "evaluations": taken[-1], "error": measure_distance(x, mixture)}


def measure_on_backbones(
    designer: Designer,
    cell: Cell,
    *,
    length: int,
    num: int,
    batch_size: int,
    seed: int,
    self_condition: bool,
) -> Row:
    """Make designs and judge them."""
    steps = 1 if cell.budget is None else make_sampler(cell.sampler).count_steps(cell.budget)
    settings = SamplingSettings(
        sampler=cell.sampler,
        grid=cell.grid,
        steps=steps,
        step_scale=cell.step_scale,
        autoguidance=cell.autoguidance,
        self_condition=self_condition,
    )
    task = Generation(length, seed, settings)
    size = 1 if is_adaptive(cell.sampler) else batch_size
    calls: list[None] = []
    hooks = [
        network.register_forward_hook(lambda *_: calls.append(None))
        for network in designer.model.networks
    ]
    cpu, designs, evaluations = time.process_time(), [], 0
    try:
        for start in range(0, num, size):
            batch = range(start, min(start + size, num))
            calls.clear()
            designs += designer.make(task, batch, batch_size=size)
            evaluations += len(calls) * len(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return {
        "steps": steps,
        "evaluations": evaluations / num,
        "seconds": sum(design.seconds for design in designs) / num,
        "cpu_seconds": (time.process_time() - cpu) / num,
        # JSON knows no NaN.
        "panel": {
            name: value if math.isfinite(value) else None
            for name, value in summarise_quality([d.quality for d in designs]).items()
        },
    }


def list_cells(options: argparse.Namespace, part: str) -> Iterator[Cell]:
    """Give the cells of a part, the whole curve of one sampler after the other."""
    pairs = [(1.0, 1.0)]
    if part == "backbones":
        pairs = list(itertools.product(options.step_scales, options.autoguidances))
    for sampler in options.samplers:
        for grid in options.grids:
            if is_adaptive(sampler):
                if grid != options.grids[0]:
                    continue  # it takes its own steps, whatever the grid
                tolerances = TOLERANCES if part == "analytic" else (None,)
                yield from (Cell(sampler, grid, None, *p, e) for p in pairs for e in tolerances)
                continue
            cost = make_sampler(sampler).evaluations_per_step
            budgets = [budget for budget in options.budgets if budget > cost]
            yield from (Cell(sampler, grid, budget, *p) for p in pairs for budget in budgets)


def collect(
    cells: Iterable[Cell],
    results: Results,
    circumstances: dict[str, Any],
    measure: Callable[[Cell], Row] | None,
) -> list[tuple[Cell, Row]]:
    """Take cells from the file, and make those that it lacks; without ``measure`` leave them."""
    found = []
    for cell in cells:
        key = asdict(cell) | circumstances
        row = results.get(key)
        if row is None and measure is not None:
            try:
                row = measure(cell)
            except ProtdiffError as error:
                if isinstance(error, InputError):
                    raise
                row = {"failed": str(error)}  # a flow that cannot be solved is a finding too
            results.add(key, row)
            print(f"{results.path.stem}: {describe(cell)}: {brief(row)}", file=sys.stderr)
        if row is not None:
            found.append((cell, row))
    return found


def describe(cell: Cell) -> str:
    ending = f"{cell.budget} evaluations" if cell.budget is not None else "adaptive"
    tolerance = "" if cell.tolerance is None else f", tolerance {cell.tolerance:g}"
    return f"{cell.sampler}, {cell.grid}, {cell.sharpening}, {ending}{tolerance}"


def brief(row: Row) -> str:
    if "failed" in row:
        return str(row["failed"])
    if "error" in row:
        return f"{row['evaluations']} evaluations, error {row['error']:.4f}"
    return f"passing {row['panel']['passing']:.2f}, {row['seconds']:.2f} s a design"


def tabulate_analytic(found: list[tuple[Cell, Row]], floor: tuple[float, float]) -> str:
    """Give the errors: a line a sampler and grid, a column a budget."""
    budgets = sorted({cell.budget for cell, _ in found if cell.budget is not None})
    curves: dict[tuple[str, str], dict[int | None, str]] = {}
    adaptive = []
    for cell, row in found:
        text = f"{row['error']:.4f}" if "error" in row else "failed"
        if cell.budget is not None:
            curves.setdefault((cell.sampler, cell.grid), {})[cell.budget] = text
        else:
            adaptive.append(f"{text} ({row.get('evaluations', '–')}, tolerance {cell.tolerance:g})")
    lines = [
        [sampler, grid, *(curve.get(budget, "–") for budget in budgets)]
        for (sampler, grid), curve in curves.items()
    ]
    text = make_table(["sampler", "grid", *map(str, budgets)], lines)
    if adaptive:
        text += f"\nDormand–Prince, error (evaluations): {'; '.join(adaptive)}.\n"
    return text + f"\nExact draws: {floor[0]:.4f} ± {floor[1]:.4f}.\n"


def tabulate_backbones(found: list[tuple[Cell, Row]]) -> str:
    """Give cost and quality: a line a cell."""
    head = ["sampler", "grid", "step scale", "autoguidance", "evaluations", "s", "CPU s", "passing"]
    lines = []
    for cell, row in found:
        start = [cell.sampler, cell.grid, f"{cell.step_scale:g}", f"{cell.autoguidance:g}"]
        if "failed" in row:
            lines.append([*start, "failed", *["–"] * (3 + len(PANEL))])
            continue
        panel = row["panel"]
        passing = f"{round(panel['passing'] * panel['designs'])}/{round(panel['designs'])}"
        cost = [f"{row['evaluations']:g}", f"{row['seconds']:.2f}", f"{row['cpu_seconds']:.2f}"]
        numbers = ["–" if panel[name] is None else f"{panel[name]:.3f}" for name in PANEL]
        lines.append([*start, *cost, passing, *numbers])
    return make_table([*head, *PANEL.values()], lines)


def draw(
    path: Path,
    analytic: list[tuple[Cell, Row]],
    backbones: list[tuple[Cell, Row]],
    floor: tuple[float, float] | None,
) -> bool:
    """Draw both curves, a column a grid; False where matplotlib is not installed."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    panels: list[tuple[str, list[tuple[Cell, Row]], Callable[[Row], float | None]]] = []
    if analytic:
        panels.append(("sliced Wasserstein distance", analytic, lambda row: row["error"]))
    if backbones:
        panels += [
            ("share passing all checks", backbones, lambda row: row["panel"]["passing"]),
            ("chain links in band", backbones, lambda row: row["panel"]["links"]),
        ]
    both = analytic + backbones
    grids = list(dict.fromkeys(cell.grid for cell, _ in both))
    sharpenings = dict.fromkeys(cell.sharpening for cell, _ in backbones)
    styles = dict(zip(sharpenings, itertools.cycle(["-", "--", ":", "-."])))
    figure, axes = plt.subplots(
        len(panels),
        len(grids),
        figsize=(4.0 * len(grids) + 2.2, 3.3 * len(panels)),
        squeeze=False,
        sharex=True,
        sharey="row",
        layout="constrained",
    )
    handles: dict[str, Any] = {}
    for across, (label, found, get) in zip(axes, panels, strict=True):
        for axis, grid in zip(across, grids, strict=True):
            curves: dict[tuple[str, str], list[tuple[float, float]]] = {}
            for cell, row in found:
                value = None if "failed" in row else get(row)
                # An adaptive sampler takes its own steps: it belongs to every grid.
                if value is not None and (cell.grid == grid or cell.budget is None):
                    curve = curves.setdefault((cell.sampler, cell.sharpening), [])
                    curve.append((row["evaluations"], value))
            for (sampler, sharpening), curve in curves.items():
                (handles[sampler],) = axis.plot(
                    *zip(*sorted(curve), strict=True),
                    color=COLOURS.get(sampler),
                    linestyle=styles.get(sharpening, "-"),
                    marker="s" if is_adaptive(sampler) else "o",
                    markersize=3.5,
                    linewidth=1.4,
                )
            if found is analytic and floor is not None:
                axis.set_yscale("log")
                axis.axhline(floor[0], color="#888888", linestyle=(0, (1, 3)))
            if label.startswith("share"):
                axis.set_ylim(-0.03, 1.03)
            axis.set_xscale("log")
            axis.set_xticks(BUDGETS, [str(budget) for budget in BUDGETS], size=8)
            axis.minorticks_off()
            axis.grid(color="#eeeeee")
            axis.spines[["top", "right"]].set_visible(False)
        across[0].set_ylabel(label)
    for axis, grid in zip(axes[0], grids, strict=True):
        axis.set_title(f"{grid} grid", size=11)
    for axis in axes[-1]:
        axis.set_xlabel("evaluations of the denoiser")
    if floor is not None and analytic:
        axes[0, 0].text(BUDGETS[0], 1.07 * floor[0], "exact draws", size=8, color="#666666")
    lines = [
        plt.Line2D([], [], color=handle.get_color(), marker=handle.get_marker(), ms=3.5, label=name)
        for name, handle in handles.items()
    ]
    lines += [
        plt.Line2D([], [], color="#555555", ls=style, label=sharpening)
        for sharpening, style in styles.items()
    ]
    figure.legend(handles=lines, loc="outside right center", frameon=False, fontsize=9)
    with write_atomically(path, overwrite=True) as temporary:
        figure.savefig(temporary, dpi=130)
    plt.close(figure)
    return True


def run(options: argparse.Namespace) -> str:
    """Make the cells, write table and figure, and return the table."""
    parts = PARTS if options.part is None else (options.part,)
    found: dict[str, list[tuple[Cell, Row]]] = {part: [] for part in PARTS}
    sections, floor = [], None
    if "analytic" in parts:
        circumstances: dict[str, Any] = {"draws": options.draws, "seed": options.seed}
        found["analytic"] = collect(
            list_cells(options, "analytic"),
            Results(options.out / "analytic.jsonl"),
            circumstances,
            None if options.report else lambda cell: measure_on_mixture(cell, **circumstances),
        )
        floor = measure_floor(options.draws)
        sections.append(
            f"## A mixture with a known law, {options.draws:,} draws\n\n"
            "Sliced Wasserstein distance to the exact law, by evaluations.\n\n"
            + tabulate_analytic(found["analytic"], floor)
        )
    if "backbones" in parts:
        designer = load(options.weights, options.device)
        circumstances = {
            "length": options.length,
            "num": options.num,
            "seed": options.seed,
            "self_condition": options.self_condition,
        }
        key = circumstances | {"weights": designer.model.sha256}
        found["backbones"] = collect(
            list_cells(options, "backbones"),
            Results(options.out / "backbones.jsonl"),
            key,
            None
            if options.report
            else lambda cell: measure_on_backbones(
                designer, cell, batch_size=options.batch_size, **circumstances
            ),
        )
        sections.append(
            f"## Backbones of {options.length} residues, {options.num} designs a line\n\n"
            f"{designer.model.name}, batches of {options.batch_size}, seed {options.seed}; shares "
            "and means over the designs.\n\n" + tabulate_backbones(found["backbones"])
        )
    text = "\n".join(sections)
    with write_atomically(options.out / "sampler_cost.md", overwrite=True) as temporary:
        temporary.write_text(text, encoding="utf-8")
    if any(found.values()) and not draw(
        options.out / "sampler_cost.png", found["analytic"], found["backbones"], floor
    ):
        print("sampler_cost: no figure without matplotlib; pip install matplotlib", file=sys.stderr)
    return text


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("part", nargs="?", choices=PARTS, help="both without it")
    add("--out", type=Path, default=Path("sampler_cost"), help="folder (%(default)s)")
    add("--samplers", nargs="+", default=SAMPLER_NAMES, metavar="NAME", help="or module:object")
    add(
        "--grids", nargs="+", default=["karras", "log-snr"], metavar="NAME", help="or module:object"
    )
    add("--budgets", nargs="+", type=int, default=BUDGETS, metavar="N", help="evaluations")
    add("--step-scales", nargs="+", type=float, default=[SamplingSettings().step_scale])
    add("--autoguidances", nargs="+", type=float, default=[SamplingSettings().autoguidance])
    add("--length", type=int, default=100, help="residues (%(default)s)")
    add("--num", type=int, default=32, help="designs a cell (%(default)s)")
    add("--batch-size", type=int, default=8, help="designs at once (%(default)s)")
    add("--draws", type=int, default=20_000, help="of the mixture (%(default)s)")
    add("--seed", type=int, default=0)
    add("--self-condition", action=argparse.BooleanOptionalAction, default=True)
    add("--weights", default=DEFAULT_WEIGHTS, help="name or path (%(default)s)")
    add("--device", default="auto")
    add("--threads", type=int, default=1, help="CPU threads (%(default)s)")
    add("--report", action="store_true", help="make nothing; table and figure of what is there")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_arguments(arguments)
    threads = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    try:
        print(run(options))
    except ProtdiffError as error:
        print(f"sampler_cost: {error}", file=sys.stderr)
        return 2
    finally:
        torch.set_num_threads(threads)
    return 0


if __name__ == "__main__":
    sys.exit(main())

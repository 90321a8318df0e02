"""Draw every sampler on one two-dimensional mixture, and its error against its cost.

Above: what each sampler makes of the same budget of evaluations. Below: the sliced Wasserstein
distance to the exact law as the budget grows; the dotted line is that of as many exact draws, below
which no sampler can be seen to go. The number beside Dormand and Prince is what
the solver took.

Run as: python scripts/gallery_samplers.py --out figures
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import torch
from sampler_cost import make_mixture, measure_distance, measure_floor
from torch import Tensor

from protdiff.diffusion import (
    DDIM,
    AnnealedLangevin,
    DormandPrince,
    DPMSolverPP2M,
    EulerMaruyama,
    EulerODE,
    ExponentialSDE,
    GaussianNoise,
    HeunODE,
    LogSNRGrid,
    MixtureDenoiser,
    PredictorCorrector,
    Sampler,
    SDEDPMSolverPP2M,
    StochasticHeun,
    UniformGrid,
    draw_prior,
)

SAMPLERS: list[tuple[str, Sampler, str, str]] = [
    ("Euler–Maruyama", EulerMaruyama(), "#d1495b", "-"),
    ("ancestral", ExponentialSDE(), "#edae49", "-"),
    ("predictor–corrector", PredictorCorrector(), "#8d6a9f", "-"),
    ("annealed Langevin", AnnealedLangevin(corrections=4), "#8a8a8a", "-"),
    ("stochastic Heun", StochasticHeun(), "#30638e", "-"),
    ("SDE-DPM-Solver++(2M)", SDEDPMSolverPP2M(), "#00798c", "-"),
    ("Euler ODE", EulerODE(), "#d1495b", "--"),
    ("DDIM", DDIM(), "#edae49", "--"),
    ("Heun ODE", HeunODE(), "#30638e", "--"),
    ("DPM-Solver++(2M)", DPMSolverPP2M(), "#00798c", "--"),
]
BUDGETS = [6, 10, 16, 25, 40, 64, 100, 160, 250]


def run(sampler: Sampler, mixture: MixtureDenoiser, budget: int, number: int) -> Tensor | None:
    sde, noise = mixture.sde, GaussianNoise(torch.Generator().manual_seed(1))
    if budget - 1 < sampler.evaluations_per_step:
        return None
    steps = sampler.count_steps(budget)
    grid = LogSNRGrid()
    x_T = draw_prior(sde, noise, torch.zeros(number, 2, dtype=torch.float64))
    return sampler(mixture, x_T, grid(sde, steps), noise=noise)


def run_adaptive(mixture: MixtureDenoiser, tolerance: float, number: int) -> tuple[Tensor, int]:
    sde, noise = mixture.sde, GaussianNoise(torch.Generator().manual_seed(1))
    x_T = draw_prior(sde, noise, torch.zeros(number, 2, dtype=torch.float64))
    taken: list[int] = []
    x = DormandPrince(rtol=tolerance, atol=tolerance)(
        mixture,
        x_T,
        UniformGrid()(sde, 1),
        noise=noise,
        callback=lambda info: taken.append(info.evaluations),
    )
    return x, taken[-1]


def draw(out: Path, number: int, budget: int) -> Path:
    mixture = make_mixture()
    exact = mixture.sample(number, torch.Generator().manual_seed(2))
    floor, _ = measure_floor(number)

    rows = [["exact", *(name for name, *_ in SAMPLERS[:5])]]
    rows += [["SDE-DPM-Solver++(2M)", *(name for name, *_ in SAMPLERS[6:]), "Dormand–Prince"]]
    figure, axes = plt.subplot_mosaic(
        [*rows, ["cost"] * 6],
        figsize=(13, 10.2),
        height_ratios=[1, 1, 2.1],
        layout="constrained",
    )
    adaptive = [run_adaptive(mixture, tolerance, number) for tolerance in (0.05, 0.01, 1e-3, 1e-5)]
    pictures = {name: run(sampler, mixture, budget, number) for name, sampler, *_ in SAMPLERS}
    pictures |= {"exact": exact, "Dormand–Prince": adaptive[2][0]}
    for name in rows[0] + rows[1]:
        axis, points = axes[name], pictures[name]
        subtitle = ""
        if name == "Dormand–Prince":
            subtitle = f" ({adaptive[2][1]})"
        axis.set_title(name + subtitle, size=10)
        axis.set(xlim=(-2.1, 2.1), ylim=(-2.1, 2.1), xticks=[], yticks=[], aspect="equal")
        if points is not None:
            axis.scatter(*points[:4000].T, s=1.8, lw=0, alpha=0.5, color="#1b3a6b")

    axis = axes["cost"]
    for name, sampler, colour, style in SAMPLERS:
        found = [(b, run(sampler, mixture, b, number)) for b in BUDGETS]
        curve = [(b, measure_distance(x, mixture)) for b, x in found if x is not None]
        axis.plot(*zip(*curve, strict=True), color=colour, ls=style, marker="o", ms=3, label=name)
    curve = [(taken, measure_distance(x, mixture)) for x, taken in adaptive]
    axis.plot(*zip(*curve, strict=True), color="black", ls=":", marker="s", ms=4, lw=1.4)
    axis.lines[-1].set_label("Dormand–Prince (adaptive)")
    axis.axhline(floor, color="#888888", ls=(0, (1, 3)))
    axis.text(BUDGETS[0], 1.06 * floor, "exact draws", size=9)
    axis.set(
        xscale="log",
        ylim=(0.4 * floor, 3),
        yscale="log",
        xlabel="evaluations of the denoiser",
        ylabel="sliced Wasserstein distance to the exact law",
        title="Error against cost, equal steps of log σ/α (full: with noise; broken: without)",
    )
    axis.set_xticks(BUDGETS, [str(b) for b in BUDGETS])
    axis.minorticks_off()
    axis.grid(color="#eeeeee")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, ncols=1, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.suptitle(f"Every sampler on one mixture, with {budget} evaluations each", size=14)
    path = out / "samplers.png"
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder for the figure")
    parser.add_argument("--number", type=int, default=4_000, help="draws of each sampler")
    parser.add_argument("--budget", type=int, default=25, help="evaluations in the upper panels")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    print(draw(arguments.out, arguments.number, arguments.budget))


if __name__ == "__main__":
    main()

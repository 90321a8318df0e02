"""Draw the posterior of every guidance on a mixture in the plane, over the exact one.

A mixture of three Gaussians is conditioned on a noisy value of its first coordinate. A panel a
method: the prior in grey lines, the measured value with its standard deviation as a band, the exact
posterior as shades, and the method's draws as points; at the right edge the histogram of the second
coordinate against its exact posterior density. The measures in a title are those of
``guidance_bias.py``.

    python scripts/gallery_posteriors.py --out figures
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from guidance_bias import CASES, METHODS, SDE, Case, measure_bias
from matplotlib.axes import Axes
from torch import Tensor

from protdiff.diffusion import MixtureDenoiser
from protdiff.diffusion.guidance import MixturePosterior

SPAN = (-2.0, 2.2)
KNOWS_NOISE, KNOWS_VALUE = "#1d3f8f", "#b4532a"


def lay_grid(number: int = 141) -> tuple[Tensor, Tensor]:
    """Give the axis ``(number,)`` and the points ``(number², 2)`` of a square grid."""
    axis = torch.linspace(*SPAN, number)
    first, second = torch.meshgrid(axis, axis, indexing="xy")
    return axis, torch.stack([first.flatten(), second.flatten()], 1)


def give_marginal(posterior: MixturePosterior, axis: Tensor) -> Tensor:
    """Give the exact posterior density of the second coordinate on an axis."""
    variances = posterior.covariances[:, 1, 1]
    offsets = axis[:, None] - posterior.means[:, 1]
    densities = torch.exp(-0.5 * offsets**2 / variances) / (2 * torch.pi * variances).sqrt()
    return densities @ posterior.weights


def draw_panel(axes: Axes, case: Case, name: str, *, draws: int, steps: int, seed: int) -> None:
    """Draw one method."""
    method, knows_noise = METHODS[name]
    samples, weights = method(case, draws, steps, seed)
    posterior = case.posterior(case.noise_std if knows_noise else 0.0)
    axis, points = lay_grid()
    prior = case.denoiser().log_prob(points, torch.zeros(())).exp().reshape(len(axis), -1)
    axes.contour(axis, axis, prior, levels=5, colors="0.75", linewidths=0.7)
    smeared = case.posterior(case.noise_std)
    law = MixtureDenoiser(SDE, smeared.weights, smeared.means, smeared.covariances)
    shades = law.log_prob(points, torch.zeros(())).exp().reshape(len(axis), -1)
    if knows_noise:
        low, high = case.observed - case.noise_std, case.observed + case.noise_std
        axes.axvspan(low, high, color="0.92", zorder=0)
        # The lowest shade starts above zero, so that the band is seen beside the posterior.
        levels = torch.linspace(0.04, 1.0, 8) * float(shades.max())
        axes.contourf(axis, axis, shades, levels=levels, cmap="Greens", alpha=0.6, zorder=0.5)
    axes.axvline(case.observed, color="0.6", linewidth=0.8, zorder=0.6)
    color = KNOWS_NOISE if knows_noise else KNOWS_VALUE
    chosen = torch.multinomial(
        weights, 500, replacement=True, generator=torch.Generator().manual_seed(seed)
    )
    axes.scatter(*samples[chosen].T, s=3, color=color, alpha=0.45, linewidths=0, zorder=2)
    bias = measure_bias(samples, weights, posterior, 0.0)
    axes.set_title(
        f"{name}\nmean {bias.mean:.2f}, covariance {bias.covariance:.2f}, "
        f"modes {bias.mode_weights:.2f}",
        fontsize=8,
    )
    axes.set(xlim=SPAN, ylim=SPAN, xticks=[-1, 0, 1], yticks=[-1, 0, 1], aspect="equal")
    axes.tick_params(labelsize=7)

    side = axes.inset_axes((1.02, 0.0, 0.28, 1.0), sharey=axes)
    edges = np.linspace(*SPAN, 61)
    side.hist(
        samples[:, 1].numpy(),
        bins=edges,
        weights=weights.numpy(),
        density=True,
        orientation="horizontal",
        color=color,
        alpha=0.45,
    )
    side.plot(give_marginal(posterior, axis), axis, color="black", linewidth=0.9)
    side.tick_params(labelleft=False, left=False, bottom=False, labelbottom=False)
    for edge in ("top", "right", "bottom"):
        side.spines[edge].set_visible(False)


def main() -> None:
    """Draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=5000)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder for the figure")
    arguments = parser.parse_args()
    names = [name for name in METHODS if name != "exact draws"]
    figure, grid = plt.subplots(3, 4, figsize=(14, 10), layout="constrained")
    for axes, name in zip(grid.flat, names, strict=True):
        draw_panel(
            axes,
            CASES[1],
            name,
            draws=arguments.draws,
            steps=arguments.steps,
            seed=arguments.seed,
        )
    figure.suptitle(
        "Draws of each method on the exact posterior (shades, black line) of a mixture "
        "(grey lines) given its first coordinate.\n"
        "Blue: the value is known with noise (band). Red: the value is known exactly (line). "
        "Titles: errors of mean and covariance in units of the posterior, and of mode weights.",
        fontsize=10,
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "posteriors.png"
    figure.savefig(path, dpi=110)
    plt.close(figure)
    print(path)


if __name__ == "__main__":
    main()

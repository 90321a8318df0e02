"""Draw how noise hides data and how sampling finds them again, in one dimension.

Above: the density of x_t as time goes by, with paths of the forward SDE, of the reverse SDE and of
the probability-flow ODE; all three have the same marginals. Below: slices of the density, in closed
form, from the Fokker-Planck equation on a grid, and as a histogram of simulated paths.

Run as: python scripts/gallery_densities.py --out figures
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import torch

from protdiff.diffusion import (
    EulerMaruyama,
    GaussianNoise,
    HeunODE,
    LinearVPSDE,
    MixtureDenoiser,
    Trajectory,
    UniformGrid,
    draw_prior,
    simulate,
    solve_fokker_planck,
)

LINES = ["#ffffff", "#ffd166", "#ff9f1c", "#4cc9f0", "#c3f0ca", "#9bdcff"]


def make_mixture(sde: LinearVPSDE) -> MixtureDenoiser:
    return MixtureDenoiser(
        sde,
        torch.tensor([0.35, 0.4, 0.25]).double(),
        torch.tensor([[-1.8], [0.2], [1.7]]).double(),
        torch.tensor([0.05, 0.12, 0.03]).double().reshape(3, 1, 1),
    )


def draw(out: Path, seed: int) -> Path:
    sde = LinearVPSDE(beta_min=0.1, beta_max=12.0)
    mixture = make_mixture(sde)
    generator = torch.Generator().manual_seed(seed)
    noise = GaussianNoise(generator)
    x = torch.linspace(-3.6, 3.6, 361, dtype=torch.float64)
    t = torch.linspace(0, 1, 401, dtype=torch.float64)
    density = torch.stack([mixture.log_prob(x[:, None], time).exp() for time in t])

    figure, axes = plt.subplot_mosaic(
        [["forward"] * 4, ["reverse"] * 4, ["flow"] * 4, ["t0", "t1", "t2", "t3"]],
        figsize=(10, 10.5),
        height_ratios=[1, 1, 1, 0.95],
        layout="constrained",
    )
    many = simulate(sde, mixture.sample(20_000, generator), t, noise)
    few = many[:, torch.randperm(20_000, generator=generator)[:6], 0]
    draw_paths(axes["forward"], x, t, density, t, few, "Forward SDE: data turn into noise")

    x_T = draw_prior(sde, noise, torch.zeros(6, 1, dtype=torch.float64))
    for name, sampler, title in [
        ("reverse", EulerMaruyama(), "Reverse SDE: the score turns noise into data"),
        ("flow", HeunODE(), "Probability-flow ODE: the same marginals, without noise"),
    ]:
        path, times = Trajectory(), UniformGrid(t_min=1e-3)(sde, 400)
        start = torch.linspace(-1.7, 1.7, 6, dtype=torch.float64)[:, None]
        sampler(mixture, x_T if name == "reverse" else start, times, noise=noise, callback=path)
        states = torch.stack(path.noisy)[:, :, 0]
        draw_paths(axes[name], x, t, density, torch.tensor(path.times), states, title)

    grid = solve_fokker_planck(sde, x, density[0], t)
    for panel, index in zip(["t0", "t1", "t2", "t3"], [0, 60, 140, 320], strict=True):
        axis = axes[panel]
        axis.hist(
            many[index, :, 0].numpy(), bins=72, range=(-3.6, 3.6), density=True, color="#c9d6ea"
        )
        axis.plot(x, density[index], color="#1b3a6b", lw=2.2)
        axis.plot(x, grid[index], color="#ff6b35", lw=1.4, ls=(0, (4, 3)))
        axis.set(title=f"t = {float(t[index]):.2f}", xlabel="x", yticks=[], xlim=(-3.6, 3.6))
        axis.set_ylim(0, 1.1 * float(density.max()))
        axis.spines[["top", "right", "left"]].set_visible(False)
    # The density has sunk by then, which leaves room.
    axes["t3"].legend(
        ["closed form", "Fokker–Planck", "simulated"], frameon=False, fontsize=9, loc="upper right"
    )
    figure.suptitle("Noise in, noise out: a mixture of three Gaussians under the VP SDE", size=14)
    path = out / "densities.png"
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return path


def draw_paths(axis, x, t, density, times, paths, title) -> None:  # type: ignore[no-untyped-def]
    # The square root shows the broad late density beside the sharp early one.
    axis.pcolormesh(t, x, density.T.sqrt(), cmap="magma", shading="auto", rasterized=True)
    for path, colour in zip(paths.T, LINES, strict=True):
        axis.plot(times, path, color=colour, lw=0.9)
    axis.set(title=title, xlabel="time t", ylabel="x", ylim=(-3.6, 3.6), xlim=(0, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder for the figure")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    print(draw(arguments.out, arguments.seed))


if __name__ == "__main__":
    main()

"""Draw scores, likelihoods and latent codes of a two-dimensional mixture.

Above: the score of the noisy data at four noise levels. Below: contours of log p(x_0) by the
probability-flow ODE over the exact ones; the error of the ODE; and the codes of the plane, the flow
carrying data to the prior, with a great circle between two codes decoded.

Run as: python scripts/gallery_likelihood.py --out figures
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import torch
from matplotlib.colors import hsv_to_rgb

from protdiff.diffusion import (
    LinearVPSDE,
    MixtureDenoiser,
    compute_log_likelihood,
    decode,
    encode,
    interpolate,
    score,
)

ZERO = torch.tensor(0.0).double()


def make_mixture() -> MixtureDenoiser:
    means = torch.tensor([[-1.3, -0.5], [1.0, 0.9], [0.9, -1.1]]).double()
    covariances = torch.stack(
        [
            torch.tensor([[0.12, 0.1], [0.1, 0.25]]),
            torch.tensor([[0.25, -0.1], [-0.1, 0.1]]),
            torch.tensor([[0.08, 0.0], [0.0, 0.08]]),
        ]
    ).double()
    weights = torch.tensor([0.4, 0.35, 0.25]).double()
    means = means - weights @ means
    return MixtureDenoiser(LinearVPSDE(), weights, means, covariances)


def make_plane(extent: float, number: int) -> tuple[torch.Tensor, torch.Tensor]:
    line = torch.linspace(-extent, extent, number, dtype=torch.float64)
    return line, torch.cartesian_prod(line, line)


def draw(out: Path) -> Path:
    mixture = make_mixture()
    sde = mixture.sde
    figure, axes = plt.subplots(2, 4, figsize=(14.5, 7.6), layout="constrained")
    line, plane = make_plane(2.8, 121)
    arrows_line, arrows = make_plane(2.6, 19)

    for axis, k in zip(axes[0], (0.1, 0.35, 1.0, 4.0), strict=True):
        t = sde.time_of_noise_ratio(torch.tensor(k).double())
        log_prob = mixture.log_prob(plane, t).reshape(121, 121)
        axis.contourf(line, line, log_prob.T.exp(), 12, cmap="Blues")
        field = score(mixture, arrows, t)
        # Arrows as long as the denoiser would move the point.
        step = (sde.sigma(t).square() * field).reshape(19, 19, 2)
        length = step.norm(dim=-1, keepdim=True).clamp(min=1e-9)
        step = step / length * length.clamp(max=1.0).sqrt()
        x, y = step.unbind(-1)
        axis.quiver(arrows_line, arrows_line, x.T, y.T, color="#b0413e", scale=16, width=0.004)
        axis.set_title(f"score at noise ratio σ/α = {k:g}", size=11)

    found = compute_log_likelihood(mixture, plane, rtol=1e-5, atol=1e-5)
    exact = mixture.log_prob(plane, ZERO)
    levels = [-9, -7, -5, -4, -3, -2, -1]
    axis = axes[1, 0]
    axis.contourf(
        line, line, exact.reshape(121, 121).T, [-60, *levels, 0], cmap="Blues", vmin=-12, vmax=1
    )
    drawn = axis.contour(
        line, line, found.nats.reshape(121, 121).T, levels, colors="#b0413e", linewidths=1
    )
    axis.clabel(drawn, fontsize=7)
    axis.set_title(f"log p: exact, and by the ODE ({found.evaluations} calls)", size=11)

    axis = axes[1, 1]
    error = ((found.nats - exact).abs() / 2).clamp(min=1e-7).log10().reshape(121, 121)
    image = axis.pcolormesh(line, line, error.T, cmap="viridis", vmin=-6, vmax=-2, rasterized=True)
    # Below the panel: beside it, it would tear the upper row apart.
    bar = axis.inset_axes((0.0, -0.06, 1.0, 0.035))
    figure.colorbar(image, cax=bar, orientation="horizontal")
    axis.set_title("log10 error of the ODE, nats a dimension", size=11)

    points = mixture.sample(6000, torch.Generator().manual_seed(0))
    codes = encode(mixture, points, rtol=1e-4, atol=1e-4)
    turn = torch.atan2(points[:, 1], points[:, 0]) / (2 * math.pi) % 1
    colours = hsv_to_rgb(torch.stack([turn, 0 * turn + 0.75, 0 * turn + 0.8], 1).numpy())
    start, end = codes[0] * 0 + torch.tensor([-1.3, 0.9]), torch.tensor([1.1, -1.2])
    path = interpolate(start, end.double(), 25)
    decoded = decode(mixture, path, rtol=1e-6, atol=1e-6)
    for axis, cloud, curve, title in [
        (axes[1, 2], points, decoded, "data, and a way between two of them"),
        (axes[1, 3], codes, path, "codes, and the same way: a great circle"),
    ]:
        axis.scatter(*cloud.T, c=colours, s=2, lw=0)
        axis.plot(*curve.T, color="black", lw=1.5, marker="o", ms=3)
        axis.set_title(title, size=11)
    for axis in axes.flat:
        axis.set(xlim=(-2.8, 2.8), ylim=(-2.8, 2.8), xticks=[], yticks=[], aspect="equal")
    figure.suptitle("Scores, likelihoods and latent codes of a mixture of three Gaussians", size=14)
    result = out / "likelihood.png"
    figure.savefig(result, dpi=130)
    plt.close(figure)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder for the figure")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    print(draw(arguments.out))


if __name__ == "__main__":
    main()

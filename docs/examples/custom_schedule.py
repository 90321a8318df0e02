"""Schedules of one's own: a noising process, and a time grid that looks closely at some noise.

A process is a frozen dataclass that says how α and the noise ratio k = σ/α depend on time; kernels,
transitions, bridges and the prior follow. A time grid is a callable from a process and a number of
steps to decreasing times. Run this file to see what the grid is worth in ten steps.

The network is told k and nothing else of the process, so backbones are made with any process,

    model = dataclasses.replace(protdiff.load().model, sde=ShiftedCosineVPSDE(scale=2.0))
    protdiff.Designer(model).generate(length=80)

and on any grid: ``protdiff generate --grid custom_schedule:WindowGrid``, with this file where
Python finds it (PYTHONPATH). Nothing else needs to be touched.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from protdiff.diffusion import (
    DDIM,
    SDE,
    GaussianDenoiser,
    GaussianNoise,
    LogSNRGrid,
    TimeGrid,
    draw_prior,
)


@dataclass(frozen=True)
class ShiftedCosineVPSDE(SDE):
    """The cosine schedule with its noise multiplied, k = scale · tan(θ t), α² + σ² = 1.

    Many points that move together show their common shape through more noise than one point does;
    the scale keeps the noise where the shape is decided.

    References
    ----------
    Hoogeboom, Heek and Salimans (2023), Simple diffusion: end-to-end diffusion for high resolution
    images.
    """

    scale: float = 2.0
    final_noise_ratio: float = 100.0

    @property
    def _speed(self) -> float:
        return math.atan(self.final_noise_ratio / self.scale)

    def log_alpha(self, t: Tensor) -> Tensor:
        """Give -log(1 + k²) / 2."""
        return -torch.log1p(self.noise_ratio(t).square()) / 2

    def noise_ratio(self, t: Tensor) -> Tensor:
        """Give scale · tan(θ t)."""
        return self.scale * (self._speed * t).tan()

    def drift_coefficient(self, t: Tensor) -> Tensor:
        """Give d log α / dt = -k k' / (1 + k²)."""
        k = self.noise_ratio(t)
        rate = self._speed * self.scale / (self._speed * t).cos().square()
        return -k * rate / (1 + k.square())

    def diffusion_coefficient(self, t: Tensor) -> Tensor:
        """Give g = √(-2f), which keeps α² + σ² = 1."""
        return (-2 * self.drift_coefficient(t)).sqrt()

    def time_of_noise_ratio(self, noise_ratio: Tensor) -> Tensor:
        """Give arctan(k / scale) / θ."""
        return (noise_ratio / self.scale).atan() / self._speed


@dataclass(frozen=True)
class WindowGrid(TimeGrid):
    """A share of the steps at noise ratios between ``low`` and ``high``, evenly over log k."""

    low: float = 0.1
    high: float = 6.0
    share: float = 0.8

    def __call__(self, sde: SDE, steps: int) -> Tensor:
        """Give the times of a run, ``(steps + 1,)``."""
        last = float(sde.noise_ratio(torch.tensor(sde.t_min, dtype=torch.float64)))
        knots = np.log([sde.noise_ratio_max, self.high, self.low, last])
        outside = (1 - self.share) / 2
        shares = np.linspace(0, 1, steps + 1)
        log_k = np.interp(shares, [0, outside, 1 - outside, 1], knots)
        return sde.time_of_noise_ratio(torch.from_numpy(log_k).exp())


def main(steps: int = 10, number: int = 2_000) -> dict[str, Tensor]:
    """Draw from a Gaussian whose variances are 0.2, 0.8 and 2 in few steps, on two grids."""
    sde = ShiftedCosineVPSDE()
    noise = GaussianNoise(torch.Generator().manual_seed(0))
    denoiser = GaussianDenoiser(sde, torch.zeros(3), torch.diag(torch.tensor([0.2, 0.8, 2.0])))
    x_T = draw_prior(sde, noise, torch.zeros(number, 3))
    return {
        name: DDIM()(denoiser, x_T, grid(sde, steps), noise=noise)
        for name, grid in {"even": LogSNRGrid(), "window": WindowGrid()}.items()
    }


if __name__ == "__main__":
    for name, x in main().items():
        print(f"{name:8s} variances", [f"{v:.3f}" for v in x.var(0).tolist()])

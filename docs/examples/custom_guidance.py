"""A guidance of one's own: sample points of a Gaussian that lie on the unit circle.

A condition is a subclass of ``LikelihoodTerm`` with one method: given what is known at one noise
level, return log p(y | x_t) for each sample. ``Guided`` turns it into a denoiser, which every
sampler takes. Run this file to see the radii.
"""

import torch
from torch import Tensor

from protdiff.diffusion import (
    GaussianDenoiser,
    GaussianNoise,
    LinearVPSDE,
    LogSNRGrid,
    StochasticHeun,
    draw_prior,
)
from protdiff.diffusion.guidance import Estimate, Guided, LikelihoodTerm


class OnCircle(LikelihoodTerm):
    """The sample lies at a distance of ``radius`` from the origin, give or take ``spread``."""

    def __init__(self, radius: float, spread: float) -> None:
        self.radius = radius
        self.spread = spread

    def __call__(self, estimate: Estimate) -> Tensor:
        """Return log N(radius; |D(x_t)|, spread² + what the noise still hides)."""
        variance = self.spread**2 + estimate.isotropic_variance()
        misfit = estimate.denoised.norm(dim=1) - self.radius
        return -0.5 * misfit.square() / variance


def main(number: int = 200) -> Tensor:
    """Draw points on the circle, ``(number, 2)``."""
    sde = LinearVPSDE()
    noise = GaussianNoise(torch.Generator().manual_seed(0))
    denoiser = GaussianDenoiser(sde, torch.zeros(2), torch.eye(2))
    guided = Guided(denoiser, OnCircle(radius=1.0, spread=0.05))
    x_T = draw_prior(sde, noise, torch.zeros(number, 2))
    return StochasticHeun()(guided, x_T, LogSNRGrid()(sde, 40), noise=noise)


if __name__ == "__main__":
    radii = main().norm(dim=1)
    print(f"radius {radii.mean():.2f} ± {radii.std():.2f}")

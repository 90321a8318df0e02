"""Fit a network and sample from it: three blobs in the plane, from data to draws, in seconds.

``DenoisingLoss`` puts noise on the data at random times and asks for the data back. The network
predicts what a ``Parametrisation`` says, here EDM's target of unit variance. ``NetworkDenoiser``
turns that into the posterior mean E[x_0 | x_t], which the loss compares with the data and which
every sampler, guidance and likelihood asks for. Of a mixture the exact posterior mean is known, so
the test of this file also sees how far the network is from it. Run it to see the shares of the
blobs.
"""

import math

import torch
from torch import Tensor, nn

from protdiff.diffusion import (
    GaussianNoise,
    LinearVPSDE,
    LogSNRGrid,
    MixtureDenoiser,
    StochasticHeun,
    draw_prior,
)
from protdiff.diffusion.objective import DenoisingLoss, NetworkDenoiser, PreconditionedTarget

SDE = LinearVPSDE()
SHARES = torch.tensor([0.2, 0.3, 0.5])
ANGLES = torch.arange(3) * (2 * math.pi / 3)
BLOBS = MixtureDenoiser(
    SDE,
    SHARES,
    means=1.4 * torch.stack([ANGLES.cos(), ANGLES.sin()], 1),
    covariances=0.04 * torch.eye(2).expand(3, 2, 2),
)


class Network(nn.Module):
    """A perceptron that is told x_t and, in three numbers, how much noise is in it."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Linear(5, width), nn.SiLU()),
            *(nn.Linear(width, width), nn.SiLU()),
            *(nn.Linear(width, width), nn.SiLU()),
            nn.Linear(width, 2),
        )

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Predict the target, ``(batch, 2)``, from x_t ``(batch, 2)`` and t ``(batch,)``."""
        log_k = SDE.noise_ratio(t).log() / 4
        noise = torch.stack([log_k, (math.pi * log_k).cos(), (math.pi * log_k).sin()], 1)
        output: Tensor = self.layers(torch.cat([x_t, noise], 1))
        return output


def fit(steps: int = 2_000, batch: int = 256) -> NetworkDenoiser:
    """Fit the network on draws of the blobs."""
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Network()
    denoiser = NetworkDenoiser(network, SDE, PreconditionedTarget())
    noise, loss = GaussianNoise(generator), DenoisingLoss()
    optimiser = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=5e-3, total_steps=steps)
    for _ in range(steps):
        x_0 = BLOBS.sample(batch, generator)
        optimiser.zero_grad()
        loss(denoiser, x_0, noise=noise, generator=generator).loss.mean().backward()
        optimiser.step()
        schedule.step()
    network.eval().requires_grad_(False)
    return denoiser


def sample(denoiser: NetworkDenoiser, number: int = 2_000) -> Tensor:
    """Draw points, ``(number, 2)``."""
    noise = GaussianNoise(torch.Generator().manual_seed(1))
    x_T = draw_prior(SDE, noise, torch.zeros(number, 2))
    return StochasticHeun()(denoiser, x_T, LogSNRGrid()(SDE, 40), noise=noise)


def measure_shares(points: Tensor) -> Tensor:
    """Give the share of the points that are nearest to each blob, ``(3,)``."""
    nearest = torch.cdist(points, BLOBS.means).argmin(1)
    return nearest.bincount(minlength=3) / len(points)


if __name__ == "__main__":
    found = measure_shares(sample(fit()))
    for share, expected in zip(found.tolist(), SHARES.tolist(), strict=True):
        print(f"share {share:.2f} of {expected:.2f}")

"""The reverse SDE by Euler and Maruyama, in time."""

from __future__ import annotations

from torch import Tensor

from protdiff.diffusion.denoiser import Denoiser
from protdiff.diffusion.noise import Noise
from protdiff.diffusion.sampler.base import Sampler, StepInfo

__all__ = ["EulerMaruyama"]


class EulerMaruyama(Sampler):
    r"""Euler–Maruyama on the reverse SDE.

    .. math::  x_s = x_t - [f x_t - g^2 \nabla \log p_t(x_t)] (t - s) + g \sqrt{t - s}\; ξ .

    The first sampler of the theory and its plainest; its steps must be short where β is large and
    where the noise is small, so it needs hundreds of them.

    References
    ----------
    Maruyama (1955), Continuous Markov processes and stochastic equations; Song et al. (2021),
    Score-based generative modeling through stochastic differential equations.
    """

    order = 1
    evaluations_per_step = 1

    def step(
        self,
        denoiser: Denoiser,
        x_t: Tensor,
        t: Tensor,
        s: Tensor,
        *,
        noise: Noise,
        previous: StepInfo | None,
    ) -> tuple[Tensor, Tensor]:
        """Go from time t to a smaller time s."""
        sde, duration = denoiser.sde, t - s
        g_squared = sde.diffusion_coefficient(t).square()
        denoised = denoiser(x_t, t)
        score = (sde.alpha(t) * denoised - x_t) / sde.sigma(t).square()
        drift = sde.drift_coefficient(t) * x_t - g_squared * score
        x_s = x_t - duration * drift + (g_squared * duration).sqrt() * noise(x_t)
        return x_s, denoised

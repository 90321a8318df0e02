"""The probability-flow ODE by Euler, in time."""

from __future__ import annotations

from torch import Tensor

from protdiff.diffusion.denoiser import Denoiser
from protdiff.diffusion.noise import Noise
from protdiff.diffusion.sampler.base import Sampler, StepInfo

__all__ = ["EulerODE"]


class EulerODE(Sampler):
    r"""Euler on the probability-flow ODE, in the variable t.

    .. math::  \frac{dx}{dt} = f x - \tfrac12 g^2 \nabla \log p_t(x), \qquad
               x_s = x_t - (t - s) \left.\frac{dx}{dt}\right|_t .

    In the variable k = σ/α the same rule is DDIM, which makes a much smaller error, because there
    the equation is straight wherever D stands still.

    References
    ----------
    Song et al. (2021), Score-based generative modeling through stochastic differential equations,
    eq. 13.
    """

    order = 1
    evaluations_per_step = 1
    pull = 1.0

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
        sde = denoiser.sde
        denoised = denoiser(x_t, t)
        score = (sde.alpha(t) * denoised - x_t) / sde.sigma(t).square()
        g_squared = sde.diffusion_coefficient(t).square()
        velocity = sde.drift_coefficient(t) * x_t - g_squared / 2 * score
        return x_t - (t - s) * velocity, denoised

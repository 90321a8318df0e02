"""The probability-flow ODE by Heun, in the noise ratio."""

from __future__ import annotations

from torch import Tensor

from protdiff.diffusion.denoiser import Denoiser
from protdiff.diffusion.noise import Noise
from protdiff.diffusion.sampler.base import Sampler, StepInfo

__all__ = ["HeunODE"]


class HeunODE(Sampler):
    r"""Heun on the probability-flow ODE, in the variable k = σ/α.

    .. math::  \frac{dy}{dk} = \frac{y - D}{k} =: v(y, k), \qquad
               y' = y_t + (k_s - k_t) v_t, \qquad
               y_s = y_t + (k_s - k_t) \tfrac12 [v_t + v(y', k_s)] .

    The deterministic sampler of Karras et al., for any SDE: y = x/α turns it into theirs.

    References
    ----------
    Karras et al. (2022), Elucidating the design space of diffusion-based generative models,
    algorithm 1.
    """

    order = 2
    evaluations_per_step = 2
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
        alpha_t, alpha_s = sde.alpha(t), sde.alpha(s)
        k_t, k_s = sde.noise_ratio(t), sde.noise_ratio(s)
        y_t = x_t / alpha_t
        denoised = denoiser(x_t, t)
        velocity = (y_t - denoised) / k_t
        guess = y_t + (k_s - k_t) * velocity
        corrected = (guess - denoiser(alpha_s * guess, s)) / k_s
        return alpha_s * (y_t + (k_s - k_t) / 2 * (velocity + corrected)), denoised

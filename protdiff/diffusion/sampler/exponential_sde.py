"""The reverse SDE, solved exactly over a step with the denoised guess held still."""

from __future__ import annotations

import torch
from torch import Tensor

from protdiff.diffusion.denoiser import Denoiser
from protdiff.diffusion.noise import Noise
from protdiff.diffusion.sampler.base import Sampler, StepInfo
from protdiff.errors import InputError

__all__ = ["ExponentialSDE"]


class ExponentialSDE(Sampler):
    r"""Exponential integrator of the reverse SDE; with η = 1, ancestral sampling.

    With D held still over the step, dy = (1 + η²) (y - D)/k dk + η sqrt(2k) dw̄ is solved exactly.
    With r = k_s / k_t,

    .. math::  y_s = D + r^{1 + η^2} (y_t - D) + k_s \sqrt{1 - r^{2 η^2}}\; ξ .

    η = 1 draws from q(x_s | x_t, x_0 = D), DDPM's ancestral step for any SDE; η = 0 is the
    probability-flow ODE's exponential Euler step, DDIM. In between lies less noise than in the
    reverse SDE with the same marginals, above it more.

    Parameters
    ----------
    stochasticity
        η.

    References
    ----------
    Ho et al. (2020), Denoising diffusion probabilistic models; Zhang and Chen (2023), Fast sampling
    of diffusion models with exponential integrator; Lu et al. (2022), DPM-Solver++.
    """

    order = 1
    evaluations_per_step = 1

    def __init__(self, stochasticity: float = 1.0) -> None:
        if not stochasticity >= 0:
            raise InputError(f"stochasticity = {stochasticity} must be 0 or more")
        self.stochasticity = stochasticity
        self.pull = 1 + stochasticity**2

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
        sde, eta_squared = denoiser.sde, self.stochasticity**2
        log_ratio = (sde.noise_ratio(s) / sde.noise_ratio(t)).log()
        kept = ((1 + eta_squared) * log_ratio).exp()
        denoised = denoiser(x_t, t)
        x_s = sde.alpha(s) * ((1 - kept) * denoised + kept / sde.alpha(t) * x_t)
        if eta_squared > 0:
            fresh = (-torch.expm1(2 * eta_squared * log_ratio)).sqrt()
            x_s = x_s + sde.sigma(s) * fresh * noise(x_t)
        return x_s, denoised

"""Predictor–corrector: a reverse step, then Langevin steps at the new noise."""

from __future__ import annotations

import torch
from torch import Tensor

from protdiff.diffusion.denoiser import Denoiser
from protdiff.diffusion.noise import Noise
from protdiff.diffusion.sampler.base import Sampler, StepInfo
from protdiff.diffusion.sampler.exponential_sde import ExponentialSDE
from protdiff.errors import InputError

__all__ = ["PredictorCorrector"]


class PredictorCorrector(Sampler):
    r"""An ancestral step, then Langevin steps that mend its law at the new noise.

    The corrector runs Langevin dynamics dx = ∇log p_s dτ + √2 dw at the time s for a duration of
    τ = c h σ_s², with h = log(k_t / k_s) the length of the step; with D held still, and
    e = exp(-τ/σ_s²) = exp(-c h),

    .. math::  x \leftarrow α_s D + e\, (x - α_s D) + σ_s \sqrt{1 - e^2}\; ξ ,

    which unlike the plain Euler step is exact where the noise dominates. Song et al. choose the
    duration by a signal-to-noise ratio ρ, τ = 2 (ρ ‖ξ‖ / ‖∇log p‖)² ≈ 2 ρ² σ_s², whatever the
    length of the step; their ρ = 0.16 at 1,000 steps is c ≈ 6. With τ in proportion to h the law
    converges as steps are refined, and no norm over the batch ties its elements to each other.

    Parameters
    ----------
    corrections
        The number of Langevin steps after each predictor step.
    strength
        c, the duration of each.

    References
    ----------
    Song et al. (2021), Score-based generative modeling through stochastic differential equations,
    algorithms 2-5.
    """

    order = 1
    evaluations_per_step = 2

    def __init__(self, corrections: int = 1, strength: float = 1.0) -> None:
        if corrections < 1 or not strength > 0:
            raise InputError(
                f"corrections = {corrections} and strength = {strength} must be at least 1 and "
                "above 0"
            )
        self.corrections = corrections
        self.strength = strength
        self.evaluations_per_step = 1 + corrections
        self.pull = 2.0 + corrections * strength
        self._predictor = ExponentialSDE()

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
        x_s, denoised = self._predictor.step(denoiser, x_t, t, s, noise=noise, previous=previous)
        sde = denoiser.sde
        alpha, sigma = sde.alpha(s), sde.sigma(s)
        log_kept = -self.strength * (sde.noise_ratio(t) / sde.noise_ratio(s)).log()
        fresh = sigma * (-torch.expm1(2 * log_kept)).sqrt()
        for _ in range(self.corrections):
            mean = alpha * denoiser(x_s, s)
            x_s = mean + log_kept.exp() * (x_s - mean) + fresh * noise(x_s)
        return x_s, denoised

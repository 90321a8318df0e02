"""Denoising diffusion implicit models."""

from __future__ import annotations

from torch import Tensor

from protdiff.diffusion.denoiser import Denoiser
from protdiff.diffusion.noise import Noise
from protdiff.diffusion.sampler.base import Sampler, StepInfo
from protdiff.errors import InputError

__all__ = ["DDIM"]


class DDIM(Sampler):
    r"""DDIM: the same marginals with more or less noise in the steps.

    .. math::  x_s = α_s D + \sqrt{σ_s^2 - v^2}\; \hat ε + v\, ξ, \qquad
               v = η\, σ_s \sqrt{1 - k_s^2 / k_t^2}, \qquad \hat ε = (x_t - α_t D) / σ_t .

    η = 0 is deterministic, the exponential Euler step of the probability-flow ODE; η = 1 is DDPM's
    ancestral step.

    Parameters
    ----------
    eta
        η, from 0 to 1.

    References
    ----------
    Song, Meng and Ermon (2021), Denoising diffusion implicit models, eq. 12.
    """

    order = 1
    evaluations_per_step = 1

    def __init__(self, eta: float = 0.0) -> None:
        if not 0 <= eta <= 1:
            raise InputError(f"eta = {eta} must lie between 0 and 1")
        self.eta = eta
        self.pull = 1 + eta**2

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
        ratio = sde.noise_ratio(s) / sde.noise_ratio(t)
        fresh = self.eta * (1 - ratio.square()).sqrt()
        denoised = denoiser(x_t, t)
        predicted = (x_t - sde.alpha(t) * denoised) / sde.sigma(t)
        x_s = sde.alpha(s) * denoised + sde.sigma(s) * (1 - fresh.square()).sqrt() * predicted
        if self.eta > 0:
            x_s = x_s + sde.sigma(s) * fresh * noise(x_t)
        return x_s, denoised

"""DPM-Solver++(2M): the probability-flow ODE by exponential multistep."""

from __future__ import annotations

import torch
from torch import Tensor

from protdiff.diffusion.denoiser import Denoiser
from protdiff.diffusion.noise import Noise
from protdiff.diffusion.sampler.base import Sampler, StepInfo

__all__ = ["DPMSolverPP2M"]


class DPMSolverPP2M(Sampler):
    r"""Second-order exponential multistep on the probability-flow ODE, one evaluation a step.

    With the half-log-SNR λ = -log k, h = λ_s - λ_t and h' the step before,

    .. math::  x_s = \frac{σ_s}{σ_t} x_t - α_s (e^{-h} - 1) \tilde D, \qquad
               \tilde D = D + \frac{h}{2 h'} (D - D') ,

    where D' is the denoised guess of the step before; the first step has none and is DDIM's.

    References
    ----------
    Lu et al. (2022), DPM-Solver++: fast solver for guided sampling of diffusion probabilistic
    models, algorithm 2.
    """

    order = 2
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
        k_t, k_s = sde.noise_ratio(t), sde.noise_ratio(s)
        h = (k_t / k_s).log()
        denoised = guess = denoiser(x_t, t)
        if previous is not None and previous.t > t:
            last = (sde.noise_ratio(previous.t) / k_t).log()
            guess = denoised + h / (2 * last) * (denoised - previous.denoised)
        x_s = sde.sigma(s) / sde.sigma(t) * x_t - sde.alpha(s) * torch.expm1(-h) * guess
        return x_s, denoised

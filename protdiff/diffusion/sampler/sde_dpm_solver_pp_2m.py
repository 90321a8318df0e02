"""SDE-DPM-Solver++(2M): the reverse SDE by exponential multistep."""

from __future__ import annotations

import torch
from torch import Tensor

from protdiff.diffusion.denoiser import Denoiser
from protdiff.diffusion.noise import Noise
from protdiff.diffusion.sampler.base import Sampler, StepInfo

__all__ = ["SDEDPMSolverPP2M"]


class SDEDPMSolverPP2M(Sampler):
    r"""Second-order exponential multistep on the reverse SDE, one evaluation a step.

    With the half-log-SNR λ = -log k, h = λ_s - λ_t and h' the step before,

    .. math::  x_s = \frac{σ_s}{σ_t} e^{-h} x_t + α_s (1 - e^{-2h}) \tilde D
                     + σ_s \sqrt{1 - e^{-2h}}\; ξ, \qquad
               \tilde D = D + \frac{h}{2 h'} (D - D') ,

    where D' is the denoised guess of the step before; the first step has none and is ancestral. It
    costs what ancestral sampling costs, and its law converges with the second order.

    References
    ----------
    Lu et al. (2022), DPM-Solver++: fast solver for guided sampling of diffusion probabilistic
    models, eq. 18.
    """

    order = 2
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
        sde = denoiser.sde
        k_t, k_s = sde.noise_ratio(t), sde.noise_ratio(s)
        h = (k_t / k_s).log()
        fresh = -torch.expm1(-2 * h)
        denoised = guess = denoiser(x_t, t)
        if previous is not None and previous.t > t:
            last = (sde.noise_ratio(previous.t) / k_t).log()
            guess = denoised + h / (2 * last) * (denoised - previous.denoised)
        kept = sde.sigma(s) / sde.sigma(t) * (-h).exp()
        x_s = kept * x_t + sde.alpha(s) * fresh * guess + sde.sigma(s) * fresh.sqrt() * noise(x_t)
        return x_s, denoised

"""Stochastic Heun: noise goes in, then the ODE takes more of it out."""

from __future__ import annotations

import math

from torch import Tensor

from protdiff.diffusion.denoiser import Denoiser
from protdiff.diffusion.noise import Noise
from protdiff.diffusion.sampler.base import Sampler, StepInfo
from protdiff.errors import InputError

__all__ = ["StochasticHeun"]


class StochasticHeun(Sampler):
    r"""Heun steps of the probability-flow ODE with churn, in the variable k = σ/α.

    Before each step noise is added, from k_t up to k̂, and the ODE is then solved from k̂ down to
    k_s by Heun's rule:

    .. math::  \log \hat k = \log k_t + c\, \log (k_t / k_s), \qquad
               \hat y = y_t + \sqrt{\hat k^2 - k_t^2}\; ξ .

    Both halves keep the marginals exactly, so the law converges with Heun's second order, whatever
    the churn. Karras et al. add the same share γ = k̂/k - 1 of noise at every step and divide it by
    the number of steps; stating the rise as c times the fall makes c mean the same on every grid:
    for short steps it is the reverse SDE of stochasticity η² = c. So 0 is the ODE (HeunODE) and 1
    the reverse SDE; more corrects more of the network's errors. γ is capped at √2 - 1, as in the
    paper, so that a step never adds more noise than there is.

    Parameters
    ----------
    churn
        c.
    noise_ratio_min, noise_ratio_max
        Churn only at noise ratios between these (the paper's S_min and S_max).

    References
    ----------
    Karras et al. (2022), Elucidating the design space of diffusion-based generative models,
    algorithm 2.
    """

    order = 2
    evaluations_per_step = 2
    pull = 0.0

    def __init__(
        self,
        churn: float = 1.0,
        *,
        noise_ratio_min: float = 0.0,
        noise_ratio_max: float = math.inf,
    ) -> None:
        if not churn >= 0:
            raise InputError(f"churn = {churn} must be 0 or more")
        self.churn = churn
        self.noise_ratio_min = noise_ratio_min
        self.noise_ratio_max = noise_ratio_max

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
        k_hat = self._raise_noise(k_t, k_s, sde.noise_ratio_max)
        y, t_hat = x_t / sde.alpha(t), t
        if k_hat > k_t:
            y = y + (k_hat.square() - k_t.square()).sqrt() * noise(x_t)
            t_hat = sde.time_of_noise_ratio(k_hat)
        denoised = denoiser(sde.alpha(t_hat) * y, t_hat)
        velocity = (y - denoised) / k_hat
        guess = y + (k_s - k_hat) * velocity
        corrected = (guess - denoiser(sde.alpha(s) * guess, s)) / k_s
        return sde.alpha(s) * (y + (k_s - k_hat) / 2 * (velocity + corrected)), denoised

    def _raise_noise(self, k_t: Tensor, k_s: Tensor, largest: float) -> Tensor:
        """Give k̂; nothing is added above the prior's noise, which the denoiser has never seen."""
        if not self.noise_ratio_min <= k_t <= self.noise_ratio_max:
            return k_t
        raised = k_t * (k_t / k_s).pow(self.churn).clamp(max=math.sqrt(2))
        return raised.clamp(max=max(largest, float(k_t)))

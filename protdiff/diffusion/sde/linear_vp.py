"""The variance-preserving SDE with a linear β, the package's default."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from protdiff.diffusion.sde.linear_beta import LinearBetaSDE

__all__ = ["LinearVPSDE"]


@dataclass(frozen=True)
class LinearVPSDE(LinearBetaSDE):
    r"""Variance-preserving SDE whose β grows linearly.

    .. math::  dx = -\tfrac12 β(t) x\, dt + \sqrt{β(t)}\, dw, \qquad
               β(t) = β_{min} + (β_{max} - β_{min})\, t .

    With B(t) = ∫β: α = exp(-B/2), k² = exp(B) - 1, and α² + σ² = 1 at every time.

    Parameters
    ----------
    beta_min, beta_max
        β at t = 0 and at t = 1.

    References
    ----------
    Ho et al. (2020), Denoising diffusion probabilistic models; Song et al. (2021), Score-based
    generative modeling through stochastic differential equations, eq. 11.

    Examples
    --------
    >>> sde = LinearVPSDE()
    >>> t = torch.tensor(0.5, dtype=torch.float64)
    >>> round(float(sde.alpha(t) ** 2 + sde.sigma(t) ** 2), 12)
    1.0
    """

    def noise_ratio(self, t: Tensor) -> Tensor:
        """Give sqrt(exp(B) - 1)."""
        return torch.expm1(self.integral(t)).sqrt()

    def diffusion_coefficient(self, t: Tensor) -> Tensor:
        """Give sqrt(β)."""
        return self.beta(t).sqrt()

    def time_of_noise_ratio(self, noise_ratio: Tensor) -> Tensor:
        """Solve B(t) = log(1 + k²)."""
        return self.time_of_integral(torch.log1p(noise_ratio.square()))

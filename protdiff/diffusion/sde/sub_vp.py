"""The sub-variance-preserving SDE."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from protdiff.diffusion.sde.linear_beta import LinearBetaSDE

__all__ = ["SubVPSDE"]


@dataclass(frozen=True)
class SubVPSDE(LinearBetaSDE):
    r"""Variance-preserving drift with less noise, hence better likelihoods.

    .. math::  dx = -\tfrac12 β(t) x\, dt + \sqrt{β(t) (1 - e^{-2B(t)})}\, dw, \qquad
               B(t) = \int_0^t β, \quad β(t) = β_{min} + (β_{max} - β_{min})\, t .

    α = exp(-B/2), σ = 1 - exp(-B) = 1 - α², so the noise ratio is k = 2 sinh(B/2).

    Parameters
    ----------
    beta_min, beta_max
        β at t = 0 and at t = 1.

    References
    ----------
    Song et al. (2021), Score-based generative modeling through stochastic differential equations,
    eq. 12.
    """

    def noise_ratio(self, t: Tensor) -> Tensor:
        """Give 2 sinh(B/2)."""
        return 2 * torch.sinh(self.integral(t) / 2)

    def diffusion_coefficient(self, t: Tensor) -> Tensor:
        """Give sqrt(β (1 - exp(-2B)))."""
        return (-self.beta(t) * torch.expm1(-2 * self.integral(t))).sqrt()

    def time_of_noise_ratio(self, noise_ratio: Tensor) -> Tensor:
        """Solve B(t) = 2 arsinh(k/2)."""
        return self.time_of_integral(2 * torch.asinh(noise_ratio / 2))

"""The sub-variance-preserving SDE."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from protdiff.diffusion.sde.base import SDE
from protdiff.errors import InputError

__all__ = ["SubVPSDE"]


@dataclass(frozen=True)
class SubVPSDE(SDE):
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

    beta_min: float = 0.1
    beta_max: float = 20.0

    def __post_init__(self) -> None:
        if not 0 < self.beta_min < self.beta_max:
            raise InputError(
                f"beta_min = {self.beta_min} and beta_max = {self.beta_max} do not make an "
                "increasing schedule; give 0 < beta_min < beta_max"
            )

    def _integral(self, t: Tensor) -> Tensor:
        return self.beta_min * t + (self.beta_max - self.beta_min) / 2 * t.square()

    def _beta(self, t: Tensor) -> Tensor:
        return self.beta_min + (self.beta_max - self.beta_min) * t

    def log_alpha(self, t: Tensor) -> Tensor:
        """Give -B/2."""
        return -self._integral(t) / 2

    def noise_ratio(self, t: Tensor) -> Tensor:
        """Give 2 sinh(B/2)."""
        return 2 * torch.sinh(self._integral(t) / 2)

    def drift_coefficient(self, t: Tensor) -> Tensor:
        """Give -β/2."""
        return -self._beta(t) / 2

    def diffusion_coefficient(self, t: Tensor) -> Tensor:
        """Give sqrt(β (1 - exp(-2B)))."""
        return (-self._beta(t) * torch.expm1(-2 * self._integral(t))).sqrt()

    def time_of_noise_ratio(self, noise_ratio: Tensor) -> Tensor:
        """Solve B(t) = 2 arsinh(k/2)."""
        integral = 2 * torch.asinh(noise_ratio / 2)
        slope = self.beta_max - self.beta_min
        # The root of the quadratic in the form that does not cancel near t = 0.
        return 2 * integral / (self.beta_min + (self.beta_min**2 + 2 * slope * integral).sqrt())

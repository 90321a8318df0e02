"""The variance-preserving SDE with a linear β, the package's default."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from protdiff.diffusion.sde.base import SDE
from protdiff.errors import InputError

__all__ = ["LinearVPSDE"]


@dataclass(frozen=True)
class LinearVPSDE(SDE):
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
        """Give sqrt(exp(B) - 1)."""
        return torch.expm1(self._integral(t)).sqrt()

    def drift_coefficient(self, t: Tensor) -> Tensor:
        """Give -β/2."""
        return -self._beta(t) / 2

    def diffusion_coefficient(self, t: Tensor) -> Tensor:
        """Give sqrt(β)."""
        return self._beta(t).sqrt()

    def time_of_noise_ratio(self, noise_ratio: Tensor) -> Tensor:
        """Solve B(t) = log(1 + k²)."""
        integral = torch.log1p(noise_ratio.square())
        slope = self.beta_max - self.beta_min
        # The root of the quadratic in the form that does not cancel near t = 0.
        return 2 * integral / (self.beta_min + (self.beta_min**2 + 2 * slope * integral).sqrt())

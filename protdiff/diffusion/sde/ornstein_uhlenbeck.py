"""The Ornstein–Uhlenbeck process."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from protdiff.diffusion.broadcasting import as_floating
from protdiff.diffusion.sde.base import SDE
from protdiff.errors import InputError

__all__ = ["OrnsteinUhlenbeckSDE"]


@dataclass(frozen=True)
class OrnsteinUhlenbeckSDE(SDE):
    r"""A particle on a spring in a heat bath; the VP equation with a constant β = 2θ.

    .. math::  dx = θ (μ - x)\, dt + g\, dw, \qquad
               α = e^{-θt}, \quad m_t = μ (1 - e^{-θt}), \quad k^2 = \frac{g^2}{2θ} (e^{2θt} - 1) .

    Its stationary law, N(μ, g²/2θ), does not depend on x_0; with ``diffusion=None`` the variance
    g²/2θ is 1.

    Parameters
    ----------
    rate
        θ: how often the past is forgotten on the way from t = 0 to t = 1.
    diffusion
        g, or None for sqrt(2 θ).
    centre
        μ, where the spring is fixed, in every component of x.

    References
    ----------
    Uhlenbeck and Ornstein (1930), On the theory of the Brownian motion.
    """

    rate: float = 5.0
    diffusion: float | None = None
    centre: float = 0.0

    def __post_init__(self) -> None:
        self._check_numbers()
        if self.rate <= 0 or (self.diffusion is not None and self.diffusion <= 0):
            raise InputError(
                f"rate = {self.rate} and diffusion = {self.diffusion} must both be positive"
            )

    @property
    def stationary_variance(self) -> float:
        """g²/2θ, the variance of x_t long after the start."""
        return 1.0 if self.diffusion is None else self.diffusion**2 / (2 * self.rate)

    def log_alpha(self, t: Tensor) -> Tensor:
        """Give -θt."""
        return -self.rate * t

    def noise_ratio(self, t: Tensor) -> Tensor:
        """Give sqrt(g²/2θ (exp(2θt) - 1))."""
        return (self.stationary_variance * torch.expm1(2 * self.rate * t)).sqrt()

    def drift_coefficient(self, t: Tensor) -> Tensor:
        """Give -θ."""
        return torch.full_like(as_floating(t), -self.rate)

    def diffusion_coefficient(self, t: Tensor) -> Tensor:
        """Give g."""
        diffusion = (2 * self.rate * self.stationary_variance) ** 0.5
        return torch.full_like(as_floating(t), diffusion)

    def drift_bias(self, t: Tensor) -> Tensor:
        """Give θμ."""
        return torch.full_like(as_floating(t), self.rate * self.centre)

    def shift(self, t: Tensor) -> Tensor:
        """Give μ (1 - exp(-θt))."""
        return -self.centre * torch.expm1(-self.rate * t)

    def time_of_noise_ratio(self, noise_ratio: Tensor) -> Tensor:
        """Give log(1 + 2θk²/g²) / 2θ."""
        return torch.log1p(noise_ratio.square() / self.stationary_variance) / (2 * self.rate)

"""What the SDEs with a linear β share: their drift."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from protdiff.diffusion.sde.base import SDE
from protdiff.errors import InputError

__all__ = ["LinearBetaSDE"]


@dataclass(frozen=True)
class LinearBetaSDE(SDE):
    r"""SDEs with the drift -½ β(t) x and a β that grows linearly.

    .. math::  β(t) = β_{min} + (β_{max} - β_{min})\, t, \qquad B(t) = \int_0^t β, \qquad
               α = e^{-B/2} .

    Parameters
    ----------
    beta_min, beta_max
        β at t = 0 and at t = 1.

    Raises
    ------
    InputError
        They do not make an increasing schedule.

    References
    ----------
    Song et al. (2021), Score-based generative modeling through stochastic differential equations,
    section 3.4.
    """

    beta_min: float = 0.1
    beta_max: float = 20.0

    def __post_init__(self) -> None:
        self._check_numbers()
        if not 0 < self.beta_min < self.beta_max:
            raise InputError(
                f"beta_min = {self.beta_min} and beta_max = {self.beta_max} do not make an "
                "increasing schedule; give 0 < beta_min < beta_max"
            )

    def beta(self, t: Tensor) -> Tensor:
        """Give β(t)."""
        return self.beta_min + (self.beta_max - self.beta_min) * t

    def integral(self, t: Tensor) -> Tensor:
        """Give B(t)."""
        return self.beta_min * t + (self.beta_max - self.beta_min) / 2 * t.square()

    def time_of_integral(self, integral: Tensor) -> Tensor:
        """Give the t at which B has a value."""
        slope = self.beta_max - self.beta_min
        # The root of the quadratic in the form that does not cancel near t = 0.
        return 2 * integral / (self.beta_min + (self.beta_min**2 + 2 * slope * integral).sqrt())

    def log_alpha(self, t: Tensor) -> Tensor:
        """Give -B/2."""
        return -self.integral(t) / 2

    def drift_coefficient(self, t: Tensor) -> Tensor:
        """Give -β/2."""
        return -self.beta(t) / 2

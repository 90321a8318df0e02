"""Brownian motion with constant drift and diffusion."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from protdiff.diffusion.broadcasting import as_floating
from protdiff.diffusion.sde.base import SDE
from protdiff.errors import InputError

__all__ = ["BrownianSDE"]


@dataclass(frozen=True)
class BrownianSDE(SDE):
    r"""Brownian motion in a steady wind.

    .. math::  dx = b\, dt + g\, dw, \qquad p(x_t \mid x_0) = N(x_0 + b t,\; g^2 t) .

    It has no stationary law: the prior at t = 1 only hides the data when g is much larger than
    their spread, which makes this the simplest variance-exploding process.

    Parameters
    ----------
    drift_velocity
        b, the same in every component of x.
    diffusion
        g, in units of the data's standard deviation.

    References
    ----------
    Einstein (1905), Über die von der molekularkinetischen Theorie der Wärme geforderte Bewegung.
    """

    drift_velocity: float = 0.0
    diffusion: float = 50.0

    def __post_init__(self) -> None:
        self._check_numbers()
        if self.diffusion <= 0:
            raise InputError(f"diffusion = {self.diffusion} must be positive")

    def log_alpha(self, t: Tensor) -> Tensor:
        """Give 0."""
        return torch.zeros_like(t)

    def noise_ratio(self, t: Tensor) -> Tensor:
        """Give g sqrt(t)."""
        return self.diffusion * t.sqrt()

    def drift_coefficient(self, t: Tensor) -> Tensor:
        """Give 0."""
        return torch.zeros_like(t)

    def diffusion_coefficient(self, t: Tensor) -> Tensor:
        """Give g."""
        return torch.full_like(as_floating(t), self.diffusion)

    def drift_bias(self, t: Tensor) -> Tensor:
        """Give b."""
        return torch.full_like(as_floating(t), self.drift_velocity)

    def shift(self, t: Tensor) -> Tensor:
        """Give b t."""
        return self.drift_velocity * t

    def time_of_noise_ratio(self, noise_ratio: Tensor) -> Tensor:
        """Give (k/g)²."""
        return (noise_ratio / self.diffusion).square()

"""The variance-preserving SDE with the cosine schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from protdiff.diffusion.sde.base import SDE
from protdiff.errors import InputError

__all__ = ["CosineVPSDE"]


@dataclass(frozen=True)
class CosineVPSDE(SDE):
    r"""Variance-preserving SDE whose α is a cosine of time.

    .. math::  α_t = \frac{\cos θ(t)}{\cos θ_0}, \qquad
               k_t^2 = \frac{\sin(θ - θ_0) \sin(θ + θ_0)}{\cos^2 θ}, \qquad
               θ(t) = θ_0 + (θ_1 - θ_0)\, t .

    θ_0 = (π/2) offset / (1 + offset) keeps β away from zero at t = 0. In the paper θ_1 = π/2, where
    the noise ratio is infinite; here θ_1 is where it reaches ``final_noise_ratio``, which does the
    work of the paper's clipping of β at 0.999. α² + σ² = 1 at every time.

    Parameters
    ----------
    offset
        The paper's s.
    final_noise_ratio
        σ/α at t = 1.

    References
    ----------
    Nichol and Dhariwal (2021), Improved denoising diffusion probabilistic models, eq. 17.
    """

    offset: float = 0.008
    final_noise_ratio: float = 100.0

    def __post_init__(self) -> None:
        self._check_numbers()
        if self.offset < 0 or self.final_noise_ratio <= 0:
            raise InputError(
                f"offset = {self.offset} and final_noise_ratio = {self.final_noise_ratio} make no "
                "cosine schedule; give offset >= 0 and final_noise_ratio > 0"
            )

    @property
    def _first_angle(self) -> float:
        return math.pi / 2 * self.offset / (1 + self.offset)

    @property
    def _last_angle(self) -> float:
        return math.acos(math.cos(self._first_angle) / math.hypot(1, self.final_noise_ratio))

    @property
    def _speed(self) -> float:
        return self._last_angle - self._first_angle

    def log_alpha(self, t: Tensor) -> Tensor:
        """Give log α = log(1 + k²) / -2, which keeps its precision where α is close to 1."""
        return -torch.log1p(self.noise_ratio(t).square()) / 2

    def noise_ratio(self, t: Tensor) -> Tensor:
        """Give sqrt(sin(θ - θ_0) sin(θ + θ_0)) / cos θ."""
        turned = self._speed * t
        angle = self._first_angle + turned
        return (turned.sin() * (angle + self._first_angle).sin()).sqrt() / angle.cos()

    def drift_coefficient(self, t: Tensor) -> Tensor:
        """Give -θ' tan θ."""
        return -self._speed * (self._first_angle + self._speed * t).tan()

    def diffusion_coefficient(self, t: Tensor) -> Tensor:
        """Give sqrt(β) = sqrt(2 θ' tan θ)."""
        return (-2 * self.drift_coefficient(t)).sqrt()

    def time_of_noise_ratio(self, noise_ratio: Tensor) -> Tensor:
        """Give (θ - θ_0) / θ' from tan²θ = (k² + sin²θ_0) / cos²θ_0."""
        k_squared, first = noise_ratio.square(), self._first_angle
        angle = torch.atan((k_squared + math.sin(first) ** 2).sqrt() / math.cos(first))
        # θ - θ_0 would cancel near t = 0; sin(θ - θ_0) = k² cos²θ / sin(θ + θ_0) does not, and is
        # exact to rounding where its argument is small.
        sine = k_squared * angle.cos().square() / (angle + first).sin()
        small = sine < 0.5
        turned = torch.where(small, torch.where(small, sine, 0).asin(), angle - first)
        return turned / self._speed

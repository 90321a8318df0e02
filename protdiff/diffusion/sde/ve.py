"""The variance-exploding SDE."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from protdiff.diffusion.sde.base import SDE
from protdiff.errors import InputError

__all__ = ["VESDE"]


@dataclass(frozen=True)
class VESDE(SDE):
    r"""Noise that grows geometrically on data that stay where they are.

    .. math::  dx = σ_{min} R^t \sqrt{2 \log R}\; dw, \qquad R = σ_{max} / σ_{min}, \qquad
               α = 1, \quad σ_t^2 = σ_{min}^2 (R^{2t} - 1) .

    The "-1" makes σ vanish at t = 0 exactly; on NCSN's ladder, σ_min R^t, the data start with
    σ_min of noise.

    Parameters
    ----------
    sigma_min, sigma_max
        The ends of the ladder, in units of the data's standard deviation.

    References
    ----------
    Song and Ermon (2019), Generative modeling by estimating gradients of the data distribution;
    Song et al. (2021), Score-based generative modeling through stochastic differential equations,
    eq. 9.
    """

    sigma_min: float = 0.01
    sigma_max: float = 50.0

    def __post_init__(self) -> None:
        self._check_numbers()
        if not 0 < self.sigma_min < self.sigma_max:
            raise InputError(
                f"sigma_min = {self.sigma_min} and sigma_max = {self.sigma_max} do not make an "
                "increasing ladder; give 0 < sigma_min < sigma_max"
            )

    @property
    def _log_ratio(self) -> float:
        return math.log(self.sigma_max / self.sigma_min)

    def log_alpha(self, t: Tensor) -> Tensor:
        """Give 0."""
        return torch.zeros_like(t)

    def noise_ratio(self, t: Tensor) -> Tensor:
        """Give σ_min sqrt(R^2t - 1)."""
        return self.sigma_min * torch.expm1(2 * self._log_ratio * t).sqrt()

    def drift_coefficient(self, t: Tensor) -> Tensor:
        """Give 0."""
        return torch.zeros_like(t)

    def diffusion_coefficient(self, t: Tensor) -> Tensor:
        """Give σ_min R^t sqrt(2 log R)."""
        return self.sigma_min * math.sqrt(2 * self._log_ratio) * (self._log_ratio * t).exp()

    def time_of_noise_ratio(self, noise_ratio: Tensor) -> Tensor:
        """Give log(1 + k²/σ_min²) / (2 log R)."""
        return torch.log1p((noise_ratio / self.sigma_min).square()) / (2 * self._log_ratio)

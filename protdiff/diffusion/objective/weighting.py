r"""How much each noise level counts in the denoising loss.

All targets are fitted by one weighted regression of the denoised mean,

.. math:: L = \tfrac12 \int w(t) \, E \| D(x_t) - x_0 \|^2 \, dt .

The error of the score is :math:`(\alpha_t / \sigma_t^2)^2` times that of the denoised mean, so a
weight :math:`\lambda(t)` of the score loss is :math:`w = \lambda \alpha_t^2 / \sigma_t^4 =
\lambda / (k_t \sigma_t)^2`. The weights in use, with :math:`k = \sigma/\alpha`:

============================  =====================  =====================  ========================
class                         λ, of the score        w, of the mean         same as
============================  =====================  =====================  ========================
:class:`UnitWeighting`        1                      1/(kσ)²                plain score matching
:class:`VarianceWeighting`    σ²                     1/k²                   ε loss (DDPM's "simple")
:class:`LikelihoodWeighting`  g²                     g²/(kσ)²               bound on −log p(x_0)
:class:`EDMWeighting`         (kσ)² w                (k²+τ²)/(kτ)²          loss of unit size, EDM
:class:`MinSNRWeighting`      (kσ)² w                min(1/k², γ)           ε loss, capped
:class:`DataWeighting`        (kσ)²                  1                      x_0 loss
============================  =====================  =====================  ========================

A weighting and a way to draw times are one choice in two parts: only their product, weight times
density, is what the loss integrates (see :mod:`protdiff.diffusion.objective.time_sampling`).

References
----------
Song, Durkan, Murray, Ermon, "Maximum likelihood training of score-based diffusion models", 2021.
Karras, Aittala, Aila, Laine, "Elucidating the design space of diffusion-based generative models",
2022. Hang, Gu, Li, Bao, Chen, Hu, Geng, Guo, "Efficient diffusion training via min-SNR weighting
strategy", 2023. Kingma, Gao, "Understanding diffusion objectives as the ELBO with simple data
augmentation", 2023.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from protdiff.diffusion.sde import SDE
from protdiff.errors import InputError

__all__ = [
    "DataWeighting",
    "EDMWeighting",
    "LikelihoodWeighting",
    "MinSNRWeighting",
    "UnitWeighting",
    "VarianceWeighting",
    "Weighting",
]


class Weighting(ABC):
    r"""The weight of the squared error in :math:`L = \tfrac12 \int w(t) E \|D - x_0\|^2 dt`."""

    @abstractmethod
    def __call__(self, sde: SDE, t: Tensor) -> Tensor:
        """Give w(t) at times ``()`` or ``(batch,)`` above zero."""


class UnitWeighting(Weighting):
    r"""Every score counts the same, :math:`\lambda = 1`, so :math:`w = 1 / (k_t \sigma_t)^2`.

    References
    ----------
    Vincent, "A connection between score matching and denoising autoencoders", 2011.
    """

    def __call__(self, sde: SDE, t: Tensor) -> Tensor:
        """Give 1 / (kσ)²."""
        return (sde.noise_ratio(t) * sde.sigma(t)).square().reciprocal()


class VarianceWeighting(Weighting):
    r"""Every noise counts the same, :math:`\lambda = \sigma_t^2`, so :math:`w = 1 / k_t^2`.

    References
    ----------
    Song, Ermon, "Generative modeling by estimating gradients of the data distribution", 2019. Ho,
    Jain, Abbeel, "Denoising diffusion probabilistic models", 2020.
    """

    def __call__(self, sde: SDE, t: Tensor) -> Tensor:
        """Give the signal-to-noise ratio, 1 / k²."""
        return sde.noise_ratio(t).square().reciprocal()


class LikelihoodWeighting(Weighting):
    r"""The weight that bounds the likelihood, :math:`\lambda = g^2`.

    .. math:: w = \frac{g_t^2}{(k_t \sigma_t)^2} = - \frac{d}{dt} \frac{1}{k_t^2}

    With it :math:`-E \log p(x_0) \le L + \text{const}` (see
    :mod:`protdiff.diffusion.objective.elbo`).

    References
    ----------
    Song, Durkan, Murray, Ermon, "Maximum likelihood training of score-based diffusion models",
    2021.
    """

    def __call__(self, sde: SDE, t: Tensor) -> Tensor:
        """Give g² / (kσ)²."""
        return (sde.diffusion_coefficient(t) / (sde.noise_ratio(t) * sde.sigma(t))).square()


@dataclass(frozen=True)
class EDMWeighting(Weighting):
    r"""The weight that makes an untrained loss the same at every noise.

    .. math:: w = \frac{k_t^2 + \tau^2}{k_t^2 \tau^2}

    Parameters
    ----------
    data_std
        :math:`\tau`, the standard deviation of a coordinate of the data.

    References
    ----------
    Karras, Aittala, Aila, Laine, "Elucidating the design space of diffusion-based generative
    models", 2022.
    """

    data_std: float = 1.0

    def __post_init__(self) -> None:
        if not self.data_std > 0.0:
            raise InputError(f"data_std = {self.data_std} must be positive")

    def __call__(self, sde: SDE, t: Tensor) -> Tensor:
        """Give 1/τ² + 1/k²."""
        return sde.noise_ratio(t).square().reciprocal() + self.data_std**-2


@dataclass(frozen=True)
class MinSNRWeighting(Weighting):
    r"""The ε weight, capped at small noise, :math:`w = \min(1 / k_t^2, \gamma)`.

    Parameters
    ----------
    gamma
        :math:`\gamma`, the largest weight.

    References
    ----------
    Hang, Gu, Li, Bao, Chen, Hu, Geng, Guo, "Efficient diffusion training via min-SNR weighting
    strategy", 2023.
    """

    gamma: float = 5.0

    def __post_init__(self) -> None:
        if not self.gamma > 0.0:
            raise InputError(f"gamma = {self.gamma} must be positive")

    def __call__(self, sde: SDE, t: Tensor) -> Tensor:
        """Give min(1 / k², γ)."""
        return sde.noise_ratio(t).square().reciprocal().clamp(max=self.gamma)


class DataWeighting(Weighting):
    """Every denoised mean counts the same, :math:`w = 1`.

    References
    ----------
    Salimans, Ho, "Progressive distillation for fast sampling of diffusion models", 2022.
    """

    def __call__(self, sde: SDE, t: Tensor) -> Tensor:
        """Give 1."""
        return torch.ones_like(t)

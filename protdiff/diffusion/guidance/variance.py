r"""How far the clean sample may be from its denoised mean: posterior covariance models.

The likelihood of an observation :math:`y = A x_0 + N(0, r^2)` given the *noisy* sample integrates
over what the noise still hides,

.. math:: p(y \mid x_t) = \int N(y; A x_0, r^2) \, p(x_0 \mid x_t) \, dx_0
          \approx N\big(y; A D(x_t), r^2 + v_t A A^T\big),

so at high noise a disagreement between :math:`A D` and :math:`y` means little. Published methods
differ in their :math:`v_t` and in nothing else; with :math:`k_t = \sigma_t / \alpha_t` they are

====================================  ==========================  ==================================
class                                 :math:`v_t`                 method
====================================  ==========================  ==================================
:class:`IsotropicVariance`            k² τ² / (k² + τ²)           ΠGDM (Song et al. 2023); exact for
                                                                  data of covariance τ² I
:class:`ProportionalVariance`         k² / w                      reconstruction guidance of weight
                                                                  w (Ho et al. 2022)
:class:`ZeroVariance`                 0                           DPS (Chung et al. 2023)
====================================  ==========================  ==================================

References
----------
Song, Vahdat, Mardani, Kautz, "Pseudoinverse-guided diffusion models for inverse problems", 2023.
Chung, Kim, McCann, Klasky, Ye, "Diffusion posterior sampling for general noisy inverse problems",
2023. Ho, Salimans, Gritsenko, Chan, Norouzi, Fleet, "Video diffusion models", 2022.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from protdiff.diffusion.guidance.terms import Estimate
from protdiff.errors import InputError

__all__ = ["IsotropicVariance", "PosteriorVariance", "ProportionalVariance", "ZeroVariance"]


class PosteriorVariance(ABC):
    r"""How far x_0 may be from its mean, :math:`\mathrm{Cov}[x_0 \mid x_t] \approx v_t I`."""

    @abstractmethod
    def __call__(self, estimate: Estimate) -> Tensor:
        """Return :math:`v_t`, ``()`` or ``(batch,)``."""


class IsotropicVariance(PosteriorVariance):
    r"""Variance of a Gaussian prior, :math:`v_t = k_t^2 \tau^2 / (k_t^2 + \tau^2)` (ΠGDM).

    Parameters
    ----------
    data_variance
        :math:`\tau^2`, the variance of a coordinate of the data; 1 for standardised data.

    References
    ----------
    Song, Vahdat, Mardani, Kautz, "Pseudoinverse-guided diffusion models for inverse problems",
    2023.
    """

    def __init__(self, data_variance: float = 1.0) -> None:
        if not data_variance > 0.0:
            raise InputError(f"A data variance of {data_variance} is not positive.")
        self.data_variance = data_variance

    def __call__(self, estimate: Estimate) -> Tensor:
        """Return :math:`v_t`, ``()`` or ``(batch,)``."""
        return estimate.isotropic_variance(self.data_variance)


class ProportionalVariance(PosteriorVariance):
    r"""Variance in proportion to the noise, :math:`v_t = k_t^2 / w`.

    With it, guidance is
    :math:`D' = D - \tfrac{w \alpha_t}{2} \nabla_{x_t} \| y - A D(x_t) \|^2` where r = 0, the form
    in which Ho et al. (2022) write reconstruction guidance.

    Parameters
    ----------
    weight
        The guidance weight :math:`w > 0`.

    References
    ----------
    Ho, Salimans, Gritsenko, Chan, Norouzi, Fleet, "Video diffusion models", 2022.
    """

    def __init__(self, weight: float = 1.0) -> None:
        if not weight > 0.0:
            raise InputError(f"A reconstruction-guidance weight of {weight} is not positive.")
        self.weight = weight

    def __call__(self, estimate: Estimate) -> Tensor:
        """Return :math:`v_t`, ``()`` or ``(batch,)``."""
        return estimate.noise_ratio.square() / self.weight


class ZeroVariance(PosteriorVariance):
    """No variance, :math:`v_t = 0`: the denoised mean is taken for the clean sample (DPS).

    References
    ----------
    Chung, Kim, McCann, Klasky, Ye, "Diffusion posterior sampling for general noisy inverse
    problems", 2023.
    """

    def __call__(self, estimate: Estimate) -> Tensor:
        """Return zero, ``()`` or ``(batch,)``."""
        return torch.zeros_like(estimate.noise_ratio)

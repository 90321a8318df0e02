r"""Observations of the clean sample, with the noise-dependent covariance of their likelihood.

Each class is a :class:`~protdiff.diffusion.guidance.terms.LikelihoodTerm`: a Gaussian around what
the denoised mean predicts, widened by what the noise still hides (see
:mod:`protdiff.diffusion.guidance.variance`). :class:`MaskedObservation` knows some coordinates,
:class:`LinearObservation` knows linear functions of them, :class:`ResidualObservation` knows that
some function of the sample vanishes (a motif up to a rigid motion, a distance, a radius).

References
----------
Song, Vahdat, Mardani, Kautz, "Pseudoinverse-guided diffusion models for inverse problems", 2023.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from protdiff.diffusion.broadcasting import check_fit, expand, flatten_event, sum_event
from protdiff.diffusion.guidance.terms import Estimate, LikelihoodTerm
from protdiff.diffusion.guidance.variance import IsotropicVariance, PosteriorVariance, ZeroVariance
from protdiff.errors import InputError

__all__ = ["LinearObservation", "MaskedObservation", "ResidualObservation"]

_LOG_TWO_PI = math.log(2.0 * math.pi)


class LinearObservation(LikelihoodTerm):
    r"""Linear functions of the clean sample, :math:`y = A x_0 + N(0, r^2 I)`.

    .. math:: \log p(y \mid x_t) \approx \log N\big(y; A D(x_t),\; r^2 I + v_t A A^T\big)

    The covariance is diagonal in the eigenbasis of :math:`A A^T`, which is found once.

    Parameters
    ----------
    matrix
        :math:`A`, ``(observed, event_size)``; it acts on the flattened event.
    observed
        :math:`y`, ``(observed,)``, or ``(batch, observed)`` for one observation a sample.
    noise_std
        :math:`r \ge 0`, the standard deviation of the measurement.
    variance
        :math:`v_t`; by default that of a prior of unit variance (ΠGDM).

    References
    ----------
    Song, Vahdat, Mardani, Kautz, "Pseudoinverse-guided diffusion models for inverse problems",
    2023.
    """

    def __init__(
        self,
        matrix: Tensor,
        observed: Tensor,
        noise_std: float,
        variance: PosteriorVariance | None = None,
    ) -> None:
        if matrix.ndim != 2 or observed.shape[-1:] != matrix.shape[:1]:
            raise InputError(
                f"A linear observation came with a matrix of shape {tuple(matrix.shape)} and "
                f"values of shape {tuple(observed.shape)}; give (observed, event_size) and "
                "(observed,)."
            )
        self.noise_std = noise_std
        self.variance = _checked_variance(noise_std, variance)
        # Double precision, because rows that depend on one another show in squares of rounding.
        matrix, observed = matrix.double(), observed.double()
        eigenvalues, eigenvectors = torch.linalg.eigh(matrix @ matrix.mT)
        if noise_std == 0.0 and float(eigenvalues[0]) <= 1e-10 * float(eigenvalues[-1]):
            raise InputError(
                "The rows of a linear observation depend on one another, which without noise is a "
                "contradiction or a repetition; drop rows, or give a noise_std above 0."
            )
        self._gram = eigenvalues.clamp_min(0.0)
        self._matrix = eigenvectors.mT @ matrix
        self._observed = observed @ eigenvectors

    def __call__(self, estimate: Estimate) -> Tensor:
        """Return the log-likelihood of the observation, ``(batch,)``."""
        denoised = flatten_event(estimate.denoised)
        residual = self._observed.to(denoised) - denoised @ self._matrix.to(denoised).mT
        inflation = expand(self.variance(estimate), residual)
        variance = self.noise_std**2 + inflation * self._gram.to(denoised)
        return _log_normal(residual, variance).sum(-1)


class MaskedObservation(LikelihoodTerm):
    r"""Some coordinates of the clean sample, :math:`y = x_0 + N(0, r^2)` where the mask is True.

    .. math:: \log p(y \mid x_t) \approx \sum_{i \in mask} \log N(y_i; D_i(x_t), r^2 + v_t)

    Parameters
    ----------
    observed_mask
        True where a coordinate is known; bool, ``(batch or 1, *event)`` up to broadcasting.
    observed
        :math:`y`, of a shape that broadcasts to ``(batch, *event)``; ignored where unknown.
    noise_std
        :math:`r \ge 0`.
    variance
        :math:`v_t`; by default that of a prior of unit variance (ΠGDM). With
        :class:`~protdiff.diffusion.guidance.variance.ProportionalVariance` this is reconstruction
        guidance.

    References
    ----------
    Ho, Salimans, Gritsenko, Chan, Norouzi, Fleet, "Video diffusion models", 2022.
    """

    def __init__(
        self,
        observed_mask: Tensor,
        observed: Tensor,
        noise_std: float = 0.0,
        variance: PosteriorVariance | None = None,
    ) -> None:
        self.observed_mask = observed_mask
        self.observed = observed
        self.noise_std = noise_std
        self.variance = _checked_variance(noise_std, variance)

    def __call__(self, estimate: Estimate) -> Tensor:
        """Return the log-likelihood of the observed coordinates, ``(batch,)``."""
        denoised = estimate.denoised
        mask = check_fit(self.observed_mask, denoised, "the mask").to(denoised.device)
        observed = check_fit(self.observed, denoised, "what is observed").to(denoised)
        # Chosen before it is squared: what is not observed may be NaN (a missing atom).
        residual = torch.where(mask, observed - denoised, 0.0)
        variance = self.noise_std**2 + expand(self.variance(estimate), denoised)
        return sum_event(torch.where(mask, _log_normal(residual, variance), 0.0))


class ResidualObservation(LikelihoodTerm):
    r"""A function of the clean sample that vanishes up to noise, :math:`R(x_0) = N(0, r^2 I)`.

    .. math:: \log p(y \mid x_t) \approx \sum_i \log N\big(0; R_i(D(x_t)), r^2 + v_t\big)

    exact in the same cases as :class:`LinearObservation` if the rows of the Jacobian of
    :math:`R` are orthonormal, and otherwise with the scale of the residual taken as that of a
    coordinate.

    Parameters
    ----------
    residual
        :math:`R`, from ``(batch, *event)`` to ``(batch, ...)``, differentiable.
    noise_std
        :math:`r \ge 0`.
    variance
        :math:`v_t`; by default that of a prior of unit variance.
    """

    def __init__(
        self,
        residual: Callable[[Tensor], Tensor],
        noise_std: float = 0.0,
        variance: PosteriorVariance | None = None,
    ) -> None:
        self.residual = residual
        self.noise_std = noise_std
        self.variance = _checked_variance(noise_std, variance)

    def __call__(self, estimate: Estimate) -> Tensor:
        """Return the log-likelihood of the residuals, ``(batch,)``."""
        residual = self.residual(estimate.denoised).reshape(len(estimate.denoised), -1)
        variance = self.noise_std**2 + expand(self.variance(estimate), residual)
        return _log_normal(residual, variance).sum(1)


def _checked_variance(noise_std: float, variance: PosteriorVariance | None) -> PosteriorVariance:
    """Refuse a likelihood that is a delta function at every noise level."""
    if not noise_std >= 0.0 or (noise_std == 0.0 and isinstance(variance, ZeroVariance)):
        raise InputError(
            f"An observation came with noise_std = {noise_std}; give a standard deviation that is "
            "positive, or zero together with a posterior variance."
        )
    return IsotropicVariance() if variance is None else variance


def _log_normal(residual: Tensor, variance: Tensor) -> Tensor:
    """Log density of a centred Gaussian, elementwise."""
    return -0.5 * (residual.square() / variance + variance.log() + _LOG_TWO_PI)

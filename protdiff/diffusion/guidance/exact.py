r"""Exact posteriors under a linear observation: what every guidance is measured against.

For a Gaussian prior :math:`x_0 \sim N(\mu, C)` and :math:`y = A x_0 + N(0, r^2 I)`, with the gain
:math:`K = C A^T (A C A^T + r^2 I)^{-1}`,

.. math:: x_0 \mid y \sim N\big(\mu + K (y - A \mu),\; C - K A C\big), \qquad
          p(y) = N(y; A \mu, A C A^T + r^2 I).

For a mixture each component is updated in that way, and its weight is multiplied by its evidence
:math:`p_k(y)`. On the noisy side, :math:`x_0 \mid x_t` is Gaussian with mean :math:`D(x_t)` and
covariance :math:`\Sigma_t = C (C + k_t^2 I)^{-1} k_t^2`, so :math:`p(y \mid x_t) = N(y; A D(x_t),
A \Sigma_t A^T + r^2 I)` holds without approximation: :class:`GaussianPriorObservation`.

References
----------
Bishop, "Pattern recognition and machine learning", 2006, section 2.3.3. Boys, Girolami,
Pidstrigach, Reich, Mosca, Akyildiz, "Tweedie moment projected diffusions for inverse problems",
2023.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from protdiff.diffusion.broadcasting import flatten_event
from protdiff.diffusion.guidance.terms import Estimate, LikelihoodTerm

__all__ = [
    "GaussianPosterior",
    "GaussianPriorObservation",
    "MixturePosterior",
    "gaussian_posterior",
    "mixture_posterior",
]


@dataclass(frozen=True, eq=False)
class GaussianPosterior:
    r"""A Gaussian posterior, and the evidence of what it was conditioned on.

    .. math:: p(x_0 \mid y) = N(\mu + K (y - A \mu),\; C - K A C)

    Attributes
    ----------
    mean
        ``(..., event_size)``.
    covariance
        ``(..., event_size, event_size)``.
    log_evidence
        log p(y), ``(...)``, in nats.
    """

    mean: Tensor
    covariance: Tensor
    log_evidence: Tensor


@dataclass(frozen=True, eq=False)
class MixturePosterior:
    r"""A Gaussian-mixture posterior, and the evidence of what it was conditioned on.

    .. math:: p(x_0 \mid y) \propto \sum_k \pi_k \, p_k(y) \, p_k(x_0 \mid y)

    Attributes
    ----------
    weights
        ``(component,)``, summing to 1.
    means
        ``(component, event_size)``.
    covariances
        ``(component, event_size, event_size)``.
    log_evidence
        log p(y), ``()``, in nats.
    """

    weights: Tensor
    means: Tensor
    covariances: Tensor
    log_evidence: Tensor

    @property
    def mean(self) -> Tensor:
        """The mean of the whole mixture, ``(event_size,)``."""
        return self.weights @ self.means

    @property
    def covariance(self) -> Tensor:
        """The covariance of the whole mixture, ``(event_size, event_size)``."""
        offset = self.means - self.mean
        within = torch.einsum("k,kij->ij", self.weights, self.covariances)
        return within + torch.einsum("k,ki,kj->ij", self.weights, offset, offset)

    def log_density(self, x: Tensor) -> Tensor:
        """Give log p(x | y), ``(batch,)``, of points ``(batch, event_size)``."""
        return torch.logsumexp(self._log_joint(x), dim=1)

    def responsibilities(self, x: Tensor) -> Tensor:
        """Give p(component | x, y), ``(batch, component)``, of points ``(batch, event_size)``."""
        return torch.softmax(self._log_joint(x), dim=1)

    def _log_joint(self, x: Tensor) -> Tensor:
        return _log_normal(x[:, None] - self.means, self.covariances) + self.weights.log()


def gaussian_posterior(
    mean: Tensor, covariance: Tensor, matrix: Tensor, observed: Tensor, noise_std: float
) -> GaussianPosterior:
    r"""Condition a Gaussian on a linear observation, :math:`y = A x_0 + N(0, r^2 I)`.

    Parameters
    ----------
    mean
        :math:`\mu`, ``(..., event_size)``.
    covariance
        :math:`C`, ``(..., event_size, event_size)``.
    matrix
        :math:`A`, ``(observed, event_size)``.
    observed
        :math:`y`, ``(observed,)``.
    noise_std
        :math:`r \ge 0`.

    Returns
    -------
    GaussianPosterior

    References
    ----------
    Bishop, "Pattern recognition and machine learning", 2006, equations 2.113-2.117.

    Examples
    --------
    >>> posterior = gaussian_posterior(
    ...     torch.zeros(1), torch.eye(1), torch.eye(1), torch.tensor([1.0]), noise_std=1.0
    ... )
    >>> posterior.mean, posterior.covariance
    (tensor([0.5000]), tensor([[0.5000]]))
    """
    predicted = matrix @ covariance @ matrix.mT + noise_std**2 * torch.eye(len(matrix)).to(matrix)
    residual = observed - mean @ matrix.mT
    gain = torch.linalg.solve(predicted, matrix @ covariance).mT
    return GaussianPosterior(
        mean=mean + (gain @ residual[..., None])[..., 0],
        covariance=covariance - gain @ matrix @ covariance,
        log_evidence=_log_normal(residual, predicted),
    )


def mixture_posterior(
    weights: Tensor,
    means: Tensor,
    covariances: Tensor,
    matrix: Tensor,
    observed: Tensor,
    noise_std: float,
) -> MixturePosterior:
    r"""Condition a Gaussian mixture on a linear observation, :math:`y = A x_0 + N(0, r^2 I)`.

    Parameters
    ----------
    weights
        ``(component,)``, which are normalised.
    means
        ``(component, event_size)``.
    covariances
        ``(component, event_size, event_size)``.
    matrix, observed, noise_std
        As for :func:`gaussian_posterior`.

    Returns
    -------
    MixturePosterior

    References
    ----------
    Bishop, "Pattern recognition and machine learning", 2006, equations 2.113-2.117, a component at
    a time.
    """
    each = gaussian_posterior(means, covariances, matrix, observed, noise_std)
    joint = weights.log() - weights.sum().log() + each.log_evidence
    return MixturePosterior(
        weights=torch.softmax(joint, dim=0),
        means=each.mean,
        covariances=each.covariance,
        log_evidence=torch.logsumexp(joint, dim=0),
    )


class GaussianPriorObservation(LikelihoodTerm):
    r"""Linear observation with the posterior covariance of a Gaussian prior of covariance C.

    .. math:: \log p(y \mid x_t) = \log N\big(y; A D(x_t),\; r^2 I + A \Sigma_t A^T\big), \qquad
              \Sigma_t = k_t^2 C (C + k_t^2 I)^{-1}

    Exact for Gaussian data of that covariance. For other data it is ΠGDM with the data's second
    moments in place of unit variance.

    Parameters
    ----------
    covariance
        :math:`C`, ``(event_size, event_size)``.
    matrix
        :math:`A`, ``(observed, event_size)``; it acts on the flattened event.
    observed
        :math:`y`, ``(observed,)`` or ``(batch, observed)``.
    noise_std
        :math:`r \ge 0`.

    References
    ----------
    Song, Vahdat, Mardani, Kautz, "Pseudoinverse-guided diffusion models for inverse problems",
    2023.
    """

    def __init__(
        self, covariance: Tensor, matrix: Tensor, observed: Tensor, noise_std: float
    ) -> None:
        eigenvalues, eigenvectors = torch.linalg.eigh(covariance)
        self.matrix = matrix
        self.observed = observed
        self.noise_std = noise_std
        self._eigenvalues = eigenvalues.clamp_min(0.0)
        self._rotated = matrix @ eigenvectors

    def __call__(self, estimate: Estimate) -> Tensor:
        """Return the log-likelihood of the observation, ``(batch,)``."""
        denoised = flatten_event(estimate.denoised)
        eigenvalues, rotated = self._eigenvalues.to(denoised), self._rotated.to(denoised)
        residual = self.observed.to(denoised) - denoised @ self.matrix.to(denoised).mT
        squared = estimate.noise_ratio.square().to(denoised).reshape(-1, 1)
        posterior = eigenvalues * squared / (eigenvalues + squared)
        identity = torch.eye(len(rotated)).to(denoised)
        covariance = self.noise_std**2 * identity + torch.einsum(
            "mi,bi,ni->bmn", rotated, posterior, rotated
        )
        return _log_normal(residual, covariance)


def _log_normal(residual: Tensor, covariance: Tensor) -> Tensor:
    """Log density of a centred Gaussian, ``(...)``, of residuals ``(..., event_size)``."""
    factor = torch.linalg.cholesky(covariance)
    # The factor is given the batch of the residual, which triangular solves do not do themselves.
    factor = factor.expand(*residual.shape[:-1], *factor.shape[-2:])
    white = torch.linalg.solve_triangular(factor, residual[..., None], upper=False)[..., 0]
    log_determinant = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    constant = 0.5 * residual.shape[-1] * math.log(2.0 * math.pi)
    density: Tensor = -0.5 * white.square().sum(-1) - log_determinant - constant
    return density

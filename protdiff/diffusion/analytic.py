r"""Data laws whose posterior mean, score and likelihood are known exactly.

For Gaussian data N(μ, Λ) the marginal of x_t is N(α μ + m, α² Λ + σ² I) and the posterior is
Gaussian; a mixture is the same for each of its components, weighted by their responsibilities for
x_t. Every sampler, likelihood and guidance of the package is tested against these, and they are
good for a first look at the theory: a mixture has a score worth drawing.

In the eigenbasis of Λ, with eigenvalues λ and the noise ratio k = σ/α, everything is a division:

.. math::  D(x_t) = μ + \frac{λ}{λ + k^2} (y - μ), \qquad
           \mathrm{cov}(x_0 \mid x_t) = \frac{λ k^2}{λ + k^2}, \qquad y = (x_t - m) / α ,

which is exact for λ = 0 too, at all t > 0: a component may be a point, or live in a subspace.

References
----------
Bishop (2006), Pattern recognition and machine learning, section 2.3.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from protdiff.diffusion.broadcasting import as_floating, check_shape, expand, flatten_event
from protdiff.diffusion.denoiser import Denoiser
from protdiff.diffusion.sde import SDE
from protdiff.errors import InputError

__all__ = ["GaussianDenoiser", "MixtureDenoiser"]


class MixtureDenoiser(Denoiser):
    r"""The exact denoiser of Gaussian-mixture data.

    .. math::  D(x_t) = \sum_j w_j(x_t)\, D_j(x_t), \qquad
               w_j \propto π_j\, N(x_t; α μ_j + m, α^2 Λ_j + σ^2 I) .

    Parameters
    ----------
    sde
        The forward process.
    weights
        π, ``(component,)``, 0 or more, which are normalised.
    means
        μ, ``(component, *event)``.
    covariances
        Λ, ``(component, d, d)``, symmetric, d the size of the event; zero makes points.

    Raises
    ------
    InputError
        They are of other shapes, or no weights and covariances.

    References
    ----------
    Bishop (2006), Pattern recognition and machine learning, section 2.3.9.

    Examples
    --------
    >>> from protdiff.diffusion.sde import VESDE
    >>> two_points = MixtureDenoiser(
    ...     VESDE(), torch.ones(2), torch.tensor([[-1.0], [1.0]]), torch.zeros(2, 1, 1)
    ... )
    >>> two_points(torch.tensor([[0.0]]), torch.tensor(0.5))
    tensor([[0.]])
    """

    def __init__(self, sde: SDE, weights: Tensor, means: Tensor, covariances: Tensor) -> None:
        means = as_floating(means)
        components, size = means.shape[0], means[0].numel()
        if weights.shape != (components,) or covariances.shape != (components, size, size):
            raise InputError(
                f"weights {tuple(weights.shape)}, means {tuple(means.shape)} and covariances "
                f"{tuple(covariances.shape)} make no mixture; give (component,), (component, "
                "*event) and (component, d, d)"
            )
        if not (bool((weights >= 0).all()) and 0 < float(weights.sum()) < math.inf):
            raise InputError(f"weights {weights.tolist()}; give numbers from 0 up, one above it")
        self.sde = sde
        self.weights = (weights / weights.sum()).to(means)
        self.means = means
        self.covariances = covariances
        eigenvalues, eigenvectors = torch.linalg.eigh(covariances.double())
        rounding = 1e-4 * float(covariances.abs().max())
        skew = float((covariances - covariances.mT).abs().max())
        if not (skew <= rounding and float(eigenvalues.min()) >= -rounding):
            raise InputError(
                f"covariances of least eigenvalue {float(eigenvalues.min()):.3g} that differ from "
                f"their transposes by {skew:.3g}; give symmetric ones without negative eigenvalues"
            )
        self._eigenvalues = eigenvalues.clamp(min=0).to(means)  # (component, d)
        self._eigenvectors = eigenvectors.to(means)  # (component, d, d), in columns

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give E[x_0 | x_t], ``(batch, *event)``."""
        offsets, k_squared = self._offsets(x_t, t)
        shrunk = self._eigenvalues / (self._eigenvalues + k_squared) * offsets
        moved = torch.einsum("bcj,cij->bci", shrunk, self._eigenvectors.to(shrunk))
        means = flatten_event(self.means) + moved
        responsibilities = self._log_joint(offsets, k_squared).softmax(1)
        return torch.einsum("bc,bci->bi", responsibilities, means).reshape(x_t.shape)

    def responsibilities(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give the probability of each component given x_t, ``(batch, component)``."""
        return self._log_joint(*self._offsets(x_t, t)).softmax(1)

    def posterior_covariance(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give cov(x_0 | x_t), ``(batch, d, d)``: within components plus between them."""
        offsets, k_squared = self._offsets(x_t, t)
        weights = self._log_joint(offsets, k_squared).softmax(1)
        vectors, values = self._eigenvectors.to(offsets), self._eigenvalues
        within = (values * k_squared / (values + k_squared)).expand(offsets.shape)
        shrunk = values / (values + k_squared) * offsets
        means = flatten_event(self.means) + torch.einsum("bcj,cij->bci", shrunk, vectors)
        centred = means - torch.einsum("bc,bci->bi", weights, means)[:, None]
        return torch.einsum(
            "bc,bcj,cij,ckj->bik", weights, within, vectors, vectors
        ) + torch.einsum("bc,bci,bck->bik", weights, centred, centred)

    def log_prob(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give log p_t(x_t) in nats, ``(batch,)``; at t = 0 that of the data."""
        offsets, k_squared = self._offsets(x_t, t)
        log_alpha = self.sde.log_alpha(t).to(x_t)
        log_prob_y: Tensor = self._log_joint(offsets, k_squared).logsumexp(1)
        return log_prob_y - log_alpha * offsets.shape[-1]

    def sample(self, number: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw data, ``(number, *event)``."""
        chosen = torch.multinomial(self.weights, number, replacement=True, generator=generator)
        normal = torch.randn(
            number, self._eigenvalues.shape[1], generator=generator, dtype=self.means.dtype
        )
        scaled = self._eigenvalues[chosen].sqrt() * normal
        moved = torch.einsum("bj,bij->bi", scaled, self._eigenvectors[chosen])
        return self.means[chosen] + moved.reshape(number, *self.means.shape[1:])

    def eigensystem(self, component: int) -> tuple[Tensor, Tensor]:
        """Give the eigenvalues, ``(d,)``, and eigenvectors, in columns, of a component's Λ."""
        return self._eigenvalues[component], self._eigenvectors[component]

    def _offsets(self, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Give y - μ in each component's eigenbasis, (batch, component, d), and k²."""
        y = (x_t - expand(self.sde.shift(t), x_t)) / expand(self.sde.alpha(t), x_t)
        events, means = flatten_event(y), flatten_event(self.means)
        check_shape(events, (len(x_t), means.shape[1]), "a batch of events as vectors")
        centred = events[:, None] - means
        k_squared = expand(self.sde.noise_ratio(t).square(), centred)
        return torch.einsum("bci,cij->bcj", centred, self._eigenvectors.to(centred)), k_squared

    def _log_joint(self, offsets: Tensor, k_squared: Tensor) -> Tensor:
        """Give log π_j + log N(y; μ_j, Λ_j + k²), (batch, component)."""
        variances = self._eigenvalues + k_squared
        quadratic = (offsets.square() / variances).sum(-1)
        log_volume = (variances.log() + math.log(2 * math.pi)).sum(-1)
        log_joint: Tensor = self.weights.log() - (quadratic + log_volume) / 2
        return log_joint


class GaussianDenoiser(Denoiser):
    r"""The exact denoiser of Gaussian data N(μ, Λ), an affine map of x_t.

    .. math::  D(x_t) = μ + Λ (Λ + k^2 I)^{-1} (y - μ), \qquad y = (x_t - m) / α .

    Parameters
    ----------
    sde
        The forward process.
    mean
        μ, ``(*event)``.
    covariance
        Λ, ``(d, d)``, d the size of the event.

    Examples
    --------
    >>> from protdiff.diffusion.sde import VESDE
    >>> denoiser = GaussianDenoiser(VESDE(), torch.zeros(2), torch.eye(2))
    >>> t = VESDE().time_of_noise_ratio(torch.tensor(1.0))
    >>> [round(float(value), 5) for value in denoiser(torch.tensor([[2.0, 4.0]]), t)[0]]
    [1.0, 2.0]
    """

    def __init__(self, sde: SDE, mean: Tensor, covariance: Tensor) -> None:
        self.sde = sde
        self.mean = mean = as_floating(mean)
        self.covariance = covariance
        self._mixture = MixtureDenoiser(sde, torch.ones(1).to(mean), mean[None], covariance[None])
        self._eigenvalues, self._eigenvectors = self._mixture.eigensystem(0)

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give E[x_0 | x_t], ``(batch, *event)``."""
        if t.ndim > 0:
            return self._mixture(x_t, t)
        # At one time for the whole batch the posterior mean is one affine map.
        values = self._eigenvalues
        shrink = (values / (values + self.sde.noise_ratio(t).square())).to(values)
        gain = (self._eigenvectors * shrink) @ self._eigenvectors.T
        y = (x_t - self.sde.shift(t)) / self.sde.alpha(t)
        offset = flatten_event(y - self.mean)
        return (offset @ gain.to(offset)).reshape(x_t.shape) + self.mean

    def posterior_covariance(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give cov(x_0 | x_t), ``(batch, d, d)``, which does not depend on x_t."""
        return self._mixture.posterior_covariance(x_t, t)

    def log_prob(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give log p_t(x_t) in nats, ``(batch,)``; at t = 0 that of the data."""
        return self._mixture.log_prob(x_t, t)

    def sample(self, number: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw data, ``(number, *event)``."""
        return self._mixture.sample(number, generator)

r"""Noise with the covariance of a chain, by a linear change of variables.

White noise puts neighbours of a chain far apart, so that a model must first find the chain. Chroma
adds noise that is a random polymer instead. Nothing in the theory changes: let x = S z with an
invertible S, and diffuse z. Then

.. math::  x_t = α_t x_0 + σ_t S ε, \qquad  S^{-1} E[x_0 \mid x_t] = E[z_0 \mid z_t],

so every formula that is linear in (x_t, D, noise), which is each step of each sampler here, holds
for x as it stands when its noise is S ε: :class:`CorrelatedNoise` is all that sampling needs. What
is not linear, a likelihood or a trace, is done in z with a :class:`WhitenedDenoiser`, and log p(x)
= log p(z) - log ``|det S|``.

The chain is x_i = b x_{i-1} + ξ_i, started from its stationary law: b = 1 would be the ideal chain,
whose size grows as sqrt(n), b < 1 is pulled together. In the centred subspace its covariance is Σ;
S is the symmetric square root of Σ, scaled to unit variance per coordinate.

References
----------
Ingraham et al. (2023), Illuminating protein space with a programmable generative model, supplement
on polymer-structured diffusions; Doi and Edwards (1986), The theory of polymer dynamics.
"""

from __future__ import annotations

import torch
from torch import Tensor

from protdiff.diffusion.denoiser import Denoiser
from protdiff.diffusion.noise import Noise
from protdiff.errors import InputError

__all__ = ["CorrelatedNoise", "PolymerMap", "WhitenedDenoiser"]


class PolymerMap:
    r"""The map z -> x = S z that gives white noise on points the covariance of a chain.

    .. math::  x_i = b\, x_{i-1} + ξ_i, \qquad  S = Σ^{1/2}, \quad Σ = a^2 P\, \mathrm{cov}(x)\, P,

    P the removal of the mean and a such that tr Σ = n - 1. S is symmetric, takes mean-free clouds
    to mean-free clouds, and is invertible there.

    Parameters
    ----------
    length
        The number of points, n.
    correlation
        b, from 0 (white) to just under 1 (the ideal chain).

    References
    ----------
    Ingraham et al. (2023), Illuminating protein space with a programmable generative model.

    Examples
    --------
    >>> chain = PolymerMap(10, correlation=0.9)
    >>> z = torch.eye(10)[None] - 0.1
    >>> torch.allclose(chain.invert(chain.apply(z)), z, atol=1e-5)
    True
    """

    def __init__(self, length: int, correlation: float) -> None:
        if length < 2 or not 0 <= correlation < 1:
            raise InputError(
                f"length = {length} and correlation = {correlation} make no chain; give at least "
                "2 points and 0 <= correlation < 1"
            )
        self.length = length
        self.correlation = correlation
        index = torch.arange(length, dtype=torch.float64)
        covariance = correlation ** (index[:, None] - index).abs()
        covariance = covariance - covariance.mean(0)
        covariance = covariance - covariance.mean(1, keepdim=True)
        covariance = covariance * (length - 1) / covariance.trace()
        values, vectors = torch.linalg.eigh(covariance)
        # The smallest eigenvalue is the mean's, zero.
        self._values, self._vectors = values[1:], vectors[:, 1:]
        self.covariance = covariance

    def apply(self, z: Tensor) -> Tensor:
        """Give S z, ``(batch, point, ...)``; the mean, if there is one, is removed."""
        return self._multiply(self._values.sqrt(), z)

    def invert(self, x: Tensor) -> Tensor:
        """Give S^-1 x in the mean-free subspace, ``(batch, point, ...)``."""
        return self._multiply(self._values.rsqrt(), x)

    @property
    def log_determinant(self) -> float:
        """Log ``|det S|`` in the mean-free subspace, for one coordinate; three make a cloud's."""
        return float(self._values.log().sum() / 2)

    def _multiply(self, scales: Tensor, x: Tensor) -> Tensor:
        matrix = (self._vectors * scales) @ self._vectors.T
        return torch.einsum("ij,bj...->bi...", matrix.to(x), x)


class CorrelatedNoise(Noise):
    """Noise with the covariance of a chain, S ε ~ N(0, Σ).

    Parameters
    ----------
    noise
        White noise, in the whole space or the mean-free one.
    polymer
        S.

    References
    ----------
    Ingraham et al. (2023), Illuminating protein space with a programmable generative model.
    """

    def __init__(self, noise: Noise, polymer: PolymerMap) -> None:
        self.noise = noise
        self.polymer = polymer

    def __call__(self, like: Tensor) -> Tensor:
        """Draw noise, ``(batch, point, ...)`` as ``like``."""
        return self.polymer.apply(self.noise(like))

    def reorder(self, indices: Tensor) -> None:
        """Hand the resampling on."""
        self.noise.reorder(indices)


class WhitenedDenoiser(Denoiser):
    r"""The denoiser of z = S^-1 x, whose noise is white: D_z(z_t, t) = S^{-1} D_x(S z_t, t).

    Parameters
    ----------
    denoiser
        The posterior mean of x under noise S ε.
    polymer
        S.

    References
    ----------
    Ingraham et al. (2023), Illuminating protein space with a programmable generative model.
    """

    def __init__(self, denoiser: Denoiser, polymer: PolymerMap) -> None:
        self.sde = denoiser.sde
        self.denoiser = denoiser
        self.polymer = polymer

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give E[z_0 | z_t], ``(batch, point, ...)``."""
        return self.polymer.invert(self.denoiser(self.polymer.apply(x_t), t))

    def finish(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give the posterior mean that ends a sampling run."""
        return self.polymer.invert(self.denoiser.finish(self.polymer.apply(x_t), t))

    def reorder(self, indices: Tensor) -> None:
        """Hand the resampling on."""
        self.denoiser.reorder(indices)

r"""What a network is trained to predict, converted once into the denoised mean.

A noisy sample is :math:`x_t = \alpha_t x_0 + m_t + \sigma_t \epsilon`. Every regression target in
use is another combination of the same two unknowns, :math:`o = a_t x_0 + b_t \epsilon + c_t`, and
its regression returns the conditional mean of that combination. Two equations in two unknowns give
the denoised mean back,

.. math:: D(x_t) = \frac{b_t (x_t - m_t) - \sigma_t (o - c_t)}{\alpha_t b_t - \sigma_t a_t},

which is written once, here. The targets, with :math:`k = \sigma / \alpha`:

==============================  =================  ===============  =======
target                          a                  b                c
==============================  =================  ===============  =======
:class:`NoiseTarget`            0                  1                0
:class:`DataTarget`             1                  0                0
:class:`VelocityTarget`         −σ                 α                0
:class:`ScoreTarget`            0                  −1/σ             0
:class:`FlowTarget`             dα/dt              dσ/dt            dm/dt
:class:`PreconditionedTarget`   k/(τ √(k²+τ²))     −τ/√(k²+τ²)      0
==============================  =================  ===============  =======

The targets are equivalent in what they can express and differ in the noise levels at which a given
error of the network matters: an error e of the output is an error
:math:`|\sigma / (\alpha b - \sigma a)| \, e` of the denoised mean.

References
----------
Ho, Jain, Abbeel, "Denoising diffusion probabilistic models", 2020 (ε). Salimans, Ho, "Progressive
distillation for fast sampling of diffusion models", 2022 (v). Song, Ermon, "Generative modeling by
estimating gradients of the data distribution", 2019 (score). Lipman, Chen, Ben-Hamu, Nickel, Le,
"Flow matching for generative modeling", 2023 (flow). Karras, Aittala, Aila, Laine, "Elucidating the
design space of diffusion-based generative models", 2022 (preconditioning).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from protdiff.diffusion.broadcasting import check_shape, expand
from protdiff.diffusion.denoiser import Denoiser
from protdiff.diffusion.sde import SDE
from protdiff.errors import InputError

__all__ = [
    "DataTarget",
    "FlowTarget",
    "NetworkDenoiser",
    "NoiseTarget",
    "Parametrisation",
    "PreconditionedTarget",
    "ScoreTarget",
    "TargetCoefficients",
    "VelocityTarget",
]


@dataclass(frozen=True, eq=False)
class TargetCoefficients:
    """The combination o = a x_0 + b ε + c that a network predicts; ``()`` or ``(batch,)``."""

    data: Tensor
    noise: Tensor
    offset: Tensor


class Parametrisation(ABC):
    r"""A regression target :math:`o = a_t x_0 + b_t \epsilon + c_t`.

    A new one is a class with :meth:`coefficients`; the target and its conversion to the denoised
    mean follow.
    """

    @abstractmethod
    def coefficients(self, sde: SDE, t: Tensor) -> TargetCoefficients:
        """Give a, b and c at a time ``()`` or ``(batch,)`` above zero."""

    def target(self, sde: SDE, x_0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Give what the network should predict, ``(batch, *event)``.

        Parameters
        ----------
        sde
            The forward process.
        x_0
            Data, ``(batch, *event)``.
        noise
            The ε that made x_t of it, ``(batch, *event)``.
        t
            Time, ``()`` or ``(batch,)``, above zero.
        """
        c = self.coefficients(sde, t)
        return expand(c.data, x_0) * x_0 + expand(c.noise, x_0) * noise + expand(c.offset, x_0)

    def denoised(self, sde: SDE, output: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Turn the network's output into the denoised mean, ``(batch, *event)``.

        Parameters
        ----------
        sde
            The forward process.
        output
            What the network predicts, ``(batch, *event)``.
        x_t
            Noisy data, ``(batch, *event)``.
        t
            Time, ``()`` or ``(batch,)``, above zero.
        """
        c = self.coefficients(sde, t)
        alpha, sigma = sde.alpha(t), sde.sigma(t)
        determinant = alpha * c.noise - sigma * c.data
        skip, out = expand(c.noise / determinant, x_t), expand(-sigma / determinant, x_t)
        return skip * (x_t - expand(sde.shift(t), x_t)) + out * (output - expand(c.offset, x_t))


class NoiseTarget(Parametrisation):
    r"""The noise, :math:`o = \epsilon`, so :math:`D = (x_t - m_t - \sigma_t o) / \alpha_t`.

    References
    ----------
    Ho, Jain, Abbeel, "Denoising diffusion probabilistic models", 2020.
    """

    def coefficients(self, sde: SDE, t: Tensor) -> TargetCoefficients:
        """Give (0, 1, 0)."""
        zero = torch.zeros_like(t)
        return TargetCoefficients(zero, torch.ones_like(t), zero)


class DataTarget(Parametrisation):
    """The data, :math:`o = x_0`, so :math:`D = o`.

    References
    ----------
    Salimans, Ho, "Progressive distillation for fast sampling of diffusion models", 2022.
    """

    def coefficients(self, sde: SDE, t: Tensor) -> TargetCoefficients:
        """Give (1, 0, 0)."""
        zero = torch.zeros_like(t)
        return TargetCoefficients(torch.ones_like(t), zero, zero)


class VelocityTarget(Parametrisation):
    r"""The angular velocity, :math:`o = v = \alpha_t \epsilon - \sigma_t x_0`.

    For a variance-preserving SDE :math:`D = \alpha_t (x_t - m_t) - \sigma_t o`, which is well
    conditioned at both ends.

    References
    ----------
    Salimans, Ho, "Progressive distillation for fast sampling of diffusion models", 2022.
    """

    def coefficients(self, sde: SDE, t: Tensor) -> TargetCoefficients:
        """Give (−σ, α, 0)."""
        return TargetCoefficients(-sde.sigma(t), sde.alpha(t), torch.zeros_like(t))


class ScoreTarget(Parametrisation):
    r"""The score, :math:`o = -\epsilon / \sigma_t`.

    .. math:: D = (x_t - m_t + \sigma_t^2 o) / \alpha_t

    References
    ----------
    Song, Ermon, "Generative modeling by estimating gradients of the data distribution", 2019.
    """

    def coefficients(self, sde: SDE, t: Tensor) -> TargetCoefficients:
        """Give (0, −1/σ, 0)."""
        zero = torch.zeros_like(t)
        return TargetCoefficients(zero, -1.0 / sde.sigma(t), zero)


class FlowTarget(Parametrisation):
    r"""The velocity of one sample's path.

    .. math:: o = \dot\alpha_t x_0 + \dot\sigma_t \epsilon + \dot m_t

    Flow matching's conditional velocity: its regression is the velocity of the probability-flow
    ODE, :math:`f x_t + b - \tfrac12 g^2 \nabla \log p_t`. In the SDE's letters
    :math:`\dot\alpha = f \alpha` and :math:`\dot\sigma = f \sigma + g^2 / (2 \sigma)`.

    References
    ----------
    Lipman, Chen, Ben-Hamu, Nickel, Le, "Flow matching for generative modeling", 2023. Albergo,
    Vanden-Eijnden, "Building normalizing flows with stochastic interpolants", 2023.
    """

    def coefficients(self, sde: SDE, t: Tensor) -> TargetCoefficients:
        """Give the time derivatives of α, σ and m."""
        drift, sigma = sde.drift_coefficient(t), sde.sigma(t)
        growth = sde.diffusion_coefficient(t).square() / (2.0 * sigma)
        return TargetCoefficients(
            data=drift * sde.alpha(t),
            noise=drift * sigma + growth,
            offset=drift * sde.shift(t) + sde.drift_bias(t),
        )


class PreconditionedTarget(Parametrisation):
    r"""The EDM network's target, of unit variance at every noise.

    .. math:: D = \frac{\tau^2}{k^2 + \tau^2} \frac{x_t - m_t}{\alpha_t}
              + \frac{k \tau}{\sqrt{k^2 + \tau^2}} \, o, \qquad k = \sigma_t / \alpha_t

    Its variance is 1 for data of variance :math:`\tau^2`. For a variance-preserving SDE and
    :math:`\tau = 1` it is :math:`-v`.

    Parameters
    ----------
    data_std
        :math:`\tau`, the standard deviation of a coordinate of the data.

    References
    ----------
    Karras, Aittala, Aila, Laine, "Elucidating the design space of diffusion-based generative
    models", 2022, table 1.
    """

    def __init__(self, data_std: float = 1.0) -> None:
        if not data_std > 0.0:
            raise InputError(f"data_std = {data_std} must be positive")
        self.data_std = data_std

    def coefficients(self, sde: SDE, t: Tensor) -> TargetCoefficients:
        """Give (k / (τ √(k² + τ²)), −τ / √(k² + τ²), 0)."""
        k, tau = sde.noise_ratio(t), self.data_std
        length = (k.square() + tau**2).sqrt()
        return TargetCoefficients(k / (tau * length), -tau / length, torch.zeros_like(t))


class NetworkDenoiser(Denoiser):
    """A denoiser made of a network and of what it was trained to predict.

    Parameters
    ----------
    network
        A function of x_t ``(batch, *event)`` and t ``(batch,)``, in the precision and place of x_t,
        to ``(batch, *event)``. Whoever calls the denoiser may give one time for all.
    sde
        The forward process it was trained under.
    parametrisation
        Its target.

    Examples
    --------
    A network that says "no noise" leaves a variance-exploding sample where it is:

    >>> from protdiff.diffusion.sde import VESDE
    >>> denoiser = NetworkDenoiser(lambda x_t, t: torch.zeros_like(x_t), VESDE(), NoiseTarget())
    >>> denoiser(torch.ones(1, 2), torch.tensor(0.5))
    tensor([[1., 1.]])
    """

    def __init__(
        self,
        network: Callable[[Tensor, Tensor], Tensor],
        sde: SDE,
        parametrisation: Parametrisation,
    ) -> None:
        self.network = network
        self.sde = sde
        self.parametrisation = parametrisation

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give E[x_0 | x_t], ``(batch, *event)``."""
        output = self.network(x_t, t.to(x_t).expand(len(x_t)))
        check_shape(output, x_t.shape, "the network's output")
        return self.parametrisation.denoised(self.sde, output, x_t, t)

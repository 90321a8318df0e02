r"""Linear stochastic differential equations and their Gaussian kernels.

Noise is put on data by a linear Itô equation on t in [0, 1], from the data at t = 0 to a prior
that has forgotten them at t = 1 (Song et al. 2021):

.. math::  dx = [f(t)\, x + b(t)]\, dt + g(t)\, dw .

A linear equation keeps a Gaussian Gaussian, so its kernel is known in closed form,

.. math::  p(x_t \mid x_0) = N(α_t x_0 + m_t,\; σ_t^2 I),
           \qquad \log α_t = \int_0^t f, \qquad σ_t^2 = α_t^2 \int_0^t g^2 / α^2 ,

and the marginal of x_t is the data, scaled by α_t, shifted by m_t and convolved with that Gaussian.

Everything here is expressed by two functions of time: ``log_alpha`` and the **noise ratio**
k(t) = σ_t / α_t (the "σ" of Karras et al. 2022; k = exp(-log-SNR / 2)). In y = (x - m) / α every
equation of this family is the same one, dy = sqrt(dk²/dt) dw, and the reverse equations are

.. math::  \text{SDE:}\; dy = 2\,\frac{y - D}{k}\, dk + \sqrt{2k}\; d\bar w , \qquad
           \text{ODE:}\; \frac{dy}{dk} = \frac{y - D}{k},

with D = E[x_0 | x_t]. So a sampler written in k works for every SDE, and k, which the classes
compute with ``expm1`` and its like, keeps full relative precision down to t = 0, where 1 - α² in
single precision would have none.

References
----------
Song et al. (2021), Score-based generative modeling through stochastic differential equations.
Kingma et al. (2021), Variational diffusion models. Karras et al. (2022), Elucidating the design
space of diffusion-based generative models. Särkkä and Solin (2019), Applied stochastic
differential equations.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from protdiff.diffusion.broadcasting import as_floating, expand
from protdiff.errors import InputError, shorten

__all__ = ["SDE", "Bridge", "Transition"]

# Half a percent of the data's standard deviation: what is left of the noise when sampling ends.
_SMALLEST_NOISE_RATIO = 0.004


@dataclass(frozen=True)
class Transition:
    """The kernel from one time to a later one, N(scale · x_s, sigma²); ``()`` or ``(batch,)``."""

    scale: Tensor
    sigma: Tensor


@dataclass(frozen=True)
class Bridge:
    """The law of x_s between x_0 and x_t, N(weight_0 x_0 + weight_t x_t, sigma²).

    Tensors, ``()`` or ``(batch,)``.
    """

    weight_0: Tensor
    weight_t: Tensor
    sigma: Tensor


class SDE(ABC):
    r"""A linear SDE, dx = [f(t) x + b(t)] dt + g(t) dw on t in [0, 1], with known kernels.

    A new equation is one new file: a frozen dataclass with the four abstract methods, and, where
    one exists, a closed form of :meth:`time_of_noise_ratio`. Times are tensors, ``()`` or
    ``(batch,)``, and so is every coefficient, in the precision of the time. Samplers keep their
    times as double-precision scalars on the CPU, which cost nothing and never raise the
    precision of the data.

    References
    ----------
    Song et al. (2021), Score-based generative modeling through stochastic differential equations.
    """

    @abstractmethod
    def log_alpha(self, t: Tensor) -> Tensor:
        """Give log α_t, the log of what multiplies x_0 in the mean of the kernel."""

    @abstractmethod
    def noise_ratio(self, t: Tensor) -> Tensor:
        """Give k_t = σ_t / α_t, increasing from 0, to full relative precision."""

    @abstractmethod
    def drift_coefficient(self, t: Tensor) -> Tensor:
        """Give f(t) = d log α / dt."""

    @abstractmethod
    def diffusion_coefficient(self, t: Tensor) -> Tensor:
        """Give g(t), with g² = α² dk²/dt."""

    def drift_bias(self, t: Tensor) -> Tensor:
        """Give b(t), the part of the drift that does not depend on x; zero for most equations."""
        return torch.zeros_like(t)

    def shift(self, t: Tensor) -> Tensor:
        """Give m_t, where x_0 = 0 is carried by the drift; zero for most equations."""
        return torch.zeros_like(t)

    def time_of_noise_ratio(self, noise_ratio: Tensor) -> Tensor:
        """Give the time at which the noise ratio has a value: the inverse of :meth:`noise_ratio`.

        Bisection in double precision, for equations that know no closed form.
        """
        target = noise_ratio.double()
        low, high = torch.zeros_like(target), torch.full_like(target, self.t_max)
        for _ in range(60):
            middle = (low + high) / 2
            below = self.noise_ratio(middle) < target
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return ((low + high) / 2).to(as_floating(noise_ratio).dtype)

    # --- what follows from these, for every equation ---

    def _check_numbers(self) -> None:
        """Refuse NaN, which passes comparisons, infinity, and vectors, which mix with batches."""
        for name, value in vars(self).items():
            if value is None:
                continue
            try:
                number = torch.as_tensor(value)
            except (TypeError, RuntimeError):  # no number at all
                number = torch.tensor(torch.nan)
            if number.ndim > 0 or not bool(number.isfinite()):
                text = shorten(" ".join(str(value).split()))
                raise InputError(f"{name} = {text} is not one finite number; give such a number")

    @property
    def t_max(self) -> float:
        """The time of the prior, 1."""
        return 1.0

    @property
    def t_min(self) -> float:
        """The default last time of a sampling run, where the noise ratio is 0.004."""
        return float(
            self.time_of_noise_ratio(torch.tensor(_SMALLEST_NOISE_RATIO, dtype=torch.float64))
        )

    @property
    def noise_ratio_max(self) -> float:
        """The noise ratio of the prior."""
        return float(self.noise_ratio(torch.tensor(self.t_max, dtype=torch.float64)))

    @property
    def prior_sigma(self) -> float:
        """The prior's standard deviation: that of x_1 for data of unit variance."""
        return float(self.marginal_sigma(torch.tensor(self.t_max, dtype=torch.float64)))

    def alpha(self, t: Tensor) -> Tensor:
        """Give α_t."""
        return self.log_alpha(t).exp()

    def sigma(self, t: Tensor) -> Tensor:
        """Give σ_t, the standard deviation of the kernel."""
        return self.alpha(t) * self.noise_ratio(t)

    def marginal_sigma(self, t: Tensor) -> Tensor:
        """Give √(α_t² + σ_t²), the standard deviation of x_t for data of unit variance."""
        return torch.hypot(self.alpha(t), self.sigma(t))

    def log_snr(self, t: Tensor) -> Tensor:
        """Give the log signal-to-noise ratio, log α²/σ² = -2 log k."""
        return -2 * self.noise_ratio(t).log()

    def time_of_log_snr(self, log_snr: Tensor) -> Tensor:
        """Give the time at which the log signal-to-noise ratio has a value."""
        return self.time_of_noise_ratio((-log_snr / 2).exp())

    def drift(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give f(t) x_t + b(t), ``(batch, *event)``."""
        return expand(self.drift_coefficient(t), x_t) * x_t + expand(self.drift_bias(t), x_t)

    def mean(self, x_0: Tensor, t: Tensor) -> Tensor:
        """Give the mean of the kernel, α_t x_0 + m_t, ``(batch, *event)``."""
        return expand(self.alpha(t), x_0) * x_0 + expand(self.shift(t), x_0)

    def perturb(self, x_0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Put noise on data: x_t = α_t x_0 + m_t + σ_t ε.

        Parameters
        ----------
        x_0
            Data, ``(batch, *event)``.
        t
            Time, ``()`` or ``(batch,)``.
        noise
            ε, standard normal in the subspace of the data, ``(batch, *event)``.

        Returns
        -------
        Tensor
            x_t, ``(batch, *event)``.
        """
        return self.mean(x_0, t) + expand(self.sigma(t), x_0) * noise

    def transition(self, s: Tensor, t: Tensor) -> Transition:
        """Give the kernel from s to a later t, for a process without shift.

        scale = α_t / α_s and sigma² = α_t² (k_t² - k_s²).
        """
        k_s, k_t = self.noise_ratio(s), self.noise_ratio(t)
        variance = ((k_t - k_s) * (k_t + k_s)).clamp(min=0)
        return Transition(
            scale=(self.log_alpha(t) - self.log_alpha(s)).exp(),
            sigma=self.alpha(t) * variance.sqrt(),
        )

    def bridge(self, t: Tensor, s: Tensor) -> Bridge:
        """Give the law of x_s given x_0 and x_t, s < t, for a process without shift.

        With r = k_s / k_t: the mean is α_s (1 - r²) x_0 + (α_s / α_t) r² x_t and the variance
        σ_s² (1 - r²); in DDPM's letters the posterior q(x_{t-1} | x_t, x_0) (Ho et al. 2020).
        """
        squared = (self.noise_ratio(s) / self.noise_ratio(t)).square()
        return Bridge(
            weight_0=self.alpha(s) * (1 - squared),
            weight_t=(self.log_alpha(s) - self.log_alpha(t)).exp() * squared,
            sigma=self.sigma(s) * (1 - squared).clamp(min=0).sqrt(),
        )

r"""Where in time a training step looks: distributions of t.

The loss is an integral over time, estimated at random times of density p(t). Two habits exist. A
weight of the *integral* is kept whatever p is by dividing by it,
:math:`\int w L \, dt = E_{t \sim p}[w L / p]`, and p then decides only the variance of the
estimate: importance sampling. For the likelihood weighting the integrand is
:math:`g^2 / \sigma^2` times the ε loss, which is nearly level, so
:math:`p \propto g^2 / \sigma^2` is near the best choice (Song et al. 2021); since
:math:`d \log k / dt = g^2 / (2 \sigma^2)`, that is *uniform in the log signal-to-noise ratio*:
:class:`LogSNRTimes`. Or p is part of the weight, as in EDM, whose log noise is normal:
:class:`LogNormalTimes`.

Each distribution is its quantile function, so that times can also be drawn with low discrepancy:
one uniform number, and its equal shifts for the rest of the batch (Kingma et al. 2021).

References
----------
Song, Durkan, Murray, Ermon, "Maximum likelihood training of score-based diffusion models", 2021.
Kingma, Salimans, Poole, Ho, "Variational diffusion models", 2021 (appendix I.1). Karras, Aittala,
Aila, Laine, "Elucidating the design space of diffusion-based generative models", 2022.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
from torch import Tensor

from protdiff.diffusion.sde import SDE
from protdiff.errors import InputError

__all__ = ["LogNormalTimes", "LogSNRTimes", "TimeSampler", "UniformTimes"]


# Of a smaller share of the normal law rounding leaves no quantiles.
_LEAST_SHARE = 1e-9


@dataclass(frozen=True)
class TimeSampler(ABC):
    r"""A distribution of training times on [t_min, t_max], drawn as :math:`t = F^{-1}(u)`.

    Parameters
    ----------
    stratified
        Spread the times of one draw evenly over the quantiles. Each is still distributed as p.
    """

    stratified: bool = field(default=False, kw_only=True)

    @abstractmethod
    def quantile(self, sde: SDE, u: Tensor) -> Tensor:
        """Give the time below which a share u of the times lies, as the shape of u."""

    @abstractmethod
    def density(self, sde: SDE, t: Tensor) -> Tensor:
        """Give p(t), the density in t, as the shape of t."""

    def __call__(self, sde: SDE, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw times.

        Parameters
        ----------
        sde
            The forward process.
        count
            How many.
        generator
            The source of randomness; None takes torch's own.

        Returns
        -------
        Tensor
            ``(count,)``, single precision, on the CPU.
        """
        if self.stratified:
            first = torch.rand(1, generator=generator, dtype=torch.float64)
            u = (first + torch.arange(count, dtype=torch.float64) / count) % 1.0
        else:
            u = torch.rand(count, generator=generator, dtype=torch.float64)
        return self.quantile(sde, u).float()


@dataclass(frozen=True)
class UniformTimes(TimeSampler):
    r"""Times uniform on [t_min, t_max], :math:`p(t) = 1 / (t_{max} - t_{min})`.

    References
    ----------
    Song et al., "Score-based generative modeling through stochastic differential equations", 2021.
    """

    def quantile(self, sde: SDE, u: Tensor) -> Tensor:
        """Give the time of a quantile."""
        return sde.t_min + (sde.t_max - sde.t_min) * u

    def density(self, sde: SDE, t: Tensor) -> Tensor:
        """Give 1 / (t_max − t_min)."""
        return torch.full_like(t, 1.0 / (sde.t_max - sde.t_min))


@dataclass(frozen=True)
class LogSNRTimes(TimeSampler):
    r"""Times uniform in the log signal-to-noise ratio, :math:`p(t) \propto g^2 / \sigma^2`.

    The importance sampling of the likelihood weighting.

    References
    ----------
    Song, Durkan, Murray, Ermon, "Maximum likelihood training of score-based diffusion models",
    2021, section 4.2.
    """

    def quantile(self, sde: SDE, u: Tensor) -> Tensor:
        """Give the time of a quantile."""
        low, high = _log_noise_range(sde)
        return sde.time_of_noise_ratio((low + (high - low) * u).exp())

    def density(self, sde: SDE, t: Tensor) -> Tensor:
        """Give (d log k / dt) / (log k_max − log k_min)."""
        low, high = _log_noise_range(sde)
        return _log_noise_rate(sde, t) / (high - low)


@dataclass(frozen=True)
class LogNormalTimes(TimeSampler):
    r"""Times whose log noise ratio is normal, :math:`\log k_t \sim N(P_{mean}, P_{std}^2)`.

    Truncated to the noise that the SDE has between t_min and t_max.

    Parameters
    ----------
    mean, std
        :math:`P_{mean}` and :math:`P_{std}`.

    References
    ----------
    Karras, Aittala, Aila, Laine, "Elucidating the design space of diffusion-based generative
    models", 2022.
    """

    mean: float = -1.2
    std: float = 1.2

    def __post_init__(self) -> None:
        if not self.std > 0.0:
            raise InputError(f"std = {self.std} must be positive")

    def quantile(self, sde: SDE, u: Tensor) -> Tensor:
        """Give the time of a quantile."""
        low, high = self._shares(sde)
        normal = torch.special.ndtri((low + (high - low) * u).double())
        # An extreme quantile may leave the range by rounding.
        bounds = _log_noise_range(sde)
        log_noise = (self.mean + self.std * normal).clamp(*bounds)
        return sde.time_of_noise_ratio(log_noise.exp()).to(u)

    def density(self, sde: SDE, t: Tensor) -> Tensor:
        """Give N(log k; mean, std²) (d log k / dt) over the share that is not cut off."""
        low, high = self._shares(sde)
        scaled = (sde.noise_ratio(t).log() - self.mean) / self.std
        normal = torch.exp(-0.5 * scaled.square()) / (self.std * math.sqrt(2.0 * math.pi))
        return normal * _log_noise_rate(sde, t) / (high - low)

    def _shares(self, sde: SDE) -> tuple[float, float]:
        """Give the normal's distribution function at the ends of the SDE's range.

        Raises
        ------
        InputError
            There is next to nothing between them.
        """
        low, high = _log_noise_range(sde)
        ends = (torch.tensor([low, high], dtype=torch.float64) - self.mean) / self.std
        below, above = torch.special.ndtr(ends).tolist()
        if not above - below > _LEAST_SHARE:
            raise InputError(
                f"log noise of mean {self.mean} and std {self.std} is hardly ever in the SDE's "
                f"range, {low:.3g} to {high:.3g}; give a mean in or near it"
            )
        return below, above


def _log_noise_range(sde: SDE) -> tuple[float, float]:
    smallest = float(sde.noise_ratio(torch.tensor(sde.t_min).double()))
    return math.log(smallest), math.log(sde.noise_ratio_max)


def _log_noise_rate(sde: SDE, t: Tensor) -> Tensor:
    """Give d log k / dt = g² / (2σ²)."""
    return (sde.diffusion_coefficient(t) / sde.sigma(t)).square() / 2.0

r"""Time grids: where a sampler puts its steps.

A grid is called with the SDE and a number of steps and gives steps + 1 decreasing times, from the
prior to the smallest noise. All but the uniform one are stated in the noise ratio k = σ/α, so they
mean the same for every SDE: error is made where the posterior mean D changes, and D depends on time
through k alone.

Times are double-precision scalars on the CPU: the coefficients of a step then cost nothing, are
exact, and never raise the precision of the data (a 0-dimensional tensor does not promote).

References
----------
Song et al. (2021), Score-based generative modeling through stochastic differential equations
(uniform); Karras et al. (2022), Elucidating the design space of diffusion-based generative models,
appendix D (how grids compare).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from protdiff.diffusion.sde import SDE
from protdiff.errors import InputError

__all__ = [
    "ConstantGrid",
    "CosineGrid",
    "KarrasGrid",
    "LogSNRGrid",
    "TimeGrid",
    "UniformGrid",
    "check_forward_times",
    "check_times",
]


class TimeGrid(ABC):
    """Where a sampler puts its steps: ``grid(sde, steps)`` gives t_0 > t_1 > ... > t_n."""

    @abstractmethod
    def __call__(self, sde: SDE, steps: int) -> Tensor:
        """Give the times of a run.

        Parameters
        ----------
        sde
            The forward process.
        steps
            The number of steps.

        Returns
        -------
        Tensor
            ``(steps + 1,)``, decreasing, double precision, on the CPU.
        """


@dataclass(frozen=True)
class UniformGrid(TimeGrid):
    """Equal steps of time, t_i = t_max + (i/n) (t_min - t_max).

    Parameters
    ----------
    t_min, t_max
        The last and the first time; None takes the SDE's.
    """

    t_min: float | None = None
    t_max: float | None = None

    def __call__(self, sde: SDE, steps: int) -> Tensor:
        """Give the times of a run, ``(steps + 1,)``."""
        first = sde.t_max if self.t_max is None else self.t_max
        last = sde.t_min if self.t_min is None else self.t_min
        if not 0 < last < first:
            raise InputError(
                f"times from {first} to {last}; give a last one above 0, below the first"
            )
        return first + (last - first) * _fractions(steps)


@dataclass(frozen=True)
class LogSNRGrid(TimeGrid):
    r"""Equal steps of the log signal-to-noise ratio, so of log k.

    .. math::  k_i = k_{max} \, (k_{min} / k_{max})^{i / n} .

    Parameters
    ----------
    noise_ratio_min, noise_ratio_max
        The last and the first noise ratio; None takes the SDE's.

    References
    ----------
    Lu et al. (2022), DPM-Solver.
    """

    noise_ratio_min: float | None = None
    noise_ratio_max: float | None = None

    def __call__(self, sde: SDE, steps: int) -> Tensor:
        """Give the times of a run, ``(steps + 1,)``."""
        first, last = _noise_ratio_range(sde, self.noise_ratio_min, self.noise_ratio_max)
        logarithm = first.log() + (last.log() - first.log()) * _fractions(steps)
        return sde.time_of_noise_ratio(logarithm.exp())


@dataclass(frozen=True)
class KarrasGrid(TimeGrid):
    r"""Equal steps of the noise ratio's ρ-th root, which puts more steps at small noise.

    .. math::  k_i = [k_{max}^{1/ρ} + \tfrac{i}{n} (k_{min}^{1/ρ} - k_{max}^{1/ρ})]^ρ .

    ρ = 1 is uniform in k and ρ → ∞ uniform in log k.

    Parameters
    ----------
    rho
        ρ.
    noise_ratio_min, noise_ratio_max
        The last and the first noise ratio; None takes the SDE's.

    References
    ----------
    Karras et al. (2022), Elucidating the design space of diffusion-based generative models, eq. 5.
    """

    rho: float = 7.0
    noise_ratio_min: float | None = None
    noise_ratio_max: float | None = None

    def __post_init__(self) -> None:
        if not self.rho > 0:
            raise InputError(f"rho = {self.rho} is the root of no noise ratio; give one above 0")

    def __call__(self, sde: SDE, steps: int) -> Tensor:
        """Give the times of a run, ``(steps + 1,)``."""
        first, last = _noise_ratio_range(sde, self.noise_ratio_min, self.noise_ratio_max)
        first, last = first ** (1 / self.rho), last ** (1 / self.rho)
        return sde.time_of_noise_ratio((first + (last - first) * _fractions(steps)) ** self.rho)


@dataclass(frozen=True)
class CosineGrid(TimeGrid):
    r"""Equal steps of the angle arctan(σ/α): the times of a cosine schedule, whatever the SDE.

    .. math::  \arctan k_i = \arctan k_{max} + \tfrac{i}{n} (\arctan k_{min} - \arctan k_{max}) .

    It puts most steps where signal and noise are of one size.

    Parameters
    ----------
    noise_ratio_min, noise_ratio_max
        The last and the first noise ratio; None takes the SDE's.

    References
    ----------
    Nichol and Dhariwal (2021), Improved denoising diffusion probabilistic models; Salimans and Ho
    (2022), Progressive distillation for fast sampling of diffusion models.
    """

    noise_ratio_min: float | None = None
    noise_ratio_max: float | None = None

    def __call__(self, sde: SDE, steps: int) -> Tensor:
        """Give the times of a run, ``(steps + 1,)``."""
        first, last = _noise_ratio_range(sde, self.noise_ratio_min, self.noise_ratio_max)
        angle = first.atan() + (last.atan() - first.atan()) * _fractions(steps)
        return sde.time_of_noise_ratio(angle.tan())


@dataclass(frozen=True)
class ConstantGrid(TimeGrid):
    """The same time again and again, t_i = t, for Langevin dynamics at a fixed noise.

    Sample with ``final_denoise=False``: the denoising step that ends a run by default would give
    the posterior mean of what was sampled.

    Parameters
    ----------
    t
        The time.
    """

    t: float

    def __call__(self, sde: SDE, steps: int) -> Tensor:
        """Give the times of a run, ``(steps + 1,)``."""
        return torch.full_like(_fractions(steps), self.t)


def check_times(sde: SDE, times: Tensor) -> Tensor:
    """Give the times of a run as samplers take them, double precision, on the CPU.

    They may be repeated, as by a :class:`ConstantGrid` or by the rungs of a ladder above the SDE's
    largest noise, but never rise.

    Parameters
    ----------
    sde
        The forward process.
    times
        ``(steps + 1,)``.

    Returns
    -------
    Tensor
        ``(steps + 1,)``.

    Raises
    ------
    InputError
        They rise, leave the range of the process, or end at 0, where no noise is left to remove.
    """
    grid, first, last = _take_times(times)
    # A first time found from the largest noise may lie above the end of the process by rounding.
    if not (last > 0 and first <= sde.t_max * (1 + 1e-6) and bool((grid.diff() <= 0).all())):
        raise InputError(
            f"times from {first:g} to {last:g} make no run; give times that never rise, from at "
            f"most {sde.t_max:g} to above 0, as a time grid does"
        )
    return grid


def check_forward_times(sde: SDE, times: Tensor) -> Tensor:
    """Give the times of a way from data to noise, double precision, on the CPU.

    Parameters
    ----------
    sde
        The forward process.
    times
        ``(steps + 1,)``.

    Returns
    -------
    Tensor
        ``(steps + 1,)``.

    Raises
    ------
    InputError
        They fall, as those of a sampler do, or leave the range of the process.
    """
    grid, first, last = _take_times(times)
    if not (first >= 0 and last <= sde.t_max * (1 + 1e-6) and bool((grid.diff() >= 0).all())):
        raise InputError(
            f"times from {first:g} to {last:g} lead nowhere forward; give times that never fall, "
            f"from 0 or more to at most {sde.t_max:g} (those of a sampler by .flip(0))"
        )
    return grid


def _take_times(times: Tensor) -> tuple[Tensor, float, float]:
    """Return times in double precision, on the CPU, with the first and the last of them."""
    grid = times.detach().to("cpu", torch.float64)
    if grid.ndim != 1 or len(grid) == 0:
        raise InputError(f"times of shape {tuple(grid.shape)} make no run; give (steps + 1,)")
    return grid, float(grid[0]), float(grid[-1])


def _fractions(steps: int) -> Tensor:
    if steps < 1:
        raise InputError(f"{steps} steps were asked of a time grid; give at least 1")
    return torch.linspace(0, 1, steps + 1, dtype=torch.float64)


def _noise_ratio_range(
    sde: SDE, smallest: float | None, largest: float | None
) -> tuple[Tensor, Tensor]:
    """Give the first and the last noise ratio of a run; None stands for the SDE's own."""
    first = sde.noise_ratio_max if largest is None else min(largest, sde.noise_ratio_max)
    last = (
        sde.noise_ratio(torch.tensor(sde.t_min, dtype=torch.float64))
        if smallest is None
        else smallest
    )
    if not 0 < last < first:
        raise InputError(
            f"noise ratios from {float(last):g} to {float(first):g} make no time grid; the "
            "smallest must be positive and below the largest"
        )
    return torch.tensor(first, dtype=torch.float64), torch.as_tensor(last, dtype=torch.float64)

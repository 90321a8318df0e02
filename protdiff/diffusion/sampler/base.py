r"""The interface of every sampler, and the loop that they share.

A sampler carries x_T, drawn from the prior, to a sample of the data along a grid of times. It asks
for a :class:`~protdiff.diffusion.denoiser.Denoiser` and a
:class:`~protdiff.diffusion.noise.Noise` and nothing else. Each sampler is one ``step`` from a time
t to a smaller time s; the loop, the count of evaluations, callbacks and the final denoising step
are here, once.

In y = x/α and the noise ratio k = σ/α all linear SDEs have the same reverse equations,

.. math::  \text{SDE:}\; dy = 2\,\frac{y - D}{k}\, dk + \sqrt{2k}\; d\bar w , \qquad
           \text{ODE:}\; \frac{dy}{dk} = \frac{y - D}{k} ,

and, for every η >= 0, so has the same marginals

.. math::  dy = (1 + η^2) \frac{y - D}{k}\, dk + η \sqrt{2k}\; d\bar w .

A step written in y and k therefore works for every SDE. An equation with a drift that does not
depend on x (Brownian motion in a wind) is solved in the frame that moves with the wind.

All coefficients of a step are double-precision scalars on the CPU: they cost microseconds, keep
their precision near t = 0, make no device wait and raise no tensor's precision.

References
----------
Anderson (1982), Reverse-time diffusion equation models; Song et al. (2021), Score-based generative
modeling through stochastic differential equations; Karras et al. (2022), Elucidating the design
space of diffusion-based generative models.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from protdiff.diffusion.denoiser import Denoiser, MovingFrame
from protdiff.diffusion.noise import Noise
from protdiff.diffusion.sde import SDE
from protdiff.diffusion.time_grid import check_times
from protdiff.errors import InputError

__all__ = ["Callback", "Sampler", "StepInfo", "Trajectory", "draw_prior"]


@dataclass(frozen=True, eq=False)
class StepInfo:
    """What a callback is shown of a step, whose x_s follows from x_t and D(x_t, t).

    Attributes
    ----------
    index
        The number of the step, from 0; the final denoising step comes last.
    t
        The time at which the step starts, ``()``.
    x_t
        The state at that time, ``(batch, *event)``.
    denoised
        The posterior mean that the step used, ``(batch, *event)``.
    evaluations
        How often the denoiser has been called so far.
    """

    index: int
    t: Tensor
    x_t: Tensor
    denoised: Tensor
    evaluations: int


Callback = Callable[[StepInfo], None]


class Trajectory:
    """A callback that keeps every state and denoised guess of a run, on the CPU.

    Attributes
    ----------
    times
        One float a step.
    noisy, denoised
        Lists of x_t and D(x_t, t), each ``(batch, *event)``.
    """

    def __init__(self) -> None:
        self.times: list[float] = []
        self.noisy: list[Tensor] = []
        self.denoised: list[Tensor] = []

    def __call__(self, info: StepInfo) -> None:
        """Keep one step."""
        self.times.append(float(info.t))
        self.noisy.append(info.x_t.detach().cpu().clone())
        self.denoised.append(info.denoised.detach().cpu().clone())


class Sampler(ABC):
    """From the prior to the data: ``sampler(denoiser, x_T, times, noise=noise)``.

    Attributes
    ----------
    order
        The order of convergence in the number of steps of the sampled law (the weak order), which
        the tests measure by refinement; 0 where more steps alone do not converge.
    evaluations_per_step
        How often a step calls the denoiser; of an adaptive sampler the least.
    adaptive
        Whether the sampler chooses its steps by an error that it judges over the whole batch. It
        may then go back, so its denoiser must have no memory.
    pull
        The power c of k_s / k_t that an exact step leaves of y - D while D stands still: 1 + η²,
        so 2 of the reverse SDE and 1 of the ODE, and more with correctors; 0 of a sampler that does
        not go from time to time of its grid. Euler's steps in t leave less.

    References
    ----------
    Song et al. (2021), Score-based generative modeling through stochastic differential equations,
    section 3.4.
    """

    order: int
    evaluations_per_step: int
    adaptive: bool = False
    pull: float = 2.0

    @abstractmethod
    def step(
        self,
        denoiser: Denoiser,
        x_t: Tensor,
        t: Tensor,
        s: Tensor,
        *,
        noise: Noise,
        previous: StepInfo | None,
    ) -> tuple[Tensor, Tensor]:
        """Go from time t to a smaller time s.

        Parameters
        ----------
        denoiser
            The posterior mean under an SDE without shift; for one with a shift, wrapped in a
            :class:`~protdiff.diffusion.denoiser.MovingFrame`, as the loop does.
        x_t
            The state, ``(batch, *event)``.
        t, s
            The two times, ``()``, double precision, on the CPU.
        noise
            Where a stochastic sampler takes its noise.
        previous
            The step before, for multistep samplers; None at the first.

        Returns
        -------
        x_s, denoised
            The new state and the posterior mean that the step started from.
        """

    @torch.no_grad()
    def __call__(
        self,
        denoiser: Denoiser,
        x_T: Tensor,
        times: Tensor,
        *,
        noise: Noise,
        final_denoise: bool = True,
        callback: Callback | None = None,
    ) -> Tensor:
        """Sample; nothing that comes out has a gradient.

        Parameters
        ----------
        denoiser
            The posterior mean.
        x_T
            A draw of the prior, ``(batch, *event)``; see :func:`draw_prior`.
        times
            ``(steps + 1,)``, from a time grid: never rising, above 0.
        noise
            Where a stochastic sampler takes its noise.
        final_denoise
            End with the posterior mean at the last time, which takes away the noise that is left.
        callback
            Is shown every step.

        Returns
        -------
        Tensor
            x_0, ``(batch, *event)``; without the final denoising step, the state at the last time.

        Raises
        ------
        InputError
            The times make no run.
        """
        run = MovingFrame(denoiser)
        grid = check_times(run.sde, times)
        x = x_T - run.shift(grid[0])
        info: StepInfo | None = None
        for index, (t, s) in enumerate(pairwise(grid)):
            x_t = x
            x, denoised = self.step(run, x_t, t, s, noise=noise, previous=info)
            info = StepInfo(index, t, x_t, denoised, run.evaluations)
            if callback is not None:
                callback(replace(info, x_t=x_t + run.shift(t)))
        t = grid[-1]
        if not final_denoise:
            return x + run.shift(t)
        x_0 = run.finish(x, t)
        if callback is not None:
            callback(StepInfo(len(grid) - 1, t, x + run.shift(t), x_0, run.evaluations))
        return x_0

    def count_steps(self, evaluations: int, *, final_denoise: bool = True) -> int:
        """Give the number of steps that a budget of evaluations allows.

        Parameters
        ----------
        evaluations
            The budget.
        final_denoise
            Whether one of them is kept for the final denoising step.
        """
        steps = (evaluations - final_denoise) // self.evaluations_per_step
        if steps < 1:
            raise InputError(
                f"{evaluations} evaluations allow no step of {type(self).__name__}; give at least "
                f"{self.evaluations_per_step + final_denoise}"
            )
        return steps


def draw_prior(sde: SDE, noise: Noise, like: Tensor, t: Tensor | None = None) -> Tensor:
    r"""Draw x_T from the prior, :math:`N(m_t, \alpha_t^2 + \sigma_t^2)` in the noise's subspace.

    It has the first two moments of data of zero mean and unit variance at that time.

    Parameters
    ----------
    sde
        The forward process.
    noise
        Its numbers.
    like
        Any tensor of the shape, place and precision wanted, ``(batch, *event)``.
    t
        Where sampling starts, ``()``: the first time of the grid, which may come before the
        process has ended; None for its end.

    Returns
    -------
    Tensor
        x_T, ``(batch, *event)``.
    """
    t = torch.tensor(sde.t_max, dtype=torch.float64) if t is None else t
    return sde.shift(t) + float(sde.marginal_sigma(t)) * noise(like)

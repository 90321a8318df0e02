r"""Restart: the last of the way walked again, from noise that is put back.

A run comes down to the data; there the denoised end is noised again, up to a level :math:`t_r`, by
the forward process,

.. math:: x_{t_r} = \alpha_{t_r} x_0 + \sigma_{t_r} \epsilon, \quad \epsilon \sim N(0, I),

and the steps below :math:`t_r` are taken again. If the end has the law of the data the state has
the right one at :math:`t_r`, so nothing is lost but the evaluations; where it has not, because
steps were long, the network erred or a condition held only at the end, part of the error is
forgotten with what the noise covers. That contraction is what stochastic samplers gain over solvers
of the ODE; a restart gains it in one piece, where it is wanted.

Of a denoiser with a memory, as a self-conditioned network has, the steps below begin with what it
remembers of the end.

What is noised is the posterior mean at the last time and not the state there: a last step may
overshoot, of a sharpened score above all, and what it adds would be taken along.

References
----------
Xu, Deng, Cheng, Tian, Liu, Jaakkola, "Restart sampling for improving generative processes", 2023.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from protdiff.diffusion.denoiser import Denoiser
from protdiff.diffusion.noise import Noise
from protdiff.diffusion.sampler.around import SamplerAround
from protdiff.diffusion.sampler.base import Callback, Sampler, StepInfo
from protdiff.diffusion.sde import SDE
from protdiff.errors import InputError

__all__ = ["Restart"]


class Restart(SamplerAround):
    r"""A sampler around a sampler, which goes back to some noise and comes down again.

    It goes outermost: what takes the steps of a sampler knows nothing of restarts.

    Parameters
    ----------
    sampler
        The sampler whose steps are taken.
    noise_ratio
        :math:`\sigma_t/\alpha_t` up to which the state is noised: to the first time of the grid
        that has no more. Where that leaves no step of the way, or all of it, nothing is taken
        again.
    restarts
        How often.
    noise
        Of the way back, which belongs at full size where the sampler's own noise is scaled down;
        None: the sampler's own.

    References
    ----------
    Xu, Deng, Cheng, Tian, Liu, Jaakkola, "Restart sampling for improving generative processes",
    2023.
    """

    calls_sampler = True

    def __init__(
        self,
        sampler: Sampler,
        noise_ratio: float,
        *,
        restarts: int = 1,
        noise: Noise | None = None,
    ) -> None:
        if restarts < 0 or not noise_ratio > 0:
            raise InputError(
                f"{restarts} restarts from a noise ratio of {noise_ratio} are asked for; give 0 or "
                "more, and a ratio above 0"
            )
        super().__init__(sampler)
        self.noise_ratio = noise_ratio
        self.restarts = restarts
        self.noise = noise

    def list_stretches(self, sde: SDE, times: Tensor) -> list[Tensor]:
        """Give the times of each stretch of the way, the whole one and what is walked again."""
        again = times[sde.noise_ratio(times) <= self.noise_ratio]
        return [times] + [again] * (self.restarts if 1 < len(again) < len(times) else 0)

    def count_steps(self, evaluations: int, *, final_denoise: bool = True) -> int:
        """Give the number of steps that a budget allows, if nothing is walked again.

        Raises
        ------
        InputError
            There are restarts: what they walk again depends on the grid, and
            :meth:`list_stretches` gives it.
        """
        if self.restarts:
            raise InputError(
                f"how many steps {self.restarts} restarts take again depends on the grid; choose "
                "the steps, and count the times of list_stretches"
            )
        return self.sampler.count_steps(evaluations, final_denoise=final_denoise)

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
        """Sample; steps and evaluations are counted on from one stretch to the next."""
        sde = denoiser.sde
        stretches = self.list_stretches(sde, times.detach().to("cpu", torch.float64))
        source = noise if self.noise is None else self.noise
        x = x_T
        seen = _Counted(callback)
        for number, stretch in enumerate(stretches):
            if number:
                x = sde.alpha(stretch[0]) * x + sde.sigma(stretch[0]) * source(x)
                x = x + sde.shift(stretch[0])
            x = self.sampler(
                denoiser,
                x,
                stretch,
                noise=noise,
                final_denoise=final_denoise or number < len(stretches) - 1,
                callback=callback and seen,
            )
            seen.begin_again()
        return x


class _Counted:
    """A callback that counts on where the stretch before ended."""

    def __init__(self, callback: Callback | None) -> None:
        self.callback = callback
        self.steps = self.evaluations = 0
        self.last: StepInfo | None = None

    def __call__(self, info: StepInfo) -> None:
        assert self.callback is not None
        self.last = replace(
            info,
            index=info.index + self.steps,
            evaluations=info.evaluations + self.evaluations,
        )
        self.callback(self.last)

    def begin_again(self) -> None:
        if self.last is not None:
            self.steps, self.evaluations = self.last.index + 1, self.last.evaluations

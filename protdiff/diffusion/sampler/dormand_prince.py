"""The probability-flow ODE by Dormand and Prince, with error control."""

from __future__ import annotations

from torch import Tensor

from protdiff.diffusion.denoiser import Denoiser, FunctionDenoiser
from protdiff.diffusion.noise import Noise
from protdiff.diffusion.probability_flow import solve_flow
from protdiff.diffusion.sampler.base import Sampler, StepInfo

__all__ = ["DormandPrince"]


class DormandPrince(Sampler):
    r"""Adaptive fifth-order Runge–Kutta on the probability-flow ODE, in the variable log k.

    .. math::  \frac{dy}{d \log k} = y - D(α y, t) .

    The solver chooses its own steps within each step of the grid, so a grid of one or a few steps
    is what it wants; ``evaluations`` in the callback says what it took. The error is judged over
    the whole batch, so an element depends on its batch within the tolerance.

    Parameters
    ----------
    rtol, atol
        Relative and absolute tolerance of a step, the latter in units of the data.

    References
    ----------
    Dormand and Prince (1980), A family of embedded Runge–Kutta formulae; Chen et al. (2018), Neural
    ordinary differential equations (torchdiffeq).
    """

    order = 5
    evaluations_per_step = 8
    pull = 0.0
    adaptive = True

    def __init__(self, rtol: float = 1e-4, atol: float = 1e-5) -> None:
        self.rtol = rtol
        self.atol = atol

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
        """Go from time t to a smaller time s."""
        if s == t:  # a time that is repeated: no way to go, which the solver would refuse
            return x_t, denoiser(x_t, t)
        sde, seen = denoiser.sde, list[Tensor]()

        def denoise(x: Tensor, time: Tensor) -> Tensor:
            denoised = denoiser(x, time)
            if not seen:
                seen.append(denoised)
            return denoised

        y_s = solve_flow(
            FunctionDenoiser(sde, denoise),
            x_t / sde.alpha(t),
            sde.noise_ratio(t),
            sde.noise_ratio(s),
            rtol=self.rtol,
            atol=self.atol,
        )
        return sde.alpha(s) * y_s, seen[0]

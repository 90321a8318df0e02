"""Langevin dynamics at a fixed noise."""

from __future__ import annotations

from torch import Tensor

from protdiff.diffusion.denoiser import Denoiser
from protdiff.diffusion.noise import Noise
from protdiff.diffusion.sampler.base import Sampler, StepInfo
from protdiff.errors import InputError

__all__ = ["Langevin"]


class Langevin(Sampler):
    r"""Unadjusted Langevin dynamics at the noise of a step's end.

    .. math::  x \leftarrow x + τ \nabla \log p_s(x) + \sqrt{2 τ}\; ξ, \qquad τ = δ σ_s^2 .

    With a :class:`~protdiff.diffusion.time_grid.ConstantGrid` and ``final_denoise=False`` it
    samples the noisy marginal p_t, whatever it starts from, up to a bias of order δ. No number of
    steps takes that away, so its order in them is 0. (The denoising step that ends a run by default
    gives the posterior mean of such a sample, too narrow for p_t and for the data.)

    Parameters
    ----------
    step_size
        δ, in units of σ².

    References
    ----------
    Langevin (1908), Sur la théorie du mouvement brownien; Roberts and Tweedie (1996), Exponential
    convergence of Langevin distributions and their discrete approximations.
    """

    order = 0
    evaluations_per_step = 1
    pull = 0.0

    def __init__(self, step_size: float = 0.02) -> None:
        if not 0 < step_size < 2:
            raise InputError(f"step_size = {step_size} must lie between 0 and 2 to be stable")
        self.step_size = step_size

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
        sde = denoiser.sde
        duration = self.step_size * sde.sigma(s).square()
        x = sde.alpha(s) / sde.alpha(t) * x_t
        denoised = denoiser(x, s)
        # τ times the score: σ² cancels.
        pull = self.step_size * (sde.alpha(s) * denoised - x)
        return x + pull + (2 * duration).sqrt() * noise(x), denoised

"""Annealed Langevin dynamics down a ladder of noise levels."""

from __future__ import annotations

from torch import Tensor

from protdiff.diffusion.denoiser import Denoiser
from protdiff.diffusion.noise import Noise
from protdiff.diffusion.sampler.base import Sampler, StepInfo
from protdiff.diffusion.sampler.langevin import Langevin
from protdiff.errors import InputError

__all__ = ["AnnealedLangevin"]


class AnnealedLangevin(Sampler):
    r"""Langevin dynamics at each noise level in turn, as the sampler of NCSN.

    .. math::  x \leftarrow x + τ \nabla \log p_s(x) + \sqrt{2 τ}\; ξ, \qquad τ = δ σ_s^2 ,

    several times at every level. It follows no path in time, so more levels alone do not make it
    exact (its order in them is 0): its error falls with δ, provided that there are steps enough for
    the chain to settle at each level, many more than 1/δ for each halving of the noise.

    Parameters
    ----------
    corrections
        The number of Langevin steps at a level.
    step_size
        δ; the paper's step ε σ_i²/σ_L² is 2τ.

    References
    ----------
    Song and Ermon (2019), Generative modeling by estimating gradients of the data distribution,
    algorithm 1; Song and Ermon (2020), Improved techniques for training score-based generative
    models.
    """

    order = 0
    evaluations_per_step = 10
    pull = 0.0

    def __init__(self, corrections: int = 10, step_size: float = 0.3) -> None:
        if corrections < 1:
            raise InputError(f"corrections = {corrections} must be at least 1")
        self.corrections = corrections
        self.evaluations_per_step = corrections
        self._langevin = Langevin(step_size)

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
        x, denoised = self._langevin.step(denoiser, x_t, t, s, noise=noise, previous=None)
        for _ in range(self.corrections - 1):
            x, _ = self._langevin.step(denoiser, x, s, s, noise=noise, previous=None)
        return x, denoised

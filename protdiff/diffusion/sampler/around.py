"""A sampler around a sampler: what it does not change is the inner one's."""

from __future__ import annotations

from torch import Tensor

from protdiff.diffusion.denoiser import Denoiser
from protdiff.diffusion.noise import Noise
from protdiff.diffusion.sampler.base import Sampler, StepInfo

__all__ = ["SamplerAround"]


class SamplerAround(Sampler):
    """Take the steps of another sampler, and be what it is.

    A class of this kind overrides the step, or the way that steps are put together, and declares
    what of the sampler's nature that changes.

    Parameters
    ----------
    sampler
        The sampler whose steps are taken.
    """

    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler
        self.order = sampler.order
        self.evaluations_per_step = sampler.evaluations_per_step
        self.adaptive = sampler.adaptive
        self.pull = sampler.pull

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
        """Go from time t to a smaller time s, as the sampler does."""
        return self.sampler.step(denoiser, x_t, t, s, noise=noise, previous=previous)

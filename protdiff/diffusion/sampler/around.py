r"""A sampler around a sampler: what it does not change is the inner one's.

With the inner sampler's map :math:`x_s = \Phi_{t \to s}(x_t)` from one noise level to the next,
conditioning and correction compose: a step may be followed by another map (known coordinates put in
place), be divided or repeated (RePaint), or a part of the way be walked again (restarts). The
predictor-corrector samplers of Song et al. (2021) are of any predictor and any corrector likewise.

References
----------
Song et al. (2021), Score-based generative modeling through stochastic differential equations,
section 4.2.
"""

from __future__ import annotations

from torch import Tensor

from protdiff.diffusion.denoiser import Denoiser
from protdiff.diffusion.noise import Noise
from protdiff.diffusion.sampler.base import Sampler, StepInfo
from protdiff.errors import InputError

__all__ = ["SamplerAround"]


class SamplerAround(Sampler):
    r"""Take the steps of another sampler, :math:`x_s = \Phi_{t \to s}(x_t)`, and be what it is.

    A class of this kind overrides the step, or the way that steps are put together, and declares
    what of the sampler's nature that changes.

    Parameters
    ----------
    sampler
        The sampler whose steps are taken.

    Attributes
    ----------
    calls_sampler
        Whether the sampler is called, for whole stretches, and not only asked for its steps.

    Raises
    ------
    InputError
        The sampler does more than take its steps, which nobody calls: its restarts, say, would be
        left out.
    """

    calls_sampler: bool = False

    def __init__(self, sampler: Sampler) -> None:
        if not self.calls_sampler and type(sampler).__call__ is not Sampler.__call__:
            outer, inner = type(self).__name__, type(sampler).__name__
            raise InputError(
                f"{outer} takes the steps of a sampler and leaves out what else {inner} does; put "
                f"{inner} outermost, around {outer}"
            )
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
        """Go from time t to a smaller time s, ``(batch, *event)`` both, as the sampler does."""
        return self.sampler.step(denoiser, x_t, t, s, noise=noise, previous=previous)

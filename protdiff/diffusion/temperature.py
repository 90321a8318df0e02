r"""Step scale: sampling a sharper law by enlarging the score.

Together with :class:`~protdiff.diffusion.noise.ScaledNoise` this is the sampling temperature.
"""

from __future__ import annotations

from torch import Tensor

from protdiff.diffusion.broadcasting import expand
from protdiff.diffusion.denoiser import Denoiser

__all__ = ["ScaledScore"]


class ScaledScore(Denoiser):
    r"""A denoiser whose score is multiplied by a step scale η.

    .. math::  s' = η s \;\Leftrightarrow\; D' = η D + (1 - η) \frac{x_t - m_t}{α_t} .

    A run ends with the denoised guess of the denoiser within, because D' is no posterior mean.

    Parameters
    ----------
    denoiser
        The denoiser within.
    step_scale
        η; above 1 it sharpens.

    References
    ----------
    Abramson et al. (2024), Accurate structure prediction of biomolecular interactions with
    AlphaFold 3 (step scale 1.5).
    """

    def __init__(self, denoiser: Denoiser, step_scale: float) -> None:
        self.sde = denoiser.sde
        self.denoiser = denoiser
        self.step_scale = step_scale

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give D'(x_t, t), ``(batch, *event)``."""
        unmoved = (x_t - expand(self.sde.shift(t), x_t)) / expand(self.sde.alpha(t), x_t)
        return unmoved.lerp(self.denoiser(x_t, t), self.step_scale)

    def recover(self, scaled: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Give back D from D' = ``scaled``, both ``(batch, *event)``."""
        unmoved = (x_t - expand(self.sde.shift(t), x_t)) / expand(self.sde.alpha(t), x_t)
        return unmoved.lerp(scaled, 1.0 / self.step_scale)

    def finish(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give D(x_t, t) of the denoiser within."""
        return self.denoiser.finish(x_t, t)

    def reorder(self, indices: Tensor) -> None:
        """Hand the resampling on."""
        self.denoiser.reorder(indices)

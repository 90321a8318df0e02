r"""Step scale: sampling a sharper law by enlarging the score.

Together with :class:`~protdiff.diffusion.noise.ScaledNoise` this is the sampling temperature.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from protdiff.diffusion.broadcasting import expand
from protdiff.diffusion.denoiser import Denoiser
from protdiff.errors import InputError

__all__ = ["ScaledScore"]

_SAME_TIME = 1e-6
"""Relative, of a time in single precision and the time of the grid that it was."""


class ScaledScore(Denoiser):
    r"""A denoiser whose score is multiplied by a step scale.

    .. math::  s' = η s \;\Leftrightarrow\; D' = η D + (1 - η) \frac{x_t - m_t}{α_t} , \quad
               η = λ \frac{v + k^2}{v + λ k^2} , \quad k = \frac{σ_t}{α_t} .

    η is λ where there is no noise, and falls to 1 as noise hides data of variance v: so compare the
    scores of :math:`p^λ` and p, both noised, where p is a normal law of that variance. What is
    decided at large noise, such as a fold, keeps its diversity. Without a variance η is λ
    throughout.

    A step from t to s that holds D' still leaves :math:`1 - η (1 - (k_s/k_t)^c)` of y - D. Where
    that is negative it goes past D, and long steps swing about it. Told of the times of a run, η is
    no more than takes a step onto D.

    A run ends with the denoised guess of the denoiser within, because D' is no posterior mean.

    Parameters
    ----------
    denoiser
        The denoiser within.
    step_scale
        λ; above 1 it sharpens.
    data_variance
        v, in the units of the data squared.
    times
        ``(steps + 1,)``, those of the run, falling; without them steps may go past D.
    pull
        c, that of the sampler (:class:`~protdiff.diffusion.sampler.Sampler`).

    Raises
    ------
    InputError
        The step scale or the variance is not above 0.

    References
    ----------
    Ingraham et al. (2023), Illuminating protein space with a programmable generative model, on
    low-temperature sampling; Abramson et al. (2024), Accurate structure prediction of biomolecular
    interactions with AlphaFold 3 (a step scale of 1.5 throughout).
    """

    def __init__(
        self,
        denoiser: Denoiser,
        step_scale: float,
        data_variance: float = math.inf,
        *,
        times: Tensor | None = None,
        pull: float = 2.0,
    ) -> None:
        if not 0 < step_scale < math.inf:
            raise InputError(f"the step scale is {step_scale}; give a finite number above 0")
        if not data_variance > 0:
            raise InputError(f"the data's variance is {data_variance}; give a number above 0")
        self.sde = denoiser.sde
        self.denoiser = denoiser
        self.step_scale = step_scale
        self.data_variance = data_variance
        self.rising = None if times is None else times.detach().to("cpu", torch.float64).flip(0)
        self.pull = pull

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give D'(x_t, t), ``(batch, *event)``."""
        return self.scale(self.denoiser(x_t, t), x_t, t)

    def scale(self, mean: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Give D' where D is ``mean``, both ``(batch, *event)``."""
        unmoved = self._undo_drift(x_t, t)
        return unmoved + expand(self._find_scale(t), x_t) * (mean - unmoved)

    def recover(self, scaled: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Give back D from D' = ``scaled``, both ``(batch, *event)``."""
        unmoved = self._undo_drift(x_t, t)
        return unmoved + (scaled - unmoved) / expand(self._find_scale(t), x_t)

    def finish(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give D(x_t, t) of the denoiser within."""
        return self.denoiser.finish(x_t, t)

    def reorder(self, indices: Tensor) -> None:
        """Hand the resampling on."""
        self.denoiser.reorder(indices)

    def _undo_drift(self, x_t: Tensor, t: Tensor) -> Tensor:
        return (x_t - expand(self.sde.shift(t), x_t)) / expand(self.sde.alpha(t), x_t)

    def _find_scale(self, t: Tensor) -> Tensor:
        noise = self.sde.noise_ratio(t).square()
        scale = self.step_scale / (1 + (self.step_scale - 1) * noise / (self.data_variance + noise))
        return scale if self.rising is None else torch.minimum(scale, self._reach(t, self.rising))

    def _reach(self, t: Tensor, rising: Tensor) -> Tensor:
        """Give the scale that takes the step from t onto D; none leaves the last time."""
        rising = rising.to(t.device)
        below = torch.searchsorted(rising, (1 - _SAME_TIME) * t.to(rising.dtype).contiguous())
        ratio = self.sde.noise_ratio(rising[(below - 1).clamp(min=0)]) / self.sde.noise_ratio(t)
        return torch.where((below > 0) & (ratio < 1), 1 / (1 - ratio**self.pull), torch.inf)

r"""Guidance by the difference of two denoisers.

The scores of two models differ by the gradient of the log-ratio of their densities, so

.. math:: D_w(x_t) = D_0(x_t) + w \, [D_1(x_t) - D_0(x_t)]

is the denoised mean of a model whose noisy marginals are
:math:`p_0(x_t)^{1-w} p_1(x_t)^{w}` up to a constant: :math:`w = 1` is model 1, :math:`w > 1` goes
beyond it, away from model 0. With an unconditional model for 0 and a conditional one for 1 that is
classifier-free guidance; with a worse model of the *same* data for 0 it is autoguidance, which
sharpens without pushing samples towards a class. For :math:`w \ne 1` these marginals belong to no
diffusion of any data, so the samples follow none of them exactly: the run ends with model 1's own
mean.

References
----------
Ho, Salimans, "Classifier-free diffusion guidance", 2022. Karras, Aittala, Kynkäänniemi, Lehtinen,
Aila, Laine, "Guiding a diffusion model with a bad version of itself", 2024. Kynkäänniemi, Aittala,
Karras, Laine, Aila, Lehtinen, "Applying guidance in a limited interval improves sample and
distribution quality in diffusion models", 2024.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from protdiff.diffusion.broadcasting import expand
from protdiff.diffusion.denoiser import Denoiser
from protdiff.errors import InputError

__all__ = ["Autoguidance", "ClassifierFreeGuidance", "NoiseSpan"]

_Mean = Callable[[Tensor, Tensor], Tensor]


class ClassifierFreeGuidance(Denoiser):
    r"""Beyond the conditional model, :math:`D_w = D_u + w (D_c - D_u)`.

    Ho and Salimans write :math:`(1 + \omega) D_c - \omega D_u`; then :math:`w = 1 + \omega`.

    Parameters
    ----------
    unconditional
        :math:`D_u`.
    conditional
        :math:`D_c`, with the same SDE.
    weight
        :math:`w`; 0 is the unconditional model, 1 the conditional one.

    References
    ----------
    Ho, Salimans, "Classifier-free diffusion guidance", 2022.
    """

    def __init__(self, unconditional: Denoiser, conditional: Denoiser, weight: float) -> None:
        _check_one_sde(unconditional, conditional)
        self.sde = conditional.sde
        self.unconditional = unconditional
        self.conditional = conditional
        self.weight = weight

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give the extrapolated mean, ``(batch, *event)``."""
        return torch.lerp(self.unconditional(x_t, t), self.conditional(x_t, t), self.weight)

    def finish(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give the conditional mean, which ends a run, ``(batch, *event)``."""
        return self.conditional.finish(x_t, t)

    def reorder(self, indices: Tensor) -> None:
        """Hand the resampling on to both."""
        self.unconditional.reorder(indices)
        self.conditional.reorder(indices)


class Autoguidance(Denoiser):
    r"""Away from a weaker model of the same data, :math:`D_w = D_{weak} + w (D - D_{weak})`.

    Parameters
    ----------
    denoiser
        :math:`D`, the good model.
    weak
        :math:`D_{weak}`: smaller, or trained for less long, with the same faults in larger measure;
        with the same SDE.
    weight
        :math:`w`; 1 is the good model alone.

    References
    ----------
    Karras, Aittala, Kynkäänniemi, Lehtinen, Aila, Laine, "Guiding a diffusion model with a bad
    version of itself", 2024.
    """

    def __init__(self, denoiser: Denoiser, weak: Denoiser, weight: float) -> None:
        _check_one_sde(denoiser, weak)
        self.sde = denoiser.sde
        self.denoiser = denoiser
        self.weak = weak
        self.weight = weight

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give the extrapolated mean, ``(batch, *event)``."""
        return torch.lerp(self.weak(x_t, t), self.denoiser(x_t, t), self.weight)

    def finish(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give the good model's mean, which ends a run, ``(batch, *event)``."""
        return self.denoiser.finish(x_t, t)

    def reorder(self, indices: Tensor) -> None:
        """Hand the resampling on to both."""
        self.denoiser.reorder(indices)
        self.weak.reorder(indices)


class NoiseSpan(Denoiser):
    r"""One denoiser where :math:`low \le \sigma_t / \alpha_t \le high`, another elsewhere.

    Only the one in force is evaluated, so a guidance costs nothing outside its span. At a time
    ``(batch,)`` that has elements on both sides, both are.

    Parameters
    ----------
    inside, outside
        The two denoisers, with the same SDE.
    low, high
        The span of noise ratios, ends included.

    References
    ----------
    Kynkäänniemi, Aittala, Karras, Laine, Aila, Lehtinen, "Applying guidance in a limited interval
    improves sample and distribution quality in diffusion models", 2024.
    """

    def __init__(self, inside: Denoiser, outside: Denoiser, low: float, high: float) -> None:
        _check_one_sde(inside, outside)
        if not 0.0 <= low <= high:
            raise InputError(
                f"A span of noise ratios from {low} to {high} is empty; give 0 <= low <= high."
            )
        self.sde = inside.sde
        self.inside = inside
        self.outside = outside
        self.low = low
        self.high = high

    def _holds(self, t: Tensor) -> Tensor:
        noise_ratio = self.sde.noise_ratio(t)
        return (noise_ratio >= self.low) & (noise_ratio <= self.high)

    def _choose(self, inside: _Mean, outside: _Mean, x_t: Tensor, t: Tensor) -> Tensor:
        holds = self._holds(t)
        if bool(holds.all()):
            return inside(x_t, t)
        if not bool(holds.any()):
            return outside(x_t, t)
        return torch.where(expand(holds, x_t).bool(), inside(x_t, t), outside(x_t, t))

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give the mean of the denoiser in force, ``(batch, *event)``."""
        return self._choose(self.inside, self.outside, x_t, t)

    def finish(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give the final mean of the denoiser in force, ``(batch, *event)``."""
        return self._choose(self.inside.finish, self.outside.finish, x_t, t)

    def reorder(self, indices: Tensor) -> None:
        """Hand the resampling on to both."""
        self.inside.reorder(indices)
        self.outside.reorder(indices)


def _check_one_sde(first: Denoiser, second: Denoiser) -> None:
    """Refuse two models whose x_t at one t mean different things."""
    if first.sde != second.sde:
        raise InputError(
            f"Two denoisers of different SDEs ({first.sde} and {second.sde}) cannot be combined; "
            "give two models of one SDE."
        )

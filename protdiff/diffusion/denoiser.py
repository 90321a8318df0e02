r"""Denoisers: the one language that samplers, guidance and likelihood speak.

Whatever a network was trained to predict (ε, x_0, v, the score), it is turned once into the
posterior mean of the clean data,

.. math::  D(x_t, t) = E[x_0 \mid x_t] ,

because Tweedie's formula makes the score of the noisy marginal from it and from the schedule alone:

.. math::  \nabla_{x_t} \log p_t(x_t) = \frac{α_t D(x_t, t) + m_t - x_t}{σ_t^2} .

A conditioner, a guidance or a temperature is a Denoiser made of a Denoiser.

References
----------
Robbins (1956), An empirical Bayes approach to statistics; Efron (2011), Tweedie's formula and
selection bias; Vincent (2011), A connection between score matching and denoising autoencoders.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor

from protdiff.diffusion.broadcasting import expand
from protdiff.diffusion.sde import SDE

__all__ = ["Denoiser", "FunctionDenoiser", "MovingFrame", "predict_noise", "score"]


class Denoiser(ABC):
    """The posterior mean D(x_t, t) = E[x_0 | x_t] under a forward process ``sde``."""

    sde: SDE

    @abstractmethod
    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give E[x_0 | x_t].

        Parameters
        ----------
        x_t
            Noisy data, ``(batch, *event)``.
        t
            Time, ``()`` or ``(batch,)``; a scalar may be in double precision on the CPU.

        Returns
        -------
        Tensor
            E[x_0 | x_t], ``(batch, *event)``.
        """

    def finish(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give the posterior mean that ends a sampling run.

        The same as calling the denoiser; a wrapper that sharpens the score during sampling, whose
        output is then no posterior mean, returns that of the denoiser within.
        """
        return self(x_t, t)

    def reorder(self, indices: Tensor) -> None:  # noqa: B027, nothing to do is the rule
        """Follow a resampling of the batch: element i is now what element ``indices[i]`` was.

        Only denoisers that remember something of each element between calls have work to do.
        """


class FunctionDenoiser(Denoiser):
    """A denoiser made of any function (x_t, t) -> E[x_0 | x_t].

    Parameters
    ----------
    sde
        The forward process.
    function
        Takes x_t ``(batch, *event)`` and t ``()`` or ``(batch,)``.

    Examples
    --------
    The oracle that always finds the same point:

    >>> import torch
    >>> from protdiff.diffusion.sde import LinearVPSDE
    >>> oracle = FunctionDenoiser(LinearVPSDE(), lambda x_t, t: torch.ones_like(x_t))
    >>> oracle(torch.zeros(1, 3), torch.tensor(0.5))
    tensor([[1., 1., 1.]])
    """

    def __init__(self, sde: SDE, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.sde = sde
        self._function = function

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give E[x_0 | x_t]."""
        return self._function(x_t, t)


class MovingFrame(Denoiser):
    """A denoiser seen from the frame that moves with the shift of its SDE; it counts its calls.

    Takes z_t = x_t - m_t in place of x_t, so that whoever calls it may forget the shift. Samplers
    and the probability flow wrap their denoiser in one for the length of a run.

    Parameters
    ----------
    denoiser
        The denoiser within.

    Attributes
    ----------
    evaluations
        How often the denoiser has been called.
    """

    def __init__(self, denoiser: Denoiser) -> None:
        self.sde = denoiser.sde
        self.denoiser = denoiser
        self.evaluations = 0

    def shift(self, t: Tensor) -> Tensor:
        """Give m_t."""
        return self.sde.shift(t)

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give E[x_0 | z_t + m_t]."""
        self.evaluations += 1
        return self.denoiser(x_t + expand(self.shift(t), x_t), t)

    def finish(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give the posterior mean that ends a sampling run."""
        self.evaluations += 1
        return self.denoiser.finish(x_t + expand(self.shift(t), x_t), t)

    def reorder(self, indices: Tensor) -> None:
        """Hand the resampling on."""
        self.denoiser.reorder(indices)


def predict_noise(sde: SDE, x_t: Tensor, t: Tensor, denoised: Tensor) -> Tensor:
    """Give the noise that a denoised guess implies, ε = (x_t - m_t - α_t D) / σ_t.

    Parameters
    ----------
    sde
        The forward process.
    x_t, t
        Noisy data ``(batch, *event)`` and their time, ``()`` or ``(batch,)``.
    denoised
        D(x_t, t), ``(batch, *event)``.

    Returns
    -------
    Tensor
        ε, ``(batch, *event)``.
    """
    return (x_t - sde.mean(denoised, t)) / expand(sde.sigma(t), x_t)


def score(denoiser: Denoiser, x_t: Tensor, t: Tensor) -> Tensor:
    """Give the score of the noisy marginal by Tweedie, (α_t D + m_t - x_t) / σ_t².

    Parameters
    ----------
    denoiser
        The posterior mean; one with a memory (self-conditioning) remembers this call, and gives a
        score that depends on the call before it.
    x_t, t
        Noisy data ``(batch, *event)`` and their time, ``()`` or ``(batch,)``.

    Returns
    -------
    Tensor
        ∇ log p_t(x_t), ``(batch, *event)``.
    """
    sde = denoiser.sde
    return -predict_noise(sde, x_t, t, denoiser(x_t, t)) / expand(sde.sigma(t), x_t)

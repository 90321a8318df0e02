r"""The denoising loss over all noise levels: what diffusion models are trained by.

.. math:: L = \tfrac12 \int w(t) \, E_{x_0, \epsilon} \big\| D(x_t) - x_0 \big\|^2 \, dt,
          \qquad x_t = \alpha_t x_0 + m_t + \sigma_t \epsilon

Its minimum over all functions is the posterior mean :math:`E[x_0 \mid x_t]`, for every positive
weight. The integral is estimated at one random time for each sample.

References
----------
Vincent, "A connection between score matching and denoising autoencoders", 2011. Song,
Sohl-Dickstein, Kingma, Kumar, Ermon, Poole, "Score-based generative modeling through stochastic
differential equations", 2021, equation 7.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from protdiff.diffusion.broadcasting import check_shape, sum_event
from protdiff.diffusion.denoiser import Denoiser
from protdiff.diffusion.noise import Noise
from protdiff.diffusion.objective.time_sampling import LogNormalTimes, TimeSampler
from protdiff.diffusion.objective.weighting import EDMWeighting, Weighting

__all__ = ["DenoisingLoss", "DenoisingTerms"]


@dataclass(frozen=True, eq=False)
class DenoisingTerms:
    r"""The loss of each sample of a batch, and what it was made of.

    Attributes
    ----------
    loss
        To be averaged, ``(batch,)``.
    squared_error
        :math:`\| D(x_t) - x_0 \|^2`, summed over the event, ``(batch,)``.
    weight
        What half the squared error was multiplied by, ``(batch,)``.
    t
        The times, ``(batch,)``.
    """

    loss: Tensor
    squared_error: Tensor
    weight: Tensor
    t: Tensor


class DenoisingLoss:
    r"""Weighted denoising loss, :math:`\tfrac12 w(t) \| D(x_t) - x_0 \|^2` at random times.

    Parameters
    ----------
    weighting
        :math:`w(t)`.
    times
        The density :math:`p(t)` of the times.
    integrate
        True: divide by p, so that the mean is the integral :math:`\tfrac12 \int w E\|D - x_0\|^2
        dt` whatever p, which is then only importance sampling. False: p is part of the weight, as
        in EDM.

    References
    ----------
    Song, Durkan, Murray, Ermon, "Maximum likelihood training of score-based diffusion models",
    2021. Karras, Aittala, Aila, Laine, "Elucidating the design space of diffusion-based generative
    models", 2022.
    """

    def __init__(
        self,
        weighting: Weighting | None = None,
        times: TimeSampler | None = None,
        *,
        integrate: bool = False,
    ) -> None:
        self.weighting = EDMWeighting() if weighting is None else weighting
        self.times = LogNormalTimes() if times is None else times
        self.integrate = integrate

    def __call__(
        self,
        denoiser: Denoiser,
        x_0: Tensor,
        *,
        noise: Noise,
        generator: torch.Generator | None = None,
    ) -> DenoisingTerms:
        """Give the loss of a batch.

        Parameters
        ----------
        denoiser
            The model.
        x_0
            Data, ``(batch, *event)``.
        noise
            Gives ε, in the space of the data.
        generator
            The numbers of the times; None takes torch's own.

        Returns
        -------
        DenoisingTerms
            Differentiable in the model's parameters.

        Raises
        ------
        InputError
            The model gives another shape than that of the data.
        """
        sde = denoiser.sde
        t = self.times(sde, len(x_0), generator)
        weight = self.weighting(sde, t)
        if self.integrate:
            weight = weight / self.times.density(sde, t)
        t, weight = t.to(x_0), weight.to(x_0)
        x_t = sde.perturb(x_0, t, noise(x_0))
        denoised = check_shape(denoiser(x_t, t), x_0.shape, "the denoised mean")
        squared_error = sum_event((denoised - x_0).square())
        return DenoisingTerms(0.5 * weight * squared_error, squared_error, weight, t)

r"""Preconditioning: a regression target of unit variance at every noise level.

For :math:`y = x_0 + s\epsilon` and data of unit variance, Karras et al. 2022 write the denoiser as

.. math:: D(y, s) = c_{skip}(s)\, y + c_{out}(s)\, F(c_{in}(s)\, y,\ \ln s / 4)

.. math:: c_{skip} = \frac{1}{1+s^2},\quad c_{out} = \frac{s}{\sqrt{1+s^2}},\quad
          c_{in} = \frac{1}{\sqrt{1+s^2}} .

With the loss :math:`|D - x_0|^2 / c_{out}^2` the network *F* regresses on a target of unit variance
whatever the noise. Here *F* is a sum of layer-wise displacements, so :math:`c_{skip}\,y`, the best
guess of one who knows only the size of proteins, is the structure that the first layer sees.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

__all__ = ["Preconditioning", "get_preconditioning"]


class Preconditioning(NamedTuple):
    """The three coefficients, each of the shape of the noise ratio."""

    skip: Tensor
    out: Tensor
    scale_in: Tensor


def get_preconditioning(noise_ratio: Tensor) -> Preconditioning:
    """Return the coefficients for noise ratios ``s = sigma / alpha`` and unit data variance.

    Examples
    --------
    >>> import torch
    >>> skip, out, scale_in = get_preconditioning(torch.tensor([1.0]))
    >>> skip.item(), round(out.item(), 4), round(scale_in.item(), 4)
    (0.5, 0.7071, 0.7071)
    """
    # Double precision, rounded once: the same numbers whatever the size of the batch.
    ratio = noise_ratio.double()
    variance = 1 + ratio.square()
    coefficients = (1 / variance, ratio * variance.rsqrt(), variance.rsqrt())
    return Preconditioning(*(c.to(noise_ratio) for c in coefficients))

"""Distances on Gaussian radial bases."""

from __future__ import annotations

from torch import Tensor

__all__ = ["get_radial_bases"]

_SMALLEST_EXPONENT = -80.0  # results under 1e-38, of -87 and less, take a CPU 36 times longer


def get_radial_bases(distance: Tensor, centres: Tensor, width: float) -> Tensor:
    r"""Give :math:`\exp(-((d - c)/w)^2)`, and about 1e-35 where that would be less.

    Parameters
    ----------
    distance, centres
        Of shapes that broadcast, in one unit.
    width
        In the same unit.
    """
    exponent = -((distance - centres) / width).square()
    return exponent.clamp(min=_SMALLEST_EXPONENT).exp()

r"""The Fokker–Planck equation in one dimension, solved on a grid.

The density of a linear SDE evolves as

.. math::  \frac{\partial p}{\partial t} = -\frac{\partial}{\partial x} [(f x + b)\, p]
           + \frac{g^2}{2} \frac{\partial^2 p}{\partial x^2} .

It is written as the balance of the currents through the walls of cells. A current is fitted
exponentially (Scharfetter and Gummel 1969), which is exact for a constant drift, so the density
stays positive whatever wins, drift or diffusion; what leaves a cell enters its neighbour, so the
mass is kept to rounding. Time steps are Crank and Nicolson's, of second order; a step that is long
against h²/g² may take a density below zero where it is sharp.

References
----------
Fokker (1914); Planck (1917); Risken (1989), The Fokker–Planck equation; Scharfetter and Gummel
(1969), Large-signal analysis of a silicon Read diode oscillator; Chang and Cooper (1970), A
practical difference scheme for Fokker–Planck equations.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from protdiff.diffusion.broadcasting import check_shape
from protdiff.diffusion.sde import SDE
from protdiff.diffusion.time_grid import check_forward_times
from protdiff.errors import InputError

__all__ = ["solve_fokker_planck"]


def solve_fokker_planck(sde: SDE, positions: Tensor, density: Tensor, times: Tensor) -> Tensor:
    """Evolve a density in one dimension under the forward SDE; its walls let nothing through.

    Parameters
    ----------
    sde
        The forward process.
    positions
        The cells' centres, ``(cell,)``, evenly spaced.
    density
        p at the first time, ``(cell,)``.
    times
        ``(steps + 1,)``, never falling: backwards the equation has no stable solution.

    Returns
    -------
    Tensor
        p at every time, ``(steps + 1, cell)``, double precision.

    Raises
    ------
    InputError
        The positions are uneven, the density is not one number for each, or the times fall.
    """
    positions, current = positions.double(), density.double()
    spacing = positions.diff()
    if positions.ndim != 1 or not torch.allclose(spacing, spacing[:1].expand_as(spacing)):
        raise InputError("the positions of a Fokker–Planck grid must be evenly spaced")
    check_shape(current, positions.shape, "the density")
    densities = [current]
    identity = torch.eye(len(positions), dtype=torch.float64)
    for s, t in pairwise(check_forward_times(sde, times)):
        rates = _build_rates(sde, positions, (s + t) / 2) * (t - s) / 2
        current = torch.linalg.solve(identity - rates, (identity + rates) @ current)
        densities.append(current)
    return torch.stack(densities)


def _build_rates(sde: SDE, positions: Tensor, t: Tensor) -> Tensor:
    """Give the matrix A of dp/dt = A p, (cell, cell); its columns sum to zero."""
    width = positions[1] - positions[0]
    walls = (positions[1:] + positions[:-1]) / 2
    drift = sde.drift_coefficient(t) * walls + sde.drift_bias(t)
    diffusivity = sde.diffusion_coefficient(t).square() / 2
    # The current through a wall is (D/h) [B(-P) p_left - B(P) p_right], P = drift h / D.
    peclet = drift * width / diffusivity
    to_right = diffusivity / width.square() * _bernoulli(-peclet)
    to_left = diffusivity / width.square() * _bernoulli(peclet)
    outflow = torch.zeros_like(positions)
    outflow[:-1] += to_right
    outflow[1:] += to_left
    return torch.diag(-outflow) + torch.diag(to_right, -1) + torch.diag(to_left, 1)


def _bernoulli(z: Tensor) -> Tensor:
    """Give z / (exp(z) - 1), which is 1 at 0."""
    small = z.abs() < 1e-8
    safe = torch.where(small, 1.0, z)
    return torch.where(small, 1 - z / 2, safe / torch.expm1(safe))

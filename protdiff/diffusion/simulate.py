"""The forward SDE, simulated step by step.

No model needs this, because the kernel is known in closed form; it is how one sees that the closed
form is right.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from protdiff.diffusion.broadcasting import expand
from protdiff.diffusion.noise import Noise
from protdiff.diffusion.sde import SDE
from protdiff.diffusion.time_grid import check_forward_times

__all__ = ["simulate"]


@torch.no_grad()
def simulate(sde: SDE, x_0: Tensor, times: Tensor, noise: Noise) -> Tensor:
    r"""Simulate the forward SDE by Euler and Maruyama; the path has no gradient.

    .. math::  x_{t + δ} = x_t + [f(t) x_t + b(t)] δ + g(t) \sqrt δ\; ξ .

    Coefficients are taken at the middle of each step, which for noise that does not depend on x
    costs nothing and follows a steep schedule better.

    Parameters
    ----------
    sde
        The forward process.
    x_0
        The state at the first time, ``(batch, *event)``.
    times
        ``(steps + 1,)``, never falling.
    noise
        Where the numbers come from.

    Returns
    -------
    Tensor
        The path, ``(steps + 1, batch, *event)``.

    Raises
    ------
    InputError
        The times fall, or leave the range of the process.

    References
    ----------
    Maruyama (1955), Continuous Markov processes and stochastic equations.
    """
    path = [x_0]
    for s, t in pairwise(check_forward_times(sde, times)):
        x, middle, duration = path[-1], (s + t) / 2, t - s
        fresh = expand(sde.diffusion_coefficient(middle) * duration.sqrt(), x) * noise(x)
        path.append(x + duration * sde.drift(x, middle) + fresh)
    return torch.stack(path)

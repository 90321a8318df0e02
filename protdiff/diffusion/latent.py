r"""Latent codes: the probability flow as a one-to-one map between data and the prior.

Encoding carries x_0 up the flow to its code x_T, decoding carries a code down again. Codes of data
are normal around the shift m_T of the SDE, which is zero of most, so the straight way between two
of them leaves the shell where the prior has its mass; the great circle does not (White 2016).

References
----------
Song et al. (2021), Score-based generative modeling through stochastic differential equations,
section 4.3; White (2016), Sampling generative networks.
"""

from __future__ import annotations

import torch
from torch import Tensor

from protdiff.diffusion.broadcasting import expand, flatten_event
from protdiff.diffusion.denoiser import Denoiser, MovingFrame
from protdiff.diffusion.probability_flow import find_noise_ratios, solve_flow
from protdiff.errors import InputError

__all__ = ["decode", "encode", "interpolate", "measure_round_trip", "slerp"]


@torch.no_grad()
def encode(
    denoiser: Denoiser,
    x_0: Tensor,
    *,
    noise_ratio_min: float | None = None,
    rtol: float = 1e-5,
    atol: float = 1e-5,
) -> Tensor:
    """Carry data up the probability flow to their codes.

    Parameters
    ----------
    denoiser
        The posterior mean; it must have no memory (self-conditioning off), as the solver goes back
        and forth in time.
    x_0
        Data, ``(batch, *event)``.
    noise_ratio_min
        Where the flow starts; None takes the SDE's.
    rtol, atol
        Relative and absolute tolerance of a step of the solver.

    Returns
    -------
    Tensor
        x_T, ``(batch, *event)``.
    """
    frame, sde = MovingFrame(denoiser), denoiser.sde
    k_min, k_max = find_noise_ratios(sde, noise_ratio_min)
    y_T = solve_flow(frame, x_0, k_min, k_max, rtol=rtol, atol=atol)
    return sde.mean(y_T, torch.tensor(sde.t_max, dtype=torch.float64))


@torch.no_grad()
def decode(
    denoiser: Denoiser,
    x_T: Tensor,
    *,
    noise_ratio_min: float | None = None,
    rtol: float = 1e-5,
    atol: float = 1e-5,
) -> Tensor:
    """Carry codes down the probability flow to data: the inverse of :func:`encode`.

    Parameters
    ----------
    denoiser
        The posterior mean, without memory as for :func:`encode`.
    x_T
        Codes, ``(batch, *event)``.
    noise_ratio_min
        Where the flow ends; None takes the SDE's.
    rtol, atol
        Relative and absolute tolerance of a step of the solver.

    Returns
    -------
    Tensor
        x_0, ``(batch, *event)``.
    """
    frame, sde = MovingFrame(denoiser), denoiser.sde
    k_min, k_max = find_noise_ratios(sde, noise_ratio_min)
    t_max = torch.tensor(sde.t_max, dtype=torch.float64)
    y_T = (x_T - sde.shift(t_max)) / sde.alpha(t_max)
    return solve_flow(frame, y_T, k_max, k_min, rtol=rtol, atol=atol)


def measure_round_trip(
    denoiser: Denoiser,
    x_0: Tensor,
    *,
    noise_ratio_min: float | None = None,
    rtol: float = 1e-5,
    atol: float = 1e-5,
) -> Tensor:
    """Measure how well encoding and decoding give the data back.

    Parameters
    ----------
    denoiser, x_0, noise_ratio_min, rtol, atol
        As for :func:`encode`.

    Returns
    -------
    Tensor
        The root mean square of the difference over each event, ``(batch,)``, in the data's unit.
    """
    codes = encode(denoiser, x_0, noise_ratio_min=noise_ratio_min, rtol=rtol, atol=atol)
    back = decode(denoiser, codes, noise_ratio_min=noise_ratio_min, rtol=rtol, atol=atol)
    return flatten_event(back - x_0).square().mean(1).sqrt()


def slerp(start: Tensor, end: Tensor, fraction: float, centre: float | Tensor = 0.0) -> Tensor:
    r"""Go along the great circle between two codes.

    .. math::  \frac{\sin((1 - u) Ω)\, a + \sin(u Ω)\, b}{\sin Ω}, \qquad
               \cos Ω = \frac{a \cdot b}{|a| |b|} .

    Parameters
    ----------
    start, end
        a and b, ``(batch, *event)``.
    fraction
        u, from 0 (a) to 1 (b).
    centre
        Of the circle: m_T of an SDE with a shift, ``sde.shift(t)`` at its last time.

    Returns
    -------
    Tensor
        ``(batch, *event)``.

    References
    ----------
    Shoemake (1985), Animating rotation with quaternion curves.

    Examples
    --------
    >>> half_way = slerp(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), 0.5)
    >>> round(float(half_way.norm()), 5)
    1.0
    """
    start, end = start - centre, end - centre
    a, b = flatten_event(start), flatten_event(end)
    # The half-angle form keeps its precision for nearly parallel codes, where arccos has none.
    a_hat, b_hat = (code / code.norm(dim=1, keepdim=True).clamp(min=1e-30) for code in (a, b))
    angle = 2 * torch.atan2((a_hat - b_hat).norm(dim=1), (a_hat + b_hat).norm(dim=1))
    # sinc handles equal codes; opposite codes have no shortest way, and give a straight one.
    sine = torch.sinc(angle / torch.pi)
    first = (1 - fraction) * torch.sinc((1 - fraction) * angle / torch.pi) / sine
    last = fraction * torch.sinc(fraction * angle / torch.pi) / sine
    opposite = sine.abs() < 1e-4
    first = torch.where(opposite, 1 - fraction, first)
    last = torch.where(opposite, fraction, last)
    return expand(first, start) * start + expand(last, end) * end + centre


def interpolate(start: Tensor, end: Tensor, number: int, centre: float | Tensor = 0.0) -> Tensor:
    """Give evenly spaced codes on the great circle between two, both ends included.

    Parameters
    ----------
    start, end
        Codes of one element, ``(*event)``.
    number
        How many, at least 2.
    centre
        As for :func:`slerp`.

    Returns
    -------
    Tensor
        ``(number, *event)``.
    """
    if number < 2:
        raise InputError(f"{number} codes do not reach from one to another; ask for at least 2")
    fractions = torch.linspace(0, 1, number).tolist()
    return torch.cat([slerp(start[None], end[None], fraction, centre) for fraction in fractions])

r"""The probability-flow ODE, solved to a tolerance.

The marginals of a diffusion are also those of a deterministic flow. In y = (x - m)/α and log k,
with k = σ/α the noise ratio, it is the same for every linear SDE,

.. math::  \frac{dy}{d \log k} = y - D(x_t, t),

and runs both ways: down in k it makes a sample of a code, up in k it makes a code of a sample. It
needs no noise, so the map between the two is one to one, which is what likelihoods and
latent codes are built on.

References
----------
Song et al. (2021), Score-based generative modeling through stochastic differential equations,
section 4.3; Chen et al. (2018), Neural ordinary differential equations.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from protdiff.diffusion.denoiser import Denoiser
from protdiff.diffusion.sde import SDE
from protdiff.errors import InputError, ProtdiffError

__all__ = ["find_noise_ratios", "integrate", "solve_flow"]

State = tuple[Tensor, ...]


def integrate(
    velocity: Callable[[Tensor, State], State],
    state: State,
    log_k: tuple[Tensor, Tensor],
    *,
    rtol: float,
    atol: float,
) -> State:
    """Integrate an equation in log k by Dormand and Prince's pair, with error control.

    Parameters
    ----------
    velocity
        (log k, state) -> derivative of the state.
    state
        Tensors at the start.
    log_k
        Start and end.
    rtol, atol
        Relative and absolute tolerance of a step.

    Returns
    -------
    tuple of Tensor
        The state at the end.
    """
    from torchdiffeq import odeint  # imported here because it is slow to import

    span = torch.stack(log_k).to(state[0].device, torch.float64)
    try:
        path = odeint(velocity, state, span, rtol=rtol, atol=atol, method="dopri5")
    except AssertionError as error:  # torchdiffeq's way to say that a step became too short
        raise ProtdiffError(
            f"the probability flow could not be solved with rtol = {rtol:g} and atol = {atol:g} "
            f"({error}); allow a larger tolerance or work in double precision"
        ) from error
    return tuple(tensor[-1] for tensor in path)


def solve_flow(
    denoiser: Denoiser,
    y: Tensor,
    k_start: Tensor,
    k_end: Tensor,
    *,
    rtol: float,
    atol: float,
) -> Tensor:
    """Carry y = (x - m)/α along the probability flow from one noise ratio to another.

    Parameters
    ----------
    denoiser
        The posterior mean under an SDE without shift, or a MovingFrame.
    y
        The scaled state at the start, ``(batch, *event)``.
    k_start, k_end
        Noise ratios, ``()``, double precision; the end may lie above or below the start.
    rtol, atol
        Relative and absolute tolerance of a step, the latter in units of the data.

    Returns
    -------
    Tensor
        y at the end, ``(batch, *event)``.
    """
    sde = denoiser.sde

    def velocity(log_k: Tensor, state: State) -> State:
        time = sde.time_of_noise_ratio(log_k.cpu().double().exp())
        return (state[0] - denoiser(sde.alpha(time) * state[0], time),)

    return integrate(velocity, (y,), (k_start.log(), k_end.log()), rtol=rtol, atol=atol)[0]


def find_noise_ratios(sde: SDE, smallest: float | None) -> tuple[Tensor, Tensor]:
    """Give the ends of the flow, ``()`` in double precision; None takes the SDE's smallest.

    Raises
    ------
    InputError
        The smallest is not between 0 and the SDE's largest.
    """
    k_min = sde.noise_ratio(torch.tensor(sde.t_min, dtype=torch.float64))
    if smallest is not None:
        k_min = torch.tensor(smallest, dtype=torch.float64)
    if not 0 < k_min < sde.noise_ratio_max:
        raise InputError(
            f"noise_ratio_min = {float(k_min):g} is no start of a flow up to "
            f"{sde.noise_ratio_max:g}; give one above 0 and below that"
        )
    return k_min, torch.tensor(sde.noise_ratio_max, dtype=torch.float64)

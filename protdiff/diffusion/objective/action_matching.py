r"""Action matching: the velocity of a moving density, learned from its snapshots alone.

Given only samples of :math:`q_t` at every time, unpaired between times, there is one *gradient*
field that moves them, :math:`\partial_t q_t = -\nabla \cdot (q_t \nabla s^*_t)`; its potential
:math:`s^*` is the action. For a model :math:`s_t(x)` the gap

.. math:: \tfrac12 \int_0^1 E_{q_t} \| \nabla s_t - \nabla s^*_t \|^2 dt

becomes, by integration by parts in space and in time, an expectation over samples,

.. math:: L = E_{q_0}[s_0] - E_{q_1}[s_1]
          + \int_0^1 E_{q_t}\Big[ \tfrac12 \| \nabla s_t \|^2 + \partial_t s_t \Big] dt,

up to a constant: :math:`L = \text{gap} - \tfrac12 \int E\|\nabla s^*\|^2`. (It is to action
matching what Hyvärinen's loss is to score matching.) Samples are then moved from one time to
another by :math:`dx/dt = \nabla s_t(x)`, without noise. Of all fields that move the density this
one has the least kinetic energy (Benamou and Brenier 2000). For the noising process of an SDE,
whose probability-flow velocity is a gradient, it is that velocity.

References
----------
Neklyudov, Brekelmans, Severo, Makhzani, "Action matching: learning stochastic dynamics from
samples", 2023. Benamou, Brenier, "A computational fluid mechanics solution to the Monge-Kantorovich
mass transfer problem", 2000.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from protdiff.diffusion.broadcasting import check_shape, sum_event

__all__ = ["Action", "action_matching_loss", "action_velocity", "transport"]

Action = Callable[[Tensor, Tensor], Tensor]


def action_matching_loss(
    action: Action,
    x_start: Tensor,
    x_end: Tensor,
    x_t: Tensor,
    t: Tensor,
    *,
    density: Tensor | None = None,
) -> Tensor:
    r"""Give the action-matching loss of a batch.

    .. math:: L = E_{q_0}[s_0] - E_{q_1}[s_1] + E_{t}\Big[ \frac{1}{p(t)} \big( \tfrac12 \|
              \nabla s_t(x_t) \|^2 + \partial_t s_t(x_t) \big) \Big]

    Parameters
    ----------
    action
        :math:`s`, a differentiable function of x ``(batch, *event)`` and t ``(batch,)`` to
        ``(batch,)``.
    x_start, x_end
        Samples of :math:`q_0` and of :math:`q_1`, ``(any, *event)``.
    x_t
        Samples of :math:`q_t`, ``(batch, *event)``.
    t
        Their times in [0, 1], ``(batch,)``.
    density
        p(t), the density the times were drawn from, ``(batch,)``; None: uniform.

    Returns
    -------
    Tensor
        ``()``, differentiable in the action's parameters.

    Raises
    ------
    InputError
        The action, the times or the density are not one number for each sample.

    References
    ----------
    Neklyudov, Brekelmans, Severo, Makhzani, "Action matching: learning stochastic dynamics from
    samples", 2023, algorithm 1.
    """
    check_shape(t, x_t.shape[:1], "the times")
    with torch.inference_mode(False), torch.enable_grad():
        # Copies, because what was made in inference mode cannot take part in a gradient.
        x, time = (tensor.detach().clone().requires_grad_() for tensor in (x_t, t.to(x_t)))
        gradient, rate = torch.autograd.grad(
            _evaluate(action, x, time).sum(), (x, time), create_graph=True, materialize_grads=True
        )
        inside = 0.5 * sum_event(gradient.square()) + rate
        if density is not None:
            inside = inside / check_shape(density, t.shape, "the density").to(inside)
        start = _evaluate(action, x_start.clone(), time.new_zeros(len(x_start)))
        end = _evaluate(action, x_end.clone(), time.new_ones(len(x_end)))
        return start.mean() - end.mean() + inside.mean()


def action_velocity(action: Action, x: Tensor, t: Tensor) -> Tensor:
    r"""Give the velocity :math:`\nabla s_t(x)`, ``(batch, *event)``.

    Parameters
    ----------
    action
        :math:`s`, of x ``(batch, *event)`` and t ``(batch,)`` to ``(batch,)``.
    x
        Positions, ``(batch, *event)``.
    t
        Time, ``()`` or ``(batch,)``.
    """
    with torch.inference_mode(False), torch.enable_grad():
        x, time = x.detach().clone().requires_grad_(), t.to(x, copy=True).expand(len(x))
        (velocity,) = torch.autograd.grad(
            _evaluate(action, x, time).sum(), x, materialize_grads=True
        )
    return velocity


@torch.no_grad()
def transport(action: Action, x: Tensor, times: Tensor) -> Tensor:
    r"""Move samples along :math:`dx/dt = \nabla s_t(x)` by the classical Runge-Kutta method.

    Parameters
    ----------
    action
        :math:`s`, of x ``(batch, *event)`` and t ``(batch,)`` to ``(batch,)``.
    x
        Samples at the first time, ``(batch, *event)``.
    times
        ``(steps + 1,)``, increasing or decreasing.

    Returns
    -------
    Tensor
        Samples at the last time, ``(batch, *event)``.
    """
    for t, s in pairwise(times):
        step, middle = s - t, (t + s) / 2
        first = action_velocity(action, x, t)
        second = action_velocity(action, x + step / 2 * first, middle)
        third = action_velocity(action, x + step / 2 * second, middle)
        fourth = action_velocity(action, x + step * third, s)
        x = x + step / 6 * (first + 2 * second + 2 * third + fourth)
    return x


def _evaluate(action: Action, x: Tensor, t: Tensor) -> Tensor:
    return check_shape(action(x, t), x.shape[:1], "the action")

r"""Score matching at one noise level: four estimates of one objective.

A model :math:`s(x)` of the score of a law q is fitted by :math:`J = \tfrac12 E_q \| s - \nabla \log
q \|^2`. **Explicit** score matching is that, where the score of q is known. Mostly it is not, and J
is rewritten, up to a constant, without it.

- **Implicit** (Hyvärinen 2005): integrating the cross term by parts,
  :math:`J = E_q[\tfrac12 \|s\|^2 + \mathrm{tr}\, \nabla s] + \tfrac12 E_q \|\nabla \log q\|^2`.
- **Sliced** (Song et al. 2019): the trace by Hutchinson's estimate,
  :math:`\mathrm{tr}\, \nabla s = E_v[v^T \nabla s \, v]` for :math:`E[v v^T] = I`.
- **Denoising** (Vincent 2011): for the noised law :math:`q_\sigma = q * N(0, \sigma^2)`, whose
  score is the mean of that of its kernel, :math:`J_\sigma = \tfrac12 E \| s(x + \sigma \epsilon) +
  \epsilon / \sigma \|^2 + \text{const}`.

The first three see samples of the very law whose score they fit, the last one of its noised copy;
the last needs no derivative of the network and is what diffusion models are trained by.

References
----------
Hyvärinen, "Estimation of non-normalized statistical models by score matching", 2005. Vincent, "A
connection between score matching and denoising autoencoders", 2011. Song, Garg, Shi, Ermon, "Sliced
score matching: a scalable approach to density and score estimation", 2019. Hutchinson, "A
stochastic estimator of the trace of the influence matrix", 1989.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from protdiff.diffusion.broadcasting import check_shape, flatten_event, sum_event
from protdiff.diffusion.noise import Noise
from protdiff.errors import InputError

__all__ = [
    "denoising_score_matching",
    "explicit_score_matching",
    "implicit_score_matching",
    "sliced_score_matching",
]

ScoreModel = Callable[[Tensor], Tensor]


def explicit_score_matching(score: ScoreModel, x: Tensor, true_score: Tensor) -> Tensor:
    r"""Give :math:`\tfrac12 \| s(x) - \nabla \log q(x) \|^2` of each sample.

    Parameters
    ----------
    score
        The model :math:`s`, ``(batch, *event)`` to the same.
    x
        Samples of q, ``(batch, *event)``.
    true_score
        :math:`\nabla \log q(x)`, ``(batch, *event)``.

    Returns
    -------
    Tensor
        ``(batch,)``.
    """
    return _half_square(_evaluate(score, x) - check_shape(true_score, x.shape, "the true score"))


def implicit_score_matching(score: ScoreModel, x: Tensor) -> Tensor:
    r"""Give :math:`\tfrac12 \| s(x) \|^2 + \mathrm{tr}\, \nabla s(x)` of each sample.

    The trace is exact and costs one backward pass for each coordinate of the event.

    Parameters
    ----------
    score
        The model :math:`s`, ``(batch, *event)`` to the same.
    x
        Samples of q, ``(batch, *event)``.

    Returns
    -------
    Tensor
        ``(batch,)``, differentiable in the model's parameters.

    References
    ----------
    Hyvärinen, "Estimation of non-normalized statistical models by score matching", 2005, theorem 1.
    """
    with torch.inference_mode(False), torch.enable_grad():
        # A copy, because what was made in inference mode cannot take part in a gradient.
        x = x.detach().clone().requires_grad_()
        s = _evaluate(score, x)
        trace = s.new_zeros(len(x))
        for index, component in enumerate(flatten_event(s).unbind(1)):
            (row,) = torch.autograd.grad(
                component.sum(), x, create_graph=True, materialize_grads=True
            )
            trace = trace + flatten_event(row)[:, index]
        return _half_square(s) + trace


def sliced_score_matching(
    score: ScoreModel, x: Tensor, *, noise: Noise, projections: int = 1
) -> Tensor:
    r"""Give :math:`\tfrac12 \|s\|^2 + \tfrac1M \sum_m v_m^T \nabla s \, v_m` of each sample.

    Only the trace is sliced, the norm being known (the paper's variance-reduced form).

    Parameters
    ----------
    score
        The model :math:`s`, ``(batch, *event)`` to the same.
    x
        Samples of q, ``(batch, *event)``.
    noise
        Gives the directions v, of unit covariance.
    projections
        M, the number of directions, one backward pass each.

    Returns
    -------
    Tensor
        ``(batch,)``, differentiable in the model's parameters.

    References
    ----------
    Song, Garg, Shi, Ermon, "Sliced score matching: a scalable approach to density and score
    estimation", 2019, equation 8.
    """
    if projections < 1:
        raise InputError(f"{projections} projections give no trace; ask for at least 1")
    with torch.inference_mode(False), torch.enable_grad():
        x = x.detach().clone().requires_grad_()  # a copy, as above
        s = _evaluate(score, x)
        trace = s.new_zeros(len(x))
        for _ in range(projections):
            direction = noise(x.detach())
            (product,) = torch.autograd.grad(
                (s * direction).sum(), x, create_graph=True, materialize_grads=True
            )
            trace = trace + sum_event(product * direction)
        return _half_square(s) + trace / projections


def denoising_score_matching(score: ScoreModel, x: Tensor, sigma: float, *, noise: Noise) -> Tensor:
    r"""Give :math:`\tfrac12 \| s(x + \sigma \epsilon) + \epsilon / \sigma \|^2` of each sample.

    Its minimum is the score of the *noised* law, :math:`q * N(0, \sigma^2)`.

    Parameters
    ----------
    score
        The model :math:`s`, ``(batch, *event)`` to the same.
    x
        Samples of q, ``(batch, *event)``.
    sigma
        :math:`\sigma > 0`.
    noise
        Gives :math:`\epsilon`.

    Returns
    -------
    Tensor
        ``(batch,)``.

    References
    ----------
    Vincent, "A connection between score matching and denoising autoencoders", 2011.
    """
    check_shape(torch.as_tensor(sigma), (), "sigma")
    if not 0 < sigma < math.inf:
        raise InputError(f"sigma = {float(sigma):g} must be positive and finite")
    epsilon = noise(x)
    return _half_square(_evaluate(score, x + sigma * epsilon) + epsilon / sigma)


def _evaluate(score: ScoreModel, x: Tensor) -> Tensor:
    return check_shape(score(x), x.shape, "the score")


def _half_square(x: Tensor) -> Tensor:
    return 0.5 * sum_event(x.square())

r"""The objective of noise-conditional score networks: denoising on a ladder of noise.

.. math:: L = \frac1K \sum_{i=1}^K \sigma_i^2 \cdot \tfrac12 E \Big\| s(x + \sigma_i \epsilon,
          \sigma_i) + \frac{\epsilon}{\sigma_i} \Big\|^2, \qquad
          \frac{\sigma_1}{\sigma_2} = \dots = \frac{\sigma_{K-1}}{\sigma_K} > 1 .

The factor :math:`\sigma_i^2` gives every rung a loss of one size, half the dimension for a model
that says nothing. The ladder is the discretisation of the variance-exploding SDE.

References
----------
Song, Ermon, "Generative modeling by estimating gradients of the data distribution", 2019, equations
5 and 6. Song, Ermon, "Improved techniques for training score-based generative models", 2020.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from protdiff.diffusion.broadcasting import check_shape, expand, sum_event
from protdiff.diffusion.noise import Noise

__all__ = ["ncsn_loss"]


def ncsn_loss(
    score: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Give the loss of each sample at a random rung of the ladder.

    Parameters
    ----------
    score
        The model :math:`s(\tilde x, \sigma)`, of ``(batch, *event)`` and ``(batch,)`` to
        ``(batch, *event)``.
    x
        Data, ``(batch, *event)``.
    sigmas
        The ladder, ``(rung,)``; see :class:`~protdiff.diffusion.discrete.NoiseLadder`.
    noise
        Gives :math:`\epsilon`.
    generator
        Chooses the rungs; None takes torch's own.

    Returns
    -------
    Tensor
        ``(batch,)``.

    References
    ----------
    Song, Ermon, "Generative modeling by estimating gradients of the data distribution", 2019.
    """
    rungs = torch.randint(len(sigmas), (len(x),), generator=generator)
    sigma = sigmas[rungs].to(x)
    epsilon = noise(x)
    predicted = check_shape(score(x + expand(sigma, x) * epsilon, sigma), x.shape, "the score")
    return 0.5 * sum_event((expand(sigma, x) * predicted + epsilon).square())

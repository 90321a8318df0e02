r"""Resampling of weighted particles, and their effective number.

With normalised weights :math:`w_i`, the effective sample size is :math:`1 / \sum w_i^2`: K for
equal weights, 1 when one particle has everything. Systematic resampling draws particle i either
:math:`\lfloor K w_i \rfloor` or :math:`\lceil K w_i \rceil` times with the mean :math:`K w_i`,
from one uniform number, and so adds the least noise of the usual schemes.

References
----------
Kong, Liu, Wong, "Sequential imputations and Bayesian missing data problems", 1994. Kitagawa, "Monte
Carlo filter and smoother for non-Gaussian nonlinear state space models", 1996. Douc, Cappé,
Moulines, "Comparison of resampling schemes for particle filtering", 2005.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from protdiff.errors import InputError

__all__ = ["effective_sample_size", "resample_systematically"]

Generators = torch.Generator | Sequence[torch.Generator] | None


def effective_sample_size(log_weights: Tensor) -> Tensor:
    r"""Give the effective sample size of each run, :math:`(\sum w_i)^2 / \sum w_i^2`.

    Parameters
    ----------
    log_weights
        Log weights up to a constant, ``(run, particle)``.

    Returns
    -------
    Tensor
        Between 1 and the number of particles, ``(run,)``.

    Examples
    --------
    >>> effective_sample_size(torch.tensor([[0.0, 0.0], [0.0, -100.0]]))
    tensor([2., 1.])
    """
    weights = torch.softmax(log_weights, dim=1)
    return 1.0 / weights.square().sum(1)


def resample_systematically(log_weights: Tensor, uniform: Tensor) -> Tensor:
    """Draw particles in proportion to their weights, run by run.

    Parameters
    ----------
    log_weights
        Log weights up to a constant, ``(run, particle)``.
    uniform
        One number in [0, 1) for each run, ``(run,)``.

    Returns
    -------
    Tensor
        The index of the particle that takes each place, ``(run, particle)``, increasing.

    References
    ----------
    Kitagawa, "Monte Carlo filter and smoother for non-Gaussian nonlinear state space models", 1996.

    Examples
    --------
    >>> weights = torch.tensor([[0.5, 0.25, 0.25, 0.0]])
    >>> resample_systematically(weights.log(), torch.tensor([0.5]))
    tensor([[0, 0, 1, 2]])
    """
    particles = log_weights.shape[1]
    places = torch.arange(particles, dtype=torch.float64, device=log_weights.device)
    return find_particles(log_weights, (places + uniform.to(places)[:, None]) / particles)


def find_particles(log_weights: Tensor, places: Tensor) -> Tensor:
    """Give the particle at places in [0, 1) of the weights laid end to end, ``(run, place)``.

    Parameters
    ----------
    log_weights
        Log weights up to a constant, ``(run, particle)``.
    places
        ``(run, place)``, double precision. A particle without weight has none.
    """
    # Double precision, so that the last place falls inside the sum of the weights.
    cumulative = torch.softmax(log_weights.double(), dim=1).cumsum(1)
    cumulative = cumulative / cumulative[:, -1:]
    last = log_weights.shape[1] - 1
    return torch.searchsorted(cumulative, places, right=True).clamp(max=last)


def draw_uniform(runs: int, generators: Generators) -> Tensor:
    """Draw one uniform number for each run, ``(run,)``, from one generator or from its own."""
    if isinstance(generators, Sequence):
        if len(generators) != runs:
            raise InputError(
                f"{len(generators)} generators came for {runs} runs; give one for each run"
            )
        return torch.cat([torch.rand(1, generator=generator) for generator in generators])
    return torch.rand(runs, generator=generators)

r"""The variational bound of a discrete diffusion model, and its two faces.

A sampler that walks down a grid :math:`t_T > \dots > t_1` by the ancestral kernel
:math:`p(x_s \mid x_t) = q(x_s \mid x_t, x_0 = D(x_t))` is a latent-variable model, and

.. math:: -\log p(x_0) \le
          \underbrace{KL[q(x_{t_T} | x_0) \,\|\, p(x_{t_T})]}_{\text{prior}}
          + \sum_{s < t} \underbrace{E_q\, KL[q(x_s | x_t, x_0) \,\|\, p(x_s | x_t)]}_{\text{step}}
          + \underbrace{E_q[-\log p(x_0 | x_{t_1})]}_{\text{reconstruction}} .

Both kernels of a step are Gaussians of one variance, whose means differ by that of
:math:`x_0` and :math:`D`, and their divergence is a **weighted denoising loss**,

.. math:: KL = \tfrac12 \Big( \frac{1}{k_s^2} - \frac{1}{k_t^2} \Big) \| x_0 - D(x_t) \|^2 ,

with :math:`1/k^2` the signal-to-noise ratio. As the grid is refined the sum becomes
:math:`\tfrac12 \int (-d k_t^{-2}/dt) E \|x_0 - D\|^2 dt`, the denoising loss with the likelihood
weighting, which :mod:`protdiff.diffusion.variational` estimates as a bound on the likelihood.
:func:`compute_discrete_bound` computes the divergences as they stand in the first formula,
:func:`step_weights` gives the weights of the second; a test holds them equal.

The prior is what sampling starts from at the first time of the grid, :math:`p(x_{t_T}) =
N(m_{t_T}, (\alpha_{t_T}^2 + \sigma_{t_T}^2) I)`, and the decoder is :math:`p(x_0 \mid x_{t_1}) =
N(D(x_{t_1}), k_{t_1}^2 I)`.

References
----------
Sohl-Dickstein, Weiss, Maheswaranathan, Ganguli, "Deep unsupervised learning using nonequilibrium
thermodynamics", 2015. Ho, Jain, Abbeel, "Denoising diffusion probabilistic models", 2020, equation
5. Kingma, Salimans, Poole, Ho, "Variational diffusion models", 2021, equation 13.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from protdiff.diffusion.broadcasting import sum_event
from protdiff.diffusion.denoiser import Denoiser
from protdiff.diffusion.noise import Noise
from protdiff.diffusion.sde import SDE
from protdiff.diffusion.subspace import FullSpace, Subspace
from protdiff.diffusion.time_grid import check_times

__all__ = ["DiscreteBound", "compute_discrete_bound", "step_weights"]


@dataclass(frozen=True, eq=False)
class DiscreteBound:
    """The terms of the bound, −log p(x_0) ≤ prior + Σ steps + reconstruction, in nats.

    Attributes
    ----------
    prior
        ``(batch,)``.
    steps
        ``(step, batch)``, in the order of the grid, from the largest noise.
    reconstruction
        ``(batch,)``.
    squared_errors
        ‖x_0 − D(x_t)‖² at the start of each step, ``(step, batch)``.
    """

    prior: Tensor
    steps: Tensor
    reconstruction: Tensor
    squared_errors: Tensor

    @property
    def total(self) -> Tensor:
        """The bound, ``(batch,)``: an estimate that is at least −log p(x_0) in expectation."""
        return self.prior + self.steps.sum(0) + self.reconstruction


@torch.no_grad()
def compute_discrete_bound(
    denoiser: Denoiser,
    x_0: Tensor,
    times: Tensor,
    *,
    noise: Noise,
    subspace: Subspace | None = None,
) -> DiscreteBound:
    """Bound −log p(x_0) of the ancestral sampler on a grid, from one draw of noise a level.

    Parameters
    ----------
    denoiser
        The model; it must have no memory (self-conditioning off), as each call is on another noisy
        copy of the same x_0: what it remembers of the others would leak x_0, and the number would
        be no bound.
    x_0
        Data, ``(batch, *event)``.
    times
        ``(steps + 1,)``, never rising, from a time grid.
    noise
        Gives ε, in the space of the data.
    subspace
        The space of the data; None: the whole space.

    Returns
    -------
    DiscreteBound

    References
    ----------
    Ho, Jain, Abbeel, "Denoising diffusion probabilistic models", 2020, equation 5.
    """
    sde, grid = denoiser.sde, check_times(denoiser.sde, times)
    space = FullSpace(tuple(x_0.shape)) if subspace is None else subspace
    space.check(x_0)
    dimension = space.dimension.to(x_0)
    zero = torch.zeros_like(x_0)
    first, last = grid[0], grid[-1]
    prior = _divergence(
        sde.alpha(first) * x_0, sde.sigma(first), zero, sde.marginal_sigma(first), dimension
    )
    steps = x_0.new_zeros(len(grid) - 1, len(x_0))
    errors = torch.zeros_like(steps)
    for index, (t, s) in enumerate(pairwise(grid)):
        x_t = sde.perturb(x_0, t, noise(x_0))
        denoised = denoiser(x_t, t)
        bridge, centred = sde.bridge(t, s), x_t - sde.shift(t)
        true_mean = bridge.weight_0 * x_0 + bridge.weight_t * centred
        model_mean = bridge.weight_0 * denoised + bridge.weight_t * centred
        errors[index] = sum_event((x_0 - denoised).square())
        sigma = bridge.sigma
        if sigma > 0:  # a time that is repeated is no step, and costs nothing
            steps[index] = _divergence(true_mean, sigma, model_mean, sigma, dimension)
    denoised = denoiser.finish(sde.perturb(x_0, last, noise(x_0)), last)
    variance = sde.noise_ratio(last).square()
    squared = sum_event((x_0 - denoised).square())
    log_volume = dimension * (2.0 * math.pi * variance).log()
    reconstruction = 0.5 * (squared / variance + log_volume)
    return DiscreteBound(prior, steps, reconstruction, errors)


def step_weights(sde: SDE, times: Tensor) -> Tensor:
    r"""Give the weight of each step's squared error in the bound.

    .. math:: \tfrac12 (k_s^{-2} - k_t^{-2})

    Parameters
    ----------
    sde
        The forward process.
    times
        ``(steps + 1,)``, decreasing.

    Returns
    -------
    Tensor
        ``(steps,)``, double precision.

    References
    ----------
    Kingma, Salimans, Poole, Ho, "Variational diffusion models", 2021, equation 13.
    """
    signal_to_noise = sde.noise_ratio(times.detach().to("cpu", torch.float64)).square().reciprocal()
    return 0.5 * (signal_to_noise[1:] - signal_to_noise[:-1])


def _divergence(
    mean_q: Tensor, sigma_q: Tensor, mean_p: Tensor, sigma_p: Tensor, dimension: Tensor
) -> Tensor:
    """KL divergence between isotropic Gaussians, N(mean_q, sigma_q²) from N(mean_p, sigma_p²)."""
    ratio = (sigma_q / sigma_p).square()
    squared = sum_event((mean_q - mean_p).square())
    return 0.5 * (dimension * (ratio - 1.0 - ratio.log()) + squared / sigma_p.square())

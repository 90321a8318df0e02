r"""Log-likelihood of data by the probability-flow ODE.

A density carried by a flow changes by the flow's divergence. In y = (x - m)/α and log k, in a
subspace of d dimensions,

.. math::  \log p(x_0) = \log p(y_T) + \int_{\log k_{min}}^{\log k_{max}}
           \left[ d - α\, \mathrm{tr} \frac{\partial D}{\partial x_t} \right] d \log k ,

with p(y_T) from the Gaussian prior of x_T. The trace is exact, or Hutchinson's with probes that
stay the same along the flow, so that each probe gives one unbiased estimate of the whole integral
and their spread its standard error. The flow starts at a smallest noise ratio k_min: what is
computed is the density of data that carry that much noise, which differs from log p(x_0) by terms
of order k_min² / λ in a direction of variance λ. Likewise the prior knows nothing of what little
signal is left at t = 1, α_1 x_0: data should be centred.

References
----------
Chen et al. (2018), Neural ordinary differential equations; Grathwohl et al. (2019), FFJORD; Song et
al. (2021), Score-based generative modeling through stochastic differential equations, appendix D.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from protdiff.diffusion.broadcasting import sum_event
from protdiff.diffusion.denoiser import Denoiser, MovingFrame
from protdiff.diffusion.probability_flow import State, find_noise_ratios, integrate
from protdiff.diffusion.subspace import FullSpace, Subspace
from protdiff.diffusion.trace import ExactTrace, TraceEstimator, compute_quadratic_forms

__all__ = ["LogLikelihood", "compute_log_likelihood"]


@dataclass(frozen=True, eq=False)
class LogLikelihood:
    """Log-likelihoods of a batch, log p(x_0) = log p(y_T) + ∫ [d - α tr ∂D/∂x_t] d log k.

    Attributes
    ----------
    nats
        log p(x_0), ``(batch,)``.
    standard_error
        Of Hutchinson's estimate, in nats, ``(batch,)``; zero for the exact trace.
    dimension
        The dimensions d of each element's subspace, ``(batch,)``.
    latent
        x_T, where the flow carries the data, ``(batch, *event)``.
    evaluations
        How often the denoiser was called.
    """

    nats: Tensor
    standard_error: Tensor
    dimension: Tensor
    latent: Tensor
    evaluations: int

    @property
    def nats_per_dimension(self) -> Tensor:
        """Log p(x_0) / d, ``(batch,)``."""
        return self.nats / self.dimension.to(self.nats)

    @property
    def bits_per_dimension(self) -> Tensor:
        """-log2 p(x_0) / d, ``(batch,)``: the code length of a dimension; smaller is likelier."""
        return -self.nats_per_dimension / math.log(2)


@torch.inference_mode(False)
@torch.no_grad()
def compute_log_likelihood(
    denoiser: Denoiser,
    x_0: Tensor,
    subspace: Subspace | None = None,
    *,
    trace: TraceEstimator | None = None,
    noise_ratio_min: float | None = None,
    rtol: float = 1e-5,
    atol: float = 1e-5,
) -> LogLikelihood:
    """Compute log p(x_0) by the probability-flow ODE; what comes out has no gradient.

    Parameters
    ----------
    denoiser
        The posterior mean; it must be differentiable in x_t, its elements must not mix, and it
        must have no memory (self-conditioning off), as the solver goes back and forth in time.
    x_0
        Data in the subspace, ``(batch, *event)``.
    subspace
        Where the data live; None, the whole event space.
    trace
        How the divergence is found; None, exactly.
    noise_ratio_min
        k_min; None takes the SDE's.
    rtol, atol
        Relative and absolute tolerance of a step of the solver, by the error over the batch. What
        it errs is not in the standard error.

    Returns
    -------
    LogLikelihood
        With its standard error and the number of evaluations.

    Raises
    ------
    InputError
        The data are not in the subspace, or the denoiser cannot be differentiated.
    """
    frame, sde = MovingFrame(denoiser), denoiser.sde
    subspace = FullSpace(tuple(x_0.shape)) if subspace is None else subspace
    # A copy, because what was made in inference mode cannot take part in a gradient.
    x_0 = subspace.check(x_0).clone()
    trace = ExactTrace() if trace is None else trace
    dimension = subspace.dimension.to(x_0)
    probes = trace.draw(x_0, subspace)
    k_min, k_max = find_noise_ratios(sde, noise_ratio_min)

    def velocity(log_k: Tensor, state: State) -> State:
        time = sde.time_of_noise_ratio(log_k.cpu().double().exp())
        alpha = sde.alpha(time)
        denoised, forms = compute_quadratic_forms(
            lambda y: frame(alpha * y, time), state[0], probes
        )
        return state[0] - denoised, forms

    start = (x_0, torch.zeros(probes.shape[:2], dtype=x_0.dtype, device=x_0.device))
    y_T, forms = integrate(velocity, start, (k_min.log(), k_max.log()), rtol=rtol, atol=atol)

    integral, standard_error = trace.reduce(forms)
    t_max = torch.tensor(sde.t_max, dtype=torch.float64)
    z_T = sde.alpha(t_max) * y_T
    quadratic = sum_event((z_T / sde.prior_sigma).square())
    log_volume = math.log(2 * math.pi) + 2 * math.log(sde.prior_sigma) - 2 * sde.log_alpha(t_max)
    expansion = dimension * (k_max / k_min).log() - integral
    nats = expansion - (quadratic + dimension * log_volume) / 2
    return LogLikelihood(
        nats=nats,
        standard_error=standard_error,
        dimension=subspace.dimension,
        latent=z_T + sde.shift(t_max),
        evaluations=frame.evaluations,
    )

r"""The variational bound on the log-likelihood, in continuous time.

A diffusion model is a latent-variable model with infinitely many latents, and its evidence lower
bound needs no trace and no solver: in y = (x - m)/α and the noise ratio k, in d dimensions,

.. math::  \log p(x_0) \ge
           - \underbrace{KL[p(x_T | x_0) \,\|\, p(x_T)]}_{prior}
           - \underbrace{\int_{\log k_{min}}^{\log k_{max}}
                         \frac{E |x_0 - D(x_t)|^2}{k^2}\, d \log k}_{diffusion}
           - \underbrace{\tfrac d2 \log (2 π e\, k_{min}^2)}_{reconstruction} .

For a schedule in continuous time the integral depends on the schedule's ends alone. The bound is
that of the reverse *SDE*; with the exact D it is tight, whereas the probability-flow ODE has a
likelihood of its own.

References
----------
Kingma et al. (2021), Variational diffusion models, eqs. 11 and 17; Song et al. (2021), Maximum
likelihood training of score-based diffusion models.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from protdiff.diffusion.broadcasting import sum_event
from protdiff.diffusion.denoiser import Denoiser
from protdiff.diffusion.noise import Noise
from protdiff.diffusion.probability_flow import find_noise_ratios
from protdiff.diffusion.subspace import FullSpace, Subspace
from protdiff.errors import InputError

__all__ = ["VariationalBound", "compute_variational_bound"]


@dataclass(frozen=True, eq=False)
class VariationalBound:
    """The bound log p(x_0) ≥ -(prior + diffusion + reconstruction), in nats, each ``(batch,)``.

    Attributes
    ----------
    nats
        The bound: minus the sum of the terms.
    standard_error
        Of the diffusion term, which is estimated.
    prior, diffusion, reconstruction
        The terms.
    dimension
        The dimensions of each element's subspace.
    """

    nats: Tensor
    standard_error: Tensor
    prior: Tensor
    diffusion: Tensor
    reconstruction: Tensor
    dimension: Tensor

    @property
    def bits_per_dimension(self) -> Tensor:
        """The code length of a dimension in bits, ``(batch,)``; smaller is likelier."""
        return -self.nats / (self.dimension.to(self.nats) * math.log(2))


@torch.no_grad()
def compute_variational_bound(
    denoiser: Denoiser,
    x_0: Tensor,
    subspace: Subspace | None = None,
    *,
    noise: Noise,
    generator: torch.Generator | None = None,
    noise_ratio_min: float | None = None,
    strata: int = 32,
    replicates: int = 8,
) -> VariationalBound:
    """Estimate the variational bound on log p(x_0) by Monte Carlo.

    The integral over log k is stratified; the spread of independent replicates gives the error.

    Parameters
    ----------
    denoiser
        The posterior mean; it must have no memory (self-conditioning off), as each call is on
        another noisy copy of the same x_0: what it remembers of the others would leak x_0, and the
        number would be no bound.
    x_0
        Data in the subspace, ``(batch, *event)``.
    subspace
        Where the data and the noise live; None, the whole event space.
    noise
        Standard normal numbers in that subspace.
    generator
        On the CPU, for the noise ratios.
    noise_ratio_min
        k_min; None takes the SDE's.
    strata, replicates
        The denoiser is called their product of times.

    Returns
    -------
    VariationalBound
        The bound, its error and its terms.

    Raises
    ------
    InputError
        The data are not in the subspace, or the numbers leave no room.
    """
    if replicates < 2:
        raise InputError(f"{replicates} replicates give no standard error; ask for at least 2")
    if strata < 1:
        raise InputError(f"{strata} strata hold no noise ratio; ask for at least 1")
    sde = denoiser.sde
    subspace = FullSpace(tuple(x_0.shape)) if subspace is None else subspace
    subspace.check(x_0)
    dimension = subspace.dimension.to(x_0)
    k_min, k_max = find_noise_ratios(sde, noise_ratio_min)
    length = (k_max / k_min).log()

    totals = []
    for _ in range(replicates):
        total = torch.zeros_like(dimension)
        for stratum in range(strata):
            place = torch.rand(len(x_0), generator=generator, dtype=torch.float64)
            log_k = k_min.log() + length * (stratum + place) / strata
            t = sde.time_of_noise_ratio(log_k.exp()).to(x_0.device)
            x_t = sde.perturb(x_0, t, noise(x_0))
            squared = sum_event((x_0 - denoiser(x_t, t)).square())
            total += squared * (-2 * log_k).exp().to(x_0)
        totals.append(length * total / strata)
    replicated = torch.stack(totals)

    t_max = torch.tensor(sde.t_max, dtype=torch.float64)
    ratio = (sde.sigma(t_max) / sde.prior_sigma).square()
    carried = sum_event((sde.alpha(t_max) / sde.prior_sigma * x_0).square())
    prior = (dimension * (ratio - 1 - ratio.log()) + carried) / 2
    diffusion = replicated.mean(0)
    reconstruction = dimension * (math.log(2 * math.pi) + 1 + 2 * k_min.log()) / 2
    return VariationalBound(
        nats=-(prior + diffusion + reconstruction),
        standard_error=replicated.std(0) / math.sqrt(replicates),
        prior=prior,
        diffusion=diffusion,
        reconstruction=reconstruction,
        dimension=subspace.dimension,
    )

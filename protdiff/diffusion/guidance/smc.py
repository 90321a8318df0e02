r"""Sequential Monte Carlo: guidance whose error is corrected by weights.

Guidance approximates :math:`p(y \mid x_t)`, so its samples are biased. Sequential Monte Carlo
keeps K particles, moves them with the guided (*twisted*) kernel and weighs each by how much the
kernel differed from the right one; where the weights concentrate, particles are drawn anew in
proportion to them. As K grows the weighted particles follow the posterior of the (discretised)
model exactly, whatever the approximation, which only decides how many are needed.

**Twisted diffusion sampler** (Wu et al. 2023). The ancestral kernel
:math:`p(x_s \mid x_t) = N(a D + b x_t, c^2)` is proposed with :math:`D'` in place of :math:`D`, and

.. math:: w_s = w_t \, \frac{p(x_s \mid x_t)}{p(x_s \mid x_t; D')} \,
          \frac{\tilde p(y \mid x_s)}{\tilde p(y \mid x_t)}, \qquad
          \log \frac{p(x_s | x_t)}{p(x_s | x_t; D')}
          = - \frac{a}{c} \, \xi \cdot \delta - \frac{a^2}{2 c^2} |\delta|^2,

with :math:`\delta = D' - D` and :math:`\xi` the standard normal noise of the step. The mean weight
estimates the evidence :math:`p(y)` without bias.

**SMCDiff** (Trippe et al. 2023). Known coordinates follow one noising path of their values, and the
weight of a particle is the density that its kernel gives to the next point of that path.

The noise must be standard normal in the space of the data: a temperature would make the kernel
another one than the weights assume.

References
----------
Wu, Trippe, Naesseth, Blei, Cunningham, "Practical and asymptotically exact conditional sampling in
diffusion models", 2023. Trippe, Yim, Tischer, Baker, Broderick, Barzilay, Jaakkola, "Diffusion
probabilistic modeling of protein backbones in 3D for the motif-scaffolding problem", 2023. Del
Moral, Doucet, Jasra, "Sequential Monte Carlo samplers", 2006.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import pairwise

import torch
from torch import Tensor

from protdiff.diffusion.broadcasting import check_fit, sum_event
from protdiff.diffusion.denoiser import Denoiser, MovingFrame
from protdiff.diffusion.guidance.guided import GuidedDenoiser, GuidedEstimate
from protdiff.diffusion.guidance.resampling import (
    Generators,
    draw_uniform,
    effective_sample_size,
    find_particles,
    resample_systematically,
)
from protdiff.diffusion.noise import Noise
from protdiff.diffusion.sampler import Callback, StepInfo
from protdiff.diffusion.sde import SDE
from protdiff.diffusion.time_grid import check_times
from protdiff.errors import InputError

__all__ = ["SMCDiff", "SMCResult", "TwistedSMC"]


@dataclass(frozen=True, eq=False)
class SMCResult:
    r"""Weighted samples, and a report of how the weights fared.

    The posterior is :math:`\sum_i w_i \delta(x - x_i)`, and the effective sample size is
    :math:`1 / \sum_i w_i^2`, from 1 (one particle has all the weight) to their number.

    Attributes
    ----------
    samples
        ``(run * particle, *event)``, the particles of a run next to one another.
    log_weights
        Normalised log weights, ``(run, particle)``.
    log_evidence
        The estimate of log p(y), ``(run,)``, in nats; of SMCDiff up to the density of its path.
    effective_sample_sizes
        After each step's weighing, before any resampling, ``(step, run)``.
    resampled
        Whether each run was then resampled, ``(step, run)``.
    """

    samples: Tensor
    log_weights: Tensor
    log_evidence: Tensor
    effective_sample_sizes: Tensor
    resampled: Tensor

    @property
    def weights(self) -> Tensor:
        """Normalised weights, ``(run, particle)``."""
        return self.log_weights.exp()

    def draw(self, generator: Generators = None) -> Tensor:
        """Draw one sample of each run in proportion to its weights, ``(run, *event)``.

        Parameters
        ----------
        generator
            One generator, or one for each run; None takes torch's own.
        """
        runs, particles = self.log_weights.shape
        uniform = draw_uniform(runs, generator).to(self.log_weights.device, torch.float64)
        chosen = find_particles(self.log_weights, uniform[:, None])[:, 0]
        offsets = torch.arange(runs, device=chosen.device) * particles
        return self.samples[chosen + offsets]


class TwistedSMC:
    r"""Twisted diffusion sampler: guided particles with exact weights.

    .. math:: w_s = w_t \, \frac{p(x_s | x_t)}{p(x_s | x_t; D')} \,
              \frac{\tilde p(y | x_s)}{\tilde p(y | x_t)}

    The batch holds the particles of one or more independent runs, next to one another: element
    ``run * particles + particle``. One evaluation of the guided denoiser a step.

    Parameters
    ----------
    particles
        K, the particles of a run.
    ess_threshold
        A run is resampled when its effective sample size falls under this share of K. 0 never
        resamples (importance sampling); 1 resamples at every step.

    References
    ----------
    Wu, Trippe, Naesseth, Blei, Cunningham, "Practical and asymptotically exact conditional sampling
    in diffusion models", 2023.
    """

    def __init__(self, particles: int, *, ess_threshold: float = 0.5) -> None:
        self.particles, self.ess_threshold = _checked(particles, ess_threshold)

    @torch.no_grad()
    def __call__(
        self,
        guided: GuidedDenoiser,
        x_T: Tensor,
        times: Tensor,
        *,
        noise: Noise,
        generator: Generators = None,
        final_denoise: bool = True,
        callback: Callback | None = None,
    ) -> SMCResult:
        """Sample.

        Parameters
        ----------
        guided
            The guided denoiser; its log-likelihood at the last time should be that of clean data.
        x_T
            Draws of the prior, ``(run * particle, *event)``.
        times
            ``(steps + 1,)``, from a time grid.
        noise
            Standard normal in the space of the data.
        generator
            The numbers of the resampling: one generator, or one for each run.
        final_denoise
            Return the guided means at the last time; otherwise the states there, with their noise.
        callback
            Is shown every step, with the guided mean.

        Returns
        -------
        SMCResult
            The last guided means, or states, with their weights.
        """
        sde, grid = guided.sde, check_times(guided.sde, times)
        population = _Population(len(x_T), self.particles, self.ess_threshold, generator)
        # As in every sampler, steps are taken in the frame that moves with the shift of the SDE.
        x = x_T - sde.shift(grid[0])
        now = guided.evaluate(x_T, grid[0])
        population.weigh(now.log_likelihood)
        for index, (t, s) in enumerate(pairwise(grid)):
            if callback is not None:
                callback(StepInfo(index, t, x + sde.shift(t), now.guided, index + 1))
            indices = population.resample()
            if indices is not None:
                x, now = x[indices], _take(now, indices)
                guided.reorder(indices)
                noise.reorder(indices)
            weight_0, weight_t, sigma = _kernel(sde, t, s)
            xi = noise(x)
            x = weight_0 * now.guided + weight_t * x + sigma * xi
            # At a time that is repeated the particle stays where it is: there is nothing to weigh.
            pull = weight_0 / sigma if sigma > 0 else torch.zeros_like(sigma)
            delta = pull * (now.guided - now.denoised)
            log_ratio = -sum_event(delta * (xi + delta / 2))
            then = guided.evaluate(x + sde.shift(s), s)
            population.weigh(log_ratio + then.log_likelihood - now.log_likelihood)
            now = then
        x_t = x + sde.shift(grid[-1])
        if not final_denoise:
            return population.report(x_t)
        if callback is not None:
            callback(StepInfo(len(grid) - 1, grid[-1], x_t, now.guided, len(grid)))
        return population.report(now.guided)


class SMCDiff:
    r"""Particle filter for known coordinates, which follow one noising path of their values.

    With the path :math:`u_t \sim q(u_t \mid u_s)` from the values :math:`y`, known coordinates are
    set to :math:`u_t` and particles weighed by :math:`w = N(u_s; a D(x_t) + b u_t, c^2)` on them.
    Exact as K grows if the reverse process is exact.

    Parameters
    ----------
    particles
        K, the particles of a run; they share its path.
    ess_threshold
        A run is resampled when its effective sample size falls under this share of K.

    References
    ----------
    Trippe, Yim, Tischer, Baker, Broderick, Barzilay, Jaakkola, "Diffusion probabilistic modeling of
    protein backbones in 3D for the motif-scaffolding problem", 2023, algorithm 1.
    """

    def __init__(self, particles: int, *, ess_threshold: float = 0.5) -> None:
        self.particles, self.ess_threshold = _checked(particles, ess_threshold)

    @torch.no_grad()
    def __call__(
        self,
        denoiser: Denoiser,
        observed_mask: Tensor,
        observed: Tensor,
        x_T: Tensor,
        times: Tensor,
        *,
        noise: Noise,
        generator: Generators = None,
        callback: Callback | None = None,
    ) -> SMCResult:
        """Sample.

        Parameters
        ----------
        denoiser
            The unconditional denoiser.
        observed_mask
            True where a coordinate is known, broadcasting to ``(batch, *event)``.
        observed
            Their values, broadcasting to ``(batch, *event)``.
        x_T, times, noise, generator, callback
            As for :class:`TwistedSMC`; the callback sees the unconditional mean.

        Returns
        -------
        SMCResult
            The last denoised means, with what is known written into them, and their weights.

        Raises
        ------
        InputError
            The times make no run, or none with a step, which is what weighs.
        """
        frame, grid = MovingFrame(denoiser), check_times(denoiser.sde, times)
        sde = frame.sde
        if len(grid) < 2:
            raise InputError("SMCDiff weighs its particles by steps; give at least 2 times, not 1")
        population = _Population(len(x_T), self.particles, self.ess_threshold, generator)
        mask = check_fit(observed_mask, x_T, "the mask").to(x_T.device).expand(x_T.shape)
        values = torch.where(mask, check_fit(observed, x_T, "what is known").to(x_T), 0.0)
        path = sde.alpha(grid[0]) * values + sde.sigma(grid[0]) * self._share(noise(x_T))
        x = torch.where(mask, path, x_T - sde.shift(grid[0]))
        denoised = frame(x, grid[0])
        for index, (t, s) in enumerate(pairwise(grid)):
            if callback is not None:
                callback(StepInfo(index, t, x + sde.shift(t), denoised, index + 1))
            # The path backwards: q(u_s | u_t, y) has the law of the noising path read in reverse.
            weight_0, weight_t, sigma = _kernel(sde, t, s)
            path = weight_0 * values + weight_t * path + sigma * self._share(noise(x))
            mean = weight_0 * denoised + weight_t * x
            if sigma > 0:
                residual = torch.where(mask, (path - mean) / sigma, 0.0)
                constant = (sigma.log() + 0.5 * math.log(2.0 * math.pi)) * sum_event(mask)
                weight = -0.5 * sum_event(residual.square()) - constant.to(residual)
            else:  # a time that is repeated, where all stay where they are
                weight = x.new_zeros(len(x))
            population.weigh(weight)
            indices = population.resample()
            if indices is not None:
                mean, path = mean[indices], path[indices]
                denoiser.reorder(indices)
                noise.reorder(indices)
            x = torch.where(mask, path, mean + sigma * noise(x))
            denoised = frame(x, s)
        if callback is not None:
            x_t = x + sde.shift(grid[-1])
            callback(StepInfo(len(grid) - 1, grid[-1], x_t, denoised, len(grid)))
        return population.report(torch.where(mask, values, denoised))

    def _share(self, xi: Tensor) -> Tensor:
        """Give every particle of a run the noise of the run's first one."""
        return xi[:: self.particles].repeat_interleave(self.particles, dim=0)


@dataclass
class _Population:
    """The weights of the particles of several runs, and what became of them."""

    batch: int
    particles: int
    ess_threshold: float
    generators: Generators
    log_evidence: Tensor = field(init=False)
    log_weights: Tensor | None = field(init=False, default=None)
    sizes: list[Tensor] = field(init=False, default_factory=list)
    resampled: list[Tensor] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        if self.batch % self.particles != 0:
            raise InputError(
                f"A batch of {self.batch} is no whole number of runs of {self.particles} "
                "particles; give run * particle samples of the prior"
            )
        self.log_evidence = torch.zeros(self.runs)

    @property
    def runs(self) -> int:
        return self.batch // self.particles

    def weigh(self, increment: Tensor) -> None:
        """Multiply the weights, by increments ``(batch,)`` of their logarithm.

        A run whose particles are all impossible has no evidence, and goes on with even weights: of
        particles that come to be possible (the logarithm rises by inf), or else all. What is no
        number, as of a particle that blew up or stays impossible, is taken for impossible.
        """
        increment = increment.reshape(self.runs, self.particles)
        increment = increment.nan_to_num(nan=-torch.inf, posinf=0.0, neginf=-torch.inf)
        if self.log_weights is None:
            self.log_weights = torch.full_like(increment, -math.log(self.particles))
            self.log_evidence = self.log_evidence.to(increment)
        joint = self.log_weights + increment
        total = torch.logsumexp(joint, dim=1)
        self.log_evidence = self.log_evidence + total
        possible = total > -torch.inf
        even = torch.full_like(joint, -math.log(self.particles))
        self.log_weights = torch.where(possible[:, None], joint - total[:, None], even)
        sizes = effective_sample_size(self.log_weights)
        self.sizes.append(torch.where(possible, sizes, 0.0))
        self.resampled.append(torch.zeros_like(total, dtype=torch.bool))

    def resample(self) -> Tensor | None:
        """Resample the runs that need it; give the batch's new order, or None if none did."""
        assert self.log_weights is not None
        # Drawn at every step, so that a run's numbers do not depend on its neighbours.
        uniform = draw_uniform(self.runs, self.generators)
        needy = self.sizes[-1] < self.ess_threshold * self.particles
        if not bool(needy.any()):
            return None
        self.resampled[-1] = needy
        keep = torch.arange(self.particles, device=needy.device).expand_as(self.log_weights)
        drawn = resample_systematically(self.log_weights, uniform)
        indices = torch.where(needy[:, None], drawn, keep)
        even = torch.full_like(self.log_weights, -math.log(self.particles))
        self.log_weights = torch.where(needy[:, None], even, self.log_weights)
        starts = torch.arange(self.runs, device=needy.device)[:, None] * self.particles
        return (indices + starts).reshape(-1)

    def report(self, samples: Tensor) -> SMCResult:
        assert self.log_weights is not None
        return SMCResult(
            samples=samples,
            log_weights=self.log_weights,
            log_evidence=self.log_evidence,
            effective_sample_sizes=torch.stack(self.sizes),
            resampled=torch.stack(self.resampled),
        )


def _checked(particles: int, ess_threshold: float) -> tuple[int, float]:
    if particles < 1 or not 0.0 <= ess_threshold <= 1.0:
        raise InputError(
            f"Sequential Monte Carlo came with {particles} particles and an ess_threshold of "
            f"{ess_threshold}; give at least 1 particle and a share between 0 and 1"
        )
    return particles, ess_threshold


def _kernel(sde: SDE, t: Tensor, s: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Give a, b and c of the ancestral kernel N(a D + b x_t, c²)."""
    bridge = sde.bridge(t, s)
    return bridge.weight_0, bridge.weight_t, bridge.sigma


def _take(estimate: GuidedEstimate, indices: Tensor) -> GuidedEstimate:
    return replace(
        estimate,
        denoised=estimate.denoised[indices],
        guided=estimate.guided[indices],
        log_likelihood=estimate.log_likelihood[indices],
    )

r"""Methods of scaffolding that sample in a way of their own.

**RePaint** is a sampler around the sampler that was chosen: every step is taken, noised back and
taken again. The step scale and the temperature are its inner sampler's; the noise of the way back
and of the motif has its full size, or the state would hold less noise than the network is told.

**Twisted SMC** keeps K particles a design, moves them by the ancestral kernel guided to the motif,
and weighs them by how much that differed from the kernel itself, times the likelihood of the motif.
Two of the usual choices change that kernel:

- A *temperature* would make the noise another than the weights assume, so only 1 is accepted.
- A *step scale* is another denoiser, :math:`D \to \eta D + (1 - \eta) x_t/\alpha_t`, and excluded
  volume yet another. Both are put into the kernel and into its guided copy alike. The weights are
  exact for any pair of kernels, so the particles follow the law of *that* chain, given the motif:
  what the default settings would make of nothing, conditioned.

The network is told the shape of the motif, so the prior of the particles is what it has learnt of
proteins that hold such a motif, and the likelihood adds how exactly. (Over a network that is told
nothing the likelihood of a motif of 19 residues is too narrow for particles by the handful: the
effective sample size falls to 1, and the design holds the motif badly.)

At :data:`ALONE_BELOW` one particle of each design is drawn by the weights and goes on alone, by the
default sampler and with the projection in every estimate. A handful of particles cannot hold a
motif to a hundredth of an Å; and writing it into the last estimate, which has bonds of its own,
would tear the chain beside it. What the weights correct is thus the law at that level of noise.

References
----------
Lugmayr et al. 2022, "RePaint: inpainting using denoising diffusion probabilistic models". Wu,
Trippe, Naesseth, Blei, Cunningham 2023, "Practical and asymptotically exact conditional sampling in
diffusion models".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from protdiff.conditioning.compose import Conditions
from protdiff.conditioning.conditioner import Conditioner
from protdiff.conditioning.motif import MotifConditions
from protdiff.conditioning.posed_motif import PosedMotif
from protdiff.design.sample import prepare_sampling, sample_coordinates, sharpen
from protdiff.design.samplers import describe_choice, is_adaptive, make_sampler
from protdiff.design.seeds import make_generator
from protdiff.design.settings import DEFAULT_SAMPLER, SamplingSettings
from protdiff.diffusion import Denoiser, Noise, ScaledNoise
from protdiff.diffusion.guidance import (
    GuidedDenoiser,
    GuidedEstimate,
    ProjectedMean,
    RePaint,
    TwistedSMC,
)
from protdiff.diffusion.sampler import Sampler, SamplerAround, StepInfo
from protdiff.errors import InputError

if TYPE_CHECKING:
    from protdiff.conditioning.excluded_volume import ExcludedVolume

__all__ = ["Particles", "check_method", "sample_by_particles", "sample_by_repainting"]

RESAMPLINGS = 2  # how often RePaint takes each step; time grows with it
ESS_THRESHOLD = 0.5
ALONE_BELOW = 4.0  # Å of noise under which one particle of each design goes on, projected

Callback = Callable[[StepInfo], None]


def check_method(
    method: str, settings: SamplingSettings, particles: int, conditioners: Sequence[Conditioner]
) -> None:
    """Refuse what a method cannot work with.

    Raises
    ------
    InputError
        ``twisted-smc`` with a sampler, a temperature or a conditioner that wraps the denoiser,
        ``repaint`` with an adaptive sampler or restarts, or no particle.
    """
    if not 1 <= particles <= 1000:
        raise InputError(f"{particles} particles are asked for; give 1 to 1000")
    if method == "repaint" and settings.restarts:
        raise InputError(
            f"repaint takes each step again by itself, and {settings.restarts} restarts are asked "
            "for; leave them out, or choose another method"
        )
    if method == "repaint" and is_adaptive(settings.sampler):
        raise InputError(
            f"repaint takes each step again, and {describe_choice(settings.sampler)} chooses its "
            f"own steps; give another sampler, such as {DEFAULT_SAMPLER}"
        )
    if method != "twisted-smc":
        return
    if settings.sampler != DEFAULT_SAMPLER:
        raise InputError(
            "twisted-smc moves its particles by the ancestral kernel that its weights are made "
            f"for, and the sampler {describe_choice(settings.sampler)} is asked for; leave the "
            "sampler out"
        )
    if settings.temperature != 1.0:
        raise InputError(
            f"twisted-smc weighs its particles for noise of full size, and a temperature of "
            f"{settings.temperature} is asked for; leave it at 1 (a step scale is possible)"
        )
    if any(type(one).wrap is not Conditioner.wrap for one in conditioners):
        raise InputError(
            "twisted-smc weighs likelihoods, and one of the conditioners is none; give another "
            "method"
        )


def sample_by_repainting(
    conditions: Conditions,
    denoiser: Denoiser,
    generators: Sequence[torch.Generator],
    settings: SamplingSettings,
    *,
    free_below: float = 0.0,
    callback: Callback | None = None,
) -> NDArray[np.float32]:
    """Sample a batch by RePaint, each step taken twice.

    Parameters
    ----------
    conditions, denoiser, generators, settings, callback
        As in :func:`~protdiff.design.sample.sample_coordinates`; the denoiser is one of motifs,
        from :meth:`~protdiff.conditioning.motif.MotifConditions.project`.
    free_below
        Noise in Å below which the rest of the way is the sampler's alone.

    Returns
    -------
    numpy.ndarray
        ``(batch, residue, 3, 3)``, N, CA and C in Å.
    """
    assert isinstance(denoiser, ProjectedMean)
    posed = denoiser.projection
    assert isinstance(posed, PosedMotif)
    model = conditions.scene.model
    noise, state, times = prepare_sampling(conditions, denoiser.sde, generators, settings)
    sampler = _Sharpened(make_sampler(settings.sampler), settings)
    mask = posed.motif_mask[..., None, None]
    repaint = RePaint(
        sampler, mask, posed, resamplings=RESAMPLINGS, noise=noise, subspace=posed.subspace
    )
    noise = ScaledNoise(noise, settings.temperature)  # of the steps, and not of the ways back
    held = int((denoiser.sde.noise_ratio(times) * model.scale >= free_below).sum())
    if held == len(times):
        state = repaint(denoiser, state, times, noise=noise, callback=callback)
    else:
        if held > 1:
            state = repaint(
                denoiser, state, times[:held], noise=noise, final_denoise=False, callback=callback
            )
        state = sampler(denoiser, state, times[max(held - 1, 0) :], noise=noise, callback=callback)
    coordinates: NDArray[np.float32] = model.to_angstrom(state).float().cpu().numpy()
    return coordinates


@dataclass(frozen=True, eq=False)
class Particles:
    """The particles of a batch of designs, as a batch of their own.

    Attributes
    ----------
    conditions
        What is asked of the particles of all designs, those of one design next to one another.
    motif
        What holds them to their motifs.
    count
        K of each design.
    """

    conditions: Conditions
    motif: MotifConditions
    count: int


def sample_by_particles(
    conditions: Conditions,
    denoiser: Denoiser,
    particles: Particles,
    indices: Sequence[int],
    seed: int,
    settings: SamplingSettings,
    *,
    callback: Callback | None = None,
) -> tuple[NDArray[np.float32], list[dict[str, Any]]]:
    """Sample a batch by twisted sequential Monte Carlo.

    Every particle has its own numbers, of (seed, index, particle), and every design others for its
    resampling and for the end of its way; so a design is the same whatever is made beside it.

    Parameters
    ----------
    conditions, denoiser
        Of the designs, as in :func:`~protdiff.design.sample.sample_coordinates`: the denoiser is
        one of motifs, and leads the particle that is drawn through the last of the noise.
    particles
        What weighs and moves the particles before.
    indices
        Of the designs.
    seed
        Of the run.
    settings
        How to sample, but for the sampler.
    callback
        Is shown the first particle of each design, then the one that is drawn.

    Returns
    -------
    coordinates, reports
        ``(design, residue, 3, 3)`` in Å, and of each design the lowest and the mean effective
        sample size over all steps, how often it was resampled, and the estimate of the log
        likelihood of the motif (in nats, up to a constant that depends on the motif alone).
    """
    motif, count = particles.motif, particles.count
    guided = motif.denoiser
    assert isinstance(guided, GuidedDenoiser)
    model = conditions.scene.model
    generators = [
        make_generator(seed, index, f"particle-{particle}")
        for index in indices
        for particle in range(count)
    ]
    noise, start, times = prepare_sampling(particles.conditions, guided.sde, generators, settings)
    choices = [make_generator(seed, index, "resampling") for index in indices]
    weighed = max(int((guided.sde.noise_ratio(times) * model.scale >= ALONE_BELOW).sum()), 1)

    def show(info: StepInfo) -> None:
        assert callback is not None
        first = slice(None, None, count)
        callback(replace(info, x_t=info.x_t[first], denoised=info.denoised[first]))

    result = TwistedSMC(count, ess_threshold=ESS_THRESHOLD)(
        _ShapedKernel(guided, motif.volume, settings, times),
        start,
        times[:weighed],
        noise=noise,
        generator=choices,
        final_denoise=False,
        callback=callback and show,
    )
    coordinates = sample_coordinates(
        conditions,
        denoiser,
        [make_generator(seed, index, "alone") for index in indices],
        settings,
        start=(result.draw(choices), times[weighed - 1 :]),
        callback=callback,
    )
    sizes = result.effective_sample_sizes
    reports = [
        {
            "smc": {
                "particles": count,
                "lowest_ess": round(float(sizes[:, run].min()), 3),
                "mean_ess": round(float(sizes[:, run].mean()), 3),
                "resamplings": int(result.resampled[:, run].sum()),
                "log_evidence": round(float(result.log_evidence[run]), 3),
            }
        }
        for run in range(len(indices))
    ]
    return coordinates, reports


class _Sharpened(SamplerAround):
    """A sampler with its own step scale, which tells the true posterior mean."""

    def __init__(self, sampler: Sampler, settings: SamplingSettings) -> None:
        super().__init__(sampler)
        self.order = 0  # of a sharpened law, which is not the data's
        self.settings = settings

    def step(
        self,
        denoiser: Denoiser,
        x_t: torch.Tensor,
        t: torch.Tensor,
        s: torch.Tensor,
        *,
        noise: Noise,
        previous: StepInfo | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Go from time t to a smaller time s, from one state alone."""
        scaled = sharpen(denoiser, self.settings, torch.stack([t, s]), self.pull)
        x_s, denoised = self.sampler.step(scaled, x_t, t, s, noise=noise, previous=None)
        return x_s, scaled.recover(denoised, x_t, t)


class _ShapedKernel(GuidedDenoiser):
    """Both means, unconditional and guided, with excluded volume and a step scale."""

    def __init__(
        self,
        guided: GuidedDenoiser,
        volume: ExcludedVolume | None,
        settings: SamplingSettings,
        times: torch.Tensor,
    ) -> None:
        super().__init__(guided.denoiser, guided.log_likelihood, guided.max_shift)
        self.guided = guided
        self.volume = volume
        self.scaled = sharpen(guided, settings, times)

    def evaluate(self, x_t: torch.Tensor, t: torch.Tensor) -> GuidedEstimate:
        """Give both means and the log-likelihood."""
        estimate = self.guided.evaluate(x_t, t)
        return replace(
            estimate,
            denoised=self._shape(estimate.denoised, x_t, t),
            guided=self._shape(estimate.guided, x_t, t),
        )

    def _shape(self, mean: torch.Tensor, x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        if self.volume is not None:
            mean = self.volume.relieve(mean, t)
        return self.scaled.scale(mean, x_t, t)

    def _guide(
        self,
        denoise: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        x_t: torch.Tensor,
        t: torch.Tensor,
    ) -> GuidedEstimate:
        raise NotImplementedError("only TwistedSMC reads a shaped kernel, by evaluate")

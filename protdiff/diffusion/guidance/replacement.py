r"""Inpainting by replacement: known coordinates are put where they belong.

Two places exist to put them. **In the denoised mean** (:class:`ProjectedMean`): what is known of
:math:`x_0` is imposed on :math:`D(x_t)`, and any sampler then carries the known coordinates of its
state towards it; an ancestral sampler moves them along an exact draw of the noising path given
their values. **In the noisy state** (:class:`Replacement`): after every step the known coordinates
of the state are drawn afresh from :math:`q(x_s \mid x_0 = y)`, as in Song et al. (2021).

The trap of the second kind: a wrapper that pins a *copy* of the state for the network, while the
sampler steps on from the unpinned state, mixes two states in one update. Here the pinning is a
sampler around a sampler, so the network is evaluated on, and the step is taken from, one state.

Neither is Bayes' rule: the free coordinates see noised values of the known ones and not their
likelihood, so the posterior is missed by an amount that no number of steps repairs (Trippe et al.
2023). :class:`RePaint` lessens it: each step is taken back and repeated, which lets free and known
coordinates come to terms at every noise level (Lugmayr et al. 2022).

References
----------
Song, Sohl-Dickstein, Kingma, Kumar, Ermon, Poole, "Score-based generative modeling through
stochastic differential equations", 2021 (appendix I.2). Lugmayr, Danelljan, Romero, Yu, Timofte,
Van Gool, "RePaint: inpainting using denoising diffusion probabilistic models", 2022. Wang, Yu,
Zhang, "Zero-shot image restoration using denoising diffusion null-space model", 2023. Trippe, Yim,
Tischer, Baker, Broderick, Barzilay, Jaakkola, "Diffusion probabilistic modeling of protein
backbones in 3D for the motif-scaffolding problem", 2023.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from protdiff.device import send
from protdiff.diffusion.broadcasting import check_fit, expand, flatten_event
from protdiff.diffusion.denoiser import Denoiser
from protdiff.diffusion.noise import Noise
from protdiff.diffusion.sampler import Callback, Sampler, SamplerAround, StepInfo
from protdiff.diffusion.sde import SDE
from protdiff.diffusion.subspace import Subspace
from protdiff.errors import InputError

__all__ = ["KnownCoordinates", "LinearConstraint", "ProjectedMean", "RePaint", "Replacement"]

Projection = Callable[[Tensor], Tensor]


class KnownCoordinates:
    r"""The projection that writes known coordinates into a clean sample.

    .. math:: P(x_0) = m \odot y + (1 - m) \odot x_0

    Parameters
    ----------
    observed_mask
        :math:`m`, True where a coordinate is known, broadcasting to ``(batch, *event)``.
    observed
        :math:`y`, broadcasting to ``(batch, *event)``; ignored where unknown.
    """

    def __init__(self, observed_mask: Tensor, observed: Tensor) -> None:
        self.observed_mask = observed_mask
        self.observed = observed

    def __call__(self, x_0: Tensor) -> Tensor:
        """Write the known coordinates into ``x_0``, ``(batch, *event)``."""
        mask = check_fit(self.observed_mask, x_0, "the mask").to(x_0.device)
        return torch.where(mask, check_fit(self.observed, x_0, "what is known").to(x_0), x_0)


class LinearConstraint:
    r"""The orthogonal projection onto the clean samples that satisfy :math:`A x_0 = y`.

    .. math:: P(x_0) = x_0 + A^+ (y - A x_0)

    Parameters
    ----------
    matrix
        :math:`A`, ``(observed, event_size)``; it acts on the flattened event.
    observed
        :math:`y`, ``(observed,)`` or ``(batch, observed)``.

    References
    ----------
    Wang, Yu, Zhang, "Zero-shot image restoration using denoising diffusion null-space model", 2023.
    """

    def __init__(self, matrix: Tensor, observed: Tensor) -> None:
        if matrix.ndim != 2 or observed.shape[-1:] != matrix.shape[:1]:
            raise InputError(
                f"A linear constraint came with a matrix of shape {tuple(matrix.shape)} and "
                f"values of shape {tuple(observed.shape)}; give (observed, event_size) and "
                "(observed,)."
            )
        self.matrix = matrix
        self.observed = observed
        self._inverse = torch.linalg.pinv(matrix)

    def __call__(self, x_0: Tensor) -> Tensor:
        """Move ``x_0`` to the nearest sample that satisfies the constraint, ``(batch, *event)``."""
        residual = self.observed.to(x_0) - flatten_event(x_0) @ self.matrix.to(x_0).mT
        moved: Tensor = x_0 + (residual @ self._inverse.to(x_0).mT).reshape(x_0.shape)
        return moved


class ProjectedMean(Denoiser):
    r"""The denoised mean with what is known imposed on it, :math:`D' = P(D(x_t))`.

    It works with every sampler, and the run ends on a sample that satisfies the projection.

    Parameters
    ----------
    denoiser
        :math:`D`.
    projection
        :math:`P`, a function of clean samples ``(batch, *event)``: :class:`KnownCoordinates`,
        :class:`LinearConstraint`, or one that also moves what is known into the pose of :math:`D`.
    noise_floor
        Noise ratio :math:`\sigma_t/\alpha_t` below which the mean is left as it is, the one that
        ends a run too: what is known is then approached and not met. 0 projects at every level.

    References
    ----------
    Wang, Yu, Zhang, "Zero-shot image restoration using denoising diffusion null-space model", 2023.
    """

    def __init__(
        self, denoiser: Denoiser, projection: Projection, *, noise_floor: float = 0.0
    ) -> None:
        self.sde = denoiser.sde
        self.denoiser = denoiser
        self.projection = projection
        self.noise_floor = noise_floor

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give the projected mean, ``(batch, *event)``."""
        return self._project(self.denoiser(x_t, t), t)

    def finish(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give the projected mean that ends a run, ``(batch, *event)``."""
        return self._project(self.denoiser.finish(x_t, t), t)

    def _project(self, mean: Tensor, t: Tensor) -> Tensor:
        held = expand(self.sde.noise_ratio(t), mean) >= self.noise_floor
        return torch.where(send(held, mean.device), self.projection(mean), mean)

    def reorder(self, indices: Tensor) -> None:
        """Hand the resampling on."""
        self.denoiser.reorder(indices)


class _PinnedSampler(SamplerAround):
    """A sampler around a sampler, which draws known coordinates from their noising kernel."""

    def __init__(
        self,
        sampler: Sampler,
        observed_mask: Tensor,
        observed: Tensor | Projection,
        noise: Noise | None,
        subspace: Subspace | None,
    ) -> None:
        super().__init__(sampler)
        self.order = 0  # the law reached is not the posterior, however many the steps
        self.observed_mask = observed_mask
        self.projection: Projection = (
            KnownCoordinates(observed_mask, observed) if isinstance(observed, Tensor) else observed
        )
        self.noise = noise
        self.subspace = subspace

    def _choose_noise(self, noise: Noise) -> Noise:
        return noise if self.noise is None else self.noise

    def _pin(self, sde: SDE, x_s: Tensor, s: Tensor, x_0: Tensor, noise: Noise) -> Tensor:
        """Draw the known coordinates of x_s from q(x_s | x_0 = P(x_0))."""
        fresh = self._choose_noise(noise)(x_s)
        noisy = sde.alpha(s) * self.projection(x_0) + sde.sigma(s) * fresh
        mask = check_fit(self.observed_mask, x_s, "the mask").to(x_s.device)
        pinned = torch.where(mask, noisy, x_s)
        # Parts of two states that are in the subspace need not make one that is.
        return pinned if self.subspace is None else self.subspace.project(pinned)

    def _pin_first(self, sde: SDE, x_t: Tensor, t: Tensor, noise: Noise) -> Tensor:
        """Pin the state that a run starts from, where there is no denoised guess yet."""
        return self._pin(sde, x_t, t, x_t / sde.alpha(t), noise)

    def __call__(
        self,
        denoiser: Denoiser,
        x_T: Tensor,
        times: Tensor,
        *,
        noise: Noise,
        final_denoise: bool = True,
        callback: Callback | None = None,
    ) -> Tensor:
        """Sample; the last denoised mean is projected, so that it holds what is known."""
        x_0 = super().__call__(
            denoiser, x_T, times, noise=noise, final_denoise=final_denoise, callback=callback
        )
        return self.projection(x_0) if final_denoise else x_0


class Replacement(_PinnedSampler):
    r"""Any sampler, with the known coordinates of its state drawn from their noising kernel.

    .. math:: x_s \leftarrow m \odot (\alpha_s P(D) + \sigma_s \epsilon) + (1 - m) \odot x_s

    after every step, and once before the first; the result satisfies :math:`P`.

    Parameters
    ----------
    sampler
        The sampler whose steps are taken.
    observed_mask
        :math:`m`, True where a coordinate is known, broadcasting to ``(batch, *event)``.
    observed
        The known coordinates, broadcasting to ``(batch, *event)``; or a projection of clean samples
        that writes them into the sample's own pose.
    noise
        The noise of the known coordinates, which belongs at full size where the sampler's own noise
        is scaled down; None: the sampler's own.
    subspace
        The space in which the data live, of which known and free coordinates of two states make
        none: the pinned state is projected onto it. None: the whole space.

    References
    ----------
    Song, Sohl-Dickstein, Kingma, Kumar, Ermon, Poole, "Score-based generative modeling through
    stochastic differential equations", 2021, appendix I.2.
    """

    def __init__(
        self,
        sampler: Sampler,
        observed_mask: Tensor,
        observed: Tensor | Projection,
        *,
        noise: Noise | None = None,
        subspace: Subspace | None = None,
    ) -> None:
        super().__init__(sampler, observed_mask, observed, noise, subspace)

    def step(
        self,
        denoiser: Denoiser,
        x_t: Tensor,
        t: Tensor,
        s: Tensor,
        *,
        noise: Noise,
        previous: StepInfo | None,
    ) -> tuple[Tensor, Tensor]:
        """Go from time t to a smaller time s, and pin what is known there."""
        if previous is None:
            x_t = self._pin_first(denoiser.sde, x_t, t, noise)
        x_s, denoised = self.sampler.step(denoiser, x_t, t, s, noise=noise, previous=previous)
        return self._pin(denoiser.sde, x_s, s, denoised, noise), denoised


class RePaint(_PinnedSampler):
    r"""Replacement with resampling: each stretch of the way is walked back and forth.

    A step from t to s is divided into ``jump`` equal parts of log noise; after them the state is
    noised back to t by the forward process, :math:`x_t = (\alpha_t/\alpha_s) x_s + N(0,
    \sigma_t^2 - (\alpha_t/\alpha_s)^2 \sigma_s^2)`, and the stretch is walked again,
    ``resamplings`` times in all.

    Parameters
    ----------
    sampler
        The sampler whose steps are taken; one that needs no earlier step, as every stretch starts
        afresh.
    observed_mask, observed, noise, subspace
        As for :class:`Replacement`; the noise is that of the way back too, or the state would hold
        less than the network is told.
    resamplings
        How often each stretch is walked, r in the paper; 1 is :class:`Replacement`.
    jump
        The number of parts of a stretch, j in the paper.

    References
    ----------
    Lugmayr, Danelljan, Romero, Yu, Timofte, Van Gool, "RePaint: inpainting using denoising
    diffusion probabilistic models", 2022.
    """

    def __init__(
        self,
        sampler: Sampler,
        observed_mask: Tensor,
        observed: Tensor | Projection,
        *,
        resamplings: int = 10,
        jump: int = 1,
        noise: Noise | None = None,
        subspace: Subspace | None = None,
    ) -> None:
        if resamplings < 1 or jump < 1:
            raise InputError(
                f"RePaint with {resamplings} resamplings and a jump of {jump} takes no step; give "
                "at least 1 of each"
            )
        super().__init__(sampler, observed_mask, observed, noise, subspace)
        self.resamplings = resamplings
        self.jump = jump
        self.evaluations_per_step = sampler.evaluations_per_step * resamplings * jump

    def step(
        self,
        denoiser: Denoiser,
        x_t: Tensor,
        t: Tensor,
        s: Tensor,
        *,
        noise: Noise,
        previous: StepInfo | None,
    ) -> tuple[Tensor, Tensor]:
        """Go from time t to a smaller time s, ``resamplings`` times."""
        sde = denoiser.sde
        times, back = _divide(sde, t, s, self.jump), sde.transition(s, t)
        x = self._pin_first(sde, x_t, t, noise) if previous is None else x_t
        denoised = x
        for walk in range(self.resamplings):
            if walk > 0:
                x = back.scale * x + back.sigma * self._choose_noise(noise)(x)
            for start, end in pairwise(times):
                x, denoised = self.sampler.step(denoiser, x, start, end, noise=noise, previous=None)
                x = self._pin(sde, x, end, denoised, noise)
        return x, denoised


def _divide(sde: SDE, t: Tensor, s: Tensor, parts: int) -> list[Tensor]:
    """Give the times from t to s in equal parts of log noise, ends as they came."""
    first, last = sde.noise_ratio(t).log(), sde.noise_ratio(s).log()
    between = [first + (last - first) * part / parts for part in range(1, parts)]
    return [t, *(sde.time_of_noise_ratio(value.exp()) for value in between), s]

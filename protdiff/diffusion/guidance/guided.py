r"""Guidance: a denoiser made of a denoiser and a log-likelihood.

Tweedie's formula turns Bayes' rule for scores into one for denoised means. With
:math:`\nabla \log p(x_t) = (\alpha_t D - x_t) / \sigma_t^2`, the conditional mean is

.. math:: D'(x_t) = E[x_0 \mid x_t, y]
          = D(x_t) + \frac{\sigma_t^2}{\alpha_t} \nabla_{x_t} \log p(y \mid x_t),

which is exact whenever :math:`\log p(y \mid x_t)` is. Every sampler that runs on :math:`D` runs on
:math:`D'`.

Where the likelihood is a function of :math:`D(x_t)`, the gradient passes through the denoiser,
whose Jacobian is the posterior covariance, :math:`\partial D / \partial x_t =
(\alpha_t / \sigma_t^2) \mathrm{Cov}[x_0 \mid x_t]`. :class:`Guided` differentiates the network;
:class:`FrozenGuided` replaces that covariance by :math:`v_t I`, which makes the shift
:math:`v_t \nabla_D \log p` and spares the backward pass.

References
----------
Song, Sohl-Dickstein, Kingma, Kumar, Ermon, Poole, "Score-based generative modeling through
stochastic differential equations", 2021. Efron, "Tweedie's formula and selection bias", 2011 (mean
and covariance).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from protdiff.device import send
from protdiff.diffusion.broadcasting import expand, flatten_event
from protdiff.diffusion.denoiser import Denoiser
from protdiff.diffusion.guidance.terms import Estimate, LikelihoodTerm, evaluate_term
from protdiff.diffusion.guidance.variance import IsotropicVariance, PosteriorVariance
from protdiff.diffusion.subspace import Subspace
from protdiff.errors import InputError

__all__ = ["FrozenGuided", "Guided", "GuidedDenoiser", "GuidedEstimate"]

_Function = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class GuidedEstimate:
    r"""One evaluation of a guided denoiser, with what it was made of.

    Attributes
    ----------
    denoised
        The unconditional mean :math:`D(x_t)`, ``(batch, *event)``.
    guided
        The conditional mean :math:`D'(x_t)`, ``(batch, *event)``.
    log_likelihood
        :math:`\log p(y \mid x_t)`, ``(batch,)``.
    """

    denoised: Tensor
    guided: Tensor
    log_likelihood: Tensor


class GuidedDenoiser(Denoiser):
    r"""A denoiser that also tells what it was made of; the base of the guidances.

    A subclass computes one :class:`GuidedEstimate`; Monte-Carlo samplers, which weigh particles by
    the likelihood, read all of it, and ordinary samplers see the conditional mean.

    Parameters
    ----------
    denoiser
        The unconditional denoiser :math:`D`.
    log_likelihood
        The condition, or a sum of conditions.
    max_shift
        The largest Euclidean norm of :math:`D' - D` for one sample, of all or ``(batch,)``.
    """

    def __init__(
        self, denoiser: Denoiser, log_likelihood: LikelihoodTerm, max_shift: float | Tensor
    ) -> None:
        if not bool((torch.as_tensor(max_shift) > 0.0).all()):
            raise InputError(f"max_shift = {max_shift} must be positive; it is the largest norm")
        self.denoiser = denoiser
        self.sde = denoiser.sde
        self.log_likelihood = log_likelihood
        self.max_shift = max_shift

    @abstractmethod
    def _guide(self, denoise: _Function, x_t: Tensor, t: Tensor) -> GuidedEstimate:
        """Evaluate ``denoise`` and the likelihood, once each."""

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give E[x_0 | x_t, y], ``(batch, *event)``."""
        return self._guide(self.denoiser, x_t, t).guided

    def evaluate(self, x_t: Tensor, t: Tensor) -> GuidedEstimate:
        """Give both means and the log-likelihood at the price of one call.

        Parameters
        ----------
        x_t
            Noisy sample, ``(batch, *event)``.
        t
            Time, ``()`` or ``(batch,)``.

        Returns
        -------
        GuidedEstimate
            The unconditional and the conditional mean, and the log-likelihood.
        """
        return self._guide(self.denoiser, x_t, t)

    def finish(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give the conditional mean that ends a run, ``(batch, *event)``."""
        return self._guide(self.denoiser.finish, x_t, t).guided

    def reorder(self, indices: Tensor) -> None:
        """Hand the resampling on."""
        self.denoiser.reorder(indices)


class Guided(GuidedDenoiser):
    r"""Conditional mean :math:`D' = D + (\sigma_t^2/\alpha_t) \nabla_{x_t} \log p(y \mid x_t)`.

    The gradient runs through the denoiser, once per call. Where gradients are wanted of the result
    (a guidance around a guidance), it is differentiable in turn.

    Parameters
    ----------
    denoiser
        The unconditional denoiser :math:`D`, differentiable in ``x_t``.
    log_likelihood
        The condition, or a sum of conditions.
    max_shift
        The largest Euclidean norm of :math:`D' - D` for one sample, of all or ``(batch,)``, in
        units of the data; infinite by default. A network's Jacobian has errors where
        :math:`\sigma_t/\alpha_t` is large, which the factor magnifies.

    Raises
    ------
    InputError
        At a call: the denoiser varies with ``x_t`` and gives no gradient, as a guidance that
        detaches does.

    References
    ----------
    Chung, Kim, McCann, Klasky, Ye, "Diffusion posterior sampling for general noisy inverse
    problems", 2023 (the gradient through the denoiser).
    """

    def __init__(
        self,
        denoiser: Denoiser,
        log_likelihood: LikelihoodTerm,
        *,
        max_shift: float | Tensor = math.inf,
    ) -> None:
        super().__init__(denoiser, log_likelihood, max_shift)

    def _guide(self, denoise: _Function, x_t: Tensor, t: Tensor) -> GuidedEstimate:
        nested = torch.is_grad_enabled() and x_t.requires_grad
        with torch.inference_mode(False), torch.enable_grad():
            # Copies, because what was made in inference mode cannot take part in a gradient.
            x, t = (x_t, t) if nested else (x_t.detach().clone().requires_grad_(), t.clone())
            denoised = denoise(x, t)
            attached = denoised.requires_grad
            # A copy of a mean without a gradient has one, which tells if the likelihood reads it.
            mean = denoised if attached else denoised.clone().requires_grad_()
            log_likelihood = evaluate_term(self.log_likelihood, Estimate(x, t, mean, self.sde))
            shift = torch.zeros_like(x)
            if log_likelihood.requires_grad:
                by_x, by_mean = torch.autograd.grad(
                    log_likelihood.sum(), (x, mean), create_graph=nested, allow_unused=True
                )
                if by_mean is not None and (by_x is None or not attached):
                    _check_constant(denoise, x, t, denoised, by_mean)
                if by_x is not None:
                    shift = _limit(_tweedie_factor(self, x, t) * by_x, self.max_shift)
            result = GuidedEstimate(denoised, denoised + shift, log_likelihood)
        return result if nested else _detach(result)


class FrozenGuided(GuidedDenoiser):
    r"""Guidance without a backward pass: :math:`D' = D + v_t \nabla_D \log p(y \mid x_t)`.

    :class:`Guided` with the posterior covariance taken as :math:`v_t I`; exact for data of
    covariance :math:`\tau^2 I`. What the likelihood owes to ``x_t`` directly, as a classifier's
    does, is differentiated as it is.

    Parameters
    ----------
    denoiser
        The unconditional denoiser :math:`D`, never differentiated.
    log_likelihood
        The condition, or a sum of conditions.
    variance
        :math:`v_t`; by default that of a prior of unit variance.
    subspace
        The space in which the data live: the shift is projected onto it. (Guidance through a
        denoiser that ignores what is outside stays inside of itself.) None: the whole space.
    max_shift
        The largest Euclidean norm of :math:`D' - D` for one sample, of all or ``(batch,)``;
        infinite by default.
    max_deviations
        The same in units of the posterior's standard deviation :math:`\sqrt{v_t}`, so that a shift
        shrinks with the noise; infinite by default.

    References
    ----------
    Song, Vahdat, Mardani, Kautz, "Pseudoinverse-guided diffusion models for inverse problems",
    2023 (the isotropic posterior covariance).
    """

    def __init__(
        self,
        denoiser: Denoiser,
        log_likelihood: LikelihoodTerm,
        variance: PosteriorVariance | None = None,
        *,
        subspace: Subspace | None = None,
        max_shift: float | Tensor = math.inf,
        max_deviations: float | Tensor = math.inf,
    ) -> None:
        super().__init__(denoiser, log_likelihood, max_shift)
        if not bool((torch.as_tensor(max_deviations) > 0.0).all()):
            raise InputError(f"max_deviations = {max_deviations} must be positive")
        self.variance = IsotropicVariance() if variance is None else variance
        self.subspace = subspace
        self.max_deviations = max_deviations

    def _guide(self, denoise: _Function, x_t: Tensor, t: Tensor) -> GuidedEstimate:
        with torch.inference_mode(False):
            x, t = x_t.detach().clone(), t.clone()
            with torch.no_grad():
                # A copy, because a denoiser may hand out what it keeps.
                mean = denoise(x, t).clone()
            with torch.enable_grad():
                x, mean = x.requires_grad_(), mean.requires_grad_()
                estimate = Estimate(x, t, mean, self.sde)
                log_likelihood = evaluate_term(self.log_likelihood, estimate)
            shift = torch.zeros_like(mean)
            if log_likelihood.requires_grad:
                by_x, by_mean = torch.autograd.grad(
                    log_likelihood.sum(), (x, mean), materialize_grads=True
                )
                variance = self.variance(estimate)
                shift = expand(variance, x) * by_mean + _tweedie_factor(self, x, t) * by_x
                if self.subspace is not None:
                    shift = self.subspace.project(shift)
                shift = _limit(shift, self.max_deviations * variance.sqrt())
            shift = _limit(shift, self.max_shift)
            return _detach(GuidedEstimate(mean, mean + shift, log_likelihood))


def _check_constant(
    denoise: _Function, x_t: Tensor, t: Tensor, denoised: Tensor, step: Tensor
) -> None:
    """Tell a mean that stands still, and shifts nothing, from one whose gradient was detached.

    What the likelihood loses is the Jacobian times its gradient, so the mean is looked at a step
    along that gradient.
    """
    if not torch.equal(denoise(x_t + step, t), denoised):
        raise InputError(
            "the likelihood needs the gradient of a denoiser that varies with x_t and gives none; "
            "put what detaches it (FrozenGuided, ClassifierGuidance, MomentMatching) outermost, or "
            "use FrozenGuided in place of Guided"
        )


def _tweedie_factor(denoiser: Denoiser, x_t: Tensor, t: Tensor) -> Tensor:
    """σ²/α, which turns a gradient of a log-likelihood into a shift of the denoised mean."""
    return expand(denoiser.sde.sigma(t) * denoiser.sde.noise_ratio(t), x_t)


def _limit(shift: Tensor, max_shift: float | Tensor) -> Tensor:
    """Shorten each sample's shift to at most ``max_shift``, in its own direction."""
    if isinstance(max_shift, float) and math.isinf(max_shift):
        return shift
    limit = send(torch.as_tensor(max_shift), shift)
    norm = flatten_event(shift).norm(dim=1)
    # The comparison comes before the division, so that no shift at all gives no 0/0.
    scale = torch.where(norm > limit, limit / norm.clamp(min=limit), 1.0)
    return expand(scale, shift) * shift


def _detach(estimate: GuidedEstimate) -> GuidedEstimate:
    return GuidedEstimate(
        estimate.denoised.detach(), estimate.guided.detach(), estimate.log_likelihood.detach()
    )

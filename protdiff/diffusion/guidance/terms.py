r"""Log-likelihood terms: what is added to a score, by Bayes' rule.

Bayes' rule on the noisy variable reads

.. math:: \nabla_{x_t} \log p(x_t \mid y) = \nabla_{x_t} \log p(x_t)
          + \nabla_{x_t} \log p(y \mid x_t),

so a condition is a function :math:`\log p(y \mid x_t)`, and independent conditions *add*. A
:class:`LikelihoodTerm` is one such function. It is handed an :class:`Estimate`, which is all
that is known at one noise level: the noisy sample, its time, and the denoised mean
:math:`D(x_t) = E[x_0 \mid x_t]`. A term that speaks of clean data (an observation, a potential)
uses the denoised mean; a term that was trained on noisy data (a classifier) uses the noisy sample.
Terms form a small algebra: ``a + b`` (both hold), ``2.0 * a`` (a sharper one),
``a.within(low, high)`` (only at noise ratios :math:`\sigma_t / \alpha_t` in that span).

References
----------
Song, Sohl-Dickstein, Kingma, Kumar, Ermon, Poole, "Score-based generative modeling through
stochastic differential equations", 2021 (section 5).
Kynkäänniemi, Aittala, Karras, Laine, Aila, Lehtinen, "Applying guidance in a limited interval
improves sample and distribution quality in diffusion models", 2024 (the span).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from protdiff.device import send
from protdiff.diffusion.broadcasting import check_shape, expand
from protdiff.diffusion.sde import SDE
from protdiff.errors import InputError

__all__ = ["Estimate", "LikelihoodTerm", "Potential", "ScaledTerm", "SpanTerm", "SumOfTerms"]


@dataclass(frozen=True, eq=False)
class Estimate:
    r"""What is known about the clean sample at one noise level.

    Parameters
    ----------
    x_t
        The noisy sample, ``(batch, *event)``.
    t
        Its time, ``()`` or ``(batch,)``.
    denoised
        The posterior mean :math:`D(x_t) = E[x_0 \mid x_t]`, ``(batch, *event)``.
    sde
        The forward process.
    """

    x_t: Tensor
    t: Tensor
    denoised: Tensor
    sde: SDE

    @property
    def noise_ratio(self) -> Tensor:
        """The noise in units of the data, k_t = σ_t / α_t, ``()`` or ``(batch,)``."""
        return self.sde.noise_ratio(self.t)

    def isotropic_variance(self, data_variance: float = 1.0) -> Tensor:
        r"""Give the posterior variance of a coordinate whose prior variance is :math:`\tau^2`.

        .. math:: v_t = \frac{\tau^2 k_t^2}{k_t^2 + \tau^2}

        Parameters
        ----------
        data_variance
            :math:`\tau^2`.

        Returns
        -------
        Tensor
            :math:`v_t`, ``()`` or ``(batch,)``.
        """
        squared = self.noise_ratio.square()
        return data_variance * squared / (squared + data_variance)


class LikelihoodTerm(ABC):
    r"""One term :math:`\log p(y \mid x_t)`, differentiable in ``x_t`` and in the denoised mean.

    A subclass is a function of an :class:`Estimate`; guidance, sums and Monte-Carlo samplers do the
    rest. Each element of the batch must depend on that element of the estimate alone.
    """

    @abstractmethod
    def __call__(self, estimate: Estimate) -> Tensor:
        """Return the log-likelihood of each sample, ``(batch,)``, in nats."""

    def __add__(self, other: LikelihoodTerm) -> LikelihoodTerm:
        """Both conditions hold: their log-likelihoods add."""
        return SumOfTerms(self, other)

    def __mul__(self, weight: float) -> LikelihoodTerm:
        """Weigh the condition: the likelihood to the power ``weight``."""
        return ScaledTerm(self, weight)

    __rmul__ = __mul__

    def within(self, low: float, high: float) -> LikelihoodTerm:
        """Hold the condition only at noise ratios in ``[low, high]``."""
        return SpanTerm(self, low, high)


def evaluate_term(term: LikelihoodTerm, estimate: Estimate) -> Tensor:
    """Return a term, ``(batch,)``; of another shape its strength would grow with the batch.

    Raises
    ------
    InputError
        The term is not one number for each sample.
    """
    return check_shape(term(estimate), estimate.x_t.shape[:1], "a log-likelihood")


class SumOfTerms(LikelihoodTerm):
    r"""Several conditions at once, :math:`\sum_k \log p(y_k \mid x_t)`.

    Parameters
    ----------
    *terms
        The conditions, taken as independent given ``x_t``. With none, the likelihood is 1.
    """

    def __init__(self, *terms: LikelihoodTerm) -> None:
        self.terms = terms

    def __call__(self, estimate: Estimate) -> Tensor:
        """Return the sum of the terms, ``(batch,)``."""
        total = estimate.x_t.new_zeros(len(estimate.x_t))
        for term in self.terms:
            total = total + evaluate_term(term, estimate)
        return total


class ScaledTerm(LikelihoodTerm):
    r"""A condition held more or less strictly, :math:`w \log p(y \mid x_t)`.

    Parameters
    ----------
    term
        The condition.
    weight
        The power :math:`w` of the likelihood; 1 leaves Bayes' rule as it is.
    """

    def __init__(self, term: LikelihoodTerm, weight: float) -> None:
        self.term = term
        self.weight = weight

    def __call__(self, estimate: Estimate) -> Tensor:
        """Return the weighted term, ``(batch,)``."""
        return self.weight * self.term(estimate)


class SpanTerm(LikelihoodTerm):
    r"""A condition that holds only while :math:`low \le \sigma_t / \alpha_t \le high`.

    Parameters
    ----------
    term
        The condition.
    low, high
        The span of noise ratios, ends included.
    """

    def __init__(self, term: LikelihoodTerm, low: float, high: float) -> None:
        if not 0.0 <= low <= high:
            raise InputError(
                f"A span of noise ratios from {low} to {high} is empty; give 0 <= low <= high."
            )
        self.term = term
        self.low = low
        self.high = high

    def __call__(self, estimate: Estimate) -> Tensor:
        """Return the term inside the span and zero outside, ``(batch,)``."""
        nothing = estimate.x_t.new_zeros(len(estimate.x_t))
        ratio = estimate.noise_ratio.to(nothing.dtype).reshape(-1)
        inside = (ratio >= self.low) & (ratio <= self.high)
        if not bool(inside.any()):
            # Nothing that needs a gradient is returned, so no network is differentiated.
            return nothing
        if not bool(inside.all()):
            # Outside, the term may have no finite gradient, and zero times that is NaN.
            held = expand(inside, estimate.x_t).bool()
            x_t, denoised = (
                torch.where(held, tensor, tensor.detach())
                for tensor in (estimate.x_t, estimate.denoised)
            )
            estimate = replace(estimate, x_t=x_t, denoised=denoised)
        inside = send(inside, nothing.device)
        return torch.where(inside, evaluate_term(self.term, estimate), nothing)


class Potential(LikelihoodTerm):
    r"""A condition given by an energy of the clean sample, :math:`\log p = -E(D(x_t)) / T`.

    Parameters
    ----------
    energy
        Function of clean samples ``(batch, *event)`` to energies ``(batch,)``, differentiable.
    temperature
        :math:`T > 0`, in the energy's own unit; lower is stricter.
    """

    def __init__(self, energy: Callable[[Tensor], Tensor], temperature: float = 1.0) -> None:
        if not temperature > 0.0:
            raise InputError(f"A potential's temperature of {temperature} is not positive.")
        self.energy = energy
        self.temperature = temperature

    def __call__(self, estimate: Estimate) -> Tensor:
        """Return minus the energy of the denoised mean over the temperature, ``(batch,)``."""
        energy = check_shape(self.energy(estimate.denoised), estimate.x_t.shape[:1], "the energy")
        return -energy / self.temperature

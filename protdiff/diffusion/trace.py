r"""Traces of Jacobians from products with vectors: exact, or estimated by Hutchinson's trick.

For probes v with E[v v^T] = P, the projection onto a subspace,

.. math::  \mathrm{tr}(P J P) = E[v^T J v] ,

and one probe costs one backward pass, of which many are made at once. The exact trace takes every
basis vector of the event, each projected, as a probe, so as many as the event has numbers.

References
----------
Hutchinson (1989), A stochastic estimator of the trace of the influence matrix; Grathwohl et al.
(2019), FFJORD.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from protdiff.diffusion.broadcasting import sum_event
from protdiff.diffusion.noise import Noise
from protdiff.diffusion.subspace import Subspace
from protdiff.errors import InputError

__all__ = [
    "ExactTrace",
    "GaussianProbes",
    "RademacherProbes",
    "TraceEstimator",
    "compute_quadratic_forms",
]

_PROBES_AT_ONCE = 64
"""Bounds the memory of the exact trace."""


class TraceEstimator(ABC):
    """A choice of probes v, E[v vᵀ] = P, and the way from the forms vᵀ J v to tr(P J P)."""

    @abstractmethod
    def draw(self, like: Tensor, subspace: Subspace) -> Tensor:
        """Give probes in a subspace, ``(probe, batch, *event)``."""

    @abstractmethod
    def reduce(self, forms: Tensor) -> tuple[Tensor, Tensor]:
        """Turn quadratic forms, ``(probe, batch)``, into an estimate and its standard error."""


class ExactTrace(TraceEstimator):
    """Every basis vector of the event, tr(P J P) = Σ (P e_i)ᵀ J (P e_i): for small events.

    References
    ----------
    Grathwohl et al. (2019), FFJORD, section 3.1.
    """

    def draw(self, like: Tensor, subspace: Subspace) -> Tensor:
        """Give the projected basis, ``(d, batch, *event)``."""
        size = like[0].numel()
        basis = torch.eye(size, dtype=like.dtype, device=like.device)
        basis = basis.reshape(size, 1, *like.shape[1:]).expand(size, *like.shape)
        return torch.stack([subspace.project(vector) for vector in basis])

    def reduce(self, forms: Tensor) -> tuple[Tensor, Tensor]:
        """Sum the forms; the error is zero."""
        return forms.sum(0), torch.zeros_like(forms[0])


class RademacherProbes(TraceEstimator):
    """Hutchinson's estimator with signs, v_i = ±1, the least variance of independent entries.

    Parameters
    ----------
    probes
        How many; at least 2, for a standard error.
    generator
        On the CPU.

    References
    ----------
    Hutchinson (1989), A stochastic estimator of the trace of the influence matrix.
    """

    def __init__(self, probes: int, generator: torch.Generator | None = None) -> None:
        self.probes = _check_probes(probes)
        self.generator = generator

    def draw(self, like: Tensor, subspace: Subspace) -> Tensor:
        """Give projected signs, ``(probe, batch, *event)``."""
        shape = (self.probes, *like.shape)
        signs = 2 * torch.randint(0, 2, shape, generator=self.generator) - 1
        return torch.stack([subspace.project(probe) for probe in signs.to(like)])

    def reduce(self, forms: Tensor) -> tuple[Tensor, Tensor]:
        """Give the mean of the forms and its standard error."""
        return _average(forms)


class GaussianProbes(TraceEstimator):
    """Hutchinson's estimator with normal numbers.

    Parameters
    ----------
    probes
        How many; at least 2, for a standard error.
    noise
        Where the numbers come from; with :class:`~protdiff.diffusion.noise.PerSampleNoise` an
        element's numbers do not depend on its batch (the solver's steps do, within its tolerance).

    References
    ----------
    Girard (1989), A fast Monte-Carlo cross-validation procedure for large least squares problems
    with noisy data.
    """

    def __init__(self, probes: int, noise: Noise) -> None:
        self.probes = _check_probes(probes)
        self.noise = noise

    def draw(self, like: Tensor, subspace: Subspace) -> Tensor:
        """Give projected normal numbers, ``(probe, batch, *event)``."""
        return torch.stack([subspace.project(self.noise(like)) for _ in range(self.probes)])

    def reduce(self, forms: Tensor) -> tuple[Tensor, Tensor]:
        """Give the mean of the forms and its standard error."""
        return _average(forms)


def compute_quadratic_forms(
    function: Callable[[Tensor], Tensor], x: Tensor, probes: Tensor
) -> tuple[Tensor, Tensor]:
    """Compute v^T J v for the Jacobian J of a function at a point, element by element.

    Parameters
    ----------
    function
        Takes and gives ``(batch, *event)``; elements do not mix.
    x
        The point, ``(batch, *event)``.
    probes
        v, ``(probe, batch, *event)``.

    Returns
    -------
    value, forms
        The function's value, ``(batch, *event)``, and the forms, ``(probe, batch)``.

    Raises
    ------
    InputError
        The value varies with x and cannot be differentiated.
    """
    with torch.inference_mode(False), torch.enable_grad():
        # A copy, because what was made in inference mode cannot take part in a gradient.
        x = x.detach().clone().requires_grad_()
        value = function(x)
        chunks = probes.split(_PROBES_AT_ONCE)
        forms = []
        for index, chunk in enumerate(chunks):
            products = None
            if value.requires_grad:
                # One backward pass for many probes: most of a small network's is overhead.
                (products,) = torch.autograd.grad(
                    value,
                    x,
                    chunk,
                    retain_graph=index + 1 < len(chunks),
                    is_grads_batched=True,
                    allow_unused=True,
                )
            if products is None:
                _check_constant(function, x, value, chunk[0])
                return value.detach(), probes.new_zeros(probes.shape[:2])
            forms.append(sum_event(products * chunk, 2))
    return value.detach(), torch.cat(forms)


def _check_constant(
    function: Callable[[Tensor], Tensor], x: Tensor, value: Tensor, step: Tensor
) -> None:
    """Tell a function that stands still, whose Jacobian is zero, from one that was detached."""
    if not torch.equal(function(x + step), value):
        raise InputError(
            "the denoiser varies with x_t and gives no gradient; give one whose result is not "
            "detached, as that of FrozenGuided and of ClassifierGuidance is"
        )


def _check_probes(probes: int) -> int:
    if probes < 2:
        raise InputError(f"{probes} probes give no standard error; ask for at least 2")
    return probes


def _average(forms: Tensor) -> tuple[Tensor, Tensor]:
    return forms.mean(0), forms.std(0) / math.sqrt(len(forms))

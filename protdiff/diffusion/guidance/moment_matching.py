r"""Moment-matching posterior sampling: the denoiser's own covariance in the likelihood.

The Jacobian of the denoiser *is* the posterior covariance, :math:`\mathrm{Cov}[x_0 \mid x_t] =
V_t = (\sigma_t^2/\alpha_t) \, \partial D / \partial x_t` (Tweedie's second moment), so it need not
be modelled. With the Gaussian of that covariance as the posterior,

.. math:: D' = D + V_t A^T \, (r^2 I + A V_t A^T)^{-1} \, (y - A D).

The linear system is solved by conjugate gradients, a vector-Jacobian product each. Exact for
Gaussian data of *any* covariance, with nothing said about that covariance, once there are as many
iterations as observations; with fewer it is an approximation.

A covariance is positive, so a direction of the system has a curvature of at least :math:`r^2`. The
Jacobian of a network errs at large noise, and where it shows less, an element takes no further
step: it keeps what it has found in the directions before, as in truncated Newton methods.

References
----------
Rozet, Andry, Lanusse, Louppe, "Learning diffusion priors from observations by expectation
maximization", 2024. Boys, Girolami, Pidstrigach, Reich, Mosca, Akyildiz, "Tweedie moment projected
diffusions for inverse problems", 2023. Steihaug, "The conjugate gradient method and trust regions
in large scale optimization", 1983; Nocedal, Wright, "Numerical optimization", 2006, section 7.1
(truncation at a curvature that is not positive).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from protdiff.diffusion.broadcasting import check_fit, expand, sum_event
from protdiff.diffusion.denoiser import Denoiser
from protdiff.errors import InputError

__all__ = ["MomentMatching"]


class MomentMatching(Denoiser):
    r"""Conditional mean :math:`D + V_t A^T (r^2 I + A V_t A^T)^{-1} (y - A D)`.

    Parameters
    ----------
    denoiser
        The unconditional denoiser :math:`D`; differentiable, its Jacobian symmetric (as that of a
        posterior mean is).
    operator
        :math:`A`, a linear function of clean samples ``(batch, *event)`` to ``(batch, ...)``, e.g.
        multiplication by a mask.
    observed
        :math:`y`, broadcasting to the operator's values.
    noise_std
        :math:`r > 0`.
    iterations
        Of conjugate gradients, each one vector-Jacobian product: as many as distinct eigenvalues
        matter.

    References
    ----------
    Rozet, Andry, Lanusse, Louppe, "Learning diffusion priors from observations by expectation
    maximization", 2024.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        operator: Callable[[Tensor], Tensor],
        observed: Tensor,
        noise_std: float,
        *,
        iterations: int = 3,
    ) -> None:
        if not noise_std > 0.0 or iterations < 1:
            raise InputError(
                f"Moment matching came with noise_std = {noise_std} and {iterations} iterations; "
                "give a positive standard deviation and at least 1 iteration."
            )
        self.denoiser = denoiser
        self.sde = denoiser.sde
        self.operator = operator
        self.observed = observed
        self.noise_std = noise_std
        self.iterations = iterations

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give E[x_0 | x_t, y], ``(batch, *event)``."""
        return self._guide(self.denoiser, x_t, t)

    def finish(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give the conditional mean that ends a run, ``(batch, *event)``."""
        return self._guide(self.denoiser.finish, x_t, t)

    def reorder(self, indices: Tensor) -> None:
        """Hand the resampling on."""
        self.denoiser.reorder(indices)

    def _guide(self, denoise: Callable[[Tensor, Tensor], Tensor], x_t: Tensor, t: Tensor) -> Tensor:
        with torch.inference_mode(False), torch.enable_grad():
            x, t = x_t.detach().clone().requires_grad_(), t.clone()
            denoised = denoise(x, t)
            # A second variable carries the adjoint of A, which is thus never written down.
            clean = denoised.detach().clone().requires_grad_()
            predicted = self.operator(clean)
            factor = expand(self.sde.sigma(t) * self.sde.noise_ratio(t), x)

            def spread(vector: Tensor) -> Tensor:
                """Multiply by V Aᵀ."""
                (adjoint,) = torch.autograd.grad(predicted, clean, vector, retain_graph=True)
                (product,) = torch.autograd.grad(denoised, x, adjoint, retain_graph=True)
                return factor * product

            def covariance(vector: Tensor) -> Tensor:
                """Multiply by r² I + A V Aᵀ."""
                return self.noise_std**2 * vector + self.operator(spread(vector))

            observed = check_fit(self.observed, predicted, "what is observed").to(denoised)
            residual = (observed - predicted).detach()
            solved = _conjugate_gradients(
                covariance, residual, self.iterations, least=self.noise_std**2
            )
            return (denoised + spread(solved)).detach()


def _conjugate_gradients(
    multiply: Callable[[Tensor], Tensor], target: Tensor, iterations: int, *, least: float
) -> Tensor:
    """Solve a system of eigenvalues from ``least`` up for each element, as far as they are."""

    def inner(a: Tensor, b: Tensor) -> Tensor:
        return sum_event(a * b)

    solution = torch.zeros_like(target)
    residual = direction = target
    squared = inner(residual, residual)
    tiny = torch.finfo(target.dtype).tiny
    for _ in range(iterations):
        product = multiply(direction)
        curvature = inner(direction, product)
        # Half of it leaves room for rounding. An element that is solved has a direction of zero,
        # and one that meets a direction of too little curvature gets it: both stay where they are.
        going = curvature > 0.5 * least * inner(direction, direction)
        step = torch.where(going, squared / curvature.clamp_min(tiny), 0.0)
        solution = solution + expand(step, target) * direction
        residual = residual - expand(step, target) * product
        before, squared = squared, inner(residual, residual)
        direction = residual + expand(squared / before.clamp_min(tiny), target) * direction
        direction = expand(going, target) * direction
    return solution

r"""Guidance by a classifier of noisy samples.

A network :math:`p_\phi(y \mid x_t, t)`, trained on noisy samples, is a likelihood as it stands: no
approximation is made about what the noise hides, and the gradient needs no pass through the
denoiser,

.. math:: D'(x_t) = D(x_t) + w \, \frac{\sigma_t^2}{\alpha_t}
          \nabla_{x_t} \log p_\phi(y \mid x_t, t).

References
----------
Sohl-Dickstein, Weiss, Maheswaranathan, Ganguli, "Deep unsupervised learning using nonequilibrium
thermodynamics", 2015. Dhariwal, Nichol, "Diffusion models beat GANs on image synthesis", 2021.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from protdiff.diffusion.denoiser import Denoiser
from protdiff.diffusion.guidance.guided import FrozenGuided
from protdiff.diffusion.guidance.terms import Estimate, LikelihoodTerm

__all__ = ["ClassifierGuidance", "NoisyClassifier"]


class NoisyClassifier(LikelihoodTerm):
    r"""The log-probability that a time-dependent classifier gives to the class wanted.

    Parameters
    ----------
    log_probability
        :math:`\log p_\phi(y \mid x_t, t)` for the y wanted: a function of ``x_t``
        ``(batch, *event)`` and t ``()`` or ``(batch,)`` to ``(batch,)``, differentiable in ``x_t``.

    References
    ----------
    Dhariwal, Nichol, "Diffusion models beat GANs on image synthesis", 2021.
    """

    def __init__(self, log_probability: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.log_probability = log_probability

    def __call__(self, estimate: Estimate) -> Tensor:
        """Return the log-probability of the class, ``(batch,)``."""
        return self.log_probability(estimate.x_t, estimate.t)


class ClassifierGuidance(Denoiser):
    r"""Mean under a class, :math:`D + w (\sigma_t^2/\alpha_t) \nabla_{x_t} \log p_\phi(y|x_t,t)`.

    Parameters
    ----------
    denoiser
        The unconditional denoiser :math:`D`, never differentiated.
    log_probability
        :math:`\log p_\phi(y \mid x_t, t)` for the y wanted; see :class:`NoisyClassifier`.
    weight
        :math:`w`; 1 is Bayes' rule, more is sharper.

    References
    ----------
    Dhariwal, Nichol, "Diffusion models beat GANs on image synthesis", 2021.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        log_probability: Callable[[Tensor, Tensor], Tensor],
        weight: float = 1.0,
    ) -> None:
        self.sde = denoiser.sde
        self._guided = FrozenGuided(denoiser, weight * NoisyClassifier(log_probability))

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give E[x_0 | x_t, y], ``(batch, *event)``."""
        return self._guided(x_t, t)

    def finish(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give the conditional mean that ends a run, ``(batch, *event)``."""
        return self._guided.finish(x_t, t)

    def reorder(self, indices: Tensor) -> None:
        """Hand the resampling on."""
        self._guided.reorder(indices)

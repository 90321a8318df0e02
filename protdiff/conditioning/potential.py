r"""A potential of the user's own: any differentiable function of coordinates in Å.

With an energy E and a temperature T, the condition is Boltzmann's, :math:`p(y \mid x_0) \propto
e^{-E(x_0) / T}`. Units of E and T are the user's; that of length is Å.

The denoised mean D tells the structure only up to the posterior variance :math:`v_t`, so the
condition is widened by that. For the square of a residual, :math:`E/T = r^2/2`, the law of r given
:math:`x_t` is :math:`N(r(D), 1 + v_t |\nabla r|^2)` to first order, and since
:math:`|\nabla E|^2/T^2 = 2 |\nabla r|^2 E/T`,

.. math:: \log p(y \mid x_t) = -\frac{E(D)/T}{1 + v_t |\nabla E|^2 / (2 E T)},

which holds for any energy that is positive, with no residual to be named: however steep it is, no
step goes further than to where it would vanish. Where an energy is negative it is taken as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from protdiff.conditioning.conditioner import Conditioner, Scene
from protdiff.device import send
from protdiff.diffusion.broadcasting import sum_event
from protdiff.diffusion.guidance import Estimate, LikelihoodTerm
from protdiff.errors import InputError
from protdiff.fingerprint import fingerprint
from protdiff.model import DIFFUSED_ATOMS
from protdiff.names import import_object
from protdiff.structure import Backbone

__all__ = ["Energy", "UserPotential"]

Energy = Callable[[Tensor], Tensor]
"""Takes N, CA, C in Å, (batch, residue, 3, 3), and gives the energy of each design, (batch,)."""


class UserPotential(Conditioner):
    """Prefer designs of low energy, by a function of coordinates in Å.

    Parameters
    ----------
    energy
        A function of N, CA and C in Å, ``(batch, residue, 3, 3)``, that torch can differentiate and
        that gives the energy of each design by itself, ``(batch,)``; or its place,
        ``"module:function"``.
    temperature
        What an energy is divided by; lower is stricter. At 1 energies are in units of kT.
    largest_noise
        Hold it only where the noise is at most this, in Å. Of more noise the denoised mean is a
        blur, smaller than any protein.

    Raises
    ------
    InputError
        There is no such function, or a number is out of its range.
    """

    def __init__(
        self, energy: Energy | str, temperature: float = 1.0, *, largest_noise: float = math.inf
    ) -> None:
        if not (temperature > 0.0 and largest_noise > 0.0):
            raise InputError(
                f"a potential has a temperature of {temperature} and a largest noise of "
                f"{largest_noise} Å; both are above 0"
            )
        self.name, self.energy = _find_function(energy)
        self.temperature = temperature
        self.largest_noise = largest_noise
        self._is_checked = False

    def describe(self) -> dict[str, Any]:
        """Return the function by name, and by a hash of its code and of what it carries."""
        return {
            "kind": "potential",
            "function": self.name,
            "sha256": fingerprint(self.energy),
            "temperature": self.temperature,
            "largest_noise": None if math.isinf(self.largest_noise) else self.largest_noise,
        }

    def check(self, length: int) -> None:
        """Try the function on two designs of noise of the size of proteins."""
        if self._is_checked:  # one length tells what is wrong with a function
            return
        generator = torch.Generator().manual_seed(0)
        shape = (2, length, len(DIFFUSED_ATOMS), 3)
        # The caller may be in inference mode, in which nothing can be differentiated.
        with torch.inference_mode(False), torch.enable_grad():
            tried = 10.0 * torch.randn(shape, generator=generator, dtype=torch.float32)
            tried.requires_grad_()
            try:
                energies = self.energy(tried)
            except Exception as error:  # anything may come of a user's function
                raise InputError(
                    f"the potential {self.name} failed on coordinates {shape} in Å "
                    f"({type(error).__name__}: {error})"
                ) from error
            self._check_forces(tried, energies)
        self._is_checked = True

    def _check_forces(self, tried: Tensor, energies: Tensor) -> None:
        self.check_shape(energies, 2)
        forces = None
        if energies.requires_grad:
            (forces,) = torch.autograd.grad(energies[0], tried, allow_unused=True)
        if forces is None:
            raise InputError(
                f"the potential {self.name} cannot be differentiated; compute it of the "
                "coordinates by torch's functions, without detach() or numpy"
            )
        if not bool(forces.isfinite().all()):
            raise InputError(f"the potential {self.name} has forces that are not finite")
        if bool(forces[1].any()):
            raise InputError(
                f"the potential {self.name} mixes designs of a batch; the energy of each may "
                "depend on its own coordinates only"
            )

    def make_term(self, scene: Scene) -> LikelihoodTerm:
        """Return the energy of the denoised mean as a likelihood."""
        term = _EnergyTerm(self, scene.scale)
        if math.isinf(self.largest_noise):
            return term
        return term.within(0.0, self.largest_noise / scene.scale)

    def measure(self, backbone: Backbone) -> dict[str, Any]:
        """Return the energy of a finished design."""
        if not backbone.is_finite:
            return {}
        atoms = torch.from_numpy(backbone.coordinates[None, :, : len(DIFFUSED_ATOMS)].copy())
        return {f"potential {self.name}": round(float(self.energy(atoms)[0]), 4)}

    def check_shape(self, energies: object, batch: int) -> None:
        """Refuse energies that are not one for each design of a batch."""
        if not isinstance(energies, Tensor) or energies.shape != (batch,):
            shape = tuple(energies.shape) if isinstance(energies, Tensor) else type(energies)
            raise InputError(
                f"the potential {self.name} gave {shape} for a batch of {batch}; give a tensor of "
                f"shape ({batch},), the energy of each design"
            )


class _EnergyTerm(LikelihoodTerm):
    """A potential on the denoised mean, widened by what the noise still hides."""

    def __init__(self, potential: UserPotential, scale: float) -> None:
        self.potential = potential
        self.scale = scale

    def __call__(self, estimate: Estimate) -> Tensor:
        """Return the log-likelihood of each design, ``(batch,)``."""
        with torch.inference_mode(False), torch.enable_grad():
            mean = estimate.denoised.detach().clone().requires_grad_()
            energies = self._measure(mean)
            (gradient,) = torch.autograd.grad(energies.sum(), mean)
        slope = sum_event(gradient.square())
        # The widening is held still, as a term's own variance is.
        widening = send(estimate.isotropic_variance(), slope) * slope / (2 * energies.detach())
        widening = torch.where(energies > 0, widening, 0.0)
        return -self._measure(estimate.denoised) / (1 + widening)

    def _measure(self, denoised: Tensor) -> Tensor:
        energies = self.potential.energy(denoised * self.scale)
        self.potential.check_shape(energies, len(denoised))
        return energies / self.potential.temperature


def _find_function(energy: Energy | str) -> tuple[str, Energy]:
    """Return a function and what to call it, by its place if that is what is given."""
    if isinstance(energy, str):
        place, found = energy, import_object("potential", energy, "a function")
    else:
        name = getattr(energy, "__qualname__", type(energy).__qualname__)
        place, found = f"{getattr(energy, '__module__', '?')}:{name}", energy
    if not callable(found):
        raise InputError(f"{place} is no function; give one of coordinates in Å")
    return place, found

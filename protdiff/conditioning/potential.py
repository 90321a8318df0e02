r"""A potential of the user's own: any differentiable function of coordinates in Å.

With an energy E and a temperature T, the condition is Boltzmann's,
:math:`\log p(y \mid x_t) = -E(D(x_t)) / T`, on the denoised mean, from the noise at which that is
anything like a structure. Units of E and T are the user's; that of length is Å.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from protdiff.conditioning.conditioner import Conditioner, Scene
from protdiff.diffusion.guidance import LikelihoodTerm, Potential
from protdiff.errors import InputError
from protdiff.model import DIFFUSED_ATOMS

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
        self._checked: set[int] = set()

    def describe(self) -> dict[str, Any]:
        """Return the function by name and, where there is one, by a hash of its source."""
        try:
            source: str | None = inspect.getsource(self.energy)
        except (OSError, TypeError):
            source = None
        sha256 = None if source is None else hashlib.sha256(source.encode()).hexdigest()
        return {
            "kind": "potential",
            "function": self.name,
            "source_sha256": sha256,
            "temperature": self.temperature,
            "largest_noise": None if math.isinf(self.largest_noise) else self.largest_noise,
        }

    def check(self, length: int) -> None:
        """Try the function on two designs of noise of the size of proteins."""
        if self._checked:  # one length tells what is wrong with a function
            return
        self._checked.add(length)
        generator = torch.Generator().manual_seed(0)
        tried = 10.0 * torch.randn(2, length, len(DIFFUSED_ATOMS), 3, generator=generator)
        tried.requires_grad_()
        try:
            with torch.enable_grad():
                energies = self.energy(tried)
        except Exception as error:  # anything may come of a user's function
            raise InputError(
                f"the potential {self.name} failed on coordinates {tuple(tried.shape)} in Å "
                f"({type(error).__name__}: {error})"
            ) from error
        self._check_shape(energies, 2)
        if not energies.requires_grad:
            raise InputError(
                f"the potential {self.name} cannot be differentiated; compute it of the "
                "coordinates by torch's functions, without detach() or numpy"
            )
        (forces,) = torch.autograd.grad(energies[0], tried)
        if bool(forces[1].any()):
            raise InputError(
                f"the potential {self.name} mixes designs of a batch; the energy of each may "
                "depend on its own coordinates only"
            )
        if not bool(forces.isfinite().all()):
            raise InputError(f"the potential {self.name} has forces that are not finite")

    def make_term(self, scene: Scene) -> LikelihoodTerm:
        """Return −E(Å) / T, of the denoised mean."""
        scale = scene.scale

        def measure(denoised: Tensor) -> Tensor:
            energies = self.energy(denoised * scale)
            self._check_shape(energies, len(denoised))
            return energies

        term: LikelihoodTerm = Potential(measure, self.temperature)
        if math.isinf(self.largest_noise):
            return term
        return term.within(0.0, self.largest_noise / scale)

    def _check_shape(self, energies: object, batch: int) -> None:
        if not isinstance(energies, Tensor) or energies.shape != (batch,):
            shape = tuple(energies.shape) if isinstance(energies, Tensor) else type(energies)
            raise InputError(
                f"the potential {self.name} gave {shape} for a batch of {batch}; give a tensor of "
                f"shape ({batch},), the energy of each design"
            )


def _find_function(energy: Energy | str) -> tuple[str, Energy]:
    """Return a function and what to call it, by its place if that is what is given."""
    if isinstance(energy, str):
        place = energy
        module, _, name = place.partition(":")
        try:
            found: Energy = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, ValueError) as error:
            raise InputError(
                f"there is no potential {place!r} ({error}); give the module as Python imports "
                "it, a colon, and a function in it"
            ) from error
    else:
        found = energy
        name = getattr(energy, "__qualname__", type(energy).__qualname__)
        place = f"{getattr(energy, '__module__', '?')}:{name}"
    if not callable(found):
        raise InputError(f"{place} is no function; give one of coordinates in Å")
    return place, found

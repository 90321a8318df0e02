r"""What every condition on a design is: said in Å and residues, checked early, made of two hooks.

A :class:`Conditioner` is what a user hands over, ``generate(conditioners=[...])``. For each batch
it is shown the :class:`Scene` and acts through either hook, or both:

- :meth:`Conditioner.make_term` gives a likelihood :math:`\log p(y \mid x_t)`. The terms of all
  conditioners add by Bayes' rule and are differentiated together, once an evaluation.
- :meth:`Conditioner.wrap` makes a denoiser of the denoiser, for what is no likelihood: a
  projection, a symmetry, an input of the network.

Neither knows of samplers, and no sampler knows of them; so each works with all of them, and several
work at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from protdiff.diffusion import Denoiser
from protdiff.diffusion.guidance import LikelihoodTerm
from protdiff.model import BackboneModel

__all__ = ["Conditioner", "Scene"]


@dataclass(frozen=True, eq=False)
class Scene:
    """A batch of backbones that is about to be sampled, as a conditioner sees it.

    Attributes
    ----------
    model
        The trained model; its ``scale`` is the number of Å in a model unit.
    residue_mask
        ``(batch, residue)``, True where the residue exists.
    residue_index
        ``(batch, residue)``, places along the chain; a jump is a chain break.
    chain_index
        ``(batch, residue)``, the number of each residue's chain, from 0.
    """

    model: BackboneModel
    residue_mask: Tensor
    residue_index: Tensor
    chain_index: Tensor

    @property
    def scale(self) -> float:
        """Å per model unit."""
        return self.model.scale


class Conditioner(ABC):
    """A condition on designs, in the user's terms."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return what the designs depend on, as JSON knows it: its kind and its values."""

    def check(self, length: int) -> None:  # noqa: B027  (few conditions can be impossible)
        """Refuse a design of ``length`` residues, all chains together, that cannot meet it.

        Raises
        ------
        InputError
            What is asked for cannot be; said before any sampling.
        """

    def make_term(self, scene: Scene) -> LikelihoodTerm | None:
        """Return the condition as a likelihood of the denoised mean, or None if it is none."""
        return None

    def wrap(self, denoiser: Denoiser, scene: Scene) -> Denoiser:
        """Return the denoiser with the condition imposed; by default as it is."""
        return denoiser

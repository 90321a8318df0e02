r"""What every condition on a design is: said in Å and residues, checked early, made of few hooks.

A :class:`Conditioner` is what a user hands over, ``generate(conditioners=[...])``. For each batch
it is shown the :class:`Scene` and acts through either of two hooks, or both:

- :meth:`Conditioner.make_term` gives a likelihood :math:`\log p(y \mid x_t)`. The terms of all
  conditioners add by Bayes' rule and are differentiated together, once an evaluation.
- :meth:`Conditioner.wrap` makes a denoiser of the denoiser, for what is no likelihood: a
  projection, a symmetry, an input of the network.

Neither knows of samplers, and no sampler knows of them; so each works with all of them, and several
work at once. :class:`~protdiff.conditioning.compose.Conditions` puts them together.

The few that say what a design *is*, before they say how it should be, have five more hooks: how
many residues there are and in which chains (:meth:`Conditioner.lay_out`), what noise they are made
of (:meth:`Conditioner.make_noise`), where sampling starts (:meth:`Conditioner.begin`), what is to
be told of the finished design (:meth:`Conditioner.measure`), and what they are beside others
(:meth:`Conditioner.join`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from protdiff.conditioning.motif_frame import MotifFrame
from protdiff.diffusion import SDE, Denoiser, Noise
from protdiff.diffusion.guidance import LikelihoodTerm
from protdiff.errors import InputError, shorten
from protdiff.model import BackboneModel
from protdiff.structure import Backbone, Motif
from protdiff.structure.chain_layout import ChainLayout

__all__ = ["Conditioner", "Scene", "list_conditioners"]


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
    motif
        Where the designs hold the motif, and so all that stands in a known pose to it; None where
        there is no motif.
    """

    model: BackboneModel
    residue_mask: Tensor
    residue_index: Tensor
    chain_index: Tensor
    motif: MotifFrame | None = None

    @property
    def scale(self) -> float:
        """Å per model unit."""
        return self.model.scale

    @property
    def is_unbroken(self) -> bool:
        """Whether every design is one chain without a break."""
        return bool((self.residue_index.diff(dim=1) == 1).all())


class Conditioner(ABC):
    """A condition on designs, in the user's terms."""

    length: int | None = None
    """The only number of residues that a design with it can have; None where any will do."""

    reads_mask: bool = False
    """Whether it leaves out the residues that :attr:`Scene.residue_mask` does; where it does not,
    designs of different lengths are made one length at a time, which takes longer."""

    beside: ClassVar[str | None] = None
    """What finished designs are compared with, ``"target"`` or ``"start"``; None for nothing.
    Filters may ask for the numbers that come of it."""

    def __repr__(self) -> str:
        """Say what is asked, as it is kept with the designs."""
        values = [f"{name}={value!r}" for name, value in self.describe().items() if name != "kind"]
        return f"{type(self).__name__}({', '.join(values)})"

    @property
    def reads_motif(self) -> bool:
        """Whether it has a :meth:`check_motif` of its own."""
        return type(self).check_motif is not Conditioner.check_motif

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return what the designs depend on, as JSON knows it: its kind and its values."""

    def join(self, others: Sequence[Conditioner]) -> Conditioner:
        """Return the condition as it is beside others; by default itself.

        Raises
        ------
        InputError
            It cannot be with one of them.
        """
        return self

    def check(self, length: int) -> None:  # noqa: B027  (few conditions can be impossible)
        """Refuse a design of ``length`` residues, all chains together, that cannot meet it.

        Raises
        ------
        InputError
            What is asked for cannot be; said before any sampling.
        """

    def check_chains(self, chains: ChainLayout) -> None:  # noqa: B027
        """Refuse the chains of a design as short as any, where it cannot meet the condition.

        Raises
        ------
        InputError
            What is asked for cannot be; said before any sampling.
        """

    def check_motif(self, motif: Motif | None) -> None:  # noqa: B027
        """Refuse the motif that a design is to hold, or that there is none.

        A motif says where a design stands, how long it is and which chains it has. A condition
        that says so too can be used with a motif only if it has this method, which checks that the
        two agree.

        Raises
        ------
        InputError
            The two cannot be, said before any sampling.
        """

    def make_term(self, scene: Scene) -> LikelihoodTerm | None:
        """Return the condition as a likelihood of the denoised mean, or None if it is none."""
        return None

    def wrap(self, denoiser: Denoiser, scene: Scene) -> Denoiser:
        """Return the denoiser with the condition imposed; by default as it is."""
        return denoiser

    def lay_out(self, chains: ChainLayout) -> ChainLayout:
        """Return the chains of a design; by default as they are."""
        return chains

    def make_noise(self, noise: Noise, scene: Scene) -> Noise:
        """Return the noise that the designs are made of; by default as it is."""
        return noise

    def begin(
        self, sde: SDE, times: Tensor, noise: Noise, scene: Scene
    ) -> tuple[Tensor, Tensor] | None:
        """Return where sampling starts and the times that are left; None for the prior.

        Parameters
        ----------
        sde
            The forward process.
        times
            ``(steps + 1,)``, those of a run from the prior.
        noise
            Where to take noise for ``(batch, residue, 3, 3)``.
        scene
            The batch.
        """
        return None

    def place(self, coordinates: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a finished design, (residue, 3, 3) in Å, where it belongs; by default as it is."""
        return coordinates

    def measure(self, backbone: Backbone) -> dict[str, Any]:
        """Return what the manifest is to tell of a finished design; by default nothing."""
        return {}


def list_conditioners(given: Conditioner | Iterable[Conditioner]) -> tuple[Conditioner, ...]:
    """Return the conditioners of a design, those of a sequence or one, each beside the others.

    Raises
    ------
    InputError
        Something in it is no conditioner, or one cannot be with another.
    """
    # A text is a sequence too, of letters.
    made = tuple(given) if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
    for one in made:
        if not isinstance(one, Conditioner):
            raise InputError(
                f"{shorten(repr(one))} is no conditioner; give one made with its values, such as "
                'Symmetry("C3"), or a list of them'
            )
    return tuple(one.join(made) for one in made)

"""Conditioners as users of commands and campaigns ask for them, and as a design task holds them.

:class:`ConditionOptions` is the one place where an option becomes a conditioner. What can be wrong
with an option shows without torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from protdiff.design.secondary_structure import (
    SecondaryStructureRequest,
    parse_secondary_structure,
)
from protdiff.errors import InputError
from protdiff.names import find_object

if TYPE_CHECKING:
    from protdiff.conditioning.conditioner import Conditioner
    from protdiff.design.settings import SamplingSettings
    from protdiff.structure import Backbone
    from protdiff.structure.chain_layout import ChainLayout

DEFAULT_NOISE = 0.4

__all__ = [
    "DEFAULT_NOISE",
    "ConditionOptions",
    "choose_secondary_structure",
    "describe_conditioners",
    "lay_out_chains",
    "list_beside",
]


@dataclass(frozen=True)
class ConditionOptions:
    """What is asked of designs, in the plain values of options and of configuration files.

    Parameters
    ----------
    symmetry
        A point group: ``"C3"``, ``"D2"``. The length is then that of one chain.
    start
        The file of a structure to start from.
    noise
        The share of the steps that are left from there; 0.4, if not given.
    rg
        A radius of gyration, ``"14.5"`` Å or ``"x1.1"`` of that of globular proteins.
    contacts
        Pairs of residues of the design that are to touch, ``"12-40:7.5,A5-B9"``.
    shape
        The file of points that the design is to fill.
    target, hotspots
        The file of a structure that the design is to bind, or ``"FILE:A,B"`` for some of its
        chains, and its residues to be touched, ``"A45,A48"``; without a motif the two go together.
    dock
        Dock the target as a rigid body and do not show it to the network.
    potential
        Places of functions of coordinates in Å, ``"module:function"``.
    conditioner
        Places of conditioners of one's own, ``"module:object"``.

    Raises
    ------
    InputError
        A value is out of its range, or goes with another that is not there.
    """

    symmetry: str | None = None
    start: str | None = None
    noise: float | None = None
    rg: str | float | None = None
    contacts: str | None = None
    shape: str | None = None
    target: str | None = None
    hotspots: str | None = None
    dock: bool = False
    potential: tuple[str, ...] = ()
    conditioner: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.symmetry is not None:
            from protdiff.structure.point_group import parse_point_group

            parse_point_group(self.symmetry)
        if self.noise is not None and self.start is None:
            raise InputError("a noise goes with a structure to start from, and there is none")
        if self.noise is not None and not 0.0 < self.noise <= 1.0:
            raise InputError(f"noise is {self.noise}; give a share of the steps above 0, up to 1")
        if self.rg is not None:
            from protdiff.structure.size import parse_radius

            parse_radius(self.rg)
        if self.contacts is not None:
            from protdiff.structure.contact import parse_contacts

            parse_contacts(self.contacts)
        if self.hotspots is not None and self.target is None:
            raise InputError(
                "a target and its hot spots go together; give the structure and the residues that "
                "designs are to touch, such as A45,A48"
            )
        if self.dock and self.target is None:
            raise InputError("there is no target to dock; give one, or leave docking out")
        if self.hotspots is not None:
            from protdiff.structure.selection import parse_selection

            parse_selection(self.hotspots)

    @cached_property
    def start_backbone(self) -> Backbone | None:
        """The structure to start from, read when it is first asked for."""
        from protdiff.structure import read_backbone

        return None if self.start is None else read_backbone(self.start)

    @cached_property
    def target_backbone(self) -> Backbone | None:
        """The structure to bind, read when it is first asked for."""
        from protdiff.structure.part import read_chains

        return None if self.target is None else read_chains(self.target)

    def read_files(self) -> None:
        """Read the structures that are named, so that what is wrong with them shows early."""
        self.start_backbone, self.target_backbone  # noqa: B018

    def make(self) -> tuple[Conditioner, ...]:
        """Make the conditioners.

        Raises
        ------
        InputError
            A file or a place cannot be used.
        """
        from protdiff.conditioning import (
            Conditioner,
            Contacts,
            PartialDiffusion,
            Partner,
            RadiusOfGyration,
            Shape,
            Symmetry,
            UserPotential,
        )

        made: list[Conditioner] = []
        if self.symmetry is not None:
            made.append(Symmetry(self.symmetry))
        if self.start_backbone is not None:
            noise = DEFAULT_NOISE if self.noise is None else self.noise
            made.append(PartialDiffusion(self.start_backbone, noise))
        if self.rg is not None:
            made.append(RadiusOfGyration(self.rg))
        if self.contacts is not None:
            made.append(Contacts(self.contacts))
        if self.shape is not None:
            made.append(Shape(self.shape))
        if self.target_backbone is not None:
            made.append(Partner(self.target_backbone, self.hotspots, docked=self.dock))
        made += [UserPotential(place) for place in self.potential]
        made += [find_object("conditioner", place, Conditioner) for place in self.conditioner]
        return tuple(made)


def describe_conditioners(conditioners: Sequence[Conditioner]) -> dict[str, Any]:
    """Return what conditioners add to what a run depends on; nothing where there are none."""
    if not conditioners:
        return {}
    return {"conditioners": [conditioner.describe() for conditioner in conditioners]}


def list_beside(conditioners: Sequence[Conditioner]) -> tuple[str, ...]:
    """List what conditioners have designs made beside."""
    return tuple(one.beside for one in conditioners if one.beside is not None)


def lay_out_chains(lengths: Sequence[int], conditioners: Sequence[Conditioner]) -> ChainLayout:
    """Lay out a design whose chains have these lengths, before conditioners make others of them."""
    from protdiff.structure.chain_layout import ChainLayout

    chains = ChainLayout.of_chains(lengths)
    for conditioner in conditioners:
        chains = conditioner.lay_out(chains)
    return chains


def choose_secondary_structure(
    settings: SamplingSettings, conditioners: Sequence[Conditioner]
) -> SecondaryStructureRequest:
    """Return the one request for secondary structure, of the settings or of a conditioner.

    Raises
    ------
    InputError
        There are two.
    """
    from protdiff.conditioning.secondary_structure import SecondaryStructure

    found = [one.request for one in conditioners if isinstance(one, SecondaryStructure)]
    asked = settings.secondary_structure_request
    if len(found) + asked.is_specific > 1:
        raise InputError(
            "secondary structure is asked for twice; give it once, as a setting or as a conditioner"
        )
    return parse_secondary_structure(found[0]) if found else asked

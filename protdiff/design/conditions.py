"""Conditioners as a design task holds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from protdiff.design.secondary_structure import (
    SecondaryStructureRequest,
    parse_secondary_structure,
)
from protdiff.errors import InputError

if TYPE_CHECKING:
    from protdiff.conditioning.conditioner import Conditioner
    from protdiff.design.settings import SamplingSettings
    from protdiff.structure.chain_layout import ChainLayout

__all__ = ["choose_secondary_structure", "describe_conditioners", "lay_out_chains"]


def describe_conditioners(conditioners: Sequence[Conditioner]) -> dict[str, Any]:
    """Return what conditioners add to what a run depends on; nothing where there are none."""
    if not conditioners:
        return {}
    return {"conditioners": [conditioner.describe() for conditioner in conditioners]}


def lay_out_chains(length: int, conditioners: Sequence[Conditioner]) -> ChainLayout:
    """Lay out a design of which one chain has ``length`` residues."""
    from protdiff.structure.chain_layout import ChainLayout

    chains = ChainLayout.of_one_chain(length)
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

"""Secondary structure as a condition: what the network is told, and was trained to be told."""

from __future__ import annotations

from typing import Any

from protdiff.conditioning.conditioner import Conditioner

__all__ = ["SecondaryStructure"]


class SecondaryStructure(Conditioner):
    """Ask for secondary structure, residue by residue or by fraction.

    It is no likelihood: the network is told, as it was in training. A design task draws what each
    design is told when it plans it, by the design's own random numbers, so the same words given as
    the setting ``secondary_structure`` make the same designs.

    Parameters
    ----------
    request
        In the words of ``--ss``: ``"12H3L6E"`` residue by residue (of one chain, in a symmetric
        design), ``"helix=0.3,strand=0.25"``, ``"natural"``, ``"mainly-alpha"``, ``"mainly-beta"``
        or ``"alpha-beta"``.
    """

    reads_mask = True

    def __init__(self, request: str) -> None:
        self.request = request

    def describe(self) -> dict[str, Any]:
        """Return the request."""
        return {"kind": "secondary structure", "request": self.request}

"""How a residue index tells where one chain ends and another begins."""

from __future__ import annotations

__all__ = ["CHAIN_JUMP"]

CHAIN_JUMP = 200
"""The least step of the residue index between two chains. A smaller step, of more than one, is a
gap within one chain."""

"""How large proteins are, and how users ask for a size.

Globular proteins of L residues have a radius of gyration of about 2.2 L^0.38 Å. A size is asked
for in Å, ``"14.5"``, or as a multiple of that, ``"x1.1"``, which suits designs of any length.

References
----------
Skolnick, Kolinski, Ortiz, "MONSSTER: a method for folding globular proteins with a small number of
distance restraints", 1997 (the law).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from protdiff.errors import InputError

__all__ = ["RadiusRequest", "expect_radius", "parse_radius"]

# Å³ that a residue fills: no chain is packed tighter than protein.
_RESIDUE_VOLUME = 134.0
# Å by which a residue lengthens a chain that is pulled straight.
_LONGEST_STEP = 3.8


def expect_radius(length: float) -> float:
    """Return the radius of gyration of a globular protein, 2.2 L^0.38, in Å.

    Examples
    --------
    >>> round(expect_radius(100), 2)
    12.66
    """
    return float(2.2 * length**0.38)


@dataclass(frozen=True)
class RadiusRequest:
    """A radius of gyration that is asked for.

    Attributes
    ----------
    value
        In Å, or a multiple of :func:`expect_radius`.
    relative
        Whether it is a multiple.
    """

    value: float
    relative: bool = False

    def __str__(self) -> str:
        return f"x{self.value:g}" if self.relative else f"{self.value:g}"

    def at(self, length: int) -> float:
        """Return the radius for a design of ``length`` residues, in Å."""
        return self.value * expect_radius(length) if self.relative else self.value

    def check(self, length: int) -> None:
        """Refuse a radius that no chain of ``length`` residues can have.

        Raises
        ------
        InputError
            It is under that of a ball of protein, or over that of a chain pulled straight.
        """
        radius = self.at(length)
        ball = math.sqrt(3 / 5) * (3 * _RESIDUE_VOLUME * length / (4 * math.pi)) ** (1 / 3)
        rod = _LONGEST_STEP * length / math.sqrt(12)
        # A backbone may be a little within the ball, which has room for side chains.
        if not 0.9 * ball <= radius <= rod:
            raise InputError(
                f"a chain of {length} residues cannot have a radius of gyration of {radius:.1f} Å; "
                f"give {0.9 * ball:.1f} to {rod:.1f} Å (globular proteins have about "
                f"{expect_radius(length):.1f})"
            )


def parse_radius(text: str | float) -> RadiusRequest:
    """Understand a radius of gyration: Å, or a multiple such as ``"x1.1"``.

    Raises
    ------
    InputError
        It is neither, or not positive.

    Examples
    --------
    >>> parse_radius("x1.1")
    RadiusRequest(value=1.1, relative=True)
    >>> parse_radius(14.5).at(100)
    14.5
    """
    match = re.fullmatch(r"\s*([xX×]?)\s*([0-9]*\.?[0-9]+)\s*(?:Å|A)?\s*", str(text))
    if match is None or not 0 < float(match[2]) < 1e4:
        raise InputError(
            f"{str(text)[:60]!r} is no radius of gyration; give Å, as in 14.5, or a multiple of "
            "that of globular proteins, as in x1.1"
        )
    return RadiusRequest(float(match[2]), bool(match[1]))

"""Contacts between residues of a design, as users write them.

``12-40`` asks for residues 12 and 40 to touch, ``12-40:7.5`` within 7.5 Å; ``A5-B9`` names the
chains of a design with several, and numbers residues within each. Contacts are separated by
commas. Distances are between alpha carbons.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from protdiff.errors import InputError

__all__ = ["DEFAULT_DISTANCE", "Contact", "DesignResidue", "parse_contact", "parse_contacts"]

DEFAULT_DISTANCE = 8.0
"""The distance of alpha carbons, in Å, up to which residues are said to touch."""

# Å: the least that alpha carbons may be apart, by their distance along the chain.
_LEAST = {1: 3.7, 2: 4.8, 3: 4.3}
_LEAST_OF_ANY = 3.0
_MOST = 200.0

_RESIDUE = r"([A-Za-z]*)([0-9]{1,6})"
_CONTACT = re.compile(rf"\s*{_RESIDUE}\s*-\s*{_RESIDUE}\s*(?::\s*([0-9]*\.?[0-9]+)\s*)?")


@dataclass(frozen=True)
class DesignResidue:
    """A residue of a design that does not exist yet.

    Attributes
    ----------
    number
        From 1: within its chain if one is named, through the whole design if not.
    chain
        A, B, ... in the order of the chains; None to count through all of them.
    """

    number: int
    chain: str | None = None

    def __str__(self) -> str:
        return f"{self.chain or ''}{self.number}"


@dataclass(frozen=True)
class Contact:
    """Two residues of a design that are to touch.

    Attributes
    ----------
    first, second
        The residues.
    distance
        The most that their alpha carbons may be apart, Å.

    Raises
    ------
    InputError
        It is one residue twice, a number under 1, or a distance that no two residues can have.
    """

    first: DesignResidue
    second: DesignResidue
    distance: float = DEFAULT_DISTANCE

    def __post_init__(self) -> None:
        for residue in (self.first, self.second):
            if residue.number < 1:
                raise InputError(f"contact {self}: residues of a design are numbered from 1")
        apart = None
        if self.first.chain == self.second.chain:
            apart = abs(self.first.number - self.second.number)
        if apart == 0:
            raise InputError(f"contact {self}: a residue touches itself already; name two")
        least = _LEAST.get(apart or 0, _LEAST_OF_ANY)
        if not (math.isfinite(self.distance) and least <= self.distance <= _MOST):
            raise InputError(
                f"contact {self}: no two such residues have their alpha carbons that far or near; "
                f"give a distance from {least:g} to {_MOST:g} Å"
            )

    def __str__(self) -> str:
        return f"{self.first}-{self.second}:{self.distance:g}"

    def check(self, length: int) -> None:
        """Refuse a design of ``length`` residues, all chains together, that lacks one of the two.

        Raises
        ------
        InputError
            A residue's number is higher.
        """
        for residue in (self.first, self.second):
            if residue.number > length:
                raise InputError(
                    f"contact {self}: there is no residue {residue} in a design of {length}"
                )


def parse_contact(text: str) -> Contact:
    """Understand one contact.

    Raises
    ------
    InputError
        It is none, or it cannot be.

    Examples
    --------
    >>> print(parse_contact("A12-40"))
    A12-A40:8
    """
    match = _CONTACT.fullmatch(text)
    if match is None:
        raise InputError(
            f"{text.strip()[:60]!r} is no contact; give two residues and perhaps a distance in Å, "
            "as in 12-40, 12-40:7.5 or A5-B9"
        )
    chain, number, other_chain, other_number, distance = match.groups()
    return Contact(
        DesignResidue(int(number), chain or None),
        DesignResidue(int(other_number), other_chain or chain or None),
        float(distance) if distance else DEFAULT_DISTANCE,
    )


def parse_contacts(text: str | Iterable[str]) -> list[Contact]:
    """Understand contacts separated by commas, or one after the other.

    Raises
    ------
    InputError
        One of them is none, or there is none.

    Examples
    --------
    >>> [str(contact) for contact in parse_contacts("12-40:7.5, A5-B9")]
    ['12-40:7.5', 'A5-B9:8']
    """
    pieces = (text if isinstance(text, str) else ",".join(text)).split(",")
    return [parse_contact(piece) for piece in pieces]

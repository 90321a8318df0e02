"""How long designs are: one length, a range, a mixture of both, or as natural proteins are.

``100`` and ``60-128`` are a length and a range, of which each length is as likely.
``64,100,128`` draws one of three, ``64:2,100:1`` the first twice as often as the second, and parts
of a mixture may be ranges: ``60-80:3,128``. ``natural`` draws from the lengths of natural
single-domain proteins, those of ``native_compositions.csv``, within what the bundled weights were
trained on; ``natural/40-256`` within other limits. ``60-80+100`` is a complex of two chains, each
with a length of its own.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from protdiff.design.secondary_structure import load_native_compositions
from protdiff.errors import InputError, shorten
from protdiff.structure.lengths import LengthRange, parse_length

if TYPE_CHECKING:
    import numpy as np

__all__ = ["NATURAL", "ChainLengths", "LengthLaw", "parse_lengths"]

NATURAL = "natural"
NATURAL_RANGE = (40, 128)
"""Limits of natural lengths unless told otherwise: what ``protdiff-base`` was trained on."""

_WEIGHT = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


@dataclass(frozen=True)
class LengthLaw:
    """A law of the length of one chain: a choice among ranges, and any length of the range chosen.

    Parameters
    ----------
    ranges
        (shortest, longest) of each part.
    weights
        How likely each part is, up to a factor.
    text
        The law as it was asked for, if it is no plain length or range.
    """

    ranges: tuple[tuple[int, int], ...]
    weights: tuple[float, ...]
    text: str = ""

    @property
    def span(self) -> tuple[int, int]:
        """The shortest and the longest that may be drawn."""
        return min(low for low, _ in self.ranges), max(high for _, high in self.ranges)

    @property
    def lengths(self) -> list[int]:
        """All that may be drawn, in order."""
        return sorted({n for low, high in self.ranges for n in range(low, high + 1)})

    def draw(self, rng: np.random.Generator) -> int:
        """Draw a length."""
        place = 0
        if len(self.ranges) > 1:
            total = math.fsum(self.weights)
            place = rng.choice(len(self.ranges), p=[weight / total for weight in self.weights])
        return int(rng.integers(*self.ranges[place], endpoint=True))

    def describe(self) -> int | str | list[int]:
        """Return the law as JSON knows it: a number, a range, or the text of another."""
        shortest, longest = self.span
        if self.text:
            return self.text
        return shortest if shortest == longest else [shortest, longest]

    def __str__(self) -> str:
        shortest, longest = self.span
        span = str(shortest) if shortest == longest else f"{shortest}-{longest}"
        return self.text or span


@dataclass(frozen=True)
class ChainLengths:
    """How long the chains of a design are, each by a law of its own.

    Parameters
    ----------
    laws
        One for each chain.
    """

    laws: tuple[LengthLaw, ...]

    def __len__(self) -> int:
        return len(self.laws)

    @property
    def extremes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The lengths of the chains where all are as short, and where all are as long as can be."""
        shortest, longest = zip(*(law.span for law in self.laws), strict=True)
        return shortest, longest

    @property
    def span(self) -> tuple[int, int]:
        """The fewest and the most residues, all chains together."""
        shortest, longest = self.extremes
        return sum(shortest), sum(longest)

    @property
    def totals(self) -> list[int]:
        """All numbers of residues that the chains may have together, in order."""
        found = {0}
        for law in self.laws:
            found = {total + length for total in found for length in law.lengths}
        return sorted(found)

    def draw(self, rng: np.random.Generator) -> tuple[int, ...]:
        """Draw the length of each chain."""
        return tuple(law.draw(rng) for law in self.laws)

    def describe(self) -> int | str | list[int]:
        """Return the lengths as JSON knows them: of one chain its law, of several a text."""
        if len(self.laws) == 1:
            return self.laws[0].describe()
        return "+".join(map(str, self.laws))


def parse_lengths(length: LengthRange) -> ChainLengths:
    """Understand how long the chains of designs are to be.

    Parameters
    ----------
    length
        A number, (shortest, longest), or a text as in this module's head.

    Raises
    ------
    InputError
        It is none of these, or a part of it is under 1 or ends before it begins.

    Examples
    --------
    >>> parse_lengths("60-128").span, parse_lengths("natural").span
    ((60, 128), (40, 128))
    >>> parse_lengths("64:2, 100-128").laws[0].weights
    (2.0, 1.0)
    >>> parse_lengths("60-80+100").extremes
    ((60, 100), (80, 100))
    """
    chains = length.split("+") if isinstance(length, str) else [length]
    return ChainLengths(tuple(_parse_law(chain) for chain in chains))


def _parse_law(length: LengthRange) -> LengthLaw:
    if not isinstance(length, str):
        return LengthLaw((parse_length(length),), (1.0,))
    text = "".join(length.split())
    name, _, limits = text.partition("/")
    if name == NATURAL:
        return _make_natural(parse_length(limits) if "/" in text else NATURAL_RANGE)
    if "," not in text and ":" not in text:
        return LengthLaw((parse_length(length),), (1.0,))
    parts = [part.partition(":") for part in text.split(",")]
    ranges = tuple(parse_length(span) for span, _, _ in parts)
    weights = tuple(_parse_weight(weight) if colon else 1.0 for _, colon, weight in parts)
    return LengthLaw(ranges, weights, text)


def _parse_weight(text: str) -> float:
    if _WEIGHT.fullmatch(text) is None or not float(text):
        raise InputError(
            f"the weight of a length is a number above 0, as in 64:2; got {shorten(text)!r}"
        )
    return float(text)


def _make_natural(limits: tuple[int, int]) -> LengthLaw:
    shortest, longest = limits
    lengths = load_native_compositions()[:, 0].astype(int).tolist()
    counts = Counter(n for n in lengths if shortest <= n <= longest)
    if not counts:
        raise InputError(
            f"no natural protein of {shortest} to {longest} residues is known here; give limits "
            f"that meet {min(lengths)} to {max(lengths)}"
        )
    ordered = sorted(counts)
    return LengthLaw(
        tuple((n, n) for n in ordered),
        tuple(float(counts[n]) for n in ordered),
        f"{NATURAL}/{shortest}-{longest}",
    )

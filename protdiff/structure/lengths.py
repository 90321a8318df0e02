r"""Lengths: as users write them, and drawn uniformly under a constraint on their sum.

A contig stands for many layouts, one for each choice of the lengths
:math:`n_k \in [a_k, b_k]`. Under a constraint on the total they are drawn uniformly from all that
satisfy it. With :math:`W_k(s)` the number of ways in which the ranges k, k+1, ... sum to s,

.. math:: W_k(s) = \sum_{n=a_k}^{b_k} W_{k+1}(s - n), \qquad
          p(n_k \mid \text{rest } s) = W_{k+1}(s - n_k) / W_k(s),

in exact integers, so that a layout is drawn at once and no draw is thrown away.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from protdiff.errors import InputError, shorten
from protdiff.plain import take_integer

__all__ = ["LengthRange", "count_sums", "draw_lengths", "parse_length"]

#: A length as users give it: a number, ``"60-128"``, or (low, high).
LengthRange = int | str | tuple[int, int]


def parse_length(length: LengthRange) -> tuple[int, int]:
    """Return (low, high) of a length given as a number, a pair or ``"50-75"``.

    Examples
    --------
    >>> parse_length(100), parse_length("60-128"), parse_length((50, 75))
    ((100, 100), (60, 128), (50, 75))

    Raises
    ------
    InputError
        It is none of these, under 1, endless, or ends before it begins.
    """
    if isinstance(length, str):
        match = re.fullmatch(r"\s*([0-9]{1,9})\s*(?:-\s*([0-9]{1,9})\s*)?", length)
        if match is None:
            raise InputError(
                f"a length is a number or a range such as 60-128; got {shorten(length)!r}"
            )
        low, high = int(match[1]), int(match[2] or match[1])
    elif isinstance(length, tuple):
        if len(length) != 2:
            raise InputError(f"a range of lengths is (low, high); got {length!r}")
        low, high = (take_integer("an end of a range of lengths", end) for end in length)
    else:
        low = high = take_integer("a length", length)
    if max(low, high) >= 10**9:
        raise InputError("a length has at most nine digits; the one given has more")
    if low < 1:
        raise InputError(f"a length is at least 1; got {length!r}")
    if high < low:
        raise InputError(f"the length {length!r} ends before it begins; write the lower end first")
    return low, high


def count_sums(ranges: Sequence[tuple[int, int]]) -> list[int]:
    """Return how many choices of one number from each range sum to s, for s = 0, 1, ...

    Examples
    --------
    >>> count_sums([(0, 1), (1, 2)])
    [0, 1, 2, 1]
    """
    return _count_ways(ranges)[0]


def draw_lengths(
    rng: np.random.Generator, ranges: Sequence[tuple[int, int]], totals: range
) -> list[int] | None:
    """Draw one number from each range, uniformly from all choices with a wanted sum.

    Parameters
    ----------
    rng
        The source of randomness.
    ranges
        (low, high) of each number, both ends included.
    totals
        The sums wanted.

    Returns
    -------
    list of int, or None
        None if no choice has such a sum.
    """
    ways = _count_ways(ranges)
    weights = [ways[0][total] if 0 <= total < len(ways[0]) else 0 for total in totals]
    if not any(weights):
        return None
    rest = totals[_draw(rng, weights)]
    lengths = []
    for (low, high), tail in zip(ranges, ways[1:], strict=True):
        options = range(low, min(high, rest) + 1)
        weights = [tail[rest - n] if rest - n < len(tail) else 0 for n in options]
        lengths.append(options[_draw(rng, weights)])
        rest -= lengths[-1]
    return lengths


def _count_ways(ranges: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Return W with W[k][s], the number of ways in which ranges k, k+1, ... sum to s."""
    ways = [[1]]
    for low, high in reversed(ranges):
        tail = ways[0]
        # A window sum by differences of the running sum: linear in the total, not in its square.
        running = [0, *accumulate(tail)]
        count = len(tail) + high
        ways.insert(
            0,
            [
                running[min(max(s - low + 1, 0), len(tail))]
                - running[min(max(s - high, 0), len(tail))]
                for s in range(count)
            ],
        )
    return ways


def _draw(rng: np.random.Generator, weights: Sequence[int]) -> int:
    """Draw an index with a probability proportional to an integer weight, without rounding."""
    total = sum(weights)
    bits = total.bit_length()
    while True:
        # Counts outgrow 64 bits with a dozen of ranges.
        value = int.from_bytes(rng.bytes((bits + 7) // 8), "little") & ((1 << bits) - 1)
        if value < total:
            break
    for index, weight in enumerate(weights):
        value -= weight
        if value < 0:
            return index
    raise AssertionError("a draw below the total lies under one of the weights")

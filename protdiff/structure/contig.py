r"""Contigs: a chain of given and made pieces, in one line of text.

``10-40/A163-181/10-40`` asks for 10 to 40 designed residues, the residues A163 to A181 of a given
structure, and 10 to 40 more. The language is RFdiffusion's, with its comma form::

    contig   = chain ( "/0 " chain )*        "/0 " begins a new chain
    chain    = segment ( ("/" | ",") segment )*
    segment  = length | length "-" length | residues
    residues = chain id, or chain id and number, or chain id, number, "-" and number

Numbers are the author's, may be negative and may carry an insertion code
(:mod:`protdiff.structure.selection`).

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
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from protdiff.errors import InputError
from protdiff.structure.backbone import CHAIN_JUMP, Backbone, index_steps
from protdiff.structure.examine import examine_range
from protdiff.structure.selection import ResidueRange, ScanError, scan_residue_range

__all__ = [
    "Contig",
    "ContigError",
    "DesignedSegment",
    "Layout",
    "MotifSegment",
    "PlacedSegment",
    "parse_contig",
    "parse_length",
]

#: The longest designed segment that a contig may ask for; no model makes longer ones.
MAX_DESIGNED = 10_000

LengthRange = int | str | tuple[int, int]


class ContigError(InputError):
    """A contig cannot be used.

    Attributes
    ----------
    text
        The contig.
    position
        The place of the character at fault, from 0.
    """

    def __init__(self, text: str, position: int, problem: str) -> None:
        super().__init__(f"contig {text!r}, character {position + 1}: {problem}")
        self.text = text
        self.position = position

    @property
    def pointer(self) -> str:
        """Two lines, the contig and a mark below the character at fault."""
        return f"{self.text}\n{' ' * self.position}^"


@dataclass(frozen=True)
class DesignedSegment:
    """Residues to be made: ``low`` to ``high`` of them; ``position`` is its place in the text."""

    low: int
    high: int
    position: int

    def __str__(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low}-{self.high}"


@dataclass(frozen=True)
class MotifSegment:
    """Residues that are given.

    Attributes
    ----------
    residues
        Their author's names.
    position
        The segment's place in the text.
    places
        Where they stand in the structure, once the contig is resolved against one.
    """

    residues: ResidueRange
    position: int
    places: tuple[int, ...] | None = None

    @property
    def length(self) -> int | None:
        """How many residues; without a structure None if insertion codes or a chain hide it."""
        if self.places is not None:
            return len(self.places)
        first, last = self.residues.first, self.residues.last
        if first is None or last is None:
            return None
        if first == last:
            return 1
        return None if first[1] or last[1] else last[0] - first[0] + 1

    def __str__(self) -> str:
        return str(self.residues)


Segment = DesignedSegment | MotifSegment


@dataclass(frozen=True)
class PlacedSegment:
    """A segment in a layout.

    Attributes
    ----------
    start, length
        The places it takes in the design, from 0.
    chain
        The number of its chain in the design, from 0.
    motif
        What is given there; None where residues are made.
    """

    start: int
    length: int
    chain: int
    motif: MotifSegment | None

    @property
    def stop(self) -> int:
        """The place after its last residue."""
        return self.start + self.length


@dataclass(frozen=True)
class Layout:
    """One choice of all lengths of a contig."""

    segments: tuple[PlacedSegment, ...]

    @property
    def length(self) -> int:
        """The number of residues of the design."""
        return self.segments[-1].stop

    @property
    def motif_positions(self) -> NDArray[np.int64]:
        """(motif residue,) places of the motif in the design, from 0."""
        spans = [np.arange(s.start, s.stop) for s in self.segments if s.motif is not None]
        return np.concatenate([np.zeros(0, np.int64), *spans])

    @property
    def source_places(self) -> NDArray[np.int64]:
        """(motif residue,) places of the motif in the structure the contig was resolved against."""
        places: list[int] = []
        for segment in self.segments:
            if segment.motif is not None:
                if segment.motif.places is None:
                    raise InputError(
                        f"the motif {segment.motif} has no structure; resolve the contig first"
                    )
                places.extend(segment.motif.places)
        return np.array(places, dtype=np.int64)

    @property
    def chain_breaks(self) -> tuple[int, ...]:
        """The places where a new chain begins, from 0, without the first."""
        return tuple(np.flatnonzero(np.diff(self.chain_numbers)) + 1)

    @property
    def chain_numbers(self) -> NDArray[np.int64]:
        """(residue,) the number of each residue's chain, from 0."""
        return np.repeat(
            np.array([s.chain for s in self.segments], dtype=np.int64),
            [s.length for s in self.segments],
        )

    @property
    def residue_index(self) -> NDArray[np.int64]:
        """(residue,) the residue index of the design, with a jump at each new chain."""
        return index_steps(np.where(np.diff(self.chain_numbers) > 0, CHAIN_JUMP, 1))

    def __str__(self) -> str:
        """Write the layout as a contig of fixed lengths."""
        parts: list[str] = []
        for before, segment in zip((None, *self.segments), self.segments, strict=False):
            if before is not None and segment.chain != before.chain:
                parts[-1] += "/0 "
            elif parts and segment.length:
                parts[-1] += "/"
            if segment.length:
                parts.append(str(segment.length if segment.motif is None else segment.motif))
        return "".join(parts)


@dataclass(frozen=True)
class Contig:
    """A parsed contig: the segments of its chains.

    Attributes
    ----------
    text
        As it was written.
    chains
        The segments, chain by chain.
    """

    text: str
    chains: tuple[tuple[Segment, ...], ...]

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The segments of all chains."""
        return tuple(segment for chain in self.chains for segment in chain)

    @property
    def motif_segments(self) -> tuple[MotifSegment, ...]:
        """The segments that are given."""
        return tuple(s for s in self.segments if isinstance(s, MotifSegment))

    def resolve(self, backbone: Backbone) -> Contig:
        """Find the motif in a structure.

        Parameters
        ----------
        backbone
            The structure that the contig names residues of.

        Returns
        -------
        Contig
            The same, with the places of its motif residues.

        Raises
        ------
        ContigError
            A chain or residue is not there or has no full backbone; a range runs over a chain
            break; a residue is used twice.
        """
        owner: dict[int, MotifSegment] = {}
        chains: list[tuple[Segment, ...]] = []
        for chain in self.chains:
            resolved: list[Segment] = []
            for segment in chain:
                if isinstance(segment, DesignedSegment):
                    resolved.append(segment)
                    continue
                found = examine_range(backbone, segment.residues)
                if found.problem is not None:
                    raise ContigError(self.text, segment.position, found.problem)
                for place in found.places:
                    if place in owner:
                        raise ContigError(
                            self.text,
                            segment.position,
                            f"residue {backbone.label(place)} is used twice, by {owner[place]} "
                            f"and {segment}; a residue can stand in one place only",
                        )
                    owner[place] = segment
                resolved.append(replace(segment, places=found.places))
            chains.append(tuple(resolved))
        return replace(self, chains=tuple(chains))

    @property
    def length_span(self) -> tuple[int, int]:
        """The shortest and longest total length.

        Raises
        ------
        ContigError
            The length of a motif segment is not known without its structure.
        """
        given = sum(self._get_length(segment) for segment in self.motif_segments)
        ranges = self._get_ranges()
        return given + sum(low for low, _ in ranges), given + sum(high for _, high in ranges)

    def _get_length(self, segment: MotifSegment) -> int:
        if segment.length is None:
            raise ContigError(
                self.text,
                segment.position,
                f"how many residues {segment} is cannot be told without the structure; resolve "
                "the contig against it",
            )
        return segment.length

    def _get_ranges(self) -> list[tuple[int, int]]:
        return [(s.low, s.high) for s in self.segments if isinstance(s, DesignedSegment)]

    def count_layouts(self, total_length: LengthRange | None = None) -> int:
        """Count the layouts whose total length is as wanted, exactly.

        Examples
        --------
        >>> parse_contig("0-35/A45-65/0-35").count_layouts(56)
        36
        """
        ways = _count_ways(self._get_ranges())[0]
        given = sum(self._get_length(segment) for segment in self.motif_segments)
        if total_length is None:
            return sum(ways)
        low, high = parse_length(total_length)
        return sum(ways[max(low - given, 0) : max(high - given + 1, 0)])

    def sample_layout(
        self, rng: np.random.Generator, total_length: LengthRange | None = None
    ) -> Layout:
        """Draw one layout, uniformly from all whose total length is as wanted.

        Parameters
        ----------
        rng
            The source of randomness.
        total_length
            The number of residues of the design, motif included: a number, ``(low, high)`` or
            ``"50-75"``, both ends included. Any without it.

        Raises
        ------
        InputError
            No layout has such a length; the message names the feasible span.
        """
        ranges = self._get_ranges()
        given = sum(self._get_length(segment) for segment in self.motif_segments)
        if total_length is None:
            lengths = [int(rng.integers(low, high + 1)) for low, high in ranges]
        else:
            low, high = parse_length(total_length)
            ways = _count_ways(ranges)
            totals = range(max(low - given, 0), min(high - given, len(ways[0]) - 1) + 1)
            weights = [ways[0][total] for total in totals]
            if not sum(weights):
                shortest, longest = self.length_span
                wanted = str(low) if low == high else f"{low}-{high}"
                feasible = str(shortest) if shortest == longest else f"{shortest}-{longest}"
                raise InputError(
                    f"contig {self.text!r} cannot have a total length of {wanted}; it can have "
                    f"{feasible}, so change the length or the ranges"
                )
            rest = totals[_draw(rng, weights)]
            lengths = []
            for k, (shortest, longest) in enumerate(ranges):
                options = range(shortest, min(longest, rest) + 1)
                tail = ways[k + 1]
                weights = [tail[rest - n] if rest - n < len(tail) else 0 for n in options]
                lengths.append(options[_draw(rng, weights)])
                rest -= lengths[-1]
        return self._place(lengths)

    def _place(self, lengths: Sequence[int]) -> Layout:
        remaining = iter(lengths)
        placed = []
        start = 0
        for number, chain in enumerate(self.chains):
            for segment in chain:
                if isinstance(segment, DesignedSegment):
                    placed.append(PlacedSegment(start, next(remaining), number, None))
                else:
                    length = self._get_length(segment)
                    placed.append(PlacedSegment(start, length, number, segment))
                start = placed[-1].stop
        return Layout(tuple(placed))


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


def parse_length(length: LengthRange) -> tuple[int, int]:
    """Return (low, high) of a length given as a number, a pair or ``"50-75"``.

    Examples
    --------
    >>> parse_length(100), parse_length("60-128"), parse_length((50, 75))
    ((100, 100), (60, 128), (50, 75))

    Raises
    ------
    InputError
        It is none of these, under 1, or ends before it begins.
    """
    if isinstance(length, str):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", length)
        if match is None:
            raise InputError(f"a length is a number or a range such as 60-128; got {length!r}")
        low, high = int(match[1]), int(match[2] or match[1])
    elif isinstance(length, tuple):
        if len(length) != 2:
            raise InputError(f"a range of lengths is (low, high); got {length!r}")
        low, high = int(length[0]), int(length[1])
    else:
        low = high = int(length)
    if low < 1:
        raise InputError(f"a length is at least 1; got {length!r}")
    if high < low:
        raise InputError(f"the length {length!r} ends before it begins; write the lower end first")
    return low, high


def parse_contig(text: str) -> Contig:
    """Read a contig.

    Parameters
    ----------
    text
        Such as ``"10-40/A163-181/10-40"``, ``"10-40,A163-181,10-40"`` or
        ``"A1-50/0 60-80"``; brackets and quotes around it are taken off.

    Raises
    ------
    ContigError
        It cannot be read; the message and ``position`` point at the character.

    Examples
    --------
    >>> contig = parse_contig("10-40/A163-181/10-40")
    >>> contig.length_span
    (39, 99)
    >>> layout = contig.sample_layout(np.random.default_rng(0), total_length=75)
    >>> layout.length, len(layout.motif_positions)
    (75, 19)
    >>> parse_contig("10-40/A163-x/10")
    Traceback (most recent call last):
    ...
    protdiff.structure.contig.ContigError: contig '10-40/A163-x/10', character 12: ...
    """
    start, stop = _find_core(text)
    tokens = list(re.compile(r"[^\s/,]+").finditer(text, start, stop))
    if not tokens:
        raise ContigError(text, start, "the contig is empty; write e.g. 10-40/A163-181/10-40")
    chains: list[list[Segment]] = [[]]
    end = start
    for number, token in enumerate(tokens):
        _check_separator(text, end, token.start(), number == 0, tokens[number - 1][0] == "0")
        end = token.end()
        if token[0] == "0":
            if not chains[-1] or number == len(tokens) - 1:
                raise ContigError(
                    text,
                    token.start(),
                    "0 marks a chain break, and it needs segments on both sides",
                )
            chains.append([])
            continue
        chains[-1].append(_parse_segment(text, token.start(), token[0]))
    if text[end:stop].strip():
        raise ContigError(text, _find_mark(text, end), "expected another segment after this")
    for chain in chains:
        if all(isinstance(segment, DesignedSegment) and not segment.low for segment in chain):
            raise ContigError(
                text,
                chain[0].position,
                "this chain could have no residue at all; start its range at 1 or higher",
            )
    return Contig(text, tuple(tuple(chain) for chain in chains))


def _find_core(text: str) -> tuple[int, int]:
    """Return where the contig begins and ends within its brackets, quotes and blanks."""
    start, stop = 0, len(text)
    while start < stop and text[start] in " \t\n[]'\"":
        start += 1
    while stop > start and text[stop - 1] in " \t\n[]'\"":
        stop -= 1
    return start, stop


def _find_mark(text: str, start: int) -> int:
    return next(i for i in range(start, len(text)) if text[i] in "/,")


def _check_separator(text: str, end: int, start: int, is_first: bool, after_zero: bool) -> None:
    between = text[end:start]
    marks = [end + i for i, character in enumerate(between) if character in "/,"]
    if is_first:
        if marks:
            raise ContigError(text, marks[0], "expected a segment before this")
    elif len(marks) > 1:
        raise ContigError(text, marks[1], "expected a segment between these two separators")
    elif not marks and not after_zero:
        raise ContigError(
            text, start, "segments are separated by / or a comma, and chains by '/0 '"
        )


def _parse_segment(text: str, position: int, token: str) -> Segment:
    if not token[0].isdigit() or ":" in token:
        if token[0] == "-":
            raise ContigError(text, position, "a length cannot be negative; residues need a chain")
        try:
            return MotifSegment(scan_residue_range(token), position)
        except ScanError as error:
            raise ContigError(text, position + error.index, error.expected) from error
    match = re.match(r"(\d+)(?:-(\d+))?", token)
    assert match is not None  # it begins with a digit
    if match.end() < len(token):
        raise ContigError(
            text,
            position + match.end(),
            "expected a length such as 10 or 10-40; residues begin with their chain, as A10-40",
        )
    low, high = int(match[1]), int(match[2] or match[1])
    if high < low:
        raise ContigError(
            text, position + match.start(2), f"the range ends before it begins ({low} > {high})"
        )
    if high == 0:
        raise ContigError(text, position, "a segment of length 0; leave it out")
    if high > MAX_DESIGNED:
        raise ContigError(
            text, position, f"{high} residues are more than the {MAX_DESIGNED} a segment may have"
        )
    return DesignedSegment(low, high, position)

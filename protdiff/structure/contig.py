r"""Contigs: a chain of given and made pieces, in one line of text.

``10-40/A163-181/10-40`` asks for 10 to 40 designed residues, the residues A163 to A181 of a given
structure, and 10 to 40 more. A :class:`Contig` is such a text understood
(:mod:`protdiff.structure.contig_language` reads it); resolved against a structure, it knows where
its motif stands there; and a :class:`Layout` is one choice of all its lengths
(:mod:`protdiff.structure.lengths` draws them).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from protdiff.errors import InputError
from protdiff.structure.backbone import CHAIN_JUMP, Backbone, index_steps
from protdiff.structure.examine import examine_range
from protdiff.structure.lengths import LengthRange, count_sums, draw_lengths, parse_length
from protdiff.structure.selection import ResidueRange

__all__ = [
    "Contig",
    "ContigError",
    "DesignedSegment",
    "Layout",
    "LengthRange",
    "MotifSegment",
    "PlacedSegment",
    "parse_length",
]


_MOST_SHOWN = 160  # characters of a very long contig, in a message


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
        shown, _ = _cut_out(text, position)
        problem, _ = _cut_out(problem, 0)
        super().__init__(f"contig {shown!r}, character {position + 1}: {problem}")
        self.text = text
        self.position = position

    @property
    def pointer(self) -> str:
        """Two lines, the contig and a mark below the character at fault."""
        shown, place = _cut_out(self.text, self.position)
        return f"{shown}\n{' ' * place}^"


def _cut_out(text: str, position: int) -> tuple[str, int]:
    """Return a text, or the part of a very long one around a character, and its place there."""
    if len(text) <= 2 * _MOST_SHOWN:
        return text, position
    start = max(0, position - _MOST_SHOWN // 2)
    before, after = "..." * (start > 0), "..." * (start + _MOST_SHOWN < len(text))
    return before + text[start : start + _MOST_SHOWN] + after, position - start + len(before)


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
    group
        The name of the rigid group it belongs to. Segments of one group and one file keep their
        places relative to each other, others do not.
    """

    residues: ResidueRange
    position: int
    places: tuple[int, ...] | None = None
    group: str = ""

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
        return f"{self.residues}#{self.group}" if self.group else str(self.residues)


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
    def motif_groups(self) -> NDArray[np.int64]:
        """(motif residue,) the number of each residue's rigid group, from 1 as they come."""
        numbers: dict[tuple[str, str], int] = {}
        groups = [np.zeros(0, np.int64)]
        for segment in self.segments:
            if segment.motif is not None:
                body = segment.motif.residues.file, segment.motif.group
                number = numbers.setdefault(body, len(numbers) + 1)
                groups.append(np.full(segment.length, number))
        return np.concatenate(groups)

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
            break; a residue is used twice; a group holds segments of several files.
        """
        self.check_groups()
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

    def check_groups(self) -> None:
        """Refuse a named group that is not one rigid body: files have no pose to each other.

        Raises
        ------
        ContigError
            There is one.
        """
        files: dict[str, MotifSegment] = {}
        for segment in self.motif_segments:
            first = files.setdefault(segment.group, segment)
            if segment.group and first.residues.file != segment.residues.file:
                raise ContigError(
                    self.text,
                    segment.position,
                    f"group {segment.group} holds {first.residues} and {segment.residues}, which "
                    "are of two files; files stand in no known pose to each other, so give each a "
                    "group of its own",
                )

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

    def limit_lengths(self, total_length: LengthRange | None = None) -> tuple[int, int]:
        """Return the shortest and the longest design within ``total_length``, if one is given."""
        shortest, longest = self.length_span
        if total_length is None:
            return shortest, longest
        low, high = parse_length(total_length)
        return max(shortest, low), min(longest, high)

    def count_layouts(self, total_length: LengthRange | None = None) -> int:
        """Count the layouts whose total length is as wanted, exactly.

        Examples
        --------
        >>> from protdiff.structure import parse_contig
        >>> parse_contig("0-35/A45-65/0-35").count_layouts(56)
        36
        """
        ways = count_sums(self._get_ranges())
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
            # No sum is over the longest, and a range such as 1-1000000 must cost nothing.
            shortest, longest = self.length_span
            totals = range(max(low, shortest) - given, min(high, longest) - given + 1)
            drawn = draw_lengths(rng, ranges, totals)
            if drawn is None:
                wanted = str(low) if low == high else f"{low}-{high}"
                feasible = str(shortest) if shortest == longest else f"{shortest}-{longest}"
                raise InputError(
                    f"contig {self.text!r} cannot have a total length of {wanted}; it can have "
                    f"{feasible}, so change the length or the ranges"
                )
            lengths = drawn
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

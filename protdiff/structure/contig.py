r"""Contigs: a chain of given and made pieces, in one line of text.

``10-40/A163-181/10-40`` asks for 10 to 40 designed residues, the residues A163 to A181 of a given
structure, and 10 to 40 more. A :class:`Contig` is such a text understood
(:mod:`protdiff.structure.contig_language` reads it); resolved against a structure, it knows where
its motif stands there; and a :class:`~protdiff.structure.layout.Layout` is one choice of all its
lengths (:mod:`protdiff.structure.lengths` draws them).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from protdiff.errors import InputError
from protdiff.structure.backbone import Backbone
from protdiff.structure.examine import examine_range
from protdiff.structure.geometry import LINK_SPAN, LINK_TOLERANCE, MAX_CA_DISTANCE
from protdiff.structure.layout import Layout, PlacedSegment
from protdiff.structure.lengths import LengthRange, count_sums, draw_lengths, parse_length
from protdiff.structure.segments import DesignedSegment, MotifSegment, Segment

__all__ = ["Contig", "ContigError"]

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

    def fit_linkers(self, backbone: Backbone) -> Contig:
        """Keep linkers from being drawn shorter than what they have to span.

        Between two segments of one rigid body the distance of their ends is given. If one linker
        of open length stands between them, its least length is raised to what spans that distance.

        Parameters
        ----------
        backbone
            What the contig was resolved against.

        Raises
        ------
        ContigError
            The CA of two ends are further apart than even the longest linker spans.
        """
        chains = tuple(tuple(self._fit_chain(chain, backbone)) for chain in self.chains)
        return replace(self, chains=chains)

    def _fit_chain(self, chain: Sequence[Segment], backbone: Backbone) -> list[Segment]:
        fitted = list(chain)
        ends: dict[tuple[str, str], tuple[int, MotifSegment]] = {}
        for number, segment in enumerate(chain):
            if isinstance(segment, DesignedSegment):
                continue
            if segment.body in ends:
                end, before = ends[segment.body]
                between = range(end + 1, number)
                longest = sum(self._get_most(chain[k]) for k in between)
                needed = self._count_spanning(backbone, before, segment, longest)
                linkers = [(k, s) for k in between if isinstance(s := fitted[k], DesignedSegment)]
                still_open = [(k, linker) for k, linker in linkers if linker.low < linker.high]
                if len(still_open) == 1:
                    ((k, linker),) = still_open
                    low = needed - (longest - linker.high)
                    fitted[k] = replace(linker, low=max(linker.low, low))
            ends[segment.body] = number, segment
        return fitted

    def _count_spanning(
        self, backbone: Backbone, before: MotifSegment, segment: MotifSegment, longest: int
    ) -> int:
        """Count the residues that it takes between two segments; refuse more than there may be."""
        assert before.places is not None  # it is resolved
        assert segment.places is not None
        ca = backbone.coordinates[[before.places[-1], segment.places[0]], 1].astype(float)
        distance = float(np.linalg.norm(ca[1] - ca[0]))
        if distance <= MAX_CA_DISTANCE:  # a link of the input is one, however long
            return 0
        needed = max(math.ceil((distance - LINK_TOLERANCE) / LINK_SPAN) - 1, 1)
        if needed > longest:
            raise ContigError(
                self.text,
                segment.position,
                f"the CA of {before}, at its end, and of {segment}, at its start, are "
                f"{distance:.1f} Å apart, which {longest} residues cannot span; put {needed} or "
                f"more between them, or let them move apart as groups, {before.residues}#1 and "
                f"{segment.residues}#2",
            )
        return needed

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

    def _get_most(self, segment: Segment) -> int:
        return segment.high if isinstance(segment, DesignedSegment) else self._get_length(segment)

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

    def list_shortest(self, total_length: LengthRange | None = None) -> list[Layout]:
        """List a layout for each chain, in which it is as short as it can be.

        All have the least total length that may be: what is taken from one chain is added to the
        others.

        Parameters
        ----------
        total_length
            As :meth:`sample_layout` has it, which some layout can have.

        Examples
        --------
        >>> from protdiff.structure import parse_contig
        >>> [str(layout) for layout in parse_contig("10-60/0 20-60").list_shortest(90)]
        ['30/0 60', '60/0 30']
        """
        found = []
        for number in range(len(self.chains)):
            free = [
                (index == number, segment)
                for index, chain in enumerate(self.chains)
                for segment in chain
                if isinstance(segment, DesignedSegment)
            ]
            lengths = [segment.low for _, segment in free]
            rest = self.limit_lengths(total_length)[0] - self.length_span[0]
            for place in sorted(range(len(free)), key=lambda place: free[place][0]):
                more = min(rest, free[place][1].high - lengths[place])
                lengths[place] += more
                rest -= more
            found.append(self._place(lengths))
        return found

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

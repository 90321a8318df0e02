"""Layouts: what stands where in a design, once the lengths of a contig are chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from protdiff.errors import InputError
from protdiff.structure.numbering import CHAIN_JUMP, index_steps
from protdiff.structure.segments import MotifSegment

__all__ = ["Layout", "PlacedSegment"]


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
    gap
        How many residues of its chain are missing before it, after the segment before.
    """

    start: int
    length: int
    chain: int
    motif: MotifSegment | None
    gap: int = 0

    @property
    def stop(self) -> int:
        """The place after its last residue."""
        return self.start + self.length


@dataclass(frozen=True)
class Layout:
    """One choice of all lengths of a contig."""

    segments: tuple[PlacedSegment, ...]

    @classmethod
    def of_chains(cls, lengths: Sequence[int]) -> Layout:
        """Lay out chains of which nothing is given."""
        starts = [0, *accumulate(lengths)]
        return cls(
            tuple(
                PlacedSegment(start, length, chain, None)
                for chain, (start, length) in enumerate(zip(starts, lengths, strict=False))
            )
        )

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
        """(motif residue,) the number of each residue's rigid group, from 1 as the user named them.

        Segments whose places are found in sampling may stand in another order in the chain.
        """
        numbers = {body: number for number, body in enumerate(self._find_bodies(), start=1)}
        groups = [
            np.full(segment.length, numbers[motif.body])
            for segment in self.segments
            if (motif := segment.motif) is not None
        ]
        return np.concatenate([np.zeros(0, np.int64), *groups])

    @property
    def group_names(self) -> tuple[str, ...]:
        """The segments of each rigid group, as ``A52-71#2``, in the order of their numbers."""
        return tuple(",".join(map(str, segments)) for segments in self._find_bodies().values())

    def _find_bodies(self) -> dict[tuple[str, str], list[MotifSegment]]:
        bodies: dict[tuple[str, str], list[MotifSegment]] = {}
        for _, motif in sorted(
            ((s.chain, s.motif) for s in self.segments if s.motif is not None),
            key=lambda pair: (pair[0], pair[1].position),
        ):
            bodies.setdefault(motif.body, []).append(motif)
        return bodies

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
        """(residue,) the residue index of the design, with a jump at each new chain and gap."""
        steps = np.where(np.diff(self.chain_numbers) > 0, CHAIN_JUMP, 1)
        for segment in self.segments:
            if segment.start:
                steps[segment.start - 1] += segment.gap
        return index_steps(steps)

    def __str__(self) -> str:
        """Write the layout as a contig of fixed lengths."""
        chains: dict[int, list[str]] = {}
        for segment in self.segments:
            pieces = chains.setdefault(segment.chain, [])
            if segment.length:
                pieces.append(str(segment.length if segment.motif is None else segment.motif))
        return "/0 ".join("/".join(pieces) for pieces in chains.values())

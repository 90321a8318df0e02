"""The pieces of a contig: residues to be made, and residues that are given."""

from __future__ import annotations

from dataclasses import dataclass, replace

from protdiff.structure.selection import ResidueRange

__all__ = ["DesignedSegment", "MotifSegment", "Segment"]


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

    @property
    def body(self) -> tuple[str, str]:
        """What segments of one rigid body have in common: their file and their group."""
        return self.residues.file, self.group

    def extend(self, other: MotifSegment) -> MotifSegment:
        """Return one segment of this one and of another that follows upon it, both resolved."""
        residues = replace(self.residues, last=other.residues.last)
        places = (*(self.places or ()), *(other.places or ()))
        return replace(self, residues=residues, places=places)

    def __str__(self) -> str:
        return f"{self.residues}#{self.group}" if self.group else str(self.residues)


Segment = DesignedSegment | MotifSegment

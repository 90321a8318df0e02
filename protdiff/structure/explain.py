"""Explaining a contig without running it: what each segment asks for, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass

from protdiff.structure.backbone import Backbone
from protdiff.structure.contig import Contig
from protdiff.structure.contig_language import parse_contig
from protdiff.structure.examine import examine_range
from protdiff.structure.motif import name_chain
from protdiff.structure.segments import DesignedSegment

__all__ = ["SegmentRow", "explain_contig"]


@dataclass(frozen=True)
class SegmentRow:
    """One line of the explanation of a contig.

    Attributes
    ----------
    text
        The segment.
    kind
        ``"designed"`` or ``"motif"``.
    chain
        The chain of the design it belongs to.
    low, high
        Its shortest and longest length; None where that cannot be told.
    found
        How many of the residues are in the structure; None without one.
    sequence
        Their amino acids in one-letter code.
    missing
        What is not there, as spans such as ``"A106-133"``.
    problem
        Why this segment cannot be used; None if it can.
    """

    text: str
    kind: str
    chain: str
    low: int | None
    high: int | None
    found: int | None = None
    sequence: str = ""
    missing: tuple[str, ...] = ()
    problem: str | None = None


def explain_contig(contig: str | Contig, backbone: Backbone | None = None) -> list[SegmentRow]:
    """Explain a contig, segment by segment, without running it.

    Parameters
    ----------
    contig
        Such as ``"10-40/A163-181/10-40"``; it must be readable.
    backbone
        The structure it names residues of; missing ones are listed, not raised.

    Examples
    --------
    >>> for row in explain_contig("10-40/A163-181"):
    ...     print(row.chain, row.kind, row.text, row.low, row.high)
    A designed 10-40 10 40
    A motif A163-181 19 19

    Raises
    ------
    ContigError
        The contig cannot be read.
    """
    parsed = parse_contig(contig) if isinstance(contig, str) else contig
    rows = []
    used: dict[int, str] = {}
    for number, chain in enumerate(parsed.chains):
        for segment in chain:
            name = name_chain(number)
            if isinstance(segment, DesignedSegment):
                rows.append(SegmentRow(str(segment), "designed", name, segment.low, segment.high))
                continue
            if backbone is None:
                rows.append(SegmentRow(str(segment), "motif", name, segment.length, segment.length))
                continue
            report = examine_range(backbone, segment.residues)
            problem = report.problem
            twice = [place for place in report.places if place in used]
            if problem is None and twice:
                problem = f"{backbone.label(twice[0])} is already used by {used[twice[0]]}"
            used.update(dict.fromkeys(report.places, str(segment)))
            length = len(report.places) if report.problem is None else segment.length
            sequence = backbone.sequence
            rows.append(
                SegmentRow(
                    str(segment),
                    "motif",
                    name,
                    length,
                    length,
                    len(report.places),
                    "".join(sequence[place] for place in report.places),
                    report.missing,
                    problem,
                )
            )
    return rows

r"""The language of contigs: text in, segments out, and errors that point at the character.

It is RFdiffusion's, with its comma form, and Protpardelle's with semicolons::

    contig   = chain ( break chain )*        break = "/0 " or ";/;"
    chain    = segment ( ("/" | "," | ";") segment )*
    segment  = length | length "-" length | residues | residues "#" group
    residues = chain id, or chain id and number, or chain id, number, "-" and number

Segments of one group are one rigid body, and those without a group are one too; groups have poses
of their own. A group's name is of letters and digits. Where there are several files, a chain id has
the name of its file and a dot before it, ``5TPN.A163-181``; files are groups by themselves.
Numbers are the author's, may be negative and may carry an insertion code
(:mod:`protdiff.structure.selection`).
"""

from __future__ import annotations

import re

from protdiff.structure.contig import Contig, ContigError
from protdiff.structure.segments import DesignedSegment, MotifSegment, Segment
from protdiff.structure.selection import ScanError, scan_residue_range

__all__ = ["parse_contig"]

#: The most residues and segments that a contig may ask for; no model makes longer designs, and
#: counting the layouts of endless ones would take endless time.
MAX_LENGTH = 10_000
MAX_SEGMENTS = 200

_SEPARATORS = "/,;"
_TOKEN = re.compile(r"[^\s/,;]+")
_FILE = re.compile(r"[^.]+\.(?:[^.]+\.)*[A-Za-z]")
_GROUP = re.compile(r"[A-Za-z0-9]{1,8}")


def parse_contig(text: str) -> Contig:
    """Read a contig.

    Parameters
    ----------
    text
        Such as ``"10-40/A163-181/10-40"``, ``"10-40,A163-181,10-40"``, ``"A1-50/0 60-80"`` or
        ``"A1-50;/;60-80"``; brackets and quotes around it are taken off.

    Raises
    ------
    ContigError
        It cannot be read; the message and ``position`` point at the character.

    Examples
    --------
    >>> contig = parse_contig("10-40/A163-181/10-40")
    >>> contig.length_span
    (39, 99)
    >>> import numpy as np
    >>> layout = contig.sample_layout(np.random.default_rng(0), total_length=75)
    >>> layout.length, len(layout.motif_positions)
    (75, 19)
    >>> parse_contig("10-40/A163-x/10")
    Traceback (most recent call last):
    ...
    protdiff.structure.contig.ContigError: contig '10-40/A163-x/10', character 12: ...
    """
    start, stop = _find_core(text)
    tokens = list(_TOKEN.finditer(text, start, stop))
    if len(tokens) > MAX_SEGMENTS:
        raise ContigError(
            text[:100], tokens[0].start(), f"a contig has at most {MAX_SEGMENTS} segments"
        )
    if not tokens:
        raise ContigError(text, start, "the contig is empty; write e.g. 10-40/A163-181/10-40")
    chains: list[list[Segment]] = [[]]
    end = start
    after_break = False
    for number, token in enumerate(tokens):
        between = text[end : token.start()]
        if number and re.fullmatch(r"\s*;\s*/\s*;\s*", between):  # Protpardelle's chain break
            chains.append([])
        else:
            _check_separator(text, end, token.start(), number == 0, after_break)
        end = token.end()
        after_break = token[0] == "0"
        if after_break:
            if not chains[-1] or number == len(tokens) - 1:
                raise ContigError(
                    text,
                    token.start(),
                    "0 marks a chain break, and it needs segments on both sides",
                )
            chains.append([])
        else:
            chains[-1].append(_parse_segment(text, token.start(), token[0]))
    if text[end:stop].strip():
        mark = next(i for i in range(end, stop) if text[i] in _SEPARATORS)
        raise ContigError(text, mark, "expected another segment after this")
    for chain in chains:
        if all(isinstance(segment, DesignedSegment) and not segment.low for segment in chain):
            raise ContigError(
                text,
                chain[0].position,
                "this chain could have no residue at all; start its range at 1 or higher",
            )
    longest = sum(
        segment.high if isinstance(segment, DesignedSegment) else segment.length or 0
        for chain in chains
        for segment in chain
    )
    if longest > MAX_LENGTH:
        raise ContigError(
            text,
            tokens[0].start(),
            f"up to {longest} residues in all are more than the {MAX_LENGTH} a design may have",
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


def _check_separator(text: str, end: int, start: int, is_first: bool, after_break: bool) -> None:
    between = text[end:start]
    marks = [end + i for i, character in enumerate(between) if character in _SEPARATORS]
    if is_first:
        if marks:
            raise ContigError(text, marks[0], "expected a segment before this")
    elif len(marks) > 1:
        raise ContigError(text, marks[1], "expected a segment between these two separators")
    elif not marks and not after_break:
        raise ContigError(text, start, "segments are separated by / , or ; and chains by '/0 '")


def _parse_segment(text: str, position: int, token: str) -> Segment:
    if token[0] not in "0123456789" or ":" in token or _FILE.match(token):
        if token[0] == "-":
            raise ContigError(text, position, "a length cannot be negative; residues need a chain")
        residues, mark, group = token.partition("#")
        if mark and not _GROUP.fullmatch(group):
            raise ContigError(
                text,
                position + len(residues) + 1,
                "expected the name of a group, up to 8 letters and digits, as in A10-50#1",
            )
        try:
            segment = MotifSegment(scan_residue_range(residues), position, group=group)
        except ScanError as error:
            raise ContigError(text, position + error.index, error.expected) from error
        if segment.length is not None and segment.length > MAX_LENGTH:
            raise ContigError(
                text, position, f"{segment.length} residues are more than the {MAX_LENGTH} allowed"
            )
        return segment
    match = re.match(r"([0-9]+)(?:-([0-9]+))?", token)
    assert match is not None  # it begins with a digit
    if match.end() < len(token):
        raise ContigError(
            text,
            position + match.end(),
            "expected a length such as 10 or 10-40; residues begin with their chain, as A10-40",
        )
    if max(map(len, match.groups(""))) > 9:
        raise ContigError(text, position, f"more residues than the {MAX_LENGTH} allowed")
    low, high = int(match[1]), int(match[2] or match[1])
    if high < low:
        raise ContigError(
            text, position + match.start(2), f"the range ends before it begins ({low} > {high})"
        )
    if high == 0:
        raise ContigError(text, position, "a segment of length 0; leave it out")
    if high > MAX_LENGTH:
        raise ContigError(
            text, position, f"{high} residues are more than the {MAX_LENGTH} a segment may have"
        )
    return DesignedSegment(low, high, position)

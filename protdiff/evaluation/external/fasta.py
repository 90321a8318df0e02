"""FASTA, as the programs here read and write it."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["format_fasta", "parse_fasta"]


def parse_fasta(text: str) -> list[tuple[str, str]]:
    r"""Return (header, sequence) of each record; lines before the first header are left out.

    Examples
    --------
    >>> parse_fasta(">a, score=1.2\nMK\nV\n>b\nM\n")
    [('a, score=1.2', 'MKV'), ('b', 'M')]
    """
    records: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line.startswith(">"):
            records.append((line[1:].strip(), ""))
        elif records:
            header, sequence = records[-1]
            records[-1] = (header, sequence + line.strip())
    return records


def format_fasta(records: Mapping[str, str]) -> str:
    """Return the text of a FASTA file."""
    return "".join(f">{name}\n{sequence}\n" for name, sequence in records.items())

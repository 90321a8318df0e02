"""Chunks: the designs of a job that are handed out together, each in a run folder of its own.

A job's designs are cut once and for all, by their index, so that any process, today or next week,
on this machine or another, finds the same ones in the same place. Batches hold designs of one
length, and full batches are up to twice as fast a design as batches of one; so where lengths vary,
the indices of a block of many chunks are sorted by length before they are cut. Not so where
designs are made until enough pass: then chunks are cut as the indices come, for a job that ends
within a block would otherwise have made its short designs only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from protdiff.campaign.config import Campaign, Job
from protdiff.design.run import RunTask
from protdiff.design.run_folder import read_finished

__all__ = ["Chunk", "Tally", "count_records", "cut_chunks", "read_tally"]

CHUNKS_PER_BLOCK = 16


@dataclass(frozen=True)
class Chunk:
    """Some designs of a job."""

    job: str
    number: int
    indices: tuple[int, ...]

    @property
    def folder(self) -> str:
        """Its folder in the campaign's."""
        return f"{self.job}/chunk-{self.number:04d}"


@dataclass(frozen=True)
class Tally:
    """What is in a chunk's folder."""

    made: int = 0
    """Designs that are finished, kept or not."""
    kept: int = 0
    """Designs whose structure is there."""
    damaged: int = 0
    """Lines of the manifest that could not be read."""
    seconds: float = 0.0
    """What the finished designs took."""
    residues: int = 0
    """Of all finished designs."""

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.made + other.made,
            self.kept + other.kept,
            self.damaged + other.damaged,
            self.seconds + other.seconds,
            self.residues + other.residues,
        )


def cut_chunks(campaign: Campaign, job: Job, task: RunTask) -> list[Chunk]:
    """Cut a job into its chunks, by number."""
    size, most = campaign.chunk, job.most
    shortest, longest = task.length_range
    if shortest == longest or job.filter.until_passing:
        return [
            Chunk(job.name, number, tuple(range(start, min(start + size, most))))
            for number, start in enumerate(range(0, most, size))
        ]
    chunks = []
    block = size * CHUNKS_PER_BLOCK
    for begin in range(0, most, block):
        # The whole block, whatever the number of designs: it may be raised later.
        order = sorted(range(begin, begin + block), key=lambda index: task.plan(index).length)
        for start in range(0, block, size):
            indices = tuple(sorted(k for k in order[start : start + size] if k < most))
            if indices:
                number = (begin + start) // size
                chunks.append(Chunk(job.name, number, indices))
    return chunks


def read_tally(folder: Path, chunk: Chunk) -> Tally:
    """Count what a campaign's folder holds of a chunk, which may be under way."""
    manifest = read_finished(folder / chunk.folder)
    there = (manifest.records[k] for k in chunk.indices if k in manifest.records)
    return replace(count_records(there), damaged=manifest.damaged)


def count_records(records: Iterable[Mapping[str, Any]]) -> Tally:
    """Count designs by their lines of the manifest."""
    total = Tally()
    for record in records:
        kept = record["file"] is not None
        seconds, length = record.get("seconds"), record.get("length")
        total += Tally(
            made=1,
            kept=int(kept),
            # A manifest may have been edited by hand.
            seconds=float(seconds) if isinstance(seconds, int | float) else 0.0,
            residues=length if isinstance(length, int) else 0,
        )
    return total

"""What a campaign's folder holds: counted, and gathered into one list of designs.

Everything here is derived from the manifests of the chunks, which alone say what is finished.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from protdiff.campaign.chunks import Tally
from protdiff.campaign.config import Campaign, Job
from protdiff.campaign.schedule import Schedule
from protdiff.campaign.tasks import make_tasks
from protdiff.design.run_folder import explain_write_error, read_finished
from protdiff.files import write_atomically

__all__ = ["DESIGNS", "CampaignStatus", "JobStatus", "gather_designs", "get_status", "read_status"]

DESIGNS = "campaign.jsonl"


@dataclass(frozen=True)
class JobStatus:
    """How far a job is."""

    name: str
    wanted: int
    """Designs asked for; with ``until_passing``, designs that pass."""
    asked: int
    """Designs to be made for that, as far as is known; at most so many are kept."""
    made: int
    """Designs finished, kept or not."""
    kept: int
    rejected: int
    """Designs that the filter, or coordinates that are no numbers, kept out."""
    chunks: int
    """Chunks to be made, as far as is known."""
    chunks_finished: int
    settled: bool
    """Nothing more will be made."""
    until_passing: bool
    shortest: int
    longest: int
    """Residues."""
    seconds_left: float | None
    """Processor time that the rest may take, by what the finished designs took; None of none."""

    @property
    def short(self) -> int:
        """How many designs are missing that no attempt is left for."""
        return max(self.wanted - self.kept, 0) if self.settled and self.until_passing else 0


@dataclass(frozen=True)
class CampaignStatus:
    """How far a campaign is."""

    folder: Path
    jobs: tuple[JobStatus, ...]
    made_now: int = 0
    """Designs that this process, or its workers, made."""
    damaged: int = 0
    """Damaged lines that were found in manifests; their designs are made again."""
    busy: int = 0
    """Chunks that another process was making."""

    @property
    def complete(self) -> bool:
        """Whether nothing more will be made."""
        return all(job.settled for job in self.jobs)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON knows them."""
        own = {name: getattr(self, name) for name in ("made_now", "damaged", "busy", "complete")}
        jobs = [{**asdict(job), "short": job.short} for job in self.jobs]
        return {"out": str(self.folder), **own, "jobs": jobs}


def read_status(campaign: Campaign, *, gather: bool = False) -> CampaignStatus:
    """Count what a campaign's folder holds; other processes may be writing to it.

    Parameters
    ----------
    campaign
        From :func:`~protdiff.campaign.config.load_campaign`.
    gather
        Also write the list of the designs that are kept so far, ``campaign.jsonl``.

    Raises
    ------
    InputError
        A job cannot be made as it is described.
    """
    tasks = make_tasks(campaign)
    schedule = Schedule(campaign, tasks)
    if gather and campaign.path.is_dir():
        gather_designs(schedule)
    return get_status(schedule)


def get_status(schedule: Schedule, *, made_now: int = 0, busy: int = 0) -> CampaignStatus:
    """Return how far a campaign is by its schedule."""
    campaign = schedule.campaign
    totals = {job.name: _count(schedule, job) for job in campaign.jobs}
    whole = sum(totals.values(), Tally())
    return CampaignStatus(
        campaign.path,
        tuple(_make_status(schedule, job, totals[job.name], whole) for job in campaign.jobs),
        made_now=made_now,
        damaged=whole.damaged,
        busy=busy,
    )


def _count(schedule: Schedule, job: Job) -> Tally:
    return sum(map(schedule.get_tally, schedule.iterate_asked(job)), Tally())


def _make_status(schedule: Schedule, job: Job, total: Tally, whole: Tally) -> JobStatus:
    chunks = list(schedule.iterate_asked(job))
    asked = sum(len(chunk.indices) for chunk in chunks)
    shortest, longest = schedule.length_ranges[job.name]
    # A job of which nothing is made yet is judged by the others, residue for residue.
    known = total if total.residues else whole
    left = (asked - total.made) * (shortest + longest) / 2
    return JobStatus(
        name=job.name,
        wanted=job.num,
        asked=asked,
        made=total.made,
        kept=total.kept,
        rejected=total.made - total.kept,
        chunks=len(chunks),
        chunks_finished=sum(map(schedule.is_finished, chunks)),
        settled=schedule.is_settled(job),
        until_passing=job.filter.until_passing,
        shortest=shortest,
        longest=longest,
        seconds_left=round(left * known.seconds / known.residues, 1) if known.residues else None,
    )


def gather_designs(schedule: Schedule) -> Path:
    """Write the list of all designs that are kept, a line each, from the chunks' manifests.

    A line is that of the chunk's manifest with the job's name, and with the file as a path in the
    campaign's folder. Of a job that goes on until enough designs pass it has no more than those.

    Raises
    ------
    InputError
        The list cannot be written.
    """
    path = schedule.campaign.path / DESIGNS
    try:
        with (
            write_atomically(path, overwrite=True) as temporary,
            temporary.open("w", encoding="utf-8", errors="replace") as file,
        ):
            for job in schedule.campaign.jobs:
                for record in _iterate_kept(schedule, job):
                    line = json.dumps({"job": job.name, **record}, ensure_ascii=False)
                    file.write(line + "\n")
    except OSError as error:
        raise explain_write_error(path, error) from error
    return path


def _iterate_kept(schedule: Schedule, job: Job) -> Iterator[dict[str, Any]]:
    kept = 0
    for chunk in schedule.iterate_asked(job):
        records = read_finished(schedule.campaign.path / chunk.folder).records
        for index in chunk.indices:
            record = records.get(index)
            if record is None or record["file"] is None:
                continue
            if job.filter.until_passing and kept == job.num:
                return
            kept += 1
            yield {**record, "file": f"{chunk.folder}/{record['file']}"}

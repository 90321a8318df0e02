"""Running a campaign in this process: one chunk after the other.

A chunk is a run folder, with its lock, its manifest and its files that are whole or absent. A
process that is killed leaves finished chunks, the finished designs of one chunk, and unfinished
files under temporary names that the next process removes; the next process makes what is missing.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from protdiff.campaign.chunks import Chunk, Tally, count_records
from protdiff.campaign.config import Campaign
from protdiff.campaign.schedule import Schedule
from protdiff.campaign.status import DESIGNS, CampaignStatus, gather_designs, get_status
from protdiff.campaign.tasks import (
    RECORD,
    check_campaign,
    choose_job_weights,
    make_tasks,
    open_record,
)
from protdiff.design.designer import Designer
from protdiff.design.engine import OnProgress
from protdiff.design.loading import load
from protdiff.design.run import RunTask, run_designs
from protdiff.design.run_folder import clear_run
from protdiff.errors import FolderInUseError, InputError
from protdiff.files import check_writable

__all__ = [
    "ChunkReport",
    "begin_campaign",
    "clear_campaign",
    "explain_campaign",
    "load_designers",
    "make_chunk",
    "run_campaign",
]

_CHUNK = re.compile(r"chunk-\d{4,}")


@dataclass(frozen=True)
class ChunkReport:
    """What has become of a chunk."""

    tally: Tally
    made: int = 0
    """Designs made now."""
    busy: bool = False
    """Another process was making it."""


def run_campaign(
    campaign: Campaign,
    designer: Designer | None = None,
    *,
    shard: tuple[int, int] = (0, 1),
    overwrite: bool = False,
    on_total: Callable[[int], None] | None = None,
    on_progress: OnProgress | None = None,
    on_design: Callable[[dict[str, Any]], None] | None = None,
) -> CampaignStatus:
    """Make the designs of a campaign that are missing.

    Several processes may do so at once: a chunk that another one is making is passed over.

    Parameters
    ----------
    campaign
        From :func:`~protdiff.campaign.config.load_campaign`.
    designer
        The model of all jobs; without it the weights of each are loaded on the campaign's device.
    shard
        (i, n): make part i of n only.
    overwrite
        Remove an earlier campaign's designs first.
    on_total
        Called with the number of designs that are to be made now, and again where a job turns out
        to need more.
    on_progress
        Called as sampling goes on with what has been done since the last call, in designs.
    on_design
        Called with the line of each new design.

    Returns
    -------
    CampaignStatus

    Raises
    ------
    InputError
        The folder holds another campaign or cannot be written, a job cannot be made.
    """
    tasks = make_tasks(campaign)
    if designer is None:
        weights = choose_job_weights(campaign, tasks)
        designers = load_designers(weights, campaign.device, compile=campaign.compile)
    else:
        designers = dict.fromkeys(tasks, designer)
    schedule = begin_campaign(campaign, tasks, designers, shard=shard, overwrite=overwrite)
    made = busy = 0
    while chunks := schedule.take():
        if on_total is not None:
            on_total(sum(len(chunk.indices) - schedule.get_tally(chunk).made for chunk in chunks))
        for chunk in chunks:
            report = make_chunk(
                campaign,
                designers[chunk.job],
                tasks[chunk.job],
                chunk,
                on_progress=on_progress,
                on_design=on_design,
            )
            schedule.report(chunk, report.tally)
            made += report.made
            busy += report.busy
    gather_designs(schedule)
    return get_status(schedule, made_now=made, busy=busy)


def load_designers(
    weights: Mapping[str, str], device: str, *, compile: bool = False
) -> dict[str, Designer]:
    """Load the weights of each job; those of several jobs are loaded once.

    Raises
    ------
    CheckpointError, InputError
        As in :func:`protdiff.load`.
    """
    loaded = {one: load(one, device, compile=compile) for one in dict.fromkeys(weights.values())}
    return {name: loaded[one] for name, one in weights.items()}


def begin_campaign(
    campaign: Campaign,
    tasks: Mapping[str, RunTask],
    designers: Mapping[str, Designer],
    *,
    shard: tuple[int, int] = (0, 1),
    overwrite: bool = False,
) -> Schedule:
    """Check everything that can be wrong with a campaign, then set up its folder.

    Parameters
    ----------
    campaign, shard, overwrite
        As in :func:`run_campaign`.
    tasks, designers
        Of each job, by its name.

    Returns
    -------
    What there is to do.

    Raises
    ------
    InputError
        Something is wrong; nothing has been sampled.
    """
    check_campaign(campaign, designers, tasks)
    if overwrite:
        if shard != (0, 1):
            raise InputError("a shard cannot start again for all; remove the folder yourself")
        clear_campaign(campaign)
    open_record(campaign, tasks, _get_hashes(designers))
    return Schedule(campaign, tasks, shard)


def _get_hashes(designers: Mapping[str, Designer]) -> dict[str, str]:
    return {name: designer.model.sha256 for name, designer in designers.items()}


def explain_campaign(campaign: Campaign) -> dict[str, Any]:
    """Check a campaign as a run would, and return what it would make; nothing is written.

    Raises
    ------
    InputError
        As in :func:`run_campaign`.
    """
    check_writable(campaign.path)
    tasks = make_tasks(campaign)
    weights = choose_job_weights(campaign, tasks)
    designers = load_designers(weights, "cpu")
    check_campaign(campaign, designers, tasks)
    open_record(campaign, tasks, _get_hashes(designers), write=False)
    schedule = Schedule(campaign, tasks)
    jobs = []
    for job, state in zip(campaign.jobs, get_status(schedule).jobs, strict=True):
        lengths = [
            tasks[job.name].plan(index).size
            for chunk in schedule.iterate_asked(job)
            for index in chunk.indices
        ]
        segments = job.contig or job.unindexed
        what = "backbones" if job.motif is None else f"{segments} of {', '.join(job.motif_files)}"
        own = {**asdict(state), "shortest": min(lengths), "longest": max(lengths)}
        own["mean_length"] = round(sum(lengths) / len(lengths), 1)
        own["weights"] = weights[job.name]
        own["open"] = job.filter.until_passing and not state.settled
        jobs.append({**own, "what": what, "seed": tasks[job.name].seed})
    return {"out": str(campaign.path), "jobs": jobs}


def make_chunk(
    campaign: Campaign,
    designer: Designer,
    task: RunTask,
    chunk: Chunk,
    *,
    on_progress: OnProgress | None = None,
    on_design: Callable[[dict[str, Any]], None] | None = None,
) -> ChunkReport:
    """Make the designs of a chunk that are missing, unless another process is at it.

    Raises
    ------
    InputError
        Its folder holds something else or cannot be written.
    """
    asked = next(job.filter for job in campaign.jobs if job.name == chunk.job)
    try:
        with warnings.catch_warnings():
            # Said once, for the whole campaign.
            warnings.filterwarnings("ignore", message="designs of .* residues are asked for")
            result = run_designs(
                designer,
                task,
                campaign.path / chunk.folder,
                chunk.indices,
                output=campaign.output,
                filter=asked or None,
                batch_size=campaign.batch_size,
                whole_batches=True,
                on_progress=on_progress,
                on_design=on_design,
            )
    except FolderInUseError:
        return ChunkReport(Tally(), busy=True)
    tally = replace(count_records(result.records), damaged=result.damaged)
    return ChunkReport(tally, made=result.made)


def clear_campaign(campaign: Campaign) -> None:
    """Remove an earlier campaign's designs, and nothing else, from its folder.

    Raises
    ------
    InputError
        Another process is writing there, or a file cannot be removed.
    """
    folders = [path for path in campaign.path.glob("*/chunk-*") if _CHUNK.fullmatch(path.name)]
    for folder in folders:
        clear_run(folder)
    try:
        for parent in {folder.parent for folder in folders}:
            with suppress(OSError):  # somebody else's files are in it
                parent.rmdir()
        # What the designs were made of goes last: a kill before leaves a folder that is known.
        for name in (DESIGNS, RECORD):
            (campaign.path / name).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot clear {campaign.path}: {error.strerror or error}") from error

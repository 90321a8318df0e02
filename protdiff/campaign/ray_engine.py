"""Running a campaign on several processes or machines with Ray.

A task is a chunk. Ray hands it to a free worker, and to another one if the worker dies: that one
finds what the dead one finished in the chunk's folder, and makes the rest. Nothing but a few
counts travels; the designs are in the campaign's folder, which all machines must see.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from protdiff.campaign.chunks import Chunk
from protdiff.campaign.config import Campaign, Job
from protdiff.campaign.run import ChunkReport, begin_campaign, load_designers, make_chunk
from protdiff.campaign.status import CampaignStatus, gather_designs, get_status
from protdiff.campaign.tasks import choose_job_weights, make_task, make_tasks
from protdiff.design.designer import Designer
from protdiff.design.engine import OnProgress
from protdiff.design.loading import load
from protdiff.design.run import RunTask
from protdiff.errors import DependencyError, InputError, ProtdiffError
from protdiff.weights import find_weights

__all__ = ["run_campaign_with_ray"]

MOST_DEATHS = 10
"""A chunk whose workers die so often is not tried again: it may be what kills them."""
BUSY_TRIES, BUSY_SECONDS = 5, 2.0
"""How often to come back to a chunk that another process holds, perhaps in its last moments."""
_STORE_BYTES = 80 * 1024 * 1024  # little more than the least that Ray takes


def run_campaign_with_ray(
    campaign: Campaign,
    *,
    workers: int = 2,
    address: str | None = None,
    overwrite: bool = False,
    on_total: Callable[[int], None] | None = None,
    on_progress: OnProgress | None = None,
) -> CampaignStatus:
    """Make the designs of a campaign that are missing on Ray's workers.

    Parameters
    ----------
    campaign
        From :func:`~protdiff.campaign.config.load_campaign`.
    workers
        Chunks to make at once. Each takes one core, or one GPU where ``device`` is ``"cuda"``.
    address
        Of a Ray cluster, as ``"auto"``; without it, workers on this machine are started and ended.
    overwrite, on_total
        As in :func:`~protdiff.campaign.run.run_campaign`.
    on_progress
        Called with the number of designs made whenever a chunk is finished.

    Raises
    ------
    DependencyError
        Ray is not installed.
    InputError
        As in :func:`~protdiff.campaign.run.run_campaign`; there is no cluster at the address.
    ProtdiffError
        Workers keep dying.
    """
    ray = _import_ray()
    if workers < 1:
        raise InputError(f"the number of workers is {workers}; give at least 1")
    campaign = make_paths_absolute(campaign)
    tasks = make_tasks(campaign)
    weights = {
        name: str(find_weights(chosen).absolute())
        for name, chosen in choose_job_weights(campaign, tasks).items()
    }
    designers = load_designers(weights, "cpu")
    schedule = begin_campaign(campaign, tasks, designers, overwrite=overwrite)
    made = busy = 0
    with _connect(ray, workers, address):
        while chunks := schedule.take():
            if on_total is not None:
                on_total(sum(len(c.indices) - schedule.get_tally(c).made for c in chunks))
            for chunk, report in _share(ray, campaign, weights, chunks, workers):
                schedule.report(chunk, report.tally)
                made += report.made
                busy += report.busy
                if on_progress is not None:
                    on_progress(report.made)
    gather_designs(schedule)
    return get_status(schedule, made_now=made, busy=busy)


def make_paths_absolute(campaign: Campaign) -> Campaign:
    """Return a campaign whose folder and files are the same wherever a worker stands.

    Structures to start from and to bind are read here and travel with the campaign.
    """

    def locate(job: Job) -> Job:
        if job.conditions.shape is not None:
            shape = str(Path(job.conditions.shape).absolute())
            job = replace(job, conditions=replace(job.conditions, shape=shape))
        if job.motif is not None:
            job = replace(job, motif=tuple(str(Path(file).absolute()) for file in job.motif_files))
        return job

    out = str(Path(campaign.out).absolute())
    return replace(campaign, out=out, jobs=tuple(map(locate, campaign.jobs)))


def _import_ray() -> Any:
    # No word to Ray's makers unless the user has asked for it.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise DependencyError(
            "the engine ray needs Ray: pip install 'protdiff[ray]', or share the campaign with "
            "--shard"
        ) from error
    return ray


@contextmanager
def _connect(ray: Any, workers: int, address: str | None) -> Iterator[None]:
    """Start workers, or join a cluster; within a program that has done so, use what it has."""
    if ray.is_initialized():
        yield
        return
    quiet = {"logging_level": "ERROR", "log_to_driver": False}
    try:
        if address is None:
            ray.init(
                address="local",
                num_cpus=workers,
                include_dashboard=False,
                object_store_memory=_STORE_BYTES,
                **quiet,
            )
        else:
            ray.init(address=address, **quiet)
    except Exception as error:  # Ray raises Exception itself where its own processes do not start
        if address is None:
            raise ProtdiffError(f"Ray does not start here: {error}") from error
        raise InputError(f"cannot reach a Ray cluster at {address!r}: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _share(
    ray: Any, campaign: Campaign, weights: Mapping[str, str], chunks: list[Chunk], workers: int
) -> Iterator[tuple[Chunk, ChunkReport]]:
    """Give out chunks to as many workers as there are, and what came of each as it ends."""
    gpus = 1 if campaign.device.startswith("cuda") else 0
    remote = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=MOST_DEATHS)(_make_chunk)
    waiting = deque((chunk, 0) for chunk in chunks)
    running: dict[Any, tuple[Chunk, int]] = {}
    while waiting or running:
        while waiting and len(running) < workers:
            chunk, tries = waiting.popleft()
            running[remote.remote(campaign, weights[chunk.job], chunk, tries)] = chunk, tries
        (ready,), _ = ray.wait(list(running), num_returns=1)
        chunk, tries = running.pop(ready)
        try:
            report: ChunkReport = ray.get(ready)
        except ray.exceptions.RayTaskError as error:
            # What a worker has to say is said as if this process had found it.
            raise (error.cause if isinstance(error.cause, ProtdiffError) else error) from None
        except ray.exceptions.RayError as error:
            raise ProtdiffError(
                f"the workers that made {chunk.folder} died {MOST_DEATHS + 1} times "
                f"({type(error).__name__}); what they finished is kept"
            ) from error
        if report.busy and tries < BUSY_TRIES:
            waiting.append((chunk, tries + 1))
        else:
            yield chunk, report


def _make_chunk(campaign: Campaign, weights: str, chunk: Chunk, tries: int) -> ChunkReport:
    """Make a chunk; this runs in a worker."""
    if tries:
        time.sleep(BUSY_SECONDS)
    return make_chunk(
        campaign,
        _load_once(weights, campaign.device, campaign.compile),
        _make_task_once(campaign, chunk.job),
        chunk,
    )


@cache
def _load_once(weights: str, device: str, compile: bool) -> Designer:
    return load(weights, device, compile=compile)


@cache
def _make_task_once(campaign: Campaign, name: str) -> RunTask:
    return make_task(campaign, next(job for job in campaign.jobs if job.name == name))

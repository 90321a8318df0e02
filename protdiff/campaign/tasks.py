"""A job as a task that designs are made of, and what the designs of a campaign depend on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from protdiff.campaign.config import Campaign, Job
from protdiff.conditioning import Conditioner
from protdiff.design.beside_target import keep_target
from protdiff.design.binding import make_generation
from protdiff.design.designer import Designer
from protdiff.design.engine import choose_task_weights
from protdiff.design.motif_task import make_motif_task
from protdiff.design.run import RunTask, check_run, get_common_steps
from protdiff.design.run_folder import is_unused
from protdiff.design.seeds import derive_seed
from protdiff.errors import InputError
from protdiff.files import write_atomically
from protdiff.structure import parse_contig, read_joined

__all__ = [
    "RECORD",
    "check_campaign",
    "choose_job_weights",
    "derive_job_seed",
    "make_task",
    "make_tasks",
    "open_record",
]

RECORD = "campaign.json"
LONGEST_VALUE = 200
MOST_NAMED = 5
"""So many differences are named when a campaign is refused."""

_MOST_SEED = 2**53
"""Seeds below it survive every reader of JSON."""


def derive_job_seed(seed: int, name: str) -> int:
    """Return the seed of a job, from a hash of the campaign's seed and the job's name.

    ``protdiff generate --seed`` with it, and with the job's settings, makes the job's designs.
    """
    return derive_seed(seed, 0, f"campaign job {name}") % _MOST_SEED


def make_task(campaign: Campaign, job: Job) -> RunTask:
    """Return what makes the designs of a job.

    Raises
    ------
    InputError
        The motif or its contig cannot be used.
    """
    seed = derive_job_seed(campaign.seed, job.name)
    try:
        conditioners = keep_target(campaign.weights, job.sampling, job.conditions.make())
        if job.motif is None:
            return make_generation(job.length, seed, job.sampling, conditioners)
        return _make_scaffolding(job, seed, conditioners)
    except InputError as error:
        raise InputError(f"job {job.name}: {error}") from error


def _make_scaffolding(job: Job, seed: int, conditioners: Sequence[Conditioner]) -> RunTask:
    source = read_joined(job.motif_files, model=job.model, strict=job.strict)
    segments = job.contig if job.unindexed is None else job.unindexed
    assert segments is not None
    return make_motif_task(
        source,
        parse_contig(segments),
        seed,
        job.sampling,
        unindexed=job.unindexed is not None,
        total_length=job.total_length,
        method=job.method,
        hold=job.hold,
        redesignable=job.redesignable,
        groups=job.groups,
        particles=job.particles,
        conditioners=conditioners,
    )


def make_tasks(campaign: Campaign) -> dict[str, RunTask]:
    """Return what makes the designs of each job, by its name.

    Raises
    ------
    InputError
        A motif or its contig cannot be used.
    """
    return {job.name: make_task(campaign, job) for job in campaign.jobs}


def choose_job_weights(campaign: Campaign, tasks: Mapping[str, RunTask]) -> dict[str, str]:
    """Name the weights of each job: the campaign's, or those that know its chains best."""
    if campaign.weights is not None:
        return dict.fromkeys(tasks, campaign.weights)
    return {name: choose_task_weights(task) for name, task in tasks.items()}


def check_campaign(
    campaign: Campaign, designers: Mapping[str, Designer], tasks: Mapping[str, RunTask]
) -> None:
    """Refuse designs that cannot be made or written, and warn of lengths not trained on.

    Parameters
    ----------
    campaign
        Whose jobs they are.
    designers, tasks
        Of each job, by its name.

    Raises
    ------
    InputError
        There is such a job.
    """
    filters = {job.name: job.filter for job in campaign.jobs}
    for name, task in tasks.items():
        try:
            check_run(designers[name].model, task, campaign.output, filters[name])
        except InputError as error:
            raise InputError(f"job {name}: {error}") from error


def open_record(
    campaign: Campaign,
    tasks: Mapping[str, RunTask],
    weights_sha256: Mapping[str, str],
    *,
    write: bool = True,
) -> None:
    """Write into the campaign's folder what its designs depend on, or compare with what is there.

    The number of designs may differ from what it was, and there may be more jobs; a folder without
    any design takes whatever comes. Without ``write`` there is only the comparison.

    Raises
    ------
    InputError
        The folder holds designs of something else, or cannot be written.
    """
    path = campaign.path / RECORD
    record = json.loads(json.dumps(_describe_campaign(campaign, tasks, weights_sha256)))
    try:
        if write:
            campaign.path.mkdir(parents=True, exist_ok=True)
        existing = read_record(campaign.path)
        if existing is not None:
            _compare(campaign.path, existing, record)
        if write and existing != record:
            with write_atomically(path, overwrite=True) as temporary:
                temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write to {path}: {error.strerror or error}") from error


def read_record(folder: Path) -> dict[str, Any] | None:
    """Read what the designs of a campaign's folder depend on; None if it says nothing.

    Raises
    ------
    InputError
        The file is damaged.
    """
    path = folder / RECORD
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        jobs = record["jobs"] if isinstance(record, dict) else None
        if isinstance(jobs, dict) and all(isinstance(job, dict) for job in jobs.values()):
            return _move_weights(record)
    except (OSError, ValueError, KeyError, RecursionError):
        pass
    raise InputError(f"{path} is damaged; restore it, or start again with --overwrite")


def _move_weights(record: dict[str, Any]) -> dict[str, Any]:
    """Say of each job what its weights are, where a record of an earlier version says it of all."""
    shared = {key: value for key, value in record.items() if key == "weights_sha256"}
    rest = {key: value for key, value in record.items() if key not in shared}
    return rest | {"jobs": {name: shared | job for name, job in record["jobs"].items()}}


def _describe_campaign(
    campaign: Campaign, tasks: Mapping[str, RunTask], weights_sha256: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "seed": campaign.seed,
        "chunk": campaign.chunk,
        **asdict(campaign.output),
        "jobs": {
            job.name: {
                **tasks[job.name].describe(),
                "seed": tasks[job.name].seed,
                "weights_sha256": weights_sha256[job.name],
                **job.sampling.describe(),
                "steps": get_common_steps(tasks[job.name]),
                "filter": job.filter.describe(),
                "until_passing": job.filter.until_passing,
            }
            for job in campaign.jobs
        },
    }


def _compare(folder: Path, existing: Mapping[str, Any], record: Mapping[str, Any]) -> None:
    differing = list(_find_differences(existing, record))
    # Other keys are not ours, or those of another version.
    if differing and not (existing.keys() == record.keys() and _is_unused(folder)):
        more = f" and {len(differing) - MOST_NAMED} more" if len(differing) > MOST_NAMED else ""
        raise InputError(
            f"{folder} holds another campaign ({'; '.join(differing[:MOST_NAMED])}{more}); choose "
            "another out, restore the configuration, or start again with --overwrite"
        )


def _is_unused(folder: Path) -> bool:
    """Whether no chunk of a campaign has a design, nor anybody who is making one."""
    return all(map(is_unused, folder.glob("*/chunk-*")))


def _find_differences(existing: Mapping[str, Any], record: Mapping[str, Any]) -> Iterator[str]:
    for key in dict.fromkeys([*existing, *record]):
        if key != "jobs" and existing.get(key) != record.get(key):
            yield _word(key, existing.get(key), record.get(key))
    for name, before in existing["jobs"].items():
        now = record["jobs"].get(name)
        if now is None:
            yield f"job {name!r} is gone"
            continue
        for key in dict.fromkeys([*before, *now]):
            if before.get(key) != now.get(key):
                yield f"job {name!r}: {_word(key, before.get(key), now.get(key))}"


def _word(key: str, before: Any, now: Any) -> str:
    return f"{key} {_shorten(before)}, now {_shorten(now)}"


def _shorten(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."

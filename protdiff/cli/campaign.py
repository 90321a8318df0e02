"""``protdiff campaign``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from protdiff.cli import options
from protdiff.cli.completion import complete_weights
from protdiff.cli.display import Bar, print_json, print_table, show_bar
from protdiff.cli.failure import explain_failures
from protdiff.errors import InputError, ProtdiffError
from protdiff.names import check_name

if TYPE_CHECKING:
    from protdiff.campaign import Campaign, CampaignStatus, JobStatus

__all__ = ["campaign"]

ENGINES = ("serial", "ray")
SHARING = "Sharing the work"


@explain_failures
def campaign(
    config: Annotated[
        Path,
        typer.Argument(
            help="The campaign's TOML file, see docs/campaigns.md.", metavar="CAMPAIGN.toml"
        ),
    ],
    status: Annotated[
        bool, typer.Option("--status", help="Count what has been made, and make nothing.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be made, and make nothing.")
    ] = False,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", help="Folder of the campaign.", show_default="the file's"),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Bundled weights, or a .safetensors file, for all jobs.",
            show_default="the file's, or for each job those that know its longest chain",
            autocompletion=complete_weights,
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu, cuda or cuda:N.", show_default="the file's")
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Most designs to sample at once.", show_default="the file's"),
    ] = None,
    compile: Annotated[
        bool | None,
        typer.Option(
            "--compile/--no-compile",
            help="Compile the network first, for faster sampling.",
            show_default="the file's",
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            help="Make part i of n only, as 0/8; for SLURM arrays.", rich_help_panel=SHARING
        ),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(help=" or ".join(ENGINES) + ".", rich_help_panel=SHARING),
    ] = ENGINES[0],
    workers: Annotated[
        int,
        typer.Option(
            min=1, help="Chunks that the engine ray makes at once.", rich_help_panel=SHARING
        ),
    ] = 2,
    address: Annotated[
        str | None,
        typer.Option(
            help="Of a Ray cluster.",
            rich_help_panel=SHARING,
            show_default="workers on this machine",
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Make thousands of designs of several kinds.

    The file names the jobs and the filter. The same command goes on after a stop of any kind: no
    finished design is lost or made twice. OUT/campaign.jsonl lists the designs that were kept.

    A SLURM array shares a campaign by eight tasks with two lines in its script,

    #SBATCH --array=0-7

    protdiff campaign campaign.toml --shard $SLURM_ARRAY_TASK_ID/8

    and --engine ray by Ray's workers (pip install 'protdiff[ray]'), here or on a cluster.

    Example: protdiff campaign campaign.toml
    """
    from protdiff.campaign.config import load_campaign
    from protdiff.campaign.schedule import parse_shard
    from protdiff.device import find_device
    from protdiff.weights import find_weights

    loaded = load_campaign(
        config, out=out, weights=weights, device=device, batch_size=batch_size, compile=compile
    )
    part = (0, 1) if shard is None else parse_shard(shard)
    check_name("engine", engine, ENGINES)
    if engine == "ray" and shard is not None:
        raise InputError("--shard and --engine ray both share the work; give one of them")
    if engine != "ray" and address is not None:
        raise InputError("--address goes with --engine ray")
    if loaded.weights is not None:
        find_weights(loaded.weights)

    if dry_run and engine != "ray":  # whose workers may stand where the device is
        find_device(loaded.device)
    if status or dry_run:
        _look(loaded, dry_run=dry_run, json=json, quiet=quiet)
        return
    with show_bar("sampling", quiet=quiet) as bar:
        result = _explain_stops(
            lambda: _run(loaded, part, engine, workers, address, overwrite, bar), loaded
        )
    _report(result, json=json, quiet=quiet)
    short = [job for job in result.jobs if job.short]
    if short:
        raise ProtdiffError(
            "; ".join(
                f"job {job.name}: {job.kept} of {job.wanted} designs pass after {job.made} "
                "attempts, which is all that max_attempts allows"
                for job in short
            )
        )


def _run(
    loaded: Campaign,
    part: tuple[int, int],
    engine: str,
    workers: int,
    address: str | None,
    overwrite: bool,
    bar: Bar,
) -> CampaignStatus:
    total = 0

    def raise_total(more: int) -> None:
        nonlocal total
        total += more
        bar.set_total(total)

    if engine == "ray":
        from protdiff.campaign.ray_engine import run_campaign_with_ray

        return run_campaign_with_ray(
            loaded,
            workers=workers,
            address=address,
            overwrite=overwrite,
            on_total=raise_total,
            on_progress=bar.advance,
        )
    from protdiff.campaign.run import run_campaign

    return run_campaign(
        loaded,
        shard=part,
        overwrite=overwrite,
        on_total=raise_total,
        on_progress=bar.advance,
        on_design=lambda record: bar.describe(f"{record['length']} residues"),
    )


def _explain_stops(run: Callable[[], CampaignStatus], loaded: Campaign) -> CampaignStatus:
    try:
        return run()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"what is finished is in {loaded.out}; the same command makes the rest"
        ) from None


def _look(loaded: Campaign, *, dry_run: bool, json: bool, quiet: bool) -> None:
    """Say how far a campaign is; of a dry run also what would be made."""
    if not dry_run:
        from protdiff.campaign.status import read_status

        _report(read_status(loaded), json=json, quiet=quiet)
        return
    from protdiff.campaign.run import explain_campaign

    plan = explain_campaign(loaded)
    if json:
        print_json(plan)
    elif not quiet:
        columns = ["job", "what", "lengths", "wanted", "made", "to make", "chunks left", "time"]
        rows = [
            [
                str(job["name"]),
                str(job["what"]),
                f"{job['shortest']}–{job['longest']}, mean {job['mean_length']:.0f}",
                str(job["wanted"]),
                str(job["made"]),
                str(job["asked"] - job["made"]) + (" or more" if job["open"] else ""),
                f"{job['chunks'] - job['chunks_finished']} of {job['chunks']}",
                _format_time(job["seconds_left"]),
            ]
            for job in plan["jobs"]
        ]
        print_table(columns, rows)
        typer.echo(f"in {loaded.out}; nothing was made")
        if any(job["seconds_left"] is None for job in plan["jobs"]):
            typer.echo("times are estimated from finished designs, and there are none yet")


def _report(status: CampaignStatus, *, json: bool, quiet: bool) -> None:
    if json:
        print_json(status.to_dict())
    if status.damaged and not quiet:
        typer.echo(
            f"protdiff: warning: {status.damaged} damaged lines were found in manifests and left "
            "out; designs that they stood for are made again",
            err=True,
        )
    if json or quiet:
        return
    columns = ["job", "wanted", "made", "kept", "rejected", "chunks", "time left"]
    print_table(columns, [_make_row(job) for job in status.jobs])
    typer.echo(f"{_word_state(status)}, in {status.folder}")


def _make_row(job: JobStatus) -> list[str]:
    return [
        job.name,
        str(job.wanted) + (" that pass" if job.until_passing else ""),
        f"{job.made} of {job.asked}",
        str(job.kept),
        str(job.rejected),
        f"{job.chunks_finished} of {job.chunks}",
        "done" if job.settled else _format_time(job.seconds_left),
    ]


def _word_state(status: CampaignStatus) -> str:
    made = f"{status.made_now} designs made now, " if status.made_now else ""
    if status.complete:
        return f"{made}all done"
    if status.busy:
        return f"{made}not all done; another protdiff is making {status.busy} chunks"
    return f"{made}not all done; the same command, or the other shards, make the rest"


def _format_time(seconds: float | None) -> str:
    """Return a time for a table.

    Examples
    --------
    >>> _format_time(90), _format_time(7300), _format_time(None)
    ('2 min', '2.0 h', '–')
    """
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"

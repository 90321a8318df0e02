"""``protdiff prepare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from protdiff.cli import options
from protdiff.cli.display import print_json, print_plan, show_bar
from protdiff.cli.failure import explain_failures

__all__ = ["prepare"]


@explain_failures
def prepare(
    sources: Annotated[
        list[Path], typer.Argument(help="Structure files and folders of them.", metavar="SRC...")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The file to write, .safetensors.")
    ] = Path("prepared.safetensors"),
    min_length: Annotated[int, typer.Option(min=1, help="Shortest chain kept.")] = 40,
    max_length: Annotated[int, typer.Option(min=1, help="Longest chain kept.")] = 256,
    max_breaks: Annotated[int, typer.Option(min=0, help="Most chain breaks of a chain kept.")] = 0,
    compact: Annotated[
        bool, typer.Option("--compact/--all-shapes", help="Keep compact chains only, or all.")
    ] = True,
    manifest: Annotated[
        Path | None,
        typer.Option(
            help="Table of ids, files and clusters.", show_default="manifest.tsv of a folder"
        ),
    ] = None,
    recommended_only: Annotated[
        bool,
        typer.Option(
            "--recommended/--not-only-recommended",
            help="Keep only what the manifest recommends, if it says.",
        ),
    ] = True,
    cluster_column: Annotated[
        str, typer.Option(help="Column of the clusters to split by.")
    ] = "cluster30",
    balance_column: Annotated[
        str, typer.Option(help="Column of the clusters to sample by.")
    ] = "cluster40",
    held_out: Annotated[
        float, typer.Option(min=0.0, max=0.99, help="Share of the clusters that is held out.")
    ] = 0.05,
    split: Annotated[
        Path | None,
        typer.Option(help="Table of ids and parts (train, held-out), to repeat an earlier split."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes that read files.", show_default="one a core"),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing file.")
    ] = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Make training data of a folder of structures.

    Chains that are too short, long, broken or extended are left out, counted and named.

    Example: protdiff prepare structures/ --out prepared.safetensors
    """
    from dataclasses import asdict

    from protdiff.training.prepare import prepare_dataset

    with show_bar("reading", quiet=quiet, unit="files") as bar:
        done = 0

        def report_progress(files: int, total: int) -> None:
            nonlocal done
            bar.set_total(total)
            bar.advance(files - done)
            done = files

        report = prepare_dataset(
            sources,
            out,
            min_length=min_length,
            max_length=max_length,
            max_breaks=max_breaks,
            compact=compact,
            manifest=manifest,
            recommended_only=recommended_only,
            cluster_column=cluster_column,
            balance_column=balance_column,
            held_out_fraction=held_out,
            split=split,
            workers=workers,
            overwrite=overwrite,
            dry_run=dry_run,
            progress=report_progress,
        )
    if dry_run:
        ruled_out = sum(report.dropped.values())
        plan = {
            "file": str(out),
            "files": report.files,
            "ruled_out_by_the_manifest": report.dropped,
            "to_read": report.files - ruled_out,
            "lengths": f"{min_length}-{max_length}",
            "max_breaks": max_breaks,
            "compact": compact,
            "held_out": held_out,
        }
        print_plan(plan, json=json, quiet=quiet)
    elif json:
        print_json({"file": str(out), **asdict(report)})
    elif not quiet:
        typer.echo(f"{report}\nwritten to {out}")

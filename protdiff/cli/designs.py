"""What generate and scaffold share: run a task into a folder, and say what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from protdiff.cli.display import (
    VERDICT_GOOD,
    format_number,
    get_quality,
    print_json,
    print_plan,
    print_table,
    show_bar,
    summarise_records,
)

if TYPE_CHECKING:
    from protdiff.design.designer import Designer
    from protdiff.design.run import OutputSettings, RunTask

__all__ = ["run_and_report"]

MOST_ROWS = 40
"""Longer tables are cut; the manifest has every line."""


def run_and_report(
    designer: Designer,
    task: RunTask,
    out: Path,
    num: int,
    *,
    output: OutputSettings,
    batch_size: int | None,
    overwrite: bool,
    json: bool,
    quiet: bool,
    dry_run: bool = False,
) -> None:
    """Make the designs that are missing in a folder and print a table of all."""
    from protdiff.design.run import run_designs

    if dry_run:
        _print_plan(designer, task, out, num, output, overwrite=overwrite, json=json, quiet=quiet)
        return
    present = 0

    def begin(missing: int) -> None:
        nonlocal present
        present = num - missing
        bar.set_total(missing)
        if present and not (quiet or json):
            typer.echo(f"{out} holds {present} of {num} designs; making the rest", err=True)

    def count(record: Mapping[str, Any]) -> None:
        nonlocal present
        present += 1
        bar.describe(str(record["file"] or "a design that is not finite"))

    try:
        with show_bar("sampling", quiet=quiet) as bar:
            result = run_designs(
                designer,
                task,
                out,
                num,
                output=output,
                batch_size=batch_size,
                overwrite=overwrite,
                on_start=begin,
                on_progress=bar.advance,
                on_design=count,
            )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"{present} of {num} designs are in {out}; the same command makes the rest"
        ) from None
    if result.damaged and not quiet:
        typer.echo(
            f"protdiff: warning: {result.damaged} damaged lines of the manifest in {out} were "
            "left out, and their designs made again",
            err=True,
        )
    if json:
        print_json(result.records)
    elif not quiet:
        print_records(result.records)
        typer.echo(f"{summarise_records(result.records)}, in {out}")


def _print_plan(
    designer: Designer,
    task: RunTask,
    out: Path,
    num: int,
    output: OutputSettings,
    *,
    overwrite: bool,
    json: bool,
    quiet: bool,
) -> None:
    from protdiff.design.plan import plan_designs

    plan = plan_designs(designer, task, out, num, output=output, overwrite=overwrite)
    lengths = list(plan.lengths.values())
    print_plan(
        {
            "folder": str(plan.folder),
            "designs": num,
            "present": plan.present,
            "to_make": len(lengths),
            "lengths": lengths,
            **{name: value for name, value in plan.settings.items() if name != "length"},
        },
        json=json,
        quiet=quiet,
    )


def print_records(records: Sequence[Mapping[str, Any]]) -> None:
    """Print a short table of designs."""
    has_motif = any("motif_rmsd" in record for record in records)
    columns = ["design", "length", "helix", "strand", "Rg (Å)", "links", "Ramach.", "clashes"]
    has_start = any("rmsd_to_start" in record for record in records)
    columns += ["motif (Å)"] if has_motif else []
    columns += ["from start (Å)"] if has_start else []
    rows = []
    for record in records[:MOST_ROWS]:
        quality = get_quality(record)
        name = str(record["file"] or f"design {record['index']}: no file")
        row = [name, format_number(record.get("length"))]
        for name in ("helix", "strand", "rg", "links", "ramachandran", "clashes"):
            row.append(format_number(quality.get(name), 1 if name in ("rg", "clashes") else 2))
        row += [format_number(record.get("motif_rmsd"), 3)] if has_motif else []
        row += [format_number(record.get("rmsd_to_start"), 1)] if has_start else []
        failed = quality.get("failed", [])
        rows.append([*row, ", ".join(map(str, failed)) or VERDICT_GOOD])
    print_table([*columns, "verdict"], rows)
    if len(records) > MOST_ROWS:
        typer.echo(f"... and {len(records) - MOST_ROWS} more")

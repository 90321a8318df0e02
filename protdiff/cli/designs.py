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
from protdiff.errors import InputError, ProtdiffError

if TYPE_CHECKING:
    from protdiff.design.designer import Designer
    from protdiff.design.filter import DesignFilter
    from protdiff.design.run import OutputSettings, RunResult, RunTask

__all__ = ["read_filter", "run_and_report"]

MOST_ROWS = 40
"""Longer tables are cut; the manifest has every line."""


def read_filter(
    texts: Sequence[str] | None, num: int, max_draws: int | None
) -> DesignFilter | None:
    """Read what --filter asks, and check --max-draws against it.

    Raises
    ------
    InputError
        A condition cannot be read, or the designs that are wanted cannot be drawn.
    """
    if not texts:
        if max_draws is not None:
            raise InputError("--max-draws goes with --filter; give what designs are to meet")
        return None
    from protdiff.design.filter import limit_draws, parse_filter

    limit_draws(num, max_draws)
    return parse_filter(texts)


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
    filter: DesignFilter | None = None,
    max_draws: int | None = None,
) -> None:
    """Make the designs that are missing in a folder and print a table of all that are kept."""
    from protdiff.design.run import is_kept, run_designs

    if dry_run:
        _print_plan(
            *(designer, task, out, num, output, filter),
            overwrite=overwrite,
            json=json,
            quiet=quiet,
        )
        return
    present = total = 0
    begun = False

    def begin(there: int, missing: int) -> None:
        nonlocal present, total, begun
        present = there
        total += missing
        bar.set_total(total)
        if present and not (begun or quiet or json):
            rest = "making the rest" if missing else "nothing is left to make"
            typer.echo(f"{out} holds {present} of {num} designs; {rest}", err=True)
        begun = True

    def count(record: Mapping[str, Any]) -> None:
        nonlocal present
        present += is_kept(record)
        rejected = ", ".join(record.get("rejected", ()))
        without = f"one was rejected: {rejected}" if rejected else "a design that is not finite"
        bar.describe(str(record["file"] or without))

    try:
        with show_bar("sampling", quiet=quiet) as bar:
            result = run_designs(
                designer,
                task,
                out,
                num,
                output=output,
                filter=filter,
                until_kept=filter is not None,
                max_draws=max_draws,
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
    _print_result(result, num, filtered=filter is not None, json=json, quiet=quiet)


def _print_result(result: RunResult, num: int, *, filtered: bool, json: bool, quiet: bool) -> None:
    """Print what is in the folder now; fail if a filter left less of it than was wanted."""
    out, kept = result.folder, result.kept
    if result.damaged and not quiet:
        typer.echo(
            f"protdiff: warning: {result.damaged} damaged lines of the manifest in {out} were "
            "left out, and their designs made again",
            err=True,
        )
    if json:
        print_json(result.records)
    elif not quiet:
        print_records(kept)
        if not filtered:
            typer.echo(f"{summarise_records(kept)}, in {out}")
    if filtered:
        counts = f"{len(kept)} of {result.drawn} drawn pass"
        if not quiet:
            # JSON has a line for each that was drawn; what it comes to is for whoever watches.
            typer.echo(f"{counts}, in {out}", err=json)
        if len(kept) < num:
            raise ProtdiffError(
                f"{counts}, and {num} are wanted; --max-draws allows no more, so raise it, and the "
                "same command goes on"
            )


def _print_plan(
    designer: Designer,
    task: RunTask,
    out: Path,
    num: int,
    output: OutputSettings,
    filter: DesignFilter | None,
    *,
    overwrite: bool,
    json: bool,
    quiet: bool,
) -> None:
    from protdiff.design.plan import plan_designs

    plan = plan_designs(designer, task, out, num, output=output, filter=filter, overwrite=overwrite)
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
    has_start = any("rmsd_to_start" in record for record in records)
    has_partner = any(get_quality(record).get("partner_gap") is not None for record in records)
    columns = ["design", "length", "helix", "strand", "Rg (Å)", "links", "Ramach.", "clashes"]
    columns += ["motif (Å)"] if has_motif else []
    columns += ["from start (Å)"] if has_start else []
    columns += ["hot spots", "gap (Å)"] if has_partner else []
    rows = []
    for record in records[:MOST_ROWS]:
        quality = get_quality(record)
        file = str(record["file"] or f"design {record['index']}: no file")
        row = [file, format_number(record.get("length"))]
        for name in ("helix", "strand", "rg", "links", "ramachandran", "clashes"):
            row.append(format_number(quality.get(name), 1 if name in ("rg", "clashes") else 2))
        row += [format_number(record.get("motif_rmsd"), 3)] if has_motif else []
        row += [format_number(record.get("rmsd_to_start"), 1)] if has_start else []
        if has_partner:
            row.append(format_number(record.get("hotspots_touched"), 2))
            row.append(format_number(quality.get("partner_gap"), 1))
        failed = quality.get("failed", [])
        rows.append([*row, ", ".join(map(str, failed)) or VERDICT_GOOD])
    print_table([*columns, "verdict"], rows)
    if len(records) > MOST_ROWS:
        typer.echo(f"... and {len(records) - MOST_ROWS} more")

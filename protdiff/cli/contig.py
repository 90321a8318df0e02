"""``protdiff contig``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from protdiff.cli import options
from protdiff.cli.display import format_number, print_json, print_table
from protdiff.cli.failure import explain_failures
from protdiff.errors import InputError

if TYPE_CHECKING:
    from protdiff.structure import Backbone, Contig, SegmentRow

__all__ = ["contig"]


@explain_failures
def contig(
    text: Annotated[str, typer.Argument(help="As 10-40/A163-181/10-40.", metavar="CONTIG")],
    structures: Annotated[
        list[Path] | None,
        typer.Argument(help="Structure that it names residues of.", metavar="[FILE...]"),
    ] = None,
    pdb: Annotated[
        list[Path] | None,
        typer.Option(
            "--pdb", help="The same, as an option; repeated for several files.", metavar="FILE"
        ),
    ] = None,
    total_length: Annotated[
        str | None, typer.Option("--total-length", help="Residues of the whole design, as 50-75.")
    ] = None,
    num: Annotated[int, typer.Option("--num", "-n", min=0, help="How many layouts to draw.")] = 3,
    seed: options.Seed = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Explain a contig, and draw layouts of it, without sampling.

    The layouts are those that protdiff scaffold draws with the same seed.

    Example: protdiff contig 10-40/A163-181/10-40 5TPN.pdb --total-length 75
    """
    from protdiff.structure import explain_contig, parse_contig, read_joined

    parsed = parse_contig(text)
    files = [*(structures or ()), *(pdb or ())]
    backbone = read_joined(files) if files else None
    rows = explain_contig(parsed, backbone)
    problems = [f"{row.text}: {row.problem}" for row in rows if row.problem is not None]
    if not (json or quiet):
        _print_segments(rows)
    facts = {} if problems else _draw_layouts(parsed, backbone, total_length, num, seed)
    if json:
        from dataclasses import asdict

        print_json({"contig": text, "segments": [asdict(row) for row in rows], **facts})
    elif not quiet:
        _print_layouts(facts)
    if problems:
        raise InputError("; ".join(problems))


def _draw_layouts(
    parsed: Contig, backbone: Backbone | None, total_length: str | None, num: int, seed: int
) -> dict[str, Any]:
    from protdiff.design.seeds import make_layout_generator

    if backbone is not None:
        parsed = parsed.resolve(backbone)
        if len(parsed.motif_segments) < len(parsed.segments):  # the places of a mere list are open
            parsed = parsed.fit_linkers(backbone)
    elif any(segment.length is None for segment in parsed.motif_segments):
        return {}  # how many residues a chain has, only its structure tells
    layouts = [
        parsed.sample_layout(make_layout_generator(seed, index), total_length)
        for index in range(num)
    ]
    shortest, longest = parsed.length_span
    return {
        "shortest": shortest,
        "longest": longest,
        "layouts": [{"length": layout.length, "contig": str(layout)} for layout in layouts],
    }


def _print_segments(rows: list[SegmentRow]) -> None:
    table = []
    for row in rows:
        low, high = format_number(row.low), format_number(row.high)
        length = low if low == high else f"{low}–{high}"
        found = "" if row.found is None else f"{row.found} found"
        verdict = row.problem or (f"{found} {row.sequence}" if row.sequence else found)
        table.append([row.text, row.kind, row.chain, length, verdict])
    print_table(["segment", "kind", "chain", "residues", ""], table)


def _print_layouts(facts: dict[str, Any]) -> None:
    if not facts:
        return
    shortest, longest = facts["shortest"], facts["longest"]
    span = str(shortest) if shortest == longest else f"{shortest} to {longest}"
    typer.echo(f"total length: {span} residues")
    for index, layout in enumerate(facts["layouts"]):
        typer.echo(f"  design {index}: {layout['contig']} ({layout['length']} residues)")

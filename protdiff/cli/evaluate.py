"""``protdiff evaluate``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from protdiff.cli import options
from protdiff.cli.display import format_number, print_json, print_table, show_bar
from protdiff.cli.failure import explain_failures

if TYPE_CHECKING:
    from protdiff.evaluation import Quality

__all__ = ["evaluate"]

MOST_ROWS = 60


@explain_failures
def evaluate(
    sources: Annotated[
        list[Path],
        typer.Argument(help="Structure files, folders of them, or runs.", metavar="DIR|FILE..."),
    ],
    handedness: Annotated[
        options.Hand | None,
        typer.Option(
            help="Judge as L- or as D-proteins.", show_default="L, or what a run's manifest says"
        ),
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Measure structures and compare them with nature.

    Of a run's folder the designs in its manifest are measured, of any other all structure files.

    Example: protdiff evaluate designs/
    """
    from protdiff.evaluation import measure_backbone, summarise_quality
    from protdiff.structure import read_backbone

    found = _find_structures(sources, None if handedness is None else handedness.value)
    names: list[str] = []
    qualities: list[Quality] = []
    with show_bar("measuring", quiet=quiet, unit="structures") as bar:
        bar.set_total(len(found))
        for path, hand in found:
            hands = -1 if hand == "D" else 1
            qualities.append(measure_backbone(read_backbone(path), handedness=hands))
            names.append(str(path))
            bar.advance()
    summary = summarise_quality(qualities)
    if json:
        designs = [
            {"file": name, **quality.to_dict()}
            for name, quality in zip(names, qualities, strict=True)
        ]
        print_json(
            {
                "designs": designs,
                "summary": {
                    key: round(value, 4) if math.isfinite(value) else None
                    for key, value in summary.items()
                },
            }
        )
    elif not quiet:
        _print_designs(names, qualities)
        _print_summary(summary)


def _find_structures(sources: Sequence[Path], hand: str | None) -> list[tuple[Path, str]]:
    """List (file, hand); a run's own manifest says which files are designs, and of which hand."""
    from protdiff.design.run_folder import MANIFEST, read_manifest
    from protdiff.errors import InputError
    from protdiff.structure import find_structure_files

    found: list[tuple[Path, str]] = []
    for source in sources:
        if not (source / MANIFEST).is_file():
            found += [(path, hand or "L") for path in find_structure_files(source)]
            continue
        records = read_manifest(source / MANIFEST).records
        designs = [
            (source / record["file"], hand or str(record.get("handedness", "L")))
            for _, record in sorted(records.items())
            if record["file"] is not None
        ]
        if not designs:
            raise InputError(f"the manifest in {source} names no structure; generate some first")
        found += designs
    return found


def _print_designs(names: Sequence[str], qualities: Sequence[Quality]) -> None:
    columns = ["structure", "length", "helix", "strand", "Rg/law", "contacts", "links", "Ramach."]
    # Long paths squeeze the numbers out of a terminal; the names alone do if they tell files apart.
    short = [Path(name).name for name in names]
    names = short if len(set(short)) == len(short) else names
    rows = []
    for name, quality in list(zip(names, qualities, strict=True))[:MOST_ROWS]:
        row = [name, str(quality.length)]
        for key in ("helix", "strand", "rg_ratio", "contacts", "links", "ramachandran"):
            row.append(format_number(getattr(quality, key)))
        row.append(format_number(quality.clashes, 1))
        rows.append([*row, ", ".join(quality.failed) or "good"])
    print_table([*columns, "clashes", "verdict"], rows)
    if len(names) > MOST_ROWS:
        typer.echo(f"... and {len(names) - MOST_ROWS} more")


def _print_summary(summary: dict[str, float]) -> None:
    from protdiff.evaluation import NATIVE

    rows: list[list[Any]] = []
    for name, value in summary.items():
        if name.endswith("_sd"):
            continue
        text = format_number(value, 3)
        if f"{name}_sd" in summary:
            text += f"±{format_number(summary[f'{name}_sd'], 3)}"
        rows.append([name, text, NATIVE.get(name, "")])
    typer.echo("")
    print_table(["mean or share over all", "here", "nature"], rows)

"""What ``protdiff evaluate`` prints and writes: tables, CSV, JSON."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from protdiff.cli.display import colour, format_number, print_table
from protdiff.cli.evaluation_steps import Evaluated, Evaluation

__all__ = ["print_evaluation", "to_json", "write_csv"]

MOST_ROWS = 60

_SHOWN = ("helix", "strand", "rg_ratio", "contacts", "links", "ramachandran", "clashes")


def to_json(found: Evaluation) -> dict[str, Any]:
    """Return all that was found as JSON knows it."""
    return {
        "designs": [_to_record(one) for one in found.designs],
        "summary": {
            key: round(value, 4) if math.isfinite(value) else None
            for key, value in found.summary.items()
        },
        **found.facts,
        "unreadable": [{"file": str(path), "error": error} for path, error in found.unreadable],
        "notes": found.notes,
    }


def _to_record(one: Evaluated) -> dict[str, Any]:
    return {
        "file": str(one.source.path),
        **one.quality.to_dict(),
        "native_like": one.native_like,
        "bands": one.check.to_dict(),
        **one.extra,
    }


def write_csv(path: Path, found: Evaluation, *, overwrite: bool) -> None:
    """Write a row for each design; lists are joined by semicolons, and nothing is an empty cell."""
    from protdiff.files import write_atomically

    rows = [_flatten(_to_record(one)) for one in found.designs]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with (
        write_atomically(path, overwrite=overwrite) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


def _flatten(record: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turn a record into one row, ``{"bands": {"share": 1}}`` into ``bands_share``.

    Examples
    --------
    >>> _flatten({"failed": ["broken", "clashing"], "bands": {"share": 1.0}, "rg": None})
    {'failed': 'broken;clashing', 'bands_share': 1.0, 'rg': ''}
    """
    row: dict[str, Any] = {}
    for key, value in record.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            row |= _flatten(value, f"{name}_")
        elif isinstance(value, list):
            # Of sequences a table holds the best; all are in the JSON.
            if all(isinstance(item, str) for item in value):
                row[name] = ";".join(value)
        else:
            row[name] = "" if value is None else value
    return row


def print_evaluation(found: Evaluation) -> None:
    """Print a table of the designs and one of the set."""
    if found.designs:
        _print_designs(found.designs)
        typer.echo("")
        _print_summary(found.summary)
        _print_facts(found)


def _print_designs(designs: Sequence[Evaluated]) -> None:
    columns = ["structure", "length", "helix", "strand", "Rg/law", "contacts", "links", "Ramach."]
    columns += ["clashes", "in bands"]
    # A terminal has no room for long paths; the names alone do if they tell files apart.
    names = [str(one.source.path) for one in designs]
    short = [Path(name).name for name in names]
    names = short if len(set(short)) == len(short) else names
    more = [
        (title, getter)
        for title, getter in _MORE_COLUMNS
        if any(getter(one.extra) is not None for one in designs)
    ]
    columns += [title for title, _ in more]
    rows = []
    for name, one in list(zip(names, designs, strict=True))[:MOST_ROWS]:
        row: list[Any] = [name, str(one.quality.length)]
        for key in _SHOWN:
            text = format_number(getattr(one.quality, key), 1 if key == "clashes" else 2)
            row.append(colour(text, one.check.inside.get(key)))
        row.append(format_number(one.check.share))
        row += [format_number(getter(one.extra)) for _, getter in more]
        verdict = ", ".join(one.quality.failed) or "good"
        rows.append([*row, colour(verdict, one.quality.passes)])
    print_table([*columns, "verdict"], rows)
    if len(designs) > MOST_ROWS:
        typer.echo(f"... and {len(designs) - MOST_ROWS} more")


def _get(key: str, name: str) -> Any:
    return lambda extra: (extra.get(key) or {}).get(name)


_MORE_COLUMNS = (
    ("known TM", _get("novelty", "tm")),
    ("Foldseek TM", _get("foldseek", "tm")),
    ("nats/res.", _get("likelihood", "nats_per_residue")),
    ("seq. score", _get("self_consistency", "sequence_score")),
    ("scRMSD", _get("self_consistency", "sc_rmsd")),
    ("scTM", _get("self_consistency", "sc_tm")),
    ("its motif", _get("self_consistency", "sc_motif_rmsd")),
)


def _print_summary(summary: dict[str, float]) -> None:
    from protdiff.evaluation import NATIVE

    rows: list[list[Any]] = []
    for name, value in summary.items():
        if name.endswith(("_sd", "_in_native_band")):
            continue
        text = format_number(value, 3)
        if f"{name}_sd" in summary:
            text += f"±{format_number(summary[f'{name}_sd'], 3)}"
        share = summary.get(f"{name}_in_native_band", math.nan)
        rows.append([name, text, NATIVE.get(name, ""), _format_share(share)])
    columns = ["mean or share over all", "here", "nature", "in native band"]
    print_table(columns, rows)


def _format_share(share: float) -> Any:
    # 95 % of natives are inside; a set that is half as often outside again is not marked.
    return colour(format_number(share), None if math.isnan(share) else share >= 0.9)


def _print_facts(found: Evaluation) -> None:
    from protdiff.evaluation.bands import load_native_bands

    bands = load_native_bands().bins
    share = sum(one.expected_share for one in bands) / len(bands)
    typer.echo(
        f"\nin bands: share of {len(bands[0].bands)} quantities inside the 95 % range of natural "
        f"chains of the same length (of natural chains {share:.2f}); red: outside"
    )
    for key in ("diversity", "novelty", "self_consistency"):
        fact = found.facts.get(key)
        if fact is None:
            continue
        normalised = fact.get("normalised_by") or fact["tm_normalised_by"]
        extra = {
            "diversity": f", clusters at {fact.get('threshold')}",
            "novelty": f", to {fact.get('structures')} structures of {fact.get('reference')}",
            "self_consistency": f", sequences by {fact.get('sequences_by') or 'others'}, "
            f"structures by {fact.get('structures_by') or 'nobody'}",
        }[key]
        typer.echo(f"{key}: TM-score by {fact['aligner']}, normalised by {normalised}{extra}")
    if "scaffold_success" in found.summary:
        fact = found.facts["self_consistency"]
        typer.echo(
            f"scaffold_success: scRMSD < {fact['designable_below']:g} Å and motif RMSD < "
            f"{fact['motif_below']:g} Å in one prediction"
        )
    notes = {fact["note"] for fact in found.facts.values() if fact.get("note")}
    for note in sorted(notes):
        typer.echo(f"note: {note}")

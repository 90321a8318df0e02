"""Tables on stdout, progress bars on stderr, and both plain where nobody watches."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import typer

__all__ = [
    "VERDICT_GOOD",
    "Bar",
    "colour",
    "format_number",
    "format_value",
    "get_quality",
    "print_json",
    "print_json_line",
    "print_plan",
    "print_table",
    "show_bar",
    "summarise_records",
]

VERDICT, VERDICT_GOOD = "verdict", "good"
"""The column that is coloured, on a terminal, and its best value."""
SHORTEST_NAME = 15
"""Letters that the first column keeps on the narrowest terminal, as of design_0000.pdb."""
GAP = 2
"""Spaces after each column of a table."""
MOST_VALUES = 16
"""Of a list in a plan; --json prints all."""


class Bar:
    """A progress bar that may not be there."""

    def __init__(self, progress: Any = None, task: Any = None) -> None:
        self._progress = progress
        self._task = task

    def set_total(self, total: float | None) -> None:
        """Say how much there is to do."""
        if self._progress is not None:
            self._progress.update(self._task, total=total)

    def advance(self, amount: float = 1.0) -> None:
        """Say what has been done since the last call."""
        if self._progress is not None:
            self._progress.advance(self._task, amount)

    def describe(self, text: str) -> None:
        """Say what is going on."""
        if self._progress is not None:
            self._progress.update(self._task, description=text)


@contextmanager
def show_bar(description: str, *, quiet: bool = False, unit: str = "designs") -> Iterator[Bar]:
    """Show a progress bar on stderr if that is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield Bar()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.1f}/{task.total:.0f} " + unit),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Bar(progress, progress.add_task(description, total=1))


def colour(text: str, good: bool | None) -> Any:
    """Return a cell of a table, green if good, red if not, plain for None or without a terminal."""
    from rich.text import Text

    return Text(text, style={True: "green", False: "red", None: ""}[good])


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table of texts; the first column is text, the others are aligned as numbers.

    On a narrow terminal the first column loses its beginning, and no other loses anything: lines
    may be longer than the terminal.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # Text, for names of files may hold what rich takes for markup.
    lines = [
        [Text(cell) if isinstance(cell, str) else cell for cell in row] for row in (columns, *rows)
    ]
    verdict = columns.index(VERDICT) if VERDICT in columns else None
    for row, line in zip(rows, lines[1:], strict=True):
        if verdict is not None and isinstance(row[verdict], str):
            line[verdict].stylize("green" if row[verdict] == VERDICT_GOOD else "yellow")
    widths = [max(cell.cell_len for cell in column) for column in zip(*lines, strict=True)]
    if sys.stdout.isatty():
        room = Console().width - sum(widths[1:]) - GAP * (len(widths) - 1)
        widths[0] = min(widths[0], max(room, SHORTEST_NAME))
        for line in lines:
            line[0] = _cut_beginning(line[0], widths[0])
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    for place, column in enumerate(lines[0]):
        table.add_column(column, justify="left" if place == 0 else "right", no_wrap=True)
    for line in lines[1:]:
        table.add_row(*line)
    # Wide enough for rich to cut nothing.
    Console(width=sum(widths) + GAP * len(widths), highlight=False).print(table)


def _cut_beginning(cell: Any, width: int) -> Any:
    """Return the end of a text that is wider than a column."""
    from rich.text import Text

    if cell.cell_len <= width:
        return cell
    end = cell.plain
    while Text(end).cell_len >= width:
        end = end[1:]
    return Text(f"…{end}", style=cell.style)


def print_json(value: Any) -> None:
    """Print JSON, in ASCII: it is whole on every stdout, and so are names that are no text."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False))


def print_json_line(value: Any) -> None:
    """Print JSON on one line, at once, for whoever reads line by line."""
    typer.echo(json.dumps(value, allow_nan=False))


def print_plan(plan: Mapping[str, Any], *, json: bool, quiet: bool) -> None:
    """Print what a dry run found: names and values, and that nothing was done."""
    if json:
        print_json({"dry_run": True, **plan})
    elif not quiet:
        width = max(map(len, plan))
        for name, value in plan.items():
            typer.echo(f"{name.replace('_', ' '):{width}}  {format_value(value)}")
        typer.echo("a dry run: nothing was made or written")


def format_value(value: Any) -> str:
    """Return a value of any kind on one line, a long list cut."""
    if isinstance(value, list | tuple):
        shown = ", ".join(map(str, value[:MOST_VALUES]))
        return shown + (f", ... ({len(value)} in all)" if len(value) > MOST_VALUES else "")
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {item}" for name, item in value.items())
    return "–" if value is None or value == "" else str(value)


def format_number(value: Any, digits: int = 2) -> str:
    """Return a number for a table, a dash for None or NaN.

    Examples
    --------
    >>> format_number(0.5), format_number(None), format_number(3)
    ('0.50', '–', '3')
    """
    if value is None or value != value:
        return "–"
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def get_quality(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the quality in a line of a manifest, which others may have written or spoilt."""
    quality = record.get("quality")
    if not isinstance(quality, Mapping) or not isinstance(quality.get("failed"), list):
        return {"failed": ["not measured"]}
    return quality


def summarise_records(records: Sequence[Mapping[str, Any]]) -> str:
    """Return one line on a set of designs."""
    good = sum(get_quality(record).get("passes") is True for record in records)
    plural = "" if len(records) == 1 else "s"
    return f"{len(records)} design{plural}, {good} without a fault"

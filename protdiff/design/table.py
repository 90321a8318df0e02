"""A table of designs as text and as HTML, for consoles and notebooks."""

from __future__ import annotations

import html
import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

from protdiff.design.engine import Design

__all__ = ["MOST_ROWS", "format_html", "format_text", "is_missing"]

MOST_ROWS = 20
"""Longer tables are cut."""

# What a table shows of the quality, and under which name.
_COLUMNS = {
    "helix": "helix",
    "strand": "strand",
    "rg": "Rg (Å)",
    "ramachandran": "Ramach.",
    "clashes": "clashes",
}


def format_text(designs: Sequence[Design], records: Sequence[Mapping[str, Any]]) -> str:
    """Return a line on all designs, and one on each of the first :data:`MOST_ROWS`.

    Parameters
    ----------
    designs
        The designs.
    records
        For each its line of a manifest.
    """
    lines = [_summarise(designs)]
    if designs:
        table = _tabulate(designs, records)
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for name, *cells, verdict in table:
            aligned = [cell.rjust(width) for cell, width in zip(cells, widths[1:-1], strict=True)]
            lines.append("  ".join(["", name.ljust(widths[0]), *aligned, verdict]))
    if more := _count_hidden(designs):
        lines.append(f"  {more}")
    return "\n".join(lines)


def format_html(designs: Sequence[Design], records: Sequence[Mapping[str, Any]]) -> str:
    """Return the same as HTML; whatever is in a name, it is shown and not run."""
    head, *rows = _tabulate(designs, records)
    cells = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    more = _count_hidden(designs)
    return (
        f"<p>{html.escape(_summarise(designs))}</p>"
        f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>"
        + (f"<p>{more}</p>" if more else "")
    )


def is_missing(value: Any) -> bool:
    """Tell whether there is no number: None or NaN."""
    return value is None or (isinstance(value, numbers.Real) and math.isnan(value))


def _summarise(designs: Sequence[Design]) -> str:
    good = sum(design.quality.passes for design in designs)
    plural = "" if len(designs) == 1 else "s"
    return f"DesignSet: {len(designs)} design{plural}, {good} without a fault"


def _count_hidden(designs: Sequence[Design]) -> str:
    return f"... and {len(designs) - MOST_ROWS} more" if len(designs) > MOST_ROWS else ""


def _tabulate(
    designs: Sequence[Design], records: Sequence[Mapping[str, Any]]
) -> list[tuple[str, ...]]:
    has_motif = any("motif_rmsd" in record for record in records)
    motif = ["motif (Å)"] if has_motif else []
    table = [("design", "length", *_COLUMNS.values(), *motif, "verdict")]
    for design, record in list(zip(designs, records, strict=True))[:MOST_ROWS]:
        cells = [_format(getattr(design.quality, name), 2) for name in _COLUMNS]
        cells += [_format(record.get("motif_rmsd"), 3)] if has_motif else []
        verdict = ", ".join(design.quality.failed) or "good"
        table.append((design.backbone.name, str(len(design.backbone)), *cells, verdict))
    return table


def _format(value: Any, digits: int) -> str:
    known = isinstance(value, numbers.Real) and not is_missing(value)
    return f"{value:.{digits}f}" if known else "–"

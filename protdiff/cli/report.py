"""``protdiff report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from protdiff.cli import options
from protdiff.cli.display import print_json, show_bar
from protdiff.cli.failure import explain_failures

__all__ = ["report"]


@explain_failures
def report(
    sources: Annotated[
        list[Path],
        typer.Argument(help="Runs, structure files, or folders of them.", metavar="DIR|FILE..."),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The page.", show_default="report.html in the folder"),
    ] = None,
    png: Annotated[
        Path | None,
        typer.Option(help="Also write the plots as PNG files (300 dpi) to this folder."),
    ] = None,
    title: Annotated[
        str | None, typer.Option(help="Heading of the page.", show_default="the folder's name")
    ] = None,
    max_designs: Annotated[int, typer.Option(min=1, help="Show the first so many designs.")] = 500,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace files that no report wrote, too."),
    ] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Write a page to look at designs: 3-D, plots against nature, a table; works offline.

    An earlier report of the same name is replaced, any other file is not.

    Example: protdiff report designs/
    """
    from protdiff.report import ReportSettings, write_report

    settings = ReportSettings(out, png, title, max_designs, overwrite)
    with show_bar("reading", quiet=quiet) as bar:
        written = write_report(sources, settings, on_start=bar.set_total, on_design=bar.advance)
    collection = written.collection
    size = written.page.stat().st_size
    if json:
        print_json(
            {
                "file": str(written.page),
                "bytes": size,
                "made": collection.made,
                "passing": collection.passing,
                "shown": len(collection.designs),
                "figures": [str(path) for path in written.figures],
                "problems": list(collection.problems),
            }
        )
        return
    for problem in collection.problems:
        typer.echo(f"protdiff: warning: {problem}", err=True)
    if not quiet:
        plural = "" if collection.made == 1 else "s"
        typer.echo(
            f"{written.page}: {len(collection.designs)} of {collection.made} design{plural}, "
            f"{collection.passing} of all without a fault, {size / 2**20:.1f} MiB"
        )
        if written.figures:
            typer.echo(f"{len(written.figures)} plots in {settings.png}")

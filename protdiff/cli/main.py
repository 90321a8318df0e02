"""The command ``protdiff``: its subcommands in the order of a user's day."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from protdiff.cli.campaign import campaign
from protdiff.cli.contig import contig
from protdiff.cli.evaluate import evaluate
from protdiff.cli.export import export
from protdiff.cli.failure import INTERRUPTED, explain_usage, is_usage_error
from protdiff.cli.fetch import fetch
from protdiff.cli.generate import generate
from protdiff.cli.info import info
from protdiff.cli.likelihood import likelihood
from protdiff.cli.prepare import prepare
from protdiff.cli.registration import register
from protdiff.cli.report import report
from protdiff.cli.scaffold import scaffold
from protdiff.cli.sequence import sequence
from protdiff.cli.train import train
from protdiff.memory import reuse_memory

__all__ = ["app", "main"]

app = typer.Typer(
    name="protdiff",
    help="Generate protein backbones, scaffold motifs, train and judge models.",
    epilog="Every command explains itself: protdiff generate --help. "
    "Exit codes: 0 done, 1 failed, 2 the input or the command line cannot be used, "
    "3 a condition of evaluate --fail-on is met, 130 interrupted. "
    "Data go to stdout; progress, notes and errors to stderr; NO_COLOR is honoured.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    # Failures are worded by protdiff.cli.failure.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command, panel in (
    (generate, "Design"),
    (scaffold, "Design"),
    (campaign, "Design"),
    (contig, "Design"),
    (sequence, "Design"),
    (export, "Design"),
    (evaluate, "Judge"),
    (likelihood, "Judge"),
    (report, "Judge"),
    (fetch, "Data and training"),
    (prepare, "Data and training"),
    (train, "Data and training"),
    (info, "About"),
):
    register(app, command, panel=panel)


def _show_version(value: bool) -> None:
    if value:
        from protdiff.version import get_version

        typer.echo(f"protdiff {get_version()}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    del version


def main() -> None:
    """Run the command line; exit with 0, 1 (failed), 2 (wrong input) or 130 (interrupted)."""
    reuse_memory()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a sign that it lacks, such as Å, is no failure
    try:
        sys.exit(app(prog_name="protdiff", standalone_mode=False))
    except (typer.Abort, KeyboardInterrupt):  # as during an import, before a command has begun
        sys.exit(INTERRUPTED)
    except Exception as error:
        if not is_usage_error(error):
            raise
        sys.exit(explain_usage(error))

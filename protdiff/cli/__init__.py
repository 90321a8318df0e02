"""The command line: the only importer of typer, one file a command."""

from protdiff.cli.main import main

__all__ = ["main"]

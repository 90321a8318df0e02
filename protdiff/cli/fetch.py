"""``protdiff fetch``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from protdiff.cli import options
from protdiff.cli.display import print_json, print_plan, show_bar
from protdiff.cli.failure import explain_failures

__all__ = ["fetch"]


class EntryFormat(StrEnum):
    """Formats in which the Protein Data Bank gives its entries."""

    bcif = "bcif"
    cif = "cif"
    pdb = "pdb"


@explain_failures
def fetch(
    ids: Annotated[list[str], typer.Argument(help="PDB ids, as 1AKI 5TPN.", metavar="ID...")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path(),
    format: Annotated[EntryFormat, typer.Option(help="Format of the files.")] = EntryFormat.bcif,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Fetch again what is there already.")
    ] = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Download structures from the Protein Data Bank.

    Example: protdiff fetch 5TPN 1YCR --format cif --out motifs
    """
    from protdiff.files import check_writable
    from protdiff.structure import fetch_structures
    from protdiff.structure.fetch import list_files

    listed = list_files(ids, out, format=format.value)
    check_writable(out)
    if dry_run:
        present = [entry for entry, path in listed.items() if path.exists() and not overwrite]
        to_fetch = [str(path) for entry, path in listed.items() if entry not in present]
        plan = {"folder": str(out), "entries": len(listed), "present": present}
        print_plan({**plan, "to_fetch": to_fetch}, json=json, quiet=quiet)
        return
    with show_bar("fetching", quiet=quiet, unit="entries") as bar:
        bar.set_total(len(listed))
        files = fetch_structures(
            ids,
            out,
            format=format.value,
            overwrite=overwrite,
            progress=lambda _: bar.advance(),
        )
    if json:
        print_json([str(file) for file in files])
    elif not quiet:
        for file in files:
            typer.echo(str(file))

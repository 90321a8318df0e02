"""``protdiff export``."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from protdiff.cli import options
from protdiff.cli.cases import list_runs, read_cases
from protdiff.cli.display import print_json
from protdiff.cli.failure import explain_failures
from protdiff.errors import InputError
from protdiff.files import make_folder_atomically

__all__ = ["export"]


@explain_failures
def export(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Folders of runs, of campaigns or of their jobs.", metavar="RUN..."),
    ],
    protein_mpnn: Annotated[
        Path | None,
        typer.Option(
            "--protein-mpnn",
            help="Write backbones, chains and fixed positions as ProteinMPNN reads them; of "
            "several runs, each into a folder of its own.",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="FILE[:CHAINS]",
            help="With --protein-mpnn: what the designs bind, as the run had it; its chains are "
            "handed over too, as kept ones.",
            show_default=False,
        ),
    ] = None,
    motifbench: Annotated[
        Path | None,
        typer.Option(help="Write a MotifBench submission, a problem for each run."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="The problem of a single run, as 01_1LDB.", show_default="the run's folder"
        ),
    ] = None,
    passing: Annotated[
        bool, typer.Option("--passing", help="Only designs that fail no quick check.")
    ] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Hand designs over to other programs; motif residues are fixed, but for redesignable ones.

    ProteinMPNN knows L-proteins only, so D-proteins go out as their mirror images.

    Example: protdiff export scaffolds --protein-mpnn mpnn
    """
    if protein_mpnn is None and motifbench is None:
        raise InputError("nothing is asked for; give --protein-mpnn FOLDER or --motifbench FOLDER")
    if target is not None and protein_mpnn is None:
        raise InputError("--target goes with --protein-mpnn FOLDER")
    if protein_mpnn is not None and motifbench is not None and _overlap(protein_mpnn, motifbench):
        raise InputError("--protein-mpnn and --motifbench need folders apart from each other")
    runs = list_runs(runs, {"--name": name, "--target": target})
    cases = read_cases(runs, passing=passing, name=name)
    written: dict[str, Any] = {case: len(designs) for case, designs in cases.items()}
    mirrored = 0
    # Both or none: what is left of a command that fails must not be in the corrected one's way.
    with ExitStack() as stack:
        if motifbench is not None:
            from protdiff.design.motif_bench import write_motif_bench

            write_motif_bench(stack.enter_context(make_folder_atomically(motifbench)), cases)
        if protein_mpnn is not None:
            if len(runs) == 1:
                (designs,) = cases.values()
                designs.write_protein_mpnn(protein_mpnn, target=target)
            else:
                folder = stack.enter_context(make_folder_atomically(protein_mpnn))
                for case, designs in cases.items():
                    designs.write_protein_mpnn(folder / case)
            mirrored = sum(
                record.get("handedness") == "D"
                for designs in cases.values()
                for record in designs.to_records()
            )
    folders = [str(path) for path in (protein_mpnn, motifbench) if path is not None]
    if json:
        print_json({"designs": written, "mirrored": mirrored, "folders": folders})
    elif not quiet:
        count = sum(written.values())
        typer.echo(f"{count} design{'' if count == 1 else 's'} in {', '.join(folders)}")
        if mirrored:
            typer.echo(
                f"{mirrored} D-proteins were written as their mirror images, which ProteinMPNN "
                "knows; read its sequences in D-amino acids"
            )


def _overlap(first: Path, second: Path) -> bool:
    """Whether two folders are one, or one is in the other."""
    first, second = first.resolve(), second.resolve()
    return first.is_relative_to(second) or second.is_relative_to(first)

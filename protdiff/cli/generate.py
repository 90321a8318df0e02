"""``protdiff generate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from protdiff.cli import options
from protdiff.cli.failure import explain_failures
from protdiff.design.conditions import ConditionOptions
from protdiff.design.settings import SamplingSettings
from protdiff.weights import find_weights

__all__ = ["generate"]

DEFAULTS = SamplingSettings()


@explain_failures
def generate(
    length: Annotated[
        str | None,
        typer.Option(
            "--length",
            "-l",
            help="Residues: 100; 60-128, any of them; 64:2,100 for a mixture with weights; or "
            "natural, as natural proteins of 40-128 are (natural/40-256 within other limits). "
            "60-80+100: of a complex, chain by chain. With --symmetry, of one chain.",
            show_default="100, or that of the structure given by --from",
        ),
    ] = None,
    num: options.Num = 8,
    seed: options.Seed = 0,
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
    out: options.Out = Path("designs"),
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
    handedness: Annotated[
        options.Hand,
        typer.Option(
            help="L for natural, D for mirror-image proteins.", rich_help_panel=options.SAMPLING
        ),
    ] = options.Hand.L,
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
    """Generate protein backbones from noise, or from a structure made noisy.

    Each design is written to the folder the moment it is done, with a line in manifest.jsonl. The
    same command again makes what is missing.

    Example: protdiff generate --length 60-128 --num 32 --out designs
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
        handedness=handedness.value,
        excluded_volume=excluded_volume,
        secondary_structure=secondary_structure,
    )
    # What can be wrong with the input shows before torch is imported, which takes seconds.
    from protdiff.cli.designs import read_filter, run_and_report
    from protdiff.design.lengths import parse_lengths

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
    asked = read_filter(filter, num, max_draws)
    if length is not None:
        parse_lengths(length)
    conditions.read_files()
    if weights is not None:
        find_weights(weights)

    from protdiff.design.beside_target import keep_target
    from protdiff.design.binding import make_generation
    from protdiff.design.engine import choose_task_weights
    from protdiff.design.loading import load
    from protdiff.design.run import OutputSettings

    output = OutputSettings(format.value, trajectory, cbeta, residue_name)
    designer = None if weights is None else load(weights, device, compile=compile)
    conditioners = list(conditions.make())
    if designer is not None:
        conditioners = keep_target(designer.model.name, settings, conditioners)
    task = make_generation(length, seed, settings, conditioners)
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

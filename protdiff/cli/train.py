"""``protdiff train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from protdiff.cli import options
from protdiff.cli.completion import complete_preset
from protdiff.cli.display import print_json, print_plan, show_bar
from protdiff.cli.failure import explain_failures
from protdiff.training.preset import list_presets

__all__ = ["train"]


@explain_failures
def train(
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="The run's TOML file, see docs/training.md."),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help=f"A run that comes with protdiff: {', '.join(list_presets())}. What --config "
            "says wins over it, and options over both.",
            autocompletion=complete_preset,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", help="Folder of the run.", show_default="the run's"),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Prepared data.", show_default="the run's")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Length of the whole run.", show_default="the run's"),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=0.0, help="Stop, resumable, after this time.", show_default="the run's"),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="auto, cpu or cuda; for one process also cuda:N.", show_default="the run's"
        ),
    ] = None,
    devices: Annotated[
        int | None,
        typer.Option(
            min=1, help="GPUs of each machine, or processes on a CPU.", show_default="the run's"
        ),
    ] = None,
    nodes: Annotated[
        int | None, typer.Option(min=1, help="Machines.", show_default="the run's")
    ] = None,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Train a model on prepared data.

    The same command continues a run that was stopped, exactly.

    With --devices and --nodes several processes share each batch and make the same run
    (protdiff[distributed]); on several nodes the command is given on each, by srun or torchrun.

    Example: protdiff train --preset cpu --data prepared.safetensors
    """
    from protdiff.training.config import load_config
    from protdiff.training.plan import plan_training
    from protdiff.training.processes import start_processes
    from protdiff.training.trainer import train as run_training

    loaded = load_config(
        config,
        preset=preset,
        out=out,
        data=data,
        steps=steps,
        minutes=minutes,
        device=device,
        devices=devices,
        nodes=nodes,
    )
    if dry_run:
        print_plan(plan_training(loaded), json=json, quiet=quiet)
        return
    if loaded.devices * loaded.nodes > 1:
        plan_training(loaded)  # what is wrong shows before there are several to say so
    processes = start_processes(loaded.device, loaded.devices, loaded.nodes)
    quiet = quiet or not processes.is_first
    try:
        with show_bar("training", quiet=quiet, unit="steps") as bar:
            weights = run_training(loaded, bar=bar, processes=processes)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"the run is saved in {loaded.out}; the same command continues it"
        ) from None
    if json and processes.is_first:
        print_json({"weights": str(weights), "folder": loaded.out})
    elif not quiet:
        typer.echo(f"weights are in {weights}")

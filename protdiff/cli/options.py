"""Options that several commands share, worded once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from protdiff.cli.completion import (
    complete_grid,
    complete_sampler,
    complete_symmetry,
    complete_weights,
)
from protdiff.design.conditions import DEFAULT_NOISE
from protdiff.design.samplers import FAST, GRID_NAMES, LONG, SAMPLER_NAMES
from protdiff.design.settings import DEFAULT_STEPS, MOST_DEFAULT_STEPS

__all__ = [
    "Autoguidance",
    "BatchSize",
    "CBeta",
    "Compile",
    "Conditioner",
    "Contacts",
    "Debug",
    "Device",
    "DryRun",
    "ExcludedVolume",
    "Fast",
    "Filter",
    "Format",
    "From",
    "Grid",
    "Hand",
    "Hotspots",
    "Json",
    "MaxDraws",
    "Noise",
    "Num",
    "Out",
    "OutputFormat",
    "Overwrite",
    "Potential",
    "Quiet",
    "RadiusOfGyration",
    "ResidueName",
    "Sampler",
    "SecondaryStructure",
    "Seed",
    "Shape",
    "StepScale",
    "Steps",
    "Symmetry",
    "Target",
    "Temperature",
    "Trajectory",
    "Weights",
]


class OutputFormat(StrEnum):
    """Formats of structure files that are written."""

    pdb = "pdb"
    cif = "cif"


class Hand(StrEnum):
    """L- or D-proteins."""

    L = "L"
    D = "D"


CONDITIONS, SAMPLING, OUTPUT, GENERAL = "Conditions", "Sampling", "Output", "General"

Num = Annotated[int, typer.Option("--num", "-n", min=1, max=1_000_000, help="How many designs.")]
Seed = Annotated[
    int,
    typer.Option(help="Design k of a seed is always the same, whatever is made beside it."),
]
_WEIGHTS: dict[str, Any] = {
    "help": "Name of bundled weights, or path of a .safetensors file.",
    "autocompletion": complete_weights,
}
Weights = Annotated[str, typer.Option(**_WEIGHTS)]
WeightsForLength = Annotated[
    str | None,
    typer.Option(
        "--weights",
        show_default="protdiff-base; protdiff-long, for chains of more than 128 residues; or "
        "protdiff-complex, for several chains",
        **_WEIGHTS,
    ),
]
Device = Annotated[
    str, typer.Option(help="auto, cpu, cuda or cuda:N; auto takes a GPU if there is one.")
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Most designs to sample at once. It does not change them.",
        show_default="8 on a CPU; on a GPU 209 of 100 residues, 52 of 200",
    ),
]
Compile = Annotated[
    bool,
    typer.Option(
        "--compile",
        help="Compile the network first: minutes once a machine, then faster sampling of the same "
        "designs, but for rounding.",
    ),
]

Sampler = Annotated[
    str,
    typer.Option(
        help=", ".join(SAMPLER_NAMES) + "; or module:object.",
        rich_help_panel=SAMPLING,
        autocompletion=complete_sampler,
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Steps from noise to structure.",
        rich_help_panel=SAMPLING,
        show_default=f"{DEFAULT_STEPS}, to {MOST_DEFAULT_STEPS} where a design has more than "
        f"{LONG} residues",
    ),
]
Temperature = Annotated[
    float,
    typer.Option(
        min=0.0,
        help="Scale of the noise of stochastic samplers; lower is more ordered, less diverse.",
        rich_help_panel=SAMPLING,
    ),
]
ExcludedVolume = Annotated[
    bool,
    typer.Option(
        "--excluded-volume/--no-excluded-volume",
        help="Push overlapping stretches of the chain apart.",
        rich_help_panel=SAMPLING,
    ),
]
SecondaryStructure = Annotated[
    str,
    typer.Option(
        "--ss",
        help="Secondary structure to ask for: any, natural (drawn for each design from natural "
        "proteins), mainly-alpha, mainly-beta, alpha-beta, shares as helix=0.3,strand=0.25, "
        "or a string as 12H3L6E.",
        rich_help_panel=SAMPLING,
    ),
]
StepScale = Annotated[
    float,
    typer.Option(
        help="Scale of the score at little noise; above 1 is more ordered.",
        rich_help_panel=SAMPLING,
    ),
]
Autoguidance = Annotated[
    float,
    typer.Option(
        help="How far to go from the network's half-way estimate to its own: 1, or beyond it, "
        "which sharpens.",
        rich_help_panel=SAMPLING,
    ),
]
Restarts = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="How often the end of the way is walked again, from 2 Å of noise.",
        rich_help_panel=SAMPLING,
        show_default="1 around a motif, 0 without",
    ),
]
Grid = Annotated[
    str,
    typer.Option(
        help="Where the steps are put: " + ", ".join(GRID_NAMES) + "; or module:object.",
        rich_help_panel=SAMPLING,
        autocompletion=complete_grid,
    ),
]

Filter = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        help="Draw until --num designs meet a condition, and keep only those: pass (every quick "
        "check), or a number of the quality, as strand>=0.2; several with commas, or repeated.",
        rich_help_panel=OUTPUT,
        show_default="keep all",
    ),
]
MaxDraws = Annotated[
    int | None,
    typer.Option(
        "--max-draws",
        min=1,
        help="Most designs to draw for --filter.",
        rich_help_panel=OUTPUT,
        show_default="10 times --num",
    ),
]


def _set_fast(context: typer.Context, fast: bool) -> bool:
    """Make the values of :data:`FAST` the defaults; the command line and a file win over them."""
    if fast and not context.resilient_parsing:
        context.default_map = {**FAST, **(context.default_map or {})}
    return fast


Fast = Annotated[
    bool,
    typer.Option(
        "--fast",
        help=f"Sample in {FAST['steps']} steps, half the time, at some loss of quality: "
        f"--grid {FAST['grid']}, and sampler and step scale to go with it, unless given.",
        rich_help_panel=SAMPLING,
        callback=_set_fast,
        is_eager=True,
    ),
]
Symmetry = Annotated[
    str | None,
    typer.Option(
        help="Copies of one chain, placed by a point group: C2, C3, ... for a ring, D2, D3, ... "
        "for two rings face to face. --length, and a contig, are then those of ONE chain: 40 with "
        "C3 makes three chains of 40, 120 residues.",
        rich_help_panel=CONDITIONS,
        autocompletion=complete_symmetry,
        show_default=False,
    ),
]
From = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="FILE",
        help="Start from this structure, made noisy, instead of from noise alone; the designs have "
        "its length, chains and breaks, and so must the layout of a motif.",
        rich_help_panel=CONDITIONS,
        show_default=False,
    ),
]
Noise = Annotated[
    float | None,
    typer.Option(
        help="With --from: the share of the steps that are left to do, above 0 and up to 1. "
        "Little keeps the structure, 1 all but forgets it.",
        rich_help_panel=CONDITIONS,
        show_default=str(DEFAULT_NOISE),
    ),
]
RadiusOfGyration = Annotated[
    str | None,
    typer.Option(
        "--rg",
        metavar="TEXT",
        help="Radius of gyration, in Å as 14.5, or of that of globular proteins as x1.1.",
        rich_help_panel=CONDITIONS,
        show_default=False,
    ),
]
Contacts = Annotated[
    str | None,
    typer.Option(
        help="Residues of the design whose CA atoms are to be near, as 12-40,A5-B9:7.5; 8 Å unless "
        "said otherwise.",
        rich_help_panel=CONDITIONS,
        show_default=False,
    ),
]
Shape = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Points that the design is to fill, in any pose: the vertices of a mesh (OBJ, PLY), "
        "or XYZ, CSV, NPY, or a structure.",
        rich_help_panel=CONDITIONS,
        show_default=False,
    ),
]
Target = Annotated[
    str | None,
    typer.Option(
        metavar="FILE[:CHAINS]",
        help="Structure that the design is to bind, or FILE:A,B for some of its chains; the design "
        "is written in its frame. With --hotspots, or beside a motif of the same complex.",
        rich_help_panel=CONDITIONS,
        show_default=False,
    ),
]
Hotspots = Annotated[
    str | None,
    typer.Option(
        help="Residues of --target that the design is to touch, as A45,A48-50.",
        rich_help_panel=CONDITIONS,
        show_default=False,
    ),
]
Dock = Annotated[
    bool,
    typer.Option(
        "--dock",
        help="Do not show --target to the network, but dock it as a rigid body, or keep it where "
        "a motif has it: faster, and possible with all other conditions.",
        rich_help_panel=CONDITIONS,
    ),
]
Potential = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MODULE:FUNCTION",
        help="An energy of one's own, in units of kT, to be low: a Python function of N, CA, C in "
        "Å, (batch, residue, 3, 3), that gives (batch,). May be given several times.",
        rich_help_panel=CONDITIONS,
        show_default=False,
    ),
]
Conditioner = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MODULE:OBJECT",
        help="A conditioner of one's own, a class or an instance. May be given several times.",
        rich_help_panel=CONDITIONS,
        show_default=False,
    ),
]

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of the run.")]
Format = Annotated[
    OutputFormat, typer.Option(help="Format of the structure files.", rich_help_panel=OUTPUT)
]
Trajectory = Annotated[
    bool,
    typer.Option(
        "--trajectory",
        help="Also write the way from noise to structure, noisy and denoised.",
        rich_help_panel=OUTPUT,
    ),
]
CBeta = Annotated[
    bool,
    typer.Option(
        "--cbeta", help="Add idealised CB atoms to all but glycines.", rich_help_panel=OUTPUT
    ),
]
ResidueName = Annotated[
    str, typer.Option(help="What designed residues are called.", rich_help_panel=OUTPUT)
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite", help="Remove what is there and start again.", rich_help_panel=OUTPUT
    ),
]

Json = Annotated[
    bool, typer.Option("--json", help="Print JSON, for machines.", rich_help_panel=GENERAL)
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Print nothing but errors.", rich_help_panel=GENERAL),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Check everything, say what would be made, and write nothing.",
        rich_help_panel=GENERAL,
    ),
]
Debug = Annotated[
    bool, typer.Option("--debug", help="Print tracebacks of errors.", rich_help_panel=GENERAL)
]

#!/usr/bin/env python3
"""The table by which released weights are judged: every target, its figure, and whether it holds.

Takes run folders, as ``protdiff generate`` makes them, one a length; each is a column:

    for length in 64 100 128; do
        protdiff generate --length $length --num 200 --out panel/$length
    done
    python scripts/panel.py panel/64 panel/100 panel/128 --reference data.safetensors --out panel

All designs count, good or bad: one that is not finite has no structure and fails every share. How
different designs are is measured on all of them, 19,900 alignments for 200 designs;
``--diversity-num`` takes the first so many of each folder. Novelty is the TM-score to the nearest
training chain of ``--reference``, and without it those rows are empty.

Prints Markdown; ``--out`` gets it as ``panel.md``, with the whole summary in ``panel.json``.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from markdown_table import make_table

from protdiff.cli.display import show_bar
from protdiff.cli.evaluation_steps import (
    Evaluation,
    add_diversity,
    load_references,
    measure_all,
    take_sources,
)
from protdiff.design.listing import list_structures
from protdiff.design.run_folder import MANIFEST
from protdiff.errors import InputError, ProtdiffError
from protdiff.evaluation import NATIVE
from protdiff.evaluation.diversity import CLUSTER_THRESHOLD
from protdiff.evaluation.novelty import Reference, measure_novelty, summarise_novelty
from protdiff.evaluation.tm_score import ALIGNER_NAMES, Aligner, get_aligner
from protdiff.files import write_atomically

_WORDS = {True: "{} yes", False: "**{} no**", None: "–"}


@dataclass(frozen=True)
class Target:
    """What a row of the summary is to be: between two numbers, both included."""

    label: str
    name: str
    least: float = -math.inf
    most: float = math.inf

    def holds(self, figure: float) -> bool | None:
        """Whether a figure is within it; None of one that was not measured."""
        return None if math.isnan(figure) else self.least <= figure <= self.most

    def __str__(self) -> str:
        if math.isinf(self.most):
            return f"≥ {self.least:g}"
        return f"≤ {self.most:g}" if math.isinf(self.least) else f"{self.least:g}–{self.most:g}"


def list_angle_targets() -> list[Target]:
    """Give two rows for each angle: its mean within 1° of nature, its spread within 1.5 times."""
    rows = []
    for name, label in (("n_ca_c", "N–CA–C"), ("ca_c_n", "CA–C–N"), ("c_n_ca", "C–N–CA")):
        mean, deviation = map(float, NATIVE[name].split("±"))
        rows.append(Target(f"{label}, mean (°)", name, mean - 1, mean + 1))
        rows.append(Target(f"{label}, standard deviation (°)", f"{name}_sd", most=1.5 * deviation))
    return rows


TARGETS = (
    Target("links with C–N and CA–CA in band", "links", least=0.99),
    Target("designs without CA–CA above 4.2 Å", "unbroken", least=0.98),
    *list_angle_targets(),
    Target("links with absolute ω above 155°", "planar", least=0.98),
    Target("residues in Ramachandran boxes", "ramachandran", least=0.90),
    Target("designs with φ > 0 share in .02–.13", "phi_positive_in_band", least=0.90),
    Target("designs without left-handed run", "without_left_handed_run", least=0.98),
    Target("clashes per 100 residues, mean", "clashes", most=0.5),
    Target("designs with Rg/(2.2·L^.38) in .95–1.25", "rg_in_band", least=0.85),
    Target("designs with contacts per residue in 1.7–4.7", "contacts_in_band", least=0.75),
    Target("helix + strand, mean", "structured", least=0.55),
    Target("strand, mean", "strand", least=0.18),
    Target("designs with ≥ 20 % strand", "strand_above_20", least=0.35),
    Target("all-helix designs", "all_helix", most=0.45),
    Target(f"clusters at TM {CLUSTER_THRESHOLD:g} per design", "clusters_per_design", least=0.6),
    Target("pairwise TM, mean", "mean_pairwise_tm", most=0.40),
    Target("TM to the nearest training chain, mean", "nearest_known_tm", most=0.75),
    Target("TM to the nearest training chain, largest", "largest_known_tm", most=0.90),
)


def compare_with_training(
    found: Evaluation,
    references: Sequence[Reference],
    aligner: Aligner,
    options: argparse.Namespace,
) -> None:
    """Find the nearest training chain of each design."""
    chosen = found.choose_comparable()
    with show_bar("comparing with the training set", quiet=options.quiet, unit="pairs") as bar:
        bar.set_total(max(len(chosen) * len(references), 1))
        novelties = measure_novelty(
            [one.judged for one in chosen],
            references,
            aligner=aligner,
            workers=options.workers,
            on_progress=bar.advance,
        )
    found.summary |= summarise_novelty(novelties)
    nearest = zip(chosen, novelties, strict=True)
    found.facts["novelty"] = {
        "reference": str(options.reference),
        "structures": len(references),
        "aligner": aligner.name,
        "designs": {
            one.source.path.name: {"tm": round(novelty.tm, 4), "nearest": novelty.nearest}
            for one, novelty in nearest
        },
    }


def measure_run(
    folder: Path, aligner: Aligner, *, most: int | None = None, workers: int = 1, quiet: bool = True
) -> Evaluation:
    """Measure a run folder: the summary of ``protdiff evaluate``, over all its designs.

    Diversity is that of the first ``most`` designs, of all without it.
    """
    if not (folder / MANIFEST).is_file():
        raise InputError(f"{folder} holds no {MANIFEST}; give folders of protdiff generate")
    listing = list_structures([folder])
    found = measure_all(take_sources(listing, None), blown_up=listing.blown_up, quiet=quiet)
    if found.unreadable:
        path, problem = found.unreadable[0]
        raise InputError(f"{path} cannot be read ({problem}); make the designs again")
    found.notes += listing.explain()
    found.summary["structured"] = found.summary["helix"] + found.summary["strand"]
    # A part shares the summary of the whole, and adds to it.
    part = replace(found, designs=found.designs[:most])
    add_diversity(part, aligner, threshold=CLUSTER_THRESHOLD, workers=workers, quiet=quiet)
    return found


def write_table(columns: Sequence[tuple[str, dict[str, float]]]) -> str:
    """Write a row a target, a column a folder; what falls short is bold."""
    lines = []
    held = [[target.holds(s.get(target.name, math.nan)) for target in TARGETS] for _, s in columns]
    for row, target in enumerate(TARGETS):
        cells = []
        for (_, summary), verdicts in zip(columns, held, strict=True):
            figure = f"{summary.get(target.name, math.nan):.3f}"
            cells.append(_WORDS[verdicts[row]].format(figure))
        lines.append([target.label, str(target), *cells])
    counts = [
        f"{sum(v is True for v in verdicts)} of {sum(v is not None for v in verdicts)}"
        for verdicts in held
    ]
    lines.append(["targets that hold", "", *counts])
    return make_table(["quantity", "target", *(title for title, _ in columns)], lines)


def to_json(folder: Path, found: Evaluation) -> dict[str, Any]:
    """Return what was measured of a folder, and each target with its figure, as JSON knows them."""
    summary = found.summary
    targets = []
    for target in TARGETS:
        figure = summary.get(target.name, math.nan)
        targets.append(
            {
                "quantity": target.name,
                "target": str(target),
                "figure": to_number(figure),
                "holds": target.holds(figure),
            }
        )
    plain = {name: to_number(value) for name, value in summary.items()}
    return {
        "folder": str(folder),
        "targets": targets,
        "summary": plain,
        "facts": found.facts,
        "notes": found.notes,
    }


def to_number(value: float) -> float | None:
    """Return a number, None for one that is none."""
    return round(value, 5) if math.isfinite(value) else None


def run(options: argparse.Namespace) -> str:
    """Measure the folders, write what was asked for, and return the table."""
    references: list[Reference] = []
    if options.reference is not None:
        references = load_references(options.reference, [], quiet=options.quiet)
    aligner = get_aligner(options.aligner)
    several = {"workers": options.workers, "quiet": options.quiet}
    measured = []
    for folder in options.folders:
        found = measure_run(folder, aligner, most=options.diversity_num, **several)
        for note in found.notes:
            print(f"panel: {folder}: {note}", file=sys.stderr)
        if references:
            part = replace(found, designs=found.designs[: options.novelty_num])
            compare_with_training(part, references, aligner, options)
        measured.append(found)
    columns = [
        (f"{folder.name}: {found.summary['designs']:.0f} designs", found.summary)
        for folder, found in zip(options.folders, measured, strict=True)
    ]
    text = write_table(columns)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        with write_atomically(options.out / "panel.md", overwrite=True) as temporary:
            temporary.write_text(text, encoding="utf-8")
        pairs = zip(options.folders, measured, strict=True)
        with write_atomically(options.out / "panel.json", overwrite=True) as temporary:
            temporary.write_text(
                json.dumps([to_json(*pair) for pair in pairs], indent=1), encoding="utf-8"
            )
    return text


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("folders", type=Path, nargs="+", help="of protdiff generate; a column each")
    add("--reference", type=Path, help="what protdiff prepare wrote, for novelty")
    add("--diversity-num", type=int, help="compare the first so many designs of a folder (all)")
    add("--novelty-num", type=int, help="look for the first so many in the reference (all)")
    add("--aligner", default="auto", choices=ALIGNER_NAMES, help="(%(default)s)")
    add("--workers", type=int, default=1, help="processes for the alignments (%(default)s)")
    add("--out", type=Path, help="folder for panel.md and panel.json")
    add("--quiet", action="store_true", help="no progress bars")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    try:
        print(run(parse_arguments(arguments)), end="")
    except ProtdiffError as error:
        print(f"panel: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

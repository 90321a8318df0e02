"""How well motifs are scaffolded: problems of a folder, by each method, judged against nature.

    python scripts/benchmark_motifs.py MOTIFS --out benchmark --num 100
    python scripts/benchmark_motifs.py MOTIFS --num 4 --problems 5TPN 1YCR --method guidance
    python scripts/benchmark_motifs.py MOTIFS --report

``MOTIFS`` holds ``problems.tsv`` (columns name, file, contig, total_length and
redesignable_residues) and the structures that it names; the problems of the RFdiffusion benchmark
(Watson et al. 2023) are written so. Designs are those of ``protdiff scaffold``: each problem and
method has a run folder, ``OUT/PROBLEM/METHOD``, and designs that are there are not made again. So
a run that was stopped, by Ctrl-C, by ``--minutes`` or by a kill, goes on where it was. ``OUT`` also
gets ``benchmark.csv``, ``benchmark.json`` and ``benchmark.md`` with all that is there by then.

A design is *inside* a native band if 95 % of natural chains of its length show as much
(``protdiff evaluate``): links, Ramachandran, clashes, radius of gyration, contacts. It *passes* if
it fails no quick check and its motif is within 1 Å of the input; it is *good* if it is inside all
five bands as well. Scaffolds are one if their TM-score, by the shorter chain, is .5 or more:
*unique* ones are clusters. By the longer chain a scaffold and one half its length are two; both
numbers are told. A seam is sound if its link (C-N within 1.33±.06 and CA-CA within
3.81±.15 Å) and the angles at it (within three standard deviations of native ones) are, but for the
angle within the residue that is given, which is the input's own.

CPU seconds are this process's own, sampling and writing; the unconditional time is that of a batch
of ``protdiff generate`` of the same length and size. Numbers per 100 designs from fewer of them are
too kind, for scaffolds repeat themselves the more there are.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import itertools
import json
import math
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from json_lines import append_line, read_lines
from markdown_table import make_table

from protdiff.design import Designer, load, read_designs
from protdiff.design.generate import Generation
from protdiff.design.run import run_designs
from protdiff.design.run_folder import MANIFEST, read_manifest
from protdiff.design.samplers import METHODS
from protdiff.design.scaffold import Scaffolding
from protdiff.design.settings import DEFAULT_STEPS, SamplingSettings
from protdiff.errors import InputError, ProtdiffError
from protdiff.evaluation import load_native_bands
from protdiff.evaluation.diversity import cluster_greedily
from protdiff.evaluation.tm_score import get_aligner
from protdiff.files import write_atomically
from protdiff.names import check_name
from protdiff.structure import (
    Backbone,
    bond_angles,
    bond_lengths,
    parse_contig,
    read_backbone,
)
from protdiff.weights import DEFAULT_WEIGHTS

COLUMNS = ("name", "file", "contig")
BANDS = ("links", "ramachandran", "clashes", "rg_ratio", "contacts")
SAME_FOLD = 0.5
"""TM-score from which two scaffolds are one."""
MOTIF_KEPT = 1.0
"""Å: the largest RMSD of a motif that counts as kept."""
ANGLES = {"N-CA-C": (110.9, 3.0), "CA-C-N": (116.7, 1.9), "C-N-CA": (121.8, 2.1)}
"""Mean and standard deviation of native chains, degrees."""

TABLE = {
    "problem": "problem",
    "method": "method",
    "designs": "designs",
    "motif_rmsd": "motif (Å)",
    "motif_rmsd_sampled": "sampled (Å)",
    **{name: name.removesuffix("_ratio") for name in BANDS},
    "all_bands": "all five",
    "seams": "seams",
    "passing": "passing",
    "clusters": "clusters",
    "unique_passing_per_100": "unique passing per 100",
    "unique_good_per_100": "unique good per 100",
    "unique_good_by_longer_per_100": "by the longer",
    "unique_good_per_cpu_minute": "per CPU minute",
    "cpu_seconds": "CPU s a design",
    "times_unconditional": "× unconditional",
}
"""The columns of the Markdown table; the CSV and the JSON hold them all."""

Row = dict[str, Any]


class OutOfTimeError(Exception):
    """The minutes are over."""


@dataclass(frozen=True)
class Problem:
    """A motif and what is to be built around it."""

    name: str
    source: Path
    contig: str
    total_length: str | None
    redesignable: str | None

    def make_task(self, method: str, seed: int, settings: SamplingSettings) -> Scaffolding:
        """Return what makes its scaffolds."""
        return Scaffolding(
            read_backbone(self.source),
            parse_contig(self.contig),
            seed,
            settings,
            total_length=self.total_length,
            method=method,
            redesignable=self.redesignable,
        )


def read_problems(folder: Path, names: Sequence[str] | None = None) -> list[Problem]:
    """Read ``problems.tsv``; of the problems those that are named, in the order of the file."""
    path = folder / "problems.tsv"
    if not path.is_file():
        raise InputError(f"there is no {path}; give the folder of the problems")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    lacking = [name for name in COLUMNS if not rows or name not in rows[0]]
    if lacking:
        raise InputError(f"{path} has no column {', '.join(lacking)}")
    problems = {
        row["name"]: Problem(
            row["name"],
            folder / row["file"],
            row["contig"],
            row.get("total_length") or None,
            row.get("redesignable_residues") or None,
        )
        for row in rows
    }
    for name in names or ():
        check_name("problem", name, list(problems))
    return [problem for problem in problems.values() if not names or problem.name in names]


class Costs:
    """What sampling took, a line for each stretch of it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, **line: Any) -> None:
        """Append what a stretch took."""
        append_line(self.path, line)

    def get_seconds(self, problem: str, method: str) -> float:
        """Return the CPU seconds of a design; NaN where nothing is known."""
        made = seconds = 0.0
        for record in read_lines(self.path):
            if (record["problem"], record["method"]) == (problem, method):
                made += record["designs"]
                seconds += record["cpu_seconds"]
        return seconds / made if made else math.nan


def make(
    designer: Designer,
    problem: Problem,
    method: str,
    options: argparse.Namespace,
    costs: Costs,
    deadline: float,
) -> None:
    """Make the designs that are missing; what they took goes to the disk however that ends."""
    settings = SamplingSettings(steps=options.steps)
    task = problem.make_task(method, options.seed, settings)
    folder = options.out / problem.name / method
    started, made = time.process_time(), 0

    def count(record: Mapping[str, Any]) -> None:
        nonlocal made
        made += 1
        print(f"{problem.name} {method}: design {record['index']}", file=sys.stderr)

    def check_time(done: float) -> None:
        if time.monotonic() > deadline:
            raise OutOfTimeError

    try:
        run_designs(
            designer,
            task,
            folder,
            options.num,
            batch_size=options.batch_size,
            on_design=count,
            on_progress=check_time,
        )
    finally:
        if made:
            seconds = time.process_time() - started
            costs.add(problem=problem.name, method=method, designs=made, cpu_seconds=seconds)


def time_unconditional(
    designer: Designer, problem: Problem, options: argparse.Namespace, costs: Costs
) -> None:
    """Make one batch without a motif, once a problem, of the mean length of its scaffolds."""
    if math.isfinite(costs.get_seconds(problem.name, "unconditional")):
        return
    settings = SamplingSettings(steps=options.steps)
    task = problem.make_task(METHODS[0], options.seed, settings)
    lengths = [task.plan(index).length for index in range(options.num)]
    free = Generation(round(float(np.mean(lengths))), options.seed, settings)
    number = min(options.batch_size, options.num)
    started = time.process_time()
    made = list(designer.make(free, range(number), batch_size=options.batch_size))
    seconds = time.process_time() - started
    costs.add(problem=problem.name, method="unconditional", designs=len(made), cpu_seconds=seconds)


def judge(problem: Problem, method: str, folder: Path, costs: Costs) -> Row | None:
    """Judge the designs of a folder; None where there are none."""
    records = read_manifest(folder / MANIFEST).records
    if not records:
        return None
    designs = [d for d in read_designs(folder).designs if d.quality.finite]
    found = {record["index"]: record for record in records.values()}
    kept = [found[design.index]["motif_rmsd"] <= MOTIF_KEPT for design in designs]
    bands = load_native_bands()
    inside = {name: [] for name in BANDS}
    for design in designs:
        check = bands.check(design.quality).inside
        for name in BANDS:
            inside[name].append(check.get(name, False))
    all_bands = np.all([inside[name] for name in BANDS], axis=0)
    passing = np.array([d.quality.passes for d in designs], bool) & np.array(kept, bool)
    total = len(records)

    def share(flags: Sequence[bool] | np.ndarray) -> float:
        return float(np.sum(flags)) / total

    by_shorter, by_longer = score_both_ways([design.backbone.coordinates for design in designs])

    def count_folds(chosen: np.ndarray, scores: np.ndarray = by_shorter) -> int:
        return len(cluster_greedily(scores[np.ix_(chosen, chosen)], SAME_FOLD))

    unique_passing, unique_good = count_folds(passing), count_folds(passing & all_bands)
    sampled = [found[d.index]["quality"]["motif_rmsd_sampled"] for d in designs]
    seconds = costs.get_seconds(problem.name, method)
    unconditional = costs.get_seconds(problem.name, "unconditional")
    return {
        "problem": problem.name,
        "method": method,
        "designs": total,
        "length": float(np.mean([record["length"] for record in records.values()])),
        "motif_rmsd": max((found[d.index]["motif_rmsd"] for d in designs), default=math.nan),
        "motif_rmsd_sampled": float(np.mean(sampled)) if sampled else math.nan,
        **{name: share(flags) for name, flags in inside.items()},
        "all_bands": share(all_bands),
        "seams": float(np.mean([s for d in designs for s in check_seams(d.backbone)])),
        "passing": share(passing),
        "good": share(passing & all_bands),
        "clusters": count_folds(np.ones(len(designs), bool)),
        "unique_passing": unique_passing,
        "unique_good": unique_good,
        "mean_tm": float(by_shorter[np.tril_indices(len(designs), -1)].mean()),
        "unique_good_by_longer_per_100": 100 * count_folds(passing & all_bands, by_longer) / total,
        "unique_passing_per_100": 100 * unique_passing / total,
        "unique_good_per_100": 100 * unique_good / total,
        "unique_good_per_cpu_minute": 60 * unique_good / (seconds * total),
        "cpu_seconds": seconds,
        "unconditional_cpu_seconds": unconditional,
        "times_unconditional": seconds / unconditional,
    }


def score_both_ways(designs: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the TM-scores of all pairs by the shorter and by the longer chain of each."""
    aligner = get_aligner()
    by_shorter, by_longer = np.eye(len(designs)), np.eye(len(designs))
    for i, j in itertools.combinations(range(len(designs)), 2):
        score = aligner.score(designs[i], designs[j])
        by_shorter[i, j] = by_shorter[j, i] = score.by_shorter
        by_longer[i, j] = by_longer[j, i] = score.by_longer
    return by_shorter, by_longer


def check_seams(backbone: Backbone) -> list[bool]:
    """Tell of each link between a given and a made residue whether it and its angles are sound."""
    mask, x = backbone.motif_mask, backbone.coordinates
    sound = []
    for place in np.flatnonzero(mask[1:] != mask[:-1]):
        if backbone.chain_id[place] != backbone.chain_id[place + 1]:
            continue
        pair = x[place : place + 2]
        link = bond_lengths(pair)["C-N"][0]
        step = np.linalg.norm(pair[1, 1] - pair[0, 1])
        angles = bond_angles(pair)
        angles["N-CA-C"] = angles["N-CA-C"][~mask[place : place + 2]]
        sound.append(
            abs(link - 1.33) <= 0.06
            and abs(step - 3.81) <= 0.15
            and all(
                (np.abs(angles[name] - mean) <= 3 * sd).all() for name, (mean, sd) in ANGLES.items()
            )
        )
    return [bool(one) for one in sound]


def report(problems: Sequence[Problem], options: argparse.Namespace, costs: Costs) -> str:
    """Judge what is there, unless it was and did not change, and write the three files."""
    path = options.out / "benchmark.json"
    known = read_rows(path)
    rows = []
    for problem in problems:
        for method in options.method:
            manifest = options.out / problem.name / method / MANIFEST
            if not manifest.is_file():
                continue
            cost = [costs.get_seconds(problem.name, each) for each in (method, "unconditional")]
            text = f"{problem}{method}{cost}".encode() + manifest.read_bytes()
            key = hashlib.sha256(text).hexdigest()
            row = known.get(key) or judge(problem, method, manifest.parent, costs)
            if row is not None:
                rows.append(row | {"key": key})
    # Rows that were not asked for this time stay, if their designs do.
    asked = {(row["problem"], row["method"]) for row in rows}
    rows += [
        row
        for row in read_rows(path).values()  # anew: others may have judged meanwhile
        if (row["problem"], row["method"]) not in asked
        and (options.out / row["problem"] / row["method"] / MANIFEST).is_file()
    ]
    table = write_table(rows)
    clean = [
        {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
        for row in rows
    ]
    facts = {"steps": options.steps, "seed": options.seed, "weights": options.weights}
    with write_atomically(path, overwrite=True) as temporary:
        temporary.write_text(json.dumps(facts | {"rows": clean}, indent=2) + "\n", encoding="utf-8")
    with write_atomically(options.out / "benchmark.md", overwrite=True) as temporary:
        temporary.write_text(table, encoding="utf-8")
    with (
        write_atomically(options.out / "benchmark.csv", overwrite=True) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        names = [name for name in (clean[0] if clean else {}) if name != "key"]
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(clean)
    return table


def read_rows(path: Path) -> dict[str, Row]:
    """Return what was judged before, by what it was judged from; JSON says null for NaN."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
        return {
            row["key"]: {name: math.nan if v is None else v for name, v in row.items()}
            for row in rows
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def write_table(rows: Sequence[Row]) -> str:
    def word(value: Any) -> str:
        if isinstance(value, float):
            return f"{value:.2f}" if math.isfinite(value) else "–"
        return str(value)

    lines = [[word(row[name]) for name in TABLE] for row in rows]
    return make_table(list(TABLE.values()), lines) + "\n" + write_summary(rows)


def write_summary(rows: Sequence[Row]) -> str:
    """Write what each method gives, as means over its problems."""
    names = (
        "passing",
        "seams",
        "all_bands",
        "good",
        "cpu_seconds",
        "times_unconditional",
        "unique_good_per_100",
        "unique_good_per_cpu_minute",
    )
    labels = [TABLE.get(name, name) for name in names]
    title = ["method", "problems", *labels, "ten or more unique good per 100", "by the longer"]
    lines = []
    for method in dict.fromkeys(row["method"] for row in rows):
        of_method = [row for row in rows if row["method"] == method]
        means = [f"{np.mean([row[name] for row in of_method]):.2f}" for name in names]
        solved = [
            str(sum(row[name] >= 10 for row in of_method))
            for name in ("unique_good_per_100", "unique_good_by_longer_per_100")
        ]
        lines.append([method, str(len(of_method)), *means, *solved])
    return make_table(title, lines)


def run(options: argparse.Namespace) -> str:
    """Make what is missing until the time is over, and return the table of what is there."""
    problems = read_problems(options.folder, options.problems)
    for method in options.method:
        check_name("scaffolding method", method, METHODS)
    costs = Costs(options.out / "costs.jsonl")
    deadline = math.inf if options.minutes is None else time.monotonic() + 60 * options.minutes
    if not options.report:
        designer = load(options.weights, options.device)
        try:
            for problem in problems:
                for method in options.method:
                    make(designer, problem, method, options, costs, deadline)
                time_unconditional(designer, problem, options, costs)
        except OutOfTimeError:
            print("the time is over; the same command makes the rest", file=sys.stderr)
        except KeyboardInterrupt:
            print("stopped; the same command makes the rest", file=sys.stderr)
    return report(problems, options, costs)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("folder", type=Path, help="with problems.tsv")
    add("--out", type=Path, default=Path("motif_benchmark"), help="folder (%(default)s)")
    add("--num", type=int, default=100, help="designs a problem and method (%(default)s)")
    add("--problems", nargs="+", metavar="NAME", help="all without it")
    add("--method", nargs="+", default=METHODS, metavar="NAME", help=", ".join(METHODS))
    add("--steps", type=int, default=DEFAULT_STEPS, help="of sampling (%(default)s)")
    add("--batch-size", type=int, default=8, help="most designs at once (%(default)s)")
    add("--seed", type=int, default=0)
    add("--minutes", type=float, help="stop after so many")
    add("--weights", default=DEFAULT_WEIGHTS, help="name or path (%(default)s)")
    add("--device", default="auto")
    add("--threads", type=int, default=1, help="CPU threads (%(default)s)")
    add("--report", action="store_true", help="make nothing; judge what is there")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_arguments(arguments)
    threads = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    try:
        with warnings.catch_warnings():
            # Lengths outside those of training are part of some problems.
            warnings.filterwarnings("ignore", message="designs of")
            print(run(options))
    except ProtdiffError as error:
        print(f"benchmark_motifs: {error}", file=sys.stderr)
        return 2
    finally:
        torch.set_num_threads(threads)
    return 0


if __name__ == "__main__":
    sys.exit(main())

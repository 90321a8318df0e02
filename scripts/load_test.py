"""Run a campaign of thousands of designs and watch its memory and its speed.

    python scripts/load_test.py --out load --threads 1
    python scripts/load_test.py --out load --num 40 --steps 4 --single 8    # a minute's trial

``protdiff generate`` makes ``--single`` designs, then ``protdiff campaign`` makes ``--num`` of the
same lengths, each as a process of its own as a user starts it. Both are looked at every ``--every``
seconds from outside: resident memory, processor time, finished designs. The campaign is one job in
chunks of 32, with default settings but for what is given here.

How to read the report, which is also FOLDER/load.json:

designs per second
    Finished designs over the time of the process, less the time of a start, which is that of
    ``protdiff generate --dry-run``: it loads the weights and makes nothing. By the clock, and by
    the processor, which leaves out what a busy machine's other work takes.
ratio
    The campaign's designs per second over those of the single ``generate``, by the processor.
slope
    MB of resident memory by 1,000 designs, by least squares over the part after the first tenth of
    the designs, in which caches fill. A campaign works through the lengths of a block of 16 chunks
    in order, and long designs need more memory than short ones, so the length of the latest
    designs is fitted beside their number. A point is the mean of the looks at 16 designs; the
    standard error is that of the fit and takes points as independent.
peak
    The most memory that the process ever had, by the system's count.

A stop at any moment loses nothing: the same command goes on. ``memory.csv`` gets more lines, with a
new number of the process; each process has its own level in the fit, and its own first tenth is
left out. With matplotlib there is ``memory.png``. Linux only, for it reads /proc.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from protdiff.design.run_folder import MANIFEST
from protdiff.errors import InputError, ProtdiffError
from protdiff.files import write_atomically
from protdiff.weights import DEFAULT_WEIGHTS

PROC = Path("/proc")
JOB = "load"
WARM = 0.1  # share of the designs in which caches fill
BLOCK = 16  # designs that one point of the fit stands for


@dataclass(frozen=True)
class Look:
    """One line of a CSV: a process as it was at one moment."""

    process: int
    """Which start it is, from 1."""
    seconds: float
    cpu_seconds: float
    designs: int
    """Finished so far, by all processes."""
    length: float
    """Mean residues of the designs of the chunk that was written to last."""
    rss_mb: float
    peak_mb: float


class Designs:
    """Counts what is finished below a folder; files that have not changed are not read again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[Path, tuple[tuple[int, int], list[int]]] = {}

    def count(self) -> tuple[int, float]:
        """Return how many designs there are, and the mean length in the latest manifest."""
        for path in self.folder.rglob(MANIFEST):
            stat = path.stat()
            state = (stat.st_mtime_ns, stat.st_size)
            if path not in self._read or self._read[path][0] != state:
                lines = path.read_text(encoding="utf-8").split("\n")[:-1]  # the last is under way
                self._read[path] = (state, [json.loads(line)["length"] for line in lines])
        lengths = [found for _, found in sorted(self._read.values()) if found]
        return sum(map(len, lengths)), float(np.mean(lengths[-1])) if lengths else 0.0


def watch(command: Sequence[str], csv_file: Path, folder: Path, options: argparse.Namespace) -> int:
    """Run a command to its end, add lines to a CSV meanwhile, and return its exit code."""
    rows = read_looks(csv_file)
    number = rows[-1].process + 1 if rows else 1
    designs = Designs(folder)
    begin = time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, **thread_limits(options.threads)})
    with csv_file.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        if not rows:
            writer.writerow([entry.name for entry in fields(Look)])
        latest = Look(number, 0.0, 0.0, *designs.count(), 0.0, 0.0)
        try:
            while (status := wait(process.pid, options.every)) is None:
                rss, peak, cpu = read_process(process.pid)
                passed = time.perf_counter() - begin
                if rss:
                    latest = Look(number, passed, cpu, *designs.count(), rss, peak)
                    write_look(writer, latest)
                    file.flush()
        except BaseException:
            process.terminate()
            process.wait()
            raise
        code, used = status
        process.returncode = code
        passed, cpu = time.perf_counter() - begin, used.ru_utime + used.ru_stime
        peak = max(latest.peak_mb, used.ru_maxrss / 1024)
        write_look(writer, Look(number, passed, cpu, *designs.count(), latest.rss_mb, peak))
    return code


def wait(pid: int, seconds: float) -> tuple[int, Any] | None:
    """Return the exit code of a child and what it used, or None if it runs for so long yet."""
    end = time.monotonic() + seconds
    while True:
        ended, status, used = os.wait4(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), used
        left = end - time.monotonic()
        if left <= 0:
            return None
        time.sleep(min(left, 0.05))


def read_process(pid: int) -> tuple[float, float, float]:
    """Return resident memory and its peak in MB, and processor seconds, of a running process."""
    status = dict(
        line.split(":", 1) for line in (PROC / str(pid) / "status").read_text().splitlines()
    )
    memory = [int(status.get(key, "0").split()[0]) / 1024 for key in ("VmRSS", "VmHWM")]
    # The name, in parentheses, may hold anything; the 12th and 13th field after it are the times.
    times = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return memory[0], memory[1], (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")


def thread_limits(threads: int) -> dict[str, str]:
    return {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}


def write_look(writer: Any, look: Look) -> None:
    writer.writerow([round(value, 3) for value in astuple(look)])


def read_looks(path: Path) -> list[Look]:
    """Read a CSV; a last line that was torn by a kill is cut off the file."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    looks = []
    for row in csv.DictReader(whole.splitlines()):
        counts = {name: int(row.pop(name)) for name in ("process", "designs")}
        looks.append(Look(**counts, **{name: float(value) for name, value in row.items()}))
    return looks


def split_processes(looks: Sequence[Look]) -> list[list[Look]]:
    """Return the looks at each process."""
    numbers = sorted({look.process for look in looks})
    return [[look for look in looks if look.process == number] for number in numbers]


def measure_speed(looks: Sequence[Look], start: Look) -> dict[str, float]:
    """Return designs per second by the clock and by the processor, less a start of each process."""
    ends = [own[-1] for own in split_processes(looks)]
    seconds = sum(max(end.seconds - start.seconds, 0.0) for end in ends)
    cpu = sum(max(end.cpu_seconds - start.cpu_seconds, 0.0) for end in ends)
    designs = ends[-1].designs
    return {
        "designs": designs,
        "processes": len(ends),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "designs_per_second": designs / seconds if seconds else float("nan"),
        "designs_per_cpu_second": designs / cpu if cpu else float("nan"),
    }


def select_points(looks: Sequence[Look], designs: int) -> list[Look]:
    """Average the looks after each process's first tenth of ``designs`` over blocks of designs."""
    points = []
    for own in split_processes(looks):
        first = own[0].designs
        blocks: dict[int, list[Look]] = {}
        for look in own[:-1]:  # the last was taken when the process had ended
            if look.designs - first >= WARM * designs:
                blocks.setdefault(look.designs // BLOCK, []).append(look)
        points += [
            Look(*np.mean([astuple(look) for look in block], axis=0)) for block in blocks.values()
        ]
    return points


def fit_slope(points: Sequence[Look]) -> tuple[float, float]:
    """Return MB by 1,000 designs and its standard error; no numbers of too few points."""
    table = np.array([astuple(point) for point in points]).reshape(-1, len(fields(Look)))
    process, designs, length, memory = table[:, 0], table[:, 3], table[:, 4], table[:, 5]
    levels = process[:, None] == np.unique(process)
    design = np.column_stack([designs / 1000, length - length.mean(), levels]) if points else table
    if len(points) <= design.shape[1]:
        return float("nan"), float("nan")
    solution, _, rank, _ = np.linalg.lstsq(design, memory)
    residuals = memory - design @ solution
    variance = residuals @ residuals / (len(points) - rank)
    error = np.sqrt(variance * np.linalg.pinv(design.T @ design)[0, 0])
    return float(solution[0]), float(error)


def summarise(options: argparse.Namespace) -> dict[str, Any]:
    """Make the report of what the CSV files hold."""
    looks = {name: read_looks(options.out / f"{name}.csv") for name in ("start", "single")}
    looks["campaign"] = read_looks(options.out / "memory.csv")
    start = looks["start"][-1]
    campaign = measure_speed(looks["campaign"], start)
    single = measure_speed(looks["single"], start)
    points = select_points(looks["campaign"], int(campaign["designs"]))
    slope, error = fit_slope(points)
    report = {
        "given": {name: str(value) for name, value in vars(options).items()},
        "start": {"seconds": start.seconds, "cpu_seconds": start.cpu_seconds},
        "campaign": campaign,
        "single": single,
        "ratio": campaign["designs_per_cpu_second"] / single["designs_per_cpu_second"],
        "ratio_by_clock": campaign["designs_per_second"] / single["designs_per_second"],
        "memory": {
            "looks": len(looks["campaign"]),
            "points": len(points),
            "slope_mb_per_1000_designs": slope,
            "standard_error": error,
            "first_point_mb": points[0].rss_mb if points else float("nan"),
            "last_point_mb": points[-1].rss_mb if points else float("nan"),
            "peak_mb": max(look.peak_mb for look in looks["campaign"]),
            "peak_mb_single": max(look.peak_mb for look in looks["single"]),
        },
    }
    known: dict[str, Any] = replace_nan(report)
    return known


def replace_nan(value: Any) -> Any:
    """Say null where there is no number, as JSON does."""
    if isinstance(value, dict):
        return {key: replace_nan(entry) for key, entry in value.items()}
    return None if isinstance(value, float) and not np.isfinite(value) else value


def draw(path: Path, looks: Sequence[Look]) -> bool:
    """Draw resident memory against finished designs; False without matplotlib."""
    try:
        import matplotlib as mpl
    except ImportError:
        return False
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots(figsize=(7, 3.5), layout="constrained")
    for own in split_processes(looks):
        seen = own[:-1]
        axis.plot(
            [look.designs for look in seen],
            [look.rss_mb for look in seen],
            linewidth=1,
            label=f"process {own[0].process}",
        )
    axis.set_xlabel("finished designs")
    axis.set_ylabel("resident memory, MB")
    axis.set_ylim(bottom=0)
    axis.grid(color="#eeeeee")
    axis.spines[["top", "right"]].set_visible(False)
    if looks[-1].process > 1:
        axis.legend(frameon=False)
    with write_atomically(path, overwrite=True) as temporary:
        figure.savefig(temporary, dpi=150)
    plt.close(figure)
    return True


def write_config(options: argparse.Namespace) -> Path:
    """Write the campaign's file."""
    values = {
        "out": str(options.out.absolute() / "campaign"),
        "seed": options.seed,
        "weights": options.weights,
        "device": options.device,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    if options.steps is not None:
        lines += ["[sampling]", f"steps = {options.steps}"]
    lines += ["[[job]]", f'name = "{JOB}"', f"num = {options.num}"]
    lines += [f"length = {json.dumps(options.length)}"]
    path: Path = options.out / "campaign.toml"
    with write_atomically(path, overwrite=True) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run what is missing, and return the report.

    Raises
    ------
    ProtdiffError
        A process failed; its own words are above.
    """
    if not (PROC / "self" / "status").exists():
        raise InputError("the load test reads /proc, which this system lacks; run it on Linux")
    options.out.mkdir(parents=True, exist_ok=True)
    protdiff = [sys.executable, "-m", "protdiff"]
    single = [*protdiff, "generate", "--length", options.length, "--num", str(options.single)]
    single += ["--seed", str(options.seed), "--weights", options.weights, "--quiet"]
    single += ["--device", options.device, "--out", str(options.out / "single")]
    if options.steps is not None:
        single += ["--steps", str(options.steps)]
    campaign = [*protdiff, "campaign", str(write_config(options)), "--quiet"]
    todo = [
        ([*single, "--dry-run"], "start", options.out / "single", 0),
        (single, "single", options.out / "single", options.single),
        (campaign, "memory", options.out / "campaign", options.num),
    ]
    for command, name, folder, wanted in todo:
        looks = read_looks(options.out / f"{name}.csv")
        if looks and looks[-1].designs >= wanted:
            continue
        if code := watch(command, options.out / f"{name}.csv", folder, options):
            raise ProtdiffError(f"{' '.join(command)} ended with {code}")
    report = summarise(options)
    with write_atomically(options.out / "load.json", overwrite=True) as temporary:
        temporary.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if not draw(options.out / "memory.png", read_looks(options.out / "memory.csv")):
        print("load_test: no figure without matplotlib; pip install matplotlib", file=sys.stderr)
    return report


def explain(report: dict[str, Any]) -> str:
    """Say the report in four lines."""
    memory = report["memory"]
    speeds = [
        f"{name}: {own['designs']} designs, {own['designs_per_second'] or 0:.3f} a second, "
        f"{own['designs_per_cpu_second'] or 0:.3f} a second of the processor"
        for name, own in ((name, report[name]) for name in ("campaign", "single"))
    ]
    slope = memory["slope_mb_per_1000_designs"]
    said = "too few looks for a slope"
    if slope is not None:
        said = f"{slope:+.2f} ± {memory['standard_error']:.2f} MB by 1,000 designs"
    ratio = report["ratio"] or float("nan")
    clock = report["ratio_by_clock"] or float("nan")
    return "\n".join(
        [
            *speeds,
            f"campaign over single: {ratio:.3f} by the processor, {clock:.3f} by the clock",
            f"memory: {said}, peak {memory['peak_mb']:.0f} MB",
        ]
    )


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--out", type=Path, default=Path("load"), help="folder (%(default)s)")
    add("--num", type=int, default=2000, help="designs of the campaign (%(default)s)")
    add("--single", type=int, default=64, help="designs of the single generate (%(default)s)")
    add("--length", default="60-100", help="residues (%(default)s)")
    add("--steps", type=int, help="of the sampler; the default of the command without it")
    add("--seed", type=int, default=0)
    add("--weights", default=DEFAULT_WEIGHTS, help="name or path (%(default)s)")
    add("--device", default="cpu", help="(%(default)s)")
    add("--threads", type=int, default=1, help="CPU threads (%(default)s)")
    add("--every", type=float, default=3.0, help="seconds between looks (%(default)s)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_arguments(arguments)
    try:
        report = run(options)
    except ProtdiffError as error:
        print(f"load_test: {error}", file=sys.stderr)
        return 2
    print(explain(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Give everything that reads files hostile input, and count what comes of it.

The inputs are those of tests/fuzz, as many as wanted, in one process and one thread:

    python scripts/fuzz.py --inputs 100000 --seed 0 --out fuzz

``OUT/counts.jsonl`` gets a line for each chunk of 2,000 inputs, and the same command goes on after
the last; inputs that make a fault are kept in ``OUT/failing`` with what they did. The exit code is
1 if there is one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "fuzz"))

from hostile.harness import fuzz
from hostile.targets import make_targets
from json_lines import append_line, read_lines

CHUNK = 2_000


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--inputs", type=int, default=100_000, help="how many, over all targets")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("fuzz"))
    parser.add_argument("--target", action="append", help="only these targets")
    arguments = parser.parse_args()
    log = arguments.out / "counts.jsonl"
    done = read_lines(log)
    finished = {row["chunk"] for row in done if row["seed"] == arguments.seed}
    with tempfile.TemporaryDirectory() as temporary:
        sound, place = Path(temporary) / "sound" / "files", Path(temporary) / "place"
        sound.mkdir(parents=True)
        place.mkdir()
        targets = make_targets(sound)
        if arguments.target:
            targets = [target for target in targets if target.name in arguments.target]
        whole = sum(target.share for target in targets)
        for chunk in range(-(-arguments.inputs // CHUNK)):
            if chunk in finished:
                continue
            begun = time.perf_counter()
            outcomes, seconds = {}, {}
            for target in targets:
                count = max(1, round(CHUNK * target.share / whole))
                number = arguments.seed * 1_000_003 + chunk
                failing = arguments.out / "failing"
                start = time.process_time()
                report = fuzz(target, count, place, number=number, failing=failing)
                seconds[target.name] = round(time.process_time() - start, 3)
                outcomes[target.name] = dict(report.outcomes)
            row = {"seed": arguments.seed, "chunk": chunk, "outcomes": outcomes}
            row["cpu_seconds"] = seconds
            row["seconds"] = round(time.perf_counter() - begun, 1)
            done.append(row)
            append_line(log, row)
            print(f"chunk {chunk}: {row['seconds']} s", file=sys.stderr, flush=True)
    return report_counts([row for row in done if row["seed"] == arguments.seed])


def report_counts(rows: list[dict[str, object]]) -> int:
    """Print a table of all chunks; return 1 if there is a fault in it."""
    total: dict[str, Counter[str]] = {}
    for row in rows:
        for name, outcomes in row["outcomes"].items():  # type: ignore[attr-defined]
            total.setdefault(name, Counter()).update(outcomes)
    seconds: Counter[str] = Counter()
    for row in rows:
        seconds.update(row.get("cpu_seconds", {}))  # type: ignore[arg-type]
    faults = 0
    print(f"{'target':18}{'inputs':>8}{'accepted':>10}{'refused':>9}{'CPU ms':>8}  faults")
    for name, counter in total.items():
        bad = {kind: n for kind, n in counter.items() if kind not in ("accepted", "refused")}
        faults += sum(bad.values())
        told = ", ".join(f"{n} {kind}" for kind, n in bad.items()) or "0"
        inputs = sum(counter.values())
        counts = f"{counter['accepted']:>10}{counter['refused']:>9}"
        print(f"{name:18}{inputs:>8}{counts}{1000 * seconds[name] / inputs:>8.1f}  {told}")
    print(f"{'all':18}{sum(map(Counter.total, total.values())):>8}, CPU s {seconds.total():.0f}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

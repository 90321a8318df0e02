"""Kill a campaign at random moments until it has been killed often enough, and look for harm.

    python scripts/kill_campaign.py --weights tiny.safetensors --kills 20

A process of its own runs ``protdiff campaign``; SIGKILL ends it after a random time; the next one
goes on. After each kill the designs that were finished before must be there as they were: same
file, same time of writing, same line. At the end every design is there once, and all files and
lines are, to the bit, those of a campaign that nobody disturbed (but for the seconds that a design
took). A campaign that ends before it has been killed often enough is followed by another.

Processes are forked from one that has imported torch, so that their time is spent where it can be
killed with effect; ``--cold`` starts the command itself each time. Linux and macOS.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from protdiff.design.run_folder import MANIFEST, SETTINGS, read_finished

CONFIG = """
out = {out}
weights = {weights}
device = "cpu"
chunk = 6
batch_size = 3
[sampling]
steps = {steps}
[filter]
phi_positive = ">=0.45"
[[job]]
name = "mixed"
num = {num}
length = "30-34"
[[job]]
name = "cool"
num = {num}
length = 32
temperature = 0.5
"""


def read_designs(out: Path) -> dict[tuple[str, int], Any]:
    """Return all that a campaign is, but for when it was made: its files to the bit and its lines.

    Raises
    ------
    RuntimeError
        A design is there twice, or a file that belongs to none.
    """
    found = {}
    for chunk in sorted(out.glob("*/chunk-*")):
        text = (chunk / MANIFEST).read_text(encoding="utf-8")
        lines = [json.loads(line) for line in text.splitlines()]
        files = {path.name for path in chunk.iterdir()} - {MANIFEST, SETTINGS}
        if files != {line["file"] for line in lines} - {None}:
            raise RuntimeError(f"{chunk} has files that its manifest does not know, or lacks some")
        for line in lines:
            line.pop("seconds")
            key = (chunk.parent.name, line["index"])
            if key in found:
                raise RuntimeError(f"design {key} is there twice")
            data = None if line["file"] is None else (chunk / line["file"]).read_bytes()
            found[key] = (chunk.name, line, data)
    return found


def find_finished(out: Path) -> dict[tuple[str, int], Any]:
    """Return the finished designs, each with what would differ if it was made again."""
    found = {}
    for chunk in out.glob("*/chunk-*"):
        for index, record in read_finished(chunk).records.items():
            stat = None if record["file"] is None else (chunk / record["file"]).stat()
            when = None if stat is None else (stat.st_ino, stat.st_mtime_ns)
            found[str(chunk), index] = (when, json.dumps(record))
    return found


def start(config: Path, *, cold: bool) -> int:
    """Start the command in a process of its own and return its id."""
    arguments = ["campaign", str(config), "--quiet"]
    if cold:
        return subprocess.Popen([sys.executable, "-m", "protdiff", *arguments]).pid
    process = os.fork()
    if process:
        return process
    code = 70
    try:
        from protdiff.cli.main import app

        code = int(app(arguments, prog_name="protdiff", standalone_mode=False) or 0)
    finally:
        os._exit(code)


def run_whole(config: Path, *, cold: bool) -> float:
    """Run the command to its end and return how long that took."""
    begin = time.perf_counter()
    _, status = os.waitpid(start(config, cold=cold), 0)
    if status:
        raise RuntimeError(f"the campaign ended with status {status}")
    return time.perf_counter() - begin


def kill_at_random(
    folder: Path, weights: Path, *, kills: int, num: int, steps: int, seed: int, cold: bool
) -> dict[str, Any]:
    """Kill a campaign so many times, and return what was seen; the module's text says how.

    Raises
    ------
    RuntimeError
        Something was lost, repeated, or differs.
    """

    def configure(name: str) -> tuple[Path, Path]:
        config, out = folder / f"{name}.toml", folder / name
        values = {"out": json.dumps(str(out)), "weights": json.dumps(str(weights))}
        config.write_text(CONFIG.format(**values, num=num, steps=steps), encoding="utf-8")
        return config, out

    config, out = configure("whole")
    seconds = run_whole(config, cold=cold)
    whole = read_designs(out)
    rng = random.Random(seed)
    config, out = configure("killed")
    done, campaigns, during, after = 0, 0, 0, []
    while True:
        finished = find_finished(out)
        if done < kills:
            process = start(config, cold=cold)
            # Anywhere between its start and about its end; starting takes a good part of it.
            time.sleep(rng.uniform(0.0, seconds))
            os.kill(process, signal.SIGKILL)
            _, status = os.waitpid(process, 0)
            killed = os.WIFSIGNALED(status)
            done += killed
        else:
            run_whole(config, cold=cold)
            killed = False
        now = find_finished(out)
        if not finished.items() <= now.items():
            lost = [key for key in finished if now.get(key) != finished[key]]
            raise RuntimeError(f"finished designs were lost or made again: {lost}")
        during += killed and len(now) > len(finished)
        if killed:
            after.append(len(now))
            continue
        campaigns += 1
        if read_designs(out) != whole:
            raise RuntimeError("the campaign differs from one that nobody disturbed")
        if done >= kills:
            break
        shutil.rmtree(out)
    if not during:
        raise RuntimeError("no kill came while designs were made; give a larger --num")
    return {
        "kills": done,
        "campaigns": campaigns,
        "kills_after_new_designs": during,
        "designs_there_after_each_kill": after,
        "designs": len(whole),
        "kept": sum(data is not None for _, _, data in whole.values()),
        "seconds_undisturbed": round(seconds, 2),
        "identical": True,
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, required=True, help="a .safetensors file")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--num", type=int, default=60, help="designs of each of two jobs")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--cold", action="store_true", help="start the command anew each time")
    given = parser.parse_args(arguments)

    import torch

    import protdiff.campaign.run  # noqa: F401 - what a forked process then has already

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        report = kill_at_random(
            Path(folder),
            given.weights.absolute(),
            kills=given.kills,
            num=given.num,
            steps=given.steps,
            seed=given.seed,
            cold=given.cold,
        )
    print(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())

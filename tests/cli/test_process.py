"""The command as users start it: a process of its own, killed and interrupted."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from protdiff.campaign import load_campaign, run_campaign
from protdiff.design import Generation, SamplingSettings, load, run_designs
from protdiff.design.run_folder import MANIFEST, read_manifest
from protdiff.structure import read_backbone

COMMAND = [sys.executable, "-W", "error::DeprecationWarning", "-m", "protdiff"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}

# Enough of both for a signal to come in between two designs.
NUM, STEPS = 24, 150


def start(*arguments, **options):
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        # A shell starts what runs in its background with interrupts ignored; the tests may be that.
        preexec_fn=None if os.name == "nt" else stop_ignoring_interrupts,
        **options,
    )


def stop_ignoring_interrupts():
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finish(process, timeout=120):
    stdout, stderr = process.communicate(timeout=timeout)
    return process.returncode, stdout, stderr


def stop_with(process, stop):
    """Send a signal until the process ends: an interrupt may fall into a call that drops it."""
    while True:
        process.send_signal(stop)
        try:
            returned, _, stderr = finish(process, timeout=15)
        except subprocess.TimeoutExpired:
            continue
        return returned, stderr


def generate(weights, out, **options):
    return start(
        *("generate", "--weights", weights, "--length", 40, "--num", NUM, "--steps", STEPS),
        *("--batch-size", 1, "--out", out),
        **options,
    )


def count_designs(out):
    return len(read_manifest(out / MANIFEST).records)


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_a_run_that_is_interrupted_and_killed_ends_the_same(tiny_weights, tmp_path):
    out = tmp_path / "stopped"
    for stop, code in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        before = count_designs(out)
        process = generate(tiny_weights, out)
        while process.poll() is None and count_designs(out) == before:
            time.sleep(0.02)
        returned, stderr = stop_with(process, stop)
        assert returned == code, stderr
        assert "Traceback" not in stderr
        if stop == signal.SIGINT:
            assert "the same command makes the rest" in stderr
    stopped_after = count_designs(out)
    assert 2 <= stopped_after < NUM

    # The rest is made in this process, which has imported torch already.
    designer = load(tiny_weights)
    task = Generation("40", 0, SamplingSettings(steps=STEPS))
    assert run_designs(designer, task, out, NUM).made == NUM - stopped_after
    whole = run_designs(designer, task, tmp_path / "whole", NUM).folder
    lines = [json.loads(line) for line in (out / MANIFEST).read_text().splitlines()]
    assert sorted(line["index"] for line in lines) == list(range(NUM))
    for line in lines:
        first, second = (read_backbone(folder / line["file"]) for folder in (out, whole))
        assert abs(first.coordinates - second.coordinates).max() <= 1.01e-3
    assert {path.name for path in out.iterdir()} == {path.name for path in whole.iterdir()}


CAMPAIGN = """
out = {out}
weights = {weights}
device = "cpu"
batch_size = 1
[sampling]
steps = {steps}
[[job]]
name = "small"
num = {num}
length = 40
"""


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_a_campaign_that_is_interrupted_goes_on(tiny_weights, tmp_path):
    values = {"out": json.dumps(str(tmp_path / "out")), "weights": json.dumps(str(tiny_weights))}
    config = tmp_path / "campaign.toml"
    config.write_text(CAMPAIGN.format(**values, steps=60, num=6))
    chunk = tmp_path / "out" / "small" / "chunk-0000"
    process = start("campaign", config)
    while process.poll() is None and count_designs(chunk) == 0:
        time.sleep(0.02)
    returned, stderr = stop_with(process, signal.SIGINT)
    assert returned == 130, stderr
    assert "Traceback" not in stderr
    assert "the same command makes the rest" in stderr
    before = {path: path.stat().st_mtime_ns for path in chunk.glob("design_*")}
    assert 1 <= len(before) < 6
    # What was finished stays, and no file under way is left.
    assert run_campaign(load_campaign(config)).made_now == 6 - len(before)
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())
    assert sorted(read_manifest(chunk / MANIFEST).records) == list(range(6))
    assert not [path for path in chunk.iterdir() if path.name.startswith(".")]


def test_wrong_use_is_one_line(tmp_path):
    returned, stdout, stderr = finish(start("generate", "--nmu", 3, cwd=tmp_path))
    assert returned == 2
    assert stdout == ""
    assert stderr.count("\n") == 1
    assert "No such option: --nmu" in stderr


def test_bad_input_is_one_line_and_writes_nothing(tmp_path):
    (tmp_path / "garbage.pdb").write_bytes(os.urandom(1000))
    process = start(
        *("scaffold", "garbage.pdb", "--contig", "10/A1-5/10", "--out", "out"), cwd=tmp_path
    )
    returned, stdout, stderr = finish(process)
    assert returned == 2
    assert stdout == ""
    assert stderr.count("\n") == 1
    assert "garbage.pdb" in stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["garbage.pdb"]

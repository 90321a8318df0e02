"""A campaign shared by Ray's workers, one of which is killed, is the campaign of one process."""

import importlib.util
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from protdiff.campaign import Campaign
from protdiff.campaign.ray_engine import make_paths_absolute
from protdiff.campaign.tasks import make_tasks

CONFIG = """
out = "{out}"
weights = "{weights}"
device = "cpu"
chunk = 6
batch_size = 3
[sampling]
steps = {steps}
step_scale = 1.0
[[job]]
name = "mixed"
num = 48
length = "30-34"
"""


def write_config(folder, weights, steps=60):
    config = folder / "campaign.toml"
    folder.mkdir()
    config.write_text(CONFIG.format(out=folder / "out", weights=weights, steps=steps))
    return config


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "protdiff", "campaign", *map(str, arguments), "--quiet"],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def find_workers(marker):
    """Return the processes that make a chunk for the Ray that holds ``marker`` in its folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            name = path.read_bytes()
            folder = (path.parent / "environ").read_bytes()
        except OSError:
            continue
        if name.startswith(b"ray::_make_chunk") and marker.encode() in folder:
            found.append(int(path.parent.name))
    return found


def read_structures(out):
    return {path.relative_to(out): path.read_bytes() for path in out.glob("*/chunk-*/design_*")}


def test_a_worker_finds_the_files_of_a_campaign_wherever_it_stands(
    helix_file, tmp_path, monkeypatch
):
    monkeypatch.chdir(helix_file.parent)
    corners = np.stack(np.meshgrid(*[[0, 10, 20]] * 3), axis=-1).reshape(-1, 3)
    np.savetxt(tmp_path / "box.xyz", corners)
    box, helix = os.path.relpath(tmp_path / "box.xyz"), helix_file.name
    jobs = [
        {"name": "full", "num": 1, "length": 40, "shape": box},
        {"name": "near", "num": 1, "start": helix},
        {"name": "bound", "num": 1, "length": 40, "target": helix, "hotspots": "A5"},
        {"name": "site", "num": 1, "motif": helix, "contig": "9/A5-12/9"},
    ]
    given = Campaign.from_dict({"job": jobs})
    campaign = make_paths_absolute(given)
    described = {name: task.describe() for name, task in make_tasks(campaign).items()}
    assert described == {name: task.describe() for name, task in make_tasks(given).items()}
    sent = pickle.dumps(campaign)
    monkeypatch.chdir(tmp_path.parent)
    arrived = make_tasks(pickle.loads(sent))
    assert {name: task.describe() for name, task in arrived.items()} == described


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs protdiff[ray]")
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for workers in /proc")
def test_a_killed_worker_changes_nothing(tiny_weights, tmp_path, monkeypatch):
    alone = start(write_config(tmp_path / "alone", tiny_weights))
    assert alone.wait(120) == 0
    monkeypatch.setenv("PROTDIFF_TEST_CAMPAIGN", str(tmp_path))
    shared = start(
        *(write_config(tmp_path / "shared", tiny_weights), "--engine", "ray", "--workers", 2)
    )
    killed = 0
    while shared.poll() is None and not killed:
        if read_structures(tmp_path / "shared" / "out"):
            for worker in find_workers(str(tmp_path))[:1]:
                os.kill(worker, signal.SIGKILL)
                killed += 1
        time.sleep(0.02)
    assert shared.wait(200) == 0
    assert killed == 1
    expected = read_structures(tmp_path / "alone" / "out")
    assert len(expected) == 48
    assert read_structures(tmp_path / "shared" / "out") == expected

"""A run does not depend on who computes it: parts of a batch, processes, machines."""

import csv
import dataclasses
import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from protdiff.errors import DependencyError, InputError
from protdiff.training import Trainer, train
from protdiff.training.draws import draw_step
from protdiff.training.plan import plan_training
from protdiff.training.processes import Processes, find_place, start_processes

NEAR = 2e-5  # sums of float32 in another order, over eight steps of an optimiser


def read_losses(folder):
    with (folder / "log.csv").open() as file:
        return [(float(row["loss"]), float(row["gradient_norm"])) for row in csv.DictReader(file)]


def assert_same_run(one, other):
    """Losses and all that is saved agree to rounding; both have seen the same samples."""
    assert read_losses(one) == [pytest.approx(pair, rel=NEAR) for pair in read_losses(other)]
    states = [load_file(folder / "state.safetensors") for folder in (one, other)]
    for name, value in states[0].items():
        assert torch.allclose(value, states[1][name], rtol=1e-3, atol=NEAR), name


@pytest.fixture
def even(config):
    """Return a run whose batches are of four or five chains, logged at every step."""
    return dataclasses.replace(
        config, residues_per_batch=240, decay_steps=1, log_every=1, panel_designs=0
    )


def run_by_processes(config, folder, count, **changes):
    changed = dataclasses.replace(config, out=str(folder), **changes)
    lines = [
        f"{name} = {json.dumps(value)}"
        for name, value in changed.to_dict().items()
        if not isinstance(value, dict)
    ]
    tables = [
        "\n".join([f"[{name}]", *(f"{k} = {json.dumps(v)}" for k, v in value.items())])
        for name, value in changed.to_dict().items()
        if isinstance(value, dict)
    ]
    file = folder.with_suffix(".toml")
    file.write_text("\n".join([*lines, *tables]))
    command = [sys.executable, "-m", "protdiff", "train", "--config", str(file), "--json"]
    hidden = {"LOCAL_RANK", "RANK", "WORLD_SIZE", "MASTER_PORT", "NODE_RANK"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    return subprocess.run(
        [*command, "--devices", str(count), "--nodes", "1"],
        env=environment | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


@pytest.mark.slow
def test_two_processes_make_the_run_of_one_with_twice_the_batch(even, tmp_path):
    """Each of the two has half of every batch of the one; and one goes on with what two began."""
    pytest.importorskip("lightning_fabric")
    train(dataclasses.replace(even, out=str(tmp_path / "one")))
    ran = run_by_processes(even, tmp_path / "two", 2, steps=5)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["folder"] == str(tmp_path / "two")  # one of them prints
    assert len(read_losses(tmp_path / "two")) == 5
    train(dataclasses.replace(even, out=str(tmp_path / "two")))
    assert_same_run(tmp_path / "one", tmp_path / "two")


def test_parts_one_after_the_other_make_the_same_run(even, tmp_path):
    train(dataclasses.replace(even, out=str(tmp_path / "one")))
    train(dataclasses.replace(even, out=str(tmp_path / "parts"), accumulate=3))
    assert_same_run(tmp_path / "one", tmp_path / "parts")


def test_a_part_is_weighed_by_its_share_of_the_batch(even, tmp_path):
    """The check above would see a mean of means: parts differ in size and in length."""
    trainer = Trainer(even)
    draws = draw_step(even, trainer.batches, 1)
    sizes = [int(draws.lengths[draws.get_rows(part, 3)].sum()) for part in range(3)]
    assert max(sizes) > 1.3 * min(sizes)


def test_a_batch_too_small_for_its_parts_is_refused(even):
    with pytest.raises(InputError, match="too few for 8 parts; raise residues_per_batch"):
        Trainer(dataclasses.replace(even, accumulate=8))


def test_without_fabric_there_is_one_process(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    assert start_processes("cpu", 1, 1).count == 1
    with pytest.raises(DependencyError, match=r"protdiff\[distributed\]"):
        start_processes("cpu", 2, 1)
    with pytest.raises(InputError, match="device 'tpu' is not there"):
        start_processes("tpu", 2, 1)


def test_each_process_has_a_gpu_of_its_own(config, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for device in ("cpu", "cuda", "cuda:1"):
        assert start_processes(device, 1, 1).device == find_place(device, 1, 1)
        assert str(find_place(device, 1, 1)) == device
    assert str(find_place("auto", 2, 3)) == str(find_place("cuda", 2, 3)) == "cuda"
    assert str(find_place("cpu", 9, 1)) == "cpu"
    with pytest.raises(InputError, match="devices = 3, and torch sees 2 CUDA devices"):
        find_place("auto", 3, 1)
    for device, devices, nodes in (("cuda:1", 2, 1), ("cuda:0", 1, 2)):
        with pytest.raises(InputError, match=f"'{device}' serves one process, and 2 share"):
            find_place(device, devices, nodes)
    with pytest.raises(InputError, match="'cuda:1' serves one process"):
        plan_training(dataclasses.replace(config, device="cuda:1", devices=2))


def test_one_process_alone_adds_up_nothing():
    alone = Processes(torch.device("cpu"))
    values = [torch.ones(2)]
    alone.add_up(values)
    assert values[0].tolist() == [1, 1]
    assert alone.share("word") == "word"
    assert alone.is_first

"""The loop: exact resumption, what is written, what is refused."""

import csv
import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

import protdiff.training.trainer as loop
from protdiff.checkpoint import load_checkpoint, save_checkpoint
from protdiff.errors import CheckpointError, InputError, ProtdiffError
from protdiff.model import ExpertNetwork
from protdiff.training import Trainer, TrainingConfig, train
from protdiff.training.folder import hold_folder
from protdiff.training.log import TrainingLog
from protdiff.training.machine import compile_network, use_cpu
from protdiff.training.objective import Losses
from protdiff.training.plan import plan_training
from protdiff.training.schedule import get_learning_rate, set_end
from protdiff.training.state import Progress


def rows(folder):
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


def test_two_halves_are_the_whole(config, tmp_path):
    """Train 4 and resume to 8 equals train 8: weights, average, optimiser and losses."""
    whole = dataclasses.replace(config, out=str(tmp_path / "whole"))
    train(whole)
    with use_cpu(config.threads):  # as `train` does; more threads may add up in another order
        first = Trainer(config)
        for _ in range(4):
            first.step()
        first.save()
    train(config)  # finds the state in its folder
    one, other = (load_file(tmp_path / folder / "state.safetensors") for folder in ("whole", "run"))
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name
    ends = [row["loss"] for row in rows(tmp_path / "whole")][2:]
    assert [row["loss"] for row in rows(tmp_path / "run")] == ends


def test_each_step_is_as_long_as_the_schedule_says(config):
    trainer = Trainer(config)
    for step in (1, 2, 3):
        trainer.step()
        rates = {group["lr"] for group in trainer.optimizer.param_groups}
        assert rates == {get_learning_rate(config, step)}


def test_losses_add_by_their_weights(config, monkeypatch):
    trainer = Trainer(dataclasses.replace(config, halfway=0.25, type_loss=0.1))
    weight = next(trainer.network.parameters())

    def get_losses(*_, **__):
        return Losses(weight.sum(), 3 * weight.sum(), 4 * weight.sum())

    monkeypatch.setattr("protdiff.training.trainer.get_denoising_losses", get_losses)
    _, norm = trainer.step()
    assert float(norm) == pytest.approx((1 + 0.25 * 3 + 0.1 * 4) * weight.numel() ** 0.5)


def test_run_folder_holds_everything(config, tmp_path):
    weights = train(config)
    table = rows(tmp_path / "run")
    assert [int(row["step"]) for row in table] == [2, 4, 6, 8]
    assert table[1]["held_out"]
    assert table[3]["links"]
    assert not table[0]["held_out"]
    assert TrainingConfig.from_dict(json.loads((weights.parent / "config.json").read_text())) == (
        config
    )
    model = load_checkpoint(weights)
    assert model.metadata["steps"] == 8
    assert model.trained_lengths == (40, 64)
    assert model.metadata["samples"] == int(table[3]["samples"])


def test_weights_are_kept_on_the_way(config, tmp_path):
    weights = train(dataclasses.replace(config, keep_every=3))
    kept = sorted(tmp_path.glob("run/weights-*"))
    assert [path.name for path in kept] == [
        "weights-0000003.safetensors",
        "weights-0000006.safetensors",
    ]
    models = [load_checkpoint(path) for path in kept]
    assert [model.metadata["steps"] for model in models] == [3, 6]
    plain = train(dataclasses.replace(config, out=str(tmp_path / "plain")))
    assert [path.name for path in tmp_path.glob("plain/weights*")] == ["weights.safetensors"]
    expected = load_checkpoint(plain).network.state_dict()
    found = load_checkpoint(weights).network.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize(("log_every", "checkpoint_every"), [(100, 2), (2, 2), (2, 100)])
def test_nothing_is_written_of_a_step_that_blows_up(
    config, tmp_path, monkeypatch, log_every, checkpoint_every
):
    """Its loss is finite and its gradient is not, so the weights are lost."""
    trainer = Trainer(
        dataclasses.replace(config, log_every=log_every, checkpoint_every=checkpoint_every)
    )
    weight = next(trainer.network.parameters())

    def blow_up(gradient):
        return gradient * math.inf if trainer.progress.step == 3 else gradient

    weight.register_hook(blow_up)
    with pytest.raises(ProtdiffError, match=r"at step 4 .* gradient (nan|inf); the last"):
        trainer.run()
    states = sorted(path.name for path in (tmp_path / "run").glob("*.safetensors"))
    assert states == (["state.safetensors", "weights.safetensors"] if checkpoint_every == 2 else [])
    for name in states:
        saved = load_file(tmp_path / "run" / name)
        assert all(bool(tensor.isfinite().all()) for tensor in saved.values())


def test_what_self_conditioning_looks_at_learns_in_bfloat16_too(config):
    """A cast of a weight that is made where no gradient is recorded is not made use of after."""
    moved = []
    for precision in ("float32", "bfloat16"):
        changes = {"precision": precision, "self_condition": 1.0, "motif": 0.0}
        trainer = Trainer(dataclasses.replace(config, **changes))
        before = {name: p.detach().clone() for name, p in trainer.network.named_parameters()}
        trainer.step()
        after = trainer.network.named_parameters()
        moved.append({name for name, p in after if not torch.equal(p, before[name])})
    assert moved[0] == moved[1]
    assert len(moved[0]) > 50


def test_training_leaves_the_callers_random_numbers_alone(config):
    before = torch.get_rng_state()
    first, second = (Trainer(config).network.state_dict() for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_training_lowers_the_loss(config, tmp_path):
    longer = dataclasses.replace(
        config,
        steps=60,
        decay_steps=20,
        learning_rate=4e-3,
        motif=0.0,
        self_condition=0.0,
        secondary_structure=0.0,
        panel_designs=0,
        evaluate_every=60,
    )
    untrained = Trainer(longer)
    before = untrained.held_out.measure(untrained.average.module)["held_out"]
    train(longer)
    after = float(rows(tmp_path / "run")[-1]["held_out"])
    assert after < 0.9 * before  # without a step it is the same number


def test_a_run_begins_with_given_weights(config, tmp_path):
    """Fine-tuning: the first averaged weights are the given ones, and another size is refused."""
    weights = train(dataclasses.replace(config, steps=2, out=str(tmp_path / "first")))
    begun = dataclasses.replace(config, initial_weights=str(weights))
    given = load_checkpoint(weights).network.state_dict()
    begins = Trainer(begun)
    for name, value in begins.network.state_dict().items():
        assert torch.equal(value, given[name]), name
    begins.step()
    assert any(
        not torch.equal(value, given[name]) for name, value in begins.network.state_dict().items()
    )
    wider = dataclasses.replace(begun.network, hidden=24)
    with pytest.raises(InputError, match=r"another size \(hidden 16, not 24\)"):
        Trainer(dataclasses.replace(begun, network=wider))
    with pytest.raises(InputError, match=r"another size \(hidden 16, not 24\)"):
        plan_training(dataclasses.replace(begun, network=wider))


def test_a_run_begins_with_the_expert_of_weights(config, tmp_path):
    model = Trainer(config).model
    path = tmp_path / "weights.safetensors"
    other = Trainer(dataclasses.replace(config, seed=5)).network
    save_checkpoint(path, dataclasses.replace(model, expert=ExpertNetwork(other)))
    begun = dataclasses.replace(config, initial_weights=str(path))
    for is_expert, network in ((False, model.network), (True, other)):
        begins = Trainer(dataclasses.replace(begun, initial_expert=is_expert)).network.state_dict()
        assert all(torch.equal(begins[name], w) for name, w in network.state_dict().items())
    save_checkpoint(path, model, overwrite=True)
    with pytest.raises(InputError, match="has no expert to begin from; leave initial_expert out"):
        Trainer(dataclasses.replace(begun, initial_expert=True))
    with pytest.raises(InputError, match="initial_expert needs initial_weights"):
        dataclasses.replace(config, initial_expert=True)


def test_residue_types_are_learned_where_they_are_told_and_asked_for(config):
    """The types of these chains are those of their places; a run without leaves its weights."""
    for types in (0.0, 0.7):
        run = dataclasses.replace(
            config, residue_types=types, type_loss=float(types > 0), warmup_steps=0
        )
        trainer = Trainer(dataclasses.replace(run, panel_designs=0, out=f"{config.out}{types}"))
        before = trainer.held_out.measure(trainer.network)["held_out_types"]
        assert before == pytest.approx(math.log(20) * 20 / 21, rel=0.03)  # one in 21 is of no type
        for _ in range(8):
            trainer.step()
        learned = [trainer.network.residue_type.weight, trainer.network.type_head.weight]
        assert all(bool(weight.any()) is (types > 0) for weight in learned)
        after = trainer.held_out.measure(trainer.network)["held_out_types"]
        assert (after < before - 1e-3) is (types > 0)


def test_a_run_goes_on_without_the_weights_that_it_began_with(config, tmp_path):
    weights = train(dataclasses.replace(config, steps=2, out=str(tmp_path / "first")))
    begun = dataclasses.replace(config, initial_weights=str(weights))
    train(dataclasses.replace(begun, steps=2))
    weights.unlink()
    longer = dataclasses.replace(begun, steps=4)
    assert plan_training(longer)["done_steps"] == 2
    assert load_checkpoint(train(longer)).metadata["steps"] == 4
    with pytest.raises(InputError, match=r"first/weights.safetensors"):
        Trainer(dataclasses.replace(begun, out=str(tmp_path / "anew")))


def test_a_plan_is_refused_where_the_run_would_be(config):
    torch.manual_seed(3)
    assert plan_training(config)["done_steps"] == 0
    assert torch.initial_seed() == 3
    for begin in (Trainer, plan_training):
        with pytest.raises(InputError, match="too few for 20 parts"):
            begin(dataclasses.replace(config, accumulate=20))


def test_a_run_that_ends_before_it_has_begun_to_learn_is_told_of(config):
    with pytest.warns(UserWarning, match="falls over 80 steps and the run has 8"):
        Trainer(dataclasses.replace(config, decay_steps=80))


def test_another_configuration_is_refused(config):
    train(dataclasses.replace(config, steps=2))
    with pytest.raises(InputError, match=r"learning_rate: 0\.001 became 0\.002"):
        Trainer(dataclasses.replace(config, learning_rate=2e-3))
    Trainer(dataclasses.replace(config, steps=100, minutes=3.0))


def test_an_interrupt_waits_for_the_step(config, tmp_path):
    """Ctrl-C in the middle of a step leaves the state that the step would have left anyway."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell has none
    whole = dataclasses.replace(config, out=str(tmp_path / "whole"), panel_designs=0)
    train(whole)
    stopped = dataclasses.replace(config, panel_designs=0)
    trainer, step = Trainer(stopped), Trainer.step

    def step_and_interrupt():
        if trainer.progress.step == 2:
            signal.raise_signal(signal.SIGINT)
        return step(trainer)

    trainer.step = step_and_interrupt
    with use_cpu(1), pytest.raises(KeyboardInterrupt):
        trainer.run()
    assert Trainer(stopped).progress.step == 3
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler
    train(stopped)
    one, other = (load_file(tmp_path / folder / "state.safetensors") for folder in ("whole", "run"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_has_one_process(config, tmp_path):
    with (
        hold_folder(tmp_path / "run"),
        pytest.raises(InputError, match="another process is training"),
    ):
        train(config)
    train(dataclasses.replace(config, steps=1, decay_steps=1, panel_designs=0))


def test_damaged_state_is_refused(config, tmp_path):
    train(dataclasses.replace(config, steps=2))
    state = tmp_path / "run" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-50])
    with pytest.raises(CheckpointError, match="not a whole training state"):
        Trainer(config)


def test_time_limit_stops_resumably(config, tmp_path):
    train(dataclasses.replace(config, steps=10_000, minutes=1e-6))
    progress = Trainer(dataclasses.replace(config, steps=10_000)).progress
    assert progress.step == 1


@pytest.mark.parametrize("written", [0, 1, 2])
def test_a_run_killed_while_it_writes_its_end_writes_it_when_resumed(
    config, tmp_path, monkeypatch, written
):
    config = dataclasses.replace(config, keep_every=8, panel_designs=0)
    trainer = Trainer(config)
    left = [written]

    def watch(write):
        def write_or_die(*arguments, **options):
            if trainer.progress.step == 8:
                left[0] -= 1
                if left[0] < 0:
                    raise SystemExit("killed")
            return write(*arguments, **options)

        return write_or_die

    with monkeypatch.context() as patch:
        for name in ("save_state", "save_checkpoint"):
            patch.setattr(loop, name, watch(getattr(loop, name)))
        with pytest.raises(SystemExit):
            trainer.run()
    weights = train(config)
    assert load_checkpoint(weights).metadata["steps"] == 8
    assert (tmp_path / "run" / "weights-0000008.safetensors").exists()


def test_counts_of_the_log_are_exact(tmp_path):
    log = TrainingLog(tmp_path / "log.csv", ("step", "samples", "loss"), 0)
    log.append({"step": 1_234_567, "samples": 98_765_432, "loss": 0.123456789})
    assert rows(tmp_path) == [{"step": "1234567", "samples": "98765432", "loss": "0.123457"}]
    TrainingLog(tmp_path / "log.csv", ("step", "samples", "loss"), 1_234_567)
    assert len(rows(tmp_path)) == 1


@pytest.mark.slow
def test_killed_run_loses_one_interval(config, tmp_path):
    """Kill -9 in the middle: what is on disk is whole, and the run goes on from it."""
    endless = dataclasses.replace(config, steps=100_000, panel_designs=0, evaluate_every=0)
    code = (
        "import json, sys; from protdiff.training import *;"
        "train(TrainingConfig.from_dict(json.loads(sys.argv[1])))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, json.dumps(endless.to_dict())])
    state = tmp_path / "run" / "state.safetensors"
    try:
        while not state.exists() and process.poll() is None:
            time.sleep(0.05)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    resumed = Trainer(endless)
    assert resumed.progress.step >= 4
    assert resumed.progress.step % 4 == 0
    assert all(int(row["step"]) <= resumed.progress.step for row in rows(tmp_path / "run"))


def test_learning_rate_rises_holds_and_falls(config):
    config = dataclasses.replace(config, steps=100, warmup_steps=10, decay_steps=20)
    rate = [get_learning_rate(config, step) / config.learning_rate for step in range(1, 101)]
    assert rate[0] == pytest.approx(0.1)
    assert set(rate[9:80]) == {1.0}
    assert rate[90] == pytest.approx(0.5)
    assert rate[99] == pytest.approx(0.05)


def test_the_end_follows_from_the_time(config):
    """At three quarters of the time the fall begins; it takes a third of the steps so far."""
    config = dataclasses.replace(config, steps=100_000, warmup_steps=1, total_minutes=4.0)
    assert set_end(config, Progress(step=299, seconds=179.9)) is config
    falls = set_end(config, Progress(step=300, seconds=180.0))
    assert (falls.steps, falls.decay_steps) == (400, 100)
    assert get_learning_rate(falls, 301) == falls.learning_rate
    assert get_learning_rate(falls, 400) == pytest.approx(falls.learning_rate / 100)
    # Once it falls, the clock has no say: a slower machine makes the same steps.
    assert set_end(falls, Progress(step=301, seconds=1e6)) is falls
    sooner = dataclasses.replace(config, steps=310)
    assert set_end(sooner, Progress(step=300, seconds=180.0)) is sooner


def test_an_end_set_by_the_time_is_kept_by_a_resumed_run(config, tmp_path):
    timed = dataclasses.replace(config, steps=1_000, total_minutes=1e-6, panel_designs=0)
    train(timed)  # the time is up with the first step, and one more falls
    assert [int(row["step"]) for row in rows(tmp_path / "run")] == [2]
    assert json.loads((tmp_path / "run" / "config.json").read_text())["steps"] == 2
    resumed = Trainer(timed)
    assert (resumed.config.steps, resumed.config.decay_steps) == (2, 1)
    assert Trainer(dataclasses.replace(timed, total_minutes=60.0)).config.steps == 1_000


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own, on its way to compile
def test_the_network_compiles_in_one_piece(config):
    """No break in the graph, the same values and gradients; and more shapes than torch allows."""
    network = Trainer(config).network
    compile_network(network)
    assert torch._dynamo.config.recompile_limit >= 100
    torch._dynamo.reset()
    compiled = torch.compile(network, dynamic=False, backend="eager", fullgraph=True)
    x = torch.randn(2, 32, 3, 3, generator=torch.Generator().manual_seed(0))
    ones = torch.ones(2)
    inputs = (x, ones, torch.arange(32)[None], torch.ones(2, 32, dtype=torch.bool), ones)
    gradients = []
    for module in (network, compiled):
        module(*inputs)[-1].square().sum().backward()
        gradients.append(network.layers[0].modulation.weight.grad.clone())
        network.zero_grad()
    assert torch.allclose(*gradients, rtol=1e-4, atol=1e-7)


def test_bad_values_are_refused(config):
    for changes, message in (
        ({"steps": 0}, "steps = 0"),
        ({"motif": 1.5}, "expected 0 to 1"),
        ({"lengths": (50, 40)}, r"lengths = \[50, 40\]"),
        ({"device": "tpu"}, "device 'tpu' is not there"),
        ({"data": "nowhere.safetensors"}, "no prepared data"),
        ({"lengths": (300, 400)}, "no training chain of 300 to 400"),
    ):
        with pytest.raises(InputError, match=message):
            Trainer(dataclasses.replace(config, **changes))


def test_a_fall_that_begins_now_is_kept(config):
    config = dataclasses.replace(config, warmup_steps=1, total_minutes=4.0)
    late = Progress(step=300, seconds=180.0)
    falling = dataclasses.replace(config, steps=500, decay_steps=200)
    assert set_end(falling, late) is falling
    shorter = dataclasses.replace(config, steps=400, decay_steps=50)
    assert set_end(shorter, late) is shorter  # it ends as soon as the time would have it

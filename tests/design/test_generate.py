import itertools
import time
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from protdiff.conditioning import RadiusOfGyration, Symmetry, UserPotential
from protdiff.conditioning.conditioner import Conditioner
from protdiff.design import Generation, SamplingSettings, engine, sample
from protdiff.design.batching import (
    AHEAD,
    PADDED_TO,
    get_padding,
    group_plans,
    make_scene,
    pad_length,
)
from protdiff.design.engine import Plan, choose_task_weights, make_batches
from protdiff.design.samplers import ADAPTIVE_SAMPLERS, SAMPLER_NAMES
from protdiff.diffusion import draw_prior
from protdiff.errors import InputError
from protdiff.evaluation import measure_quality

FAST = SamplingSettings(steps=4, step_scale=1.0)


def coordinates(designer, **arguments):
    # An untrained network takes sharpened scores for a reason to run away.
    arguments = {"steps": 4, "step_scale": 1.0} | arguments
    return [backbone.coordinates for backbone in designer.generate(**arguments)]


def test_backbones_have_the_length_asked_for(designer):
    backbones = designer.generate(length=40, num=2, steps=4)
    assert [len(backbone) for backbone in backbones] == [40, 40]
    assert not backbones[0].motif_mask.any()
    assert backbones[0].name == "design_0000"


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_a_design_does_not_depend_on_its_batch(designer, batch_size):
    reference = coordinates(designer, length=40, num=5, batch_size=3)
    other = coordinates(designer, length=40, num=5, batch_size=batch_size)
    for first, second in zip(reference, other, strict=True):
        assert np.abs(first - second).max() < 1e-3


def test_a_design_does_not_depend_on_what_was_made_before(designer):
    task = Generation((40, 44), 1, FAST)
    one_by_one = {k: next(designer.make(task, [k])).backbone for k in (3, 0, 2)}
    together = {design.index: design.backbone for design in designer.make(task, range(4))}
    for k, backbone in one_by_one.items():
        assert np.abs(backbone.coordinates - together[k].coordinates).max() < 1e-3


def test_seeds_and_designs_differ(designer):
    first, second = coordinates(designer, length=40, num=2, seed=0)
    other = coordinates(designer, length=40, num=1, seed=1)[0]
    assert np.abs(first - second).max() > 0.1
    assert np.abs(first - other).max() > 0.1
    assert np.abs(second - other).max() > 0.1


@pytest.mark.parametrize("name", SAMPLER_NAMES)
def test_every_sampler_makes_designs_that_do_not_depend_on_the_batch(designer, name):
    task = Generation(30, 0, SamplingSettings(sampler=name, steps=2, step_scale=1.0))
    together = list(designer.make(task, range(2)))
    alone = next(designer.make(task, [1]))
    assert np.isfinite(alone.backbone.coordinates).all()
    assert np.abs(alone.backbone.coordinates - together[1].backbone.coordinates).max() < 1e-3


def test_lengths_are_drawn_from_the_whole_range():
    task = Generation((40, 43), seed=0)
    lengths = [task.plan(index).length for index in range(100)]
    assert set(lengths) == {40, 41, 42, 43}
    assert lengths == [Generation("40-43", seed=0).plan(index).length for index in range(100)]
    assert lengths != [Generation((40, 43), seed=1).plan(index).length for index in range(100)]


@pytest.mark.parametrize("padding", [1, 8])
def test_batches_hold_one_padded_length_and_lose_nothing(padding):
    task = Generation((30, 61), seed=0)
    plans = [task.plan(index) for index in range(200)]
    batches = list(group_plans(plans, 4, padding))
    assert all(len({-(-plan.length // padding) for plan in batch}) == 1 for batch in batches)
    assert all(len(batch) <= 4 for batch in batches)
    assert sorted(plan.index for batch in batches for plan in batch) == list(range(200))
    assert len(batches) <= 200 / 4 + 31 / padding + 1


def test_only_what_leaves_padding_out_is_padded():
    def ask(length, *conditioners, **settings):
        return get_padding(
            Generation(length, 0, SamplingSettings(**settings), conditioners=conditioners)
        )

    assert ask((40, 60)) == PADDED_TO
    assert ask((40, 60), RadiusOfGyration("x1.1")) == PADDED_TO
    assert ask(48) == ask((40, 60), sampler=next(iter(ADAPTIVE_SAMPLERS))) == 1
    assert ask((40, 60), Symmetry("C2")) == ask((40, 60), UserPotential(lambda x: x)) == 1


def test_padding_is_never_longer_than_the_network_makes(tiny_model):
    assert pad_length(509, PADDED_TO) == pad_length(512, PADDED_TO) == 512
    scene = make_scene(tiny_model, [Plan(0, 41), Plan(1, 44)], PADDED_TO)
    assert scene.residue_mask.sum(dim=1).tolist() == [41, 44]
    assert scene.residue_mask.shape == scene.residue_index.shape == (2, 48)
    assert scene.is_unbroken


def test_designs_of_many_lengths_do_not_depend_on_the_batch(designer):
    task = Generation((40, 47), 0, FAST)
    together = {design.index: design for design in designer.make(task, range(4), frames=True)}
    for index, design in together.items():
        length = task.plan(index).length
        assert len(design.backbone) == design.frames.noisy.shape[1] == length
        alone = next(designer.make(task, [index], batch_size=1))
        difference = alone.backbone.coordinates - design.backbone.coordinates
        assert np.abs(difference).max() < 1e-3


def test_a_d_protein_is_the_mirror_image_of_an_l_protein(designer, monkeypatch):
    mirror = np.array([-1.0, 1.0, 1.0], dtype=np.float32)

    def make(handedness):
        # Deterministic, so that the prior is all the noise there is.
        (found,) = coordinates(designer, num=1, handedness=handedness, sampler="ddim")
        return found[:, :3]

    natural = make("L")
    monkeypatch.setattr(
        sample, "draw_prior", lambda *args: draw_prior(*args) * torch.from_numpy(mirror)
    )
    assert np.abs(natural * mirror - make("D")).max() < 1e-3
    assert np.abs(natural * mirror - make("L")).max() > 1e-3


@pytest.mark.parametrize(
    "settings",
    [{"temperature": 0.5}, {"step_scale": 1.2}, {"autoguidance": 2.0}, {"grid": "uniform"}],
)
def test_settings_reach_the_sampler(designer, settings):
    reference = coordinates(designer, length=40, num=1)[0]
    changed = coordinates(designer, length=40, num=1, **settings)[0]
    assert np.abs(changed - reference).max() > 1e-2


def test_temperature_does_not_touch_a_deterministic_sampler(designer):
    cold, hot = (
        coordinates(designer, length=40, num=1, sampler="ddim", temperature=temperature)[0]
        for temperature in (0.1, 1.0)
    )
    assert np.array_equal(cold, hot)


def test_frames_lead_to_the_design(designer):
    design = next(designer.make(Generation(40, 0, FAST), [0], frames=True))
    assert design.frames is not None
    assert design.frames.noisy.shape == design.frames.denoised.shape == (5, 40, 3, 3)
    assert np.abs(design.frames.denoised[-1] - design.backbone.coordinates[:, :3]).max() < 1e-4


def test_progress_adds_up_to_the_number_of_designs(designer):
    amounts = []
    designer.generate(length=(40, 41), num=5, steps=4, batch_size=2, on_progress=amounts.append)
    assert sum(amounts) == pytest.approx(5)
    assert min(amounts) > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"length": 0}, "at least 1"),
        ({"length": (50, 40)}, "before it begins"),
        ({"length": 5}, "the network makes 30 to 512"),
        ({"length": 10**6}, "the network makes 30 to 512"),
        ({"batch_size": 0}, "batch size is 0"),
    ],
)
def test_wrong_arguments_are_refused(designer, arguments, message):
    with pytest.raises(InputError, match=message):
        designer.generate(**arguments)


def test_unknown_arguments_are_refused_by_name(designer):
    with pytest.raises(TypeError, match="unknown arguments temprature; there are sampler"):
        designer.generate(temprature=1.0)


def test_lengths_outside_of_training_are_warned_of(designer):
    model = replace(designer.model, metadata={"lengths": [40, 60]})
    short = type(designer)(model)
    with pytest.warns(UserWarning, match="trained on 40 to 60; expect worse ones outside$"):
        short.generate(length=36, steps=2)
    with pytest.warns(UserWarning, match="outside, or take protdiff-base for them$"):
        short.generate(length=70, steps=2)


def test_several_chains_are_for_weights_that_saw_several(designer):
    ring = {"length": 20, "conditioners": Symmetry("C2"), "steps": 2}
    single = replace(designer.model, name="protdiff-base", metadata={"lengths": [30, 60]})
    with pytest.warns(UserWarning, match="trained on single ones; take protdiff-complex for them$"):
        type(designer)(single).generate(**ring)
    # Their chains were pieces, so a short design is none that they do not know.
    several = replace(single, name="mine", metadata={"lengths": [96, 384], "cut": 1.0})
    type(designer)(several).generate(**ring)
    with pytest.warns(UserWarning, match="trained on 96 to 384"):
        type(designer)(several).generate(length=40, steps=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": None}, "seed is None; give a whole number"),
        ({"seed": 3.0}, "seed is 3.0; give a whole number"),
        ({"length": 40.7}, "a length is 40.7; give a whole number"),
        ({"length": (40, 44.5)}, "range of lengths is 44.5; give a whole number"),
        ({"num": -1}, "number of designs is -1; give 0 or more"),
        ({"num": 1.0}, "number of designs is 1.0; give a whole number"),
        ({"batch_size": 2.0}, "batch size is 2.0; give a whole number"),
    ],
)
def test_what_only_looks_like_a_number_is_refused(designer, arguments, message):
    with pytest.raises(InputError, match=message):
        designer.generate(**{"length": 40, "steps": 2} | arguments)


def test_a_set_of_a_seed_of_numpy_is_written(designer, tmp_path):
    designs = designer.generate(np.int64(40), np.int64(1), np.int64(3), steps=2, step_scale=1)
    designs.write(tmp_path / "set")
    plain = designer.generate(40, 1, 3, steps=2, step_scale=1)
    assert np.array_equal(designs[0].coordinates, plain[0].coordinates)


@pytest.mark.parametrize("asked", [{"handedness": "D"}, {"conditioners": (Symmetry("C2"),)}])
def test_designs_are_measured_by_their_hand_and_with_their_breaks(designer, asked):
    asked = dict(asked)
    conditioners = asked.pop("conditioners", ())
    settings = SamplingSettings(steps=3, step_scale=1.0, **asked)
    design = next(designer.make(Generation(30, 0, settings, conditioners=conditioners), [0]))
    expected = measure_quality(
        design.backbone.coordinates, design.backbone.residue_index, handedness=settings.handedness
    )
    assert asdict(design.quality) == pytest.approx(asdict(expected), nan_ok=True)


class Beside(Conditioner):
    def __init__(self, gap):
        self.gap = gap

    def describe(self):
        return {"kind": "beside", "gap": self.gap}

    def measure(self, backbone):
        return {"partner_gap": self.gap}


def test_the_nearest_of_two_targets_counts(designer):
    task = Generation(30, 0, FAST, conditioners=(Beside(5.0), Beside(3.0), Beside(4.0)))
    assert next(designer.make(task, [0])).quality.partner_gap == 3.0


def test_weights_are_chosen_by_the_chains_that_the_network_sees():
    assert choose_task_weights(Generation((90, 128))) == "protdiff-base"
    assert choose_task_weights(Generation((90, 129))) == "protdiff-long"
    assert choose_task_weights(Generation(60, conditioners=(Symmetry("C2"),))) == "protdiff-complex"


def test_plans_that_wait_are_limited():
    """One length that never comes again does not take all plans there are."""
    lengths = itertools.chain([40], itertools.repeat(80))
    plans = (Plan(index, length) for index, length in enumerate(lengths))
    taken = []
    batches = group_plans((taken.append(p.index) or p for p in itertools.islice(plans, 1000)), 4)
    assert [plan.index for plan in next(batches)] == [0]
    assert len(taken) == 4 * AHEAD


def test_a_batch_s_time_is_shared(designer):
    begun = time.perf_counter()
    designs = list(designer.make(Generation(30, 0, FAST), range(4)))
    assert 0 < sum(design.seconds for design in designs) <= time.perf_counter() - begun


def test_batches_with_nothing_to_make_are_passed_over(designer, monkeypatch):
    made = []
    make = engine._make_batch
    monkeypatch.setattr(engine, "_make_batch", lambda *args: made.append(args[2]) or make(*args))
    task = Generation(30, 0, FAST)
    (batch,) = make_batches(designer.model, task, range(6), batch_size=2, wanted={3})
    assert [design.index for design in batch] == [3]
    assert [[plan.index for plan in plans] for plans in made] == [[2, 3]]


def test_progress_is_complete_at_the_end_only(designer):
    amounts = []
    list(designer.make(Generation(30, 0, FAST), [0], on_progress=amounts.append))
    assert sum(amounts) == pytest.approx(1.0)
    assert len(amounts) == FAST.steps + 2  # the last is told when all is done

"""Methods and holds of scaffolding: their laws on a network that knows no protein."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from protdiff.conditioning.compose import Conditions
from protdiff.design import SamplingSettings, Scaffolding, motif_sampling
from protdiff.design.batching import make_scene
from protdiff.design.loading import load
from protdiff.design.motif_denoiser import make_motif_parts
from protdiff.design.sample import count_steps, prepare_sampling, sharpen
from protdiff.design.samplers import METHODS
from protdiff.design.seeds import make_generator
from protdiff.diffusion import ExponentialSDE
from protdiff.errors import InputError
from protdiff.structure import Backbone, build_backbone, parse_contig, superimpose

FAST = SamplingSettings(steps=4)


@pytest.fixture(scope="module")
def source():
    rng = np.random.default_rng(0)
    return Backbone.from_coordinates(
        build_backbone(rng.uniform(-140, -50, 30), rng.uniform(-60, 150, 30)) + 20.0, name="source"
    )


def make_task(source, **options):
    contig = parse_contig("12-16/A5-14/12-16")
    return Scaffolding(source, contig, **{"settings": FAST, "total_length": 40} | options)


def make_one(designer, task, index=0):
    (design,) = designer.make(task, [index])
    return design


@pytest.mark.parametrize("method", METHODS)
def test_a_hard_hold_gives_the_input_in_the_input_s_frame(designer, source, method):
    design = make_one(designer, make_task(source, method=method))
    held = design.backbone.coordinates[design.backbone.motif_mask, :3]
    assert np.abs(held - source.coordinates[4:14, :3]).max() < 0.005
    assert design.extra["motif_rmsd"] <= 0.01
    assert design.extra["quality"]["seams"] == 2


@pytest.mark.parametrize("method", METHODS)
def test_a_soft_hold_lets_go_and_tells_the_drift(designer, source, method):
    design = make_one(designer, make_task(source, method=method, hold="soft"))
    held = design.backbone.coordinates[design.backbone.motif_mask, :3]
    drift = superimpose(held, source.coordinates[4:14, :3]).rmsd
    assert design.extra["motif_rmsd"] == pytest.approx(drift, abs=1e-3)
    assert drift > 0.02  # the network has learnt nothing, so left alone it leads away
    assert design.extra["quality"]["relaxed_by"] is None


@pytest.mark.parametrize("method", ["amortized-guidance", "repaint", "twisted-smc"])
def test_the_pose_of_the_input_does_not_matter(designer, source, method):
    turn, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    moved = source.with_coordinates(source.coordinates @ turn.T + 7.0)
    plain, turned = (
        make_one(designer, make_task(one, method=method, hold="soft")).backbone.coordinates
        for one in (source, moved)
    )
    assert np.abs(turned - (plain @ turn.T + 7.0)).max() < 0.02


def test_particles_are_reported_and_do_not_depend_on_the_batch(designer, source):
    task = make_task(source, method="twisted-smc", particles=3)
    both = {design.index: design for design in designer.make(task, range(2))}
    for design in both.values():
        report = design.extra["smc"]
        assert report["particles"] == 3
        assert 1.0 <= report["lowest_ess"] <= report["mean_ess"] <= 3.0
        assert 0 <= report["resamplings"] <= FAST.steps
        assert np.isfinite(report["log_evidence"])
    alone = make_one(designer, task, 1)
    assert np.abs(alone.backbone.coordinates - both[1].backbone.coordinates).max() < 1e-2
    assert alone.extra["smc"]["resamplings"] == both[1].extra["smc"]["resamplings"]


def test_one_particle_is_guided_ancestral_sampling(designer, source, monkeypatch):
    monkeypatch.setattr(motif_sampling, "ALONE_BELOW", 0.0)
    settings = replace(FAST, self_condition=False)  # one that goes on alone remembers no estimate
    task = make_task(source, method="twisted-smc", particles=1, settings=settings)
    plans, model = [task.plan(0)], designer.model
    sampled, _ = task.sample(model, plans, lambda info: None)
    conditions = Conditions(make_scene(model, plans))
    parts = make_motif_parts(
        model,
        conditions.scene.residue_mask,
        motifs=[plans[0].motif],
        method="twisted-smc",
        settings=settings,
        wanted=[plans[0].secondary],
    )
    generators = [make_generator(task.seed, 0, "particle-0")]
    noise, start, times = prepare_sampling(conditions, model.sde, generators, settings)
    denoiser = sharpen(parts.volume, settings, times)
    mean = ExponentialSDE()(denoiser, start, times, noise=noise)
    assert np.abs(sampled - model.to_angstrom(parts.posed(mean)).numpy()).max() < 1e-3


def test_one_particle_goes_on_alone_under_the_projection(designer, source):
    """The last of the noise goes by the default sampler, in which every mean holds the motif."""
    settings = replace(FAST, steps=12)
    task = make_task(source, method="twisted-smc", particles=3, settings=settings)
    plans, seen = [task.plan(index) for index in range(2)], []
    sampled, _ = task.sample(designer.model, plans, seen.append)
    levels = designer.model.sde.noise_ratio(torch.stack([info.t for info in seen]))
    weighed = int((levels * designer.model.scale >= motif_sampling.ALONE_BELOW).sum())
    assert 3 < weighed < 10
    motif = source.coordinates[4:14, :3]
    for number, info in enumerate(seen):
        mean = designer.model.to_angstrom(info.denoised).numpy()
        for plan, row in zip(plans, mean, strict=True):
            drift = superimpose(row[plan.motif.motif_positions], motif).rmsd
            assert (drift < 1e-3) == (number >= weighed - 1)
    assert np.array_equal(sampled, designer.model.to_angstrom(seen[-1].denoised).numpy())


def test_repainting_takes_each_step_twice(designer, source, monkeypatch):
    calls = []
    network = type(designer.model.network).forward
    monkeypatch.setattr(
        type(designer.model.network),
        "forward",
        lambda self, *args: calls.append(1) or network(self, *args),
    )
    make_one(designer, make_task(source, method="repaint"))
    assert len(calls) == 2 * FAST.steps + 1


def test_the_end_of_the_way_is_taken_again(designer, source):
    def count(**options):
        seen = []
        settings = SamplingSettings(steps=12, **options.pop("settings", {}))
        task = make_task(source, settings=settings, **options)
        task.sample(designer.model, [task.plan(0)], seen.append)
        assert seen[-1].evaluations == len(seen)
        assert len(seen) == count_steps(designer.model, task.settings, task.plan(0).length)
        return len(seen)

    again = count() - 13
    assert 3 < again < 11
    assert count(settings={"restarts": 0}) == 13
    assert count(settings={"restarts": 3}) == 13 + 3 * again
    assert make_task(source).settings.restarts == 1
    assert make_task(source, method="repaint").settings.restarts == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hold": "firm"}, "no hold 'firm'"),
        ({"method": "twisted-smc", "particles": 0}, "0 particles"),
        ({"method": "twisted-smc", "settings": SamplingSettings(sampler="ddim")}, "ancestral"),
        ({"method": "twisted-smc", "settings": SamplingSettings(temperature=0.9)}, "temperature"),
        (
            {"method": "repaint", "settings": SamplingSettings(restarts=2)},
            "repaint takes each step again",
        ),
        (
            {"method": "repaint", "settings": SamplingSettings(sampler="dormand-prince")},
            "own steps",
        ),
    ],
)
def test_what_a_method_cannot_do_is_refused(source, options, message):
    with pytest.raises(InputError, match=message):
        make_task(source, **options)


@pytest.mark.slow
def test_the_released_weights_join_a_helix_soundly():
    """The whole way with the default settings: exact, sound seams, nothing in the motif's place."""
    helix = Backbone.from_coordinates(
        build_backbone(np.full(14, -60.0), np.full(14, -45.0)), name="helix"
    )
    task = Scaffolding(helix, parse_contig("20/A2-13/20"), total_length=52)
    designs = list(load().make(task, range(2)))
    for design in designs:
        quality = design.extra["quality"]
        assert design.extra["motif_rmsd"] <= 0.01
        assert quality["relaxed_by"] < 0.2
        assert (quality["sound_seams"], quality["motif_clashes"]) == (2, 0)

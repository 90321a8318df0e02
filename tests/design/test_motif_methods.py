"""Methods and holds of scaffolding: their laws on a network that knows no protein."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from protdiff.conditioning.compose import Conditions
from protdiff.conditioning.conditioner import Conditioner
from protdiff.design import SamplingSettings, Scaffolding, motif_sampling
from protdiff.design.batching import make_scene
from protdiff.design.loading import load
from protdiff.design.motif_denoiser import make_motif_parts
from protdiff.design.sample import count_steps, prepare_sampling, sharpen
from protdiff.design.samplers import METHODS, make_grid, make_sampler
from protdiff.design.scaffold import SOFT_BELOW
from protdiff.design.seeds import make_generator
from protdiff.diffusion import (
    ExponentialSDE,
    FunctionDenoiser,
    LinearVPSDE,
    ScaledNoise,
    ScaledScore,
)
from protdiff.diffusion.guidance import Guided, TwistedSMC
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


@pytest.mark.parametrize("sampler", ["sde-dpm++2m", "euler"])
def test_a_repainted_step_is_sharpened_and_tells_the_true_mean(sampler):
    sde, settings = LinearVPSDE(), SamplingSettings(sampler=sampler, step_scale=1.8)
    denoiser = FunctionDenoiser(sde, lambda x_t, t: 0.3 * x_t)
    inner = make_sampler(settings.sampler)
    times = sde.time_of_noise_ratio(torch.tensor([0.5, 0.15], dtype=torch.float64))
    x = torch.randn(2, 5, 3, 3, generator=torch.Generator().manual_seed(0))
    found, mean = motif_sampling._Sharpened(inner, settings).step(
        denoiser, x, *times, noise=torch.ones_like, previous=None
    )
    scaled = ScaledScore(denoiser, 1.8, 1.0, times=times, pull=inner.pull)
    expected, _ = inner.step(scaled, x, *times, noise=torch.ones_like, previous=None)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(mean, 0.3 * x)


@pytest.mark.parametrize("change", [{"temperature": 0.5}, {"step_scale": 1.0}])
def test_settings_reach_repainting(designer, source, change):
    plain, changed = (
        make_one(designer, make_task(source, method="repaint", settings=replace(FAST, **one)))
        for one in ({}, change)
    )
    moved = changed.backbone.coordinates - plain.backbone.coordinates
    assert np.abs(moved[~plain.backbone.motif_mask]).max() > 1e-2


def test_repainting_puts_back_the_motif_alone_with_noise_of_full_size(
    designer, source, monkeypatch
):
    made = []

    class Looking(motif_sampling.RePaint):
        def __init__(self, sampler, mask, projection, **options):
            made.append((mask, projection, options))
            super().__init__(sampler, mask, projection, **options)

    monkeypatch.setattr(motif_sampling, "RePaint", Looking)
    task = make_task(source, method="repaint", settings=replace(FAST, temperature=0.5))
    make_one(designer, task)
    ((mask, projection, options),) = made
    assert mask[0, :, 0, 0].tolist() == task.plan(0).motif.motif_mask.tolist()
    assert not isinstance(options["noise"], ScaledNoise)
    assert options["subspace"] is projection.subspace


def test_a_soft_hold_is_repainted_down_to_its_noise_and_no_further(designer, source, monkeypatch):
    model, seen, settings = designer.model, [], replace(FAST, steps=12)
    calls = []
    forward = type(model.network).forward
    monkeypatch.setattr(
        type(model.network), "forward", lambda self, *args: calls.append(1) or forward(self, *args)
    )
    task = make_task(source, method="repaint", hold="soft", settings=settings)
    task.sample(model, [task.plan(0)], seen.append)
    times = make_grid(settings.grid, 40)(model.sde, 12)
    assert [float(info.t) for info in seen] == times.tolist()  # none is left out, or comes twice
    held = int((model.sde.noise_ratio(times) * model.scale >= SOFT_BELOW).sum())
    assert 3 < held < 12
    assert len(calls) == 2 * (held - 1) + 12 - (held - 1) + 1


def test_the_reports_are_those_of_the_particles(designer, source, monkeypatch):
    results = []

    class Looking(TwistedSMC):
        def __call__(self, *args, **options):
            results.append(super().__call__(*args, **options))
            return results[-1]

    monkeypatch.setattr(motif_sampling, "TwistedSMC", Looking)
    task = make_task(
        source, method="twisted-smc", particles=3, seed=1, settings=replace(FAST, steps=12)
    )
    designs = {design.index: design for design in designer.make(task, range(2))}
    (result,) = results
    assert result.resampled.any()
    for run, design in designs.items():
        sizes = result.effective_sample_sizes[:, run]
        assert 1.0 <= sizes.min() < 2.9  # they differ
        assert design.extra["smc"] == {
            "particles": 3,
            "lowest_ess": pytest.approx(float(sizes.min()), abs=1e-3),
            "mean_ess": pytest.approx(float(sizes.mean()), abs=1e-3),
            "resamplings": int(result.resampled[:, run].sum()),
            "log_evidence": pytest.approx(float(result.log_evidence[run]), abs=1e-3),
        }


def test_no_time_is_taken_twice_where_particles_end_and_one_goes_on(designer, source):
    settings = replace(FAST, steps=12, restarts=0)
    task = make_task(source, method="twisted-smc", particles=3, settings=settings)
    seen = []
    task.sample(designer.model, [task.plan(0)], seen.append)
    times = make_grid(settings.grid, 40)(designer.model.sde, 12)
    assert [float(info.t) for info in seen] == times.tolist()


def test_a_kernel_that_is_not_guided_weighs_nothing():
    """Both means are shaped alike, or particles would be weighed for their step scale."""
    sde, settings = LinearVPSDE(), SamplingSettings(step_scale=1.8)
    free = FunctionDenoiser(sde, lambda x_t, t: 0.3 * x_t)
    guided = Guided(free, lambda estimate: 0.0 * estimate.denoised.sum(dim=(1, 2, 3)))
    times = sde.time_of_noise_ratio(torch.tensor([0.5, 0.25], dtype=torch.float64))
    x = torch.randn(2, 5, 3, 3, generator=torch.Generator().manual_seed(0))
    found = motif_sampling._ShapedKernel(guided, None, settings, times).evaluate(x, times[0])
    torch.testing.assert_close(found.denoised, found.guided)
    assert (found.guided - 0.3 * x).abs().max() > 0.01


class Wrapping(Conditioner):
    def describe(self):
        return {"kind": "wrapping"}

    def wrap(self, denoiser, scene):
        return FunctionDenoiser(denoiser.sde, denoiser)


def test_particles_are_not_weighed_for_what_is_no_likelihood(source):
    with pytest.raises(InputError, match="one of the conditioners is none"):
        make_task(source, method="twisted-smc", conditioners=(Wrapping(),))


@pytest.mark.parametrize("particles", [-1, 0, 1001])
def test_particles_are_as_many_as_can_be(source, particles):
    with pytest.raises(InputError, match=f"{particles} particles"):
        make_task(source, method="twisted-smc", particles=particles)


def test_noisy_frames_are_moved_with_the_design(designer, source):
    moved = source.with_coordinates(source.coordinates + 100.0)
    task = make_task(moved, hold="soft")
    design = next(designer.make(task, [0], frames=True))
    last = design.frames.noisy[-1]  # holds hardly any noise
    assert np.abs(last - design.backbone.coordinates[:, :3]).max() < 10.0

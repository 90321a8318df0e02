"""Potentials of one's own: Å, forces, what a noisy mean can mean, and clear refusals."""

import functools
import json

import numpy as np
import pytest
import torch

from protdiff.conditioning import Conditions, Scene, UserPotential
from protdiff.design import Generation, SamplingSettings, run_designs
from protdiff.diffusion import FunctionDenoiser, LinearVPSDE
from protdiff.diffusion.guidance import Estimate
from protdiff.errors import InputError
from protdiff.model import make_residue_mask

FAST = {"steps": 6, "step_scale": 1.0}


def measure_rg(x):
    centred = x - x.mean(dim=(1, 2), keepdim=True)
    return centred.square().sum(dim=-1).mean(dim=(1, 2)).sqrt()


def prefer_30(x):
    return (measure_rg(x) - 30.0).square()


def make_scene(model, batch=2, length=40):
    index = torch.arange(length).expand(batch, -1)
    return Scene(model, make_residue_mask([length] * batch), index, torch.zeros_like(index))


def make_estimate(t, batch=2):
    x = torch.randn(batch, 40, 3, 3, generator=torch.Generator().manual_seed(0))
    return Estimate(x, torch.tensor(t), x.clone().requires_grad_(), LinearVPSDE())


def test_it_is_asked_in_angstrom_and_per_design(tiny_model):
    seen = []

    def energy(x):
        seen.append(x)
        return x.square().sum(dim=(1, 2, 3))

    estimate = make_estimate(1e-4)
    term = UserPotential(energy, 2.0).make_term(make_scene(tiny_model))
    found = term(estimate)
    expected = -(estimate.denoised * tiny_model.scale).square().sum(dim=(1, 2, 3)) / 2
    # At hardly any noise nothing is hidden, and the law is Boltzmann's.
    assert torch.allclose(found, expected, rtol=1e-3)
    assert (seen[-1] - estimate.denoised * tiny_model.scale).abs().max() < 1e-5


@pytest.mark.parametrize("t", [0.01, 0.2, 0.9])
@pytest.mark.parametrize("stiffness", [1e-2, 1.0, 1e4])
def test_the_squared_residual_has_the_variance_of_bayes(tiny_model, t, stiffness):
    """E = s (c·x - a)²/2 is N(a; c·x, 1/s), whose noisy law is N(a; c·D, 1/s + v |c|²)."""
    direction = torch.randn(40, 3, 3, generator=torch.Generator().manual_seed(1))
    scale = tiny_model.scale

    def energy(x):
        return stiffness * ((x * direction).sum(dim=(1, 2, 3)) - 7.0).square() / 2

    estimate = make_estimate(t)
    term = UserPotential(energy).make_term(make_scene(tiny_model))
    (found,) = torch.autograd.grad(term(estimate).sum(), estimate.denoised)
    residual = (estimate.denoised * scale * direction).sum(dim=(1, 2, 3)) - 7.0
    variance = 1 / stiffness + estimate.isotropic_variance() * (scale * direction).square().sum()
    expected = -(residual / variance)[:, None, None, None] * scale * direction
    assert torch.allclose(found, expected, rtol=1e-3)


def test_a_steep_potential_moves_no_more_than_the_noise(tiny_model):
    scene = make_scene(tiny_model)
    clean = make_estimate(0.1).x_t

    def energy(x):  # negative, so taken as it is: nothing but the limit holds it
        return -1e6 * measure_rg(x)

    plain = FunctionDenoiser(LinearVPSDE(), lambda x_t, t: clean)
    guided = Conditions(scene, [UserPotential(energy)]).guide(plain)
    for t in (0.5, 0.05, 1e-3):
        moved = guided(clean, torch.tensor(t)) - clean
        noise = LinearVPSDE().noise_ratio(torch.tensor(t))
        deviation = noise / (1 + noise.square()).sqrt()
        assert moved.square().mean().sqrt() == pytest.approx(2 * float(deviation), rel=1e-3)


def test_no_conditioner_no_wrapper(tiny_model):
    plain = FunctionDenoiser(LinearVPSDE(), lambda x_t, t: x_t)
    conditions = Conditions(make_scene(tiny_model))
    assert conditions.guide(plain) is plain
    assert conditions.wrap(plain) is plain
    quiet = UserPotential(prefer_30, largest_noise=1.0)
    guided = Conditions(make_scene(tiny_model), [quiet]).guide(plain)
    x = make_estimate(0.5).x_t
    assert torch.equal(guided(x, torch.tensor(0.9)), x)
    assert not torch.equal(guided(x, torch.tensor(0.001)), x)


@pytest.mark.parametrize("sampler", ["sde-dpm++2m", "euler"])
def test_designs_follow_it_and_say_so(designer, sampler):
    # An untrained network has no reason of its own to be compact.
    free = designer.generate(40, 2, sampler=sampler, **FAST)
    bound = designer.generate(
        40, 2, sampler=sampler, conditioners=[UserPotential(prefer_30, 0.1)], **FAST
    )

    def miss(designs):
        x = torch.tensor(np.stack([one.coordinates[:, :3] for one in designs]))
        return (measure_rg(x) - 30.0).abs()

    assert (miss(bound) < 0.7 * miss(free)).all()
    (name,) = [key for key in bound.to_records()[0] if key.startswith("potential")]
    assert name.endswith("test_potential:prefer_30")
    assert bound.to_records()[0][name] == pytest.approx(float(miss(bound)[0] ** 2), rel=1e-3)


def test_a_function_is_found_by_its_place_and_known_by_its_source():
    by_place = UserPotential(f"{__name__}:prefer_30").describe()
    by_name = UserPotential(prefer_30).describe()
    assert by_place == by_name
    assert len(by_place["sha256"]) == 64


TARGET = torch.tensor(9.0)
TRAINED = torch.tensor(1.0, requires_grad=True)


def prefer_target(x):
    return (measure_rg(x) - TARGET).square()


def make_closure(radius):
    return lambda x: (measure_rg(x) - radius).square()


def prefer(x, radius):
    return (measure_rg(x) - radius).square()


def make_default(radius):
    def energy(x, radius=radius):
        return (measure_rg(x) - radius).square()

    return energy


class Learned(torch.nn.Module):
    def __init__(self, radius):
        super().__init__()
        self.radius = torch.nn.Parameter(torch.tensor(radius))

    def forward(self, x):
        return (measure_rg(x) - self.radius).square()


@pytest.mark.parametrize(
    "make",
    [
        make_closure,
        make_default,
        Learned,
        lambda radius: Learned(radius).forward,
        lambda radius: functools.partial(prefer, radius=radius),
        lambda radius: make_closure(torch.full((3,), radius)),
        lambda radius: make_closure({"rg": [np.float32(radius)]}),
    ],
)
def test_a_function_is_known_by_what_it_carries(make):
    nine, again, fourteen = (UserPotential(make(radius)).describe() for radius in (9.0, 9.0, 14.0))
    assert nine == again
    assert nine != fourteen
    assert json.loads(json.dumps(nine)) == nine


def test_a_function_is_known_by_what_it_reads_of_its_module(monkeypatch):
    before = UserPotential(prefer_30).describe()
    monkeypatch.setattr(f"{__name__}.measure_rg", lambda x: x[:, 0, 0, 0])
    assert UserPotential(prefer_30).describe() != before
    before = UserPotential(prefer_target).describe()
    monkeypatch.setattr(f"{__name__}.TARGET", torch.tensor(14.0))
    assert UserPotential(prefer_target).describe() != before


def test_a_function_that_was_typed_in_is_known_by_its_code():
    def type_in(radius):
        typed = {"__name__": "typed_in"}
        exec(f"def energy(x): return (x.mean((1, 2, 3)) - {radius}).square()", typed)
        exec(f"class Own:\n def __call__(self, x): return x.mean((1, 2, 3)) - {radius}", typed)
        return [UserPotential(one).describe() for one in (typed["energy"], typed["Own"]())]

    for nine, again, fourteen in zip(type_in(9.0), type_in(9.0), type_in(14.0), strict=True):
        assert nine == again
        assert nine != fourteen


def test_what_cannot_be_hashed_is_known_as_itself_alone(tmp_path):
    with (tmp_path / "file").open("w") as file:
        one, other = (UserPotential(make_closure(file)) for _ in range(2))
        assert one.describe() == one.describe()
        assert one.describe() != other.describe()


def test_a_folder_is_not_continued_by_another_energy(designer, tmp_path):
    def run(radius, number):
        asked = UserPotential(make_closure(radius))
        task = Generation(40, 0, SamplingSettings(**FAST), conditioners=(asked,))
        return run_designs(designer, task, tmp_path, number)

    run(9.0, 1)
    assert run(9.0, 2).made == 1
    with pytest.raises(InputError, match="other settings"):
        run(14.0, 3)


def test_two_of_one_name_are_both_measured(designer):
    asked = [UserPotential(make_closure(radius)) for radius in (30.0, 31.0)]
    (record,) = designer.generate(40, conditioners=asked, **FAST).to_records()
    first, second = (value for name, value in record.items() if name.startswith("potential"))
    assert first != second


def test_it_works_in_inference_mode(designer):
    asked = UserPotential(prefer_30)
    plain = designer.generate(40, conditioners=asked, **FAST)
    with torch.inference_mode():
        inside = designer.generate(40, conditioners=UserPotential(prefer_30), **FAST)
    assert np.array_equal(inside[0].coordinates, plain[0].coordinates)


@pytest.mark.parametrize(
    ("energy", "message"),
    [
        (lambda x: x.sum(), r"gave \(\) for a batch of 2"),
        (lambda x: 1.0, "gave <class 'float'>"),
        (lambda x: x.detach().sum(dim=(1, 2, 3)), "cannot be differentiated"),
        (lambda x: TRAINED.square().expand(2), "cannot be differentiated"),
        (lambda x: x.sum().expand(2) * 1.0, "mixes designs"),
        (lambda x: 0 * x.sum(dim=(1, 2, 3)) / 0.0, "not finite"),
        (lambda x: x[:, 999, 0, 0], "IndexError"),
    ],
)
def test_what_is_no_potential_is_refused_before_sampling(designer, energy, message):
    with pytest.raises(InputError, match=message):
        designer.generate(40, conditioners=[UserPotential(energy)])


def test_what_was_refused_once_is_refused_again():
    potential = UserPotential(lambda x: x.sum())
    for _ in range(2):
        with pytest.raises(InputError, match=r"gave \(\) for a batch of 2"):
            potential.check(40)


@pytest.mark.parametrize(
    "place", ["nowhere:f", "math:nothing", "math", "math:pi", ":f", ".own:f", ""]
)
def test_places_without_a_function_are_refused(place):
    with pytest.raises(InputError, match=r"no potential|no function"):
        UserPotential(place)


def test_numbers_out_of_range_are_refused():
    for options in ({"temperature": 0.0}, {"temperature": -1.0}, {"largest_noise": 0.0}):
        with pytest.raises(InputError, match="above 0"):
            UserPotential(prefer_30, **options)

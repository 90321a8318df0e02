import inspect
import math

import pytest

from protdiff.design import SamplingSettings
from protdiff.design.batching import PADDED_TO, pad_length
from protdiff.design.samplers import (
    ADAPTIVE_SAMPLERS,
    GRID_NAMES,
    SAMPLER_NAMES,
    is_adaptive,
    make_grid,
    make_sampler,
)
from protdiff.diffusion import DDIM, DormandPrince, LinearVPSDE, LogSNRGrid, Sampler, sampler
from protdiff.errors import InputError


@pytest.mark.parametrize("name", SAMPLER_NAMES)
def test_every_name_makes_a_sampler(name):
    assert isinstance(make_sampler(name), Sampler)


@pytest.mark.parametrize(
    ("length", "steps"),
    [(30, 33), (128, 33), (129, 34), (144, 34), (145, 35), (200, 38), (256, 41), (257, 41)],
)
def test_long_chains_take_more_steps(length, steps):
    assert SamplingSettings().get_steps(length) == steps
    assert SamplingSettings().get_steps(pad_length(length, PADDED_TO)) == steps
    assert SamplingSettings(steps=7).get_steps(length) == 7


def test_names_know_without_torch_what_is_adaptive():
    adaptive = {name for name in SAMPLER_NAMES if make_sampler(name).adaptive}
    assert adaptive == set(ADAPTIVE_SAMPLERS) == set(filter(is_adaptive, SAMPLER_NAMES))


OWN = """
from protdiff.diffusion import DDIM, DormandPrince, LogSNRGrid

class Own(DDIM): pass
class Patient(DormandPrince): pass
half = DDIM(eta=0.5)
grid = LogSNRGrid(noise_ratio_max=30.0)
class Wanting(DDIM):
    def __init__(self, eta): pass
"""


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    (tmp_path / "samplers_of_ones_own.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    return "samplers_of_ones_own"


def test_samplers_and_grids_of_ones_own_are_named_by_their_place(own_module, designer):
    settings = SamplingSettings(sampler=f"{own_module}:half", grid=f"{own_module}:grid", steps=3)
    found = make_sampler(settings.sampler)
    assert isinstance(found, DDIM)
    assert found.eta == 0.5
    assert make_grid(settings.grid) == LogSNRGrid(noise_ratio_max=30.0)
    assert isinstance(make_sampler(f"{own_module}:Own"), DDIM)
    # One without noise is the named one, designs and all.
    ours, named = (
        designer.generate(length=30, sampler=name, steps=3, excluded_volume=False)[0]
        for name in (f"{own_module}:Own", "ddim")
    )
    assert (ours.coordinates == named.coordinates).all()
    # An adaptive one is known for what it is.
    patient = SamplingSettings(sampler=f"{own_module}:Patient")
    assert isinstance(make_sampler(patient.sampler), DormandPrince)
    assert not patient.self_conditioned
    assert settings.self_conditioned


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sampler": "nowhere_at_all:Own"}, "No module named 'nowhere_at_all'"),
        ({"sampler": "{}:Missing"}, "Missing"),
        ({"sampler": "{}:Wanting"}, "cannot be made .*missing 1 required positional argument"),
        ({"sampler": "{}:grid"}, "is no sampler; give a Sampler"),
        ({"sampler": "os:getcwd"}, "is no sampler"),
        ({"sampler": ":"}, "there is no sampler ':'"),
        ({"sampler": ".own:Own"}, "there is no sampler '.own:Own'"),
        ({"grid": "{}:half"}, "is no time grid; give a TimeGrid"),
    ],
)
def test_places_where_there_is_none_are_refused(settings, message, own_module):
    ((key, place),) = settings.items()
    with pytest.raises(InputError, match=message):
        SamplingSettings(**{key: place.format(own_module)})


def test_every_sampler_has_a_name():
    # Langevin dynamics stays at one noise level, and what goes around another takes its steps: none
    # of them makes anything on its own.
    without = {sampler.Langevin, sampler.SamplerAround, sampler.Restart}
    classes = {
        kind
        for _, kind in inspect.getmembers(sampler, inspect.isclass)
        if issubclass(kind, Sampler) and not inspect.isabstract(kind)
    }
    assert {type(make_sampler(name)) for name in SAMPLER_NAMES} == classes - without


@pytest.mark.parametrize("length", [30, 128, 129, 200, 256, 512])
def test_long_chains_begin_at_more_noise_by_the_square_of_their_size(length):
    sde = LinearVPSDE()
    larger = max(1.0, (-(-length // 16) * 16 / 128) ** 0.76)
    for name, first in {"karras": 10.0, "coarse": 5.0}.items():
        times = make_grid(name, length)(sde, 10)
        assert float(sde.noise_ratio(times[0])) == pytest.approx(first * larger, rel=1e-6)
        padded = make_grid(name, pad_length(length, PADDED_TO))(sde, 10)
        assert (times == padded).all()
        last = make_grid(name)(sde, 10)[-1]
        assert times[-1] == last
    for name in set(GRID_NAMES) - {"karras", "coarse"}:
        assert (make_grid(name, length)(sde, 10) == make_grid(name)(sde, 10)).all()


@pytest.mark.parametrize("name", GRID_NAMES)
def test_every_grid_decreases(name):
    times = make_grid(name)(LinearVPSDE(), 10)
    assert len(times) == 11
    assert (times[1:] < times[:-1]).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sampler": "huen"}, "did you mean 'heun'"),
        ({"grid": "log"}, "there is no time grid 'log'"),
        ({"steps": 0}, "steps is 0"),
        ({"temperature": -0.1}, "temperature is -0.1"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"step_scale": 0.0}, "step scale is 0.0"),
        ({"autoguidance": -0.1}, "autoguidance is -0.1; give a number from 0 to 10"),
        ({"autoguidance": 10.1}, "autoguidance is 10.1"),
        ({"autoguidance": math.nan}, "autoguidance is nan"),
        ({"autoguidance": "2"}, "autoguidance is '2'; give a number"),
        ({"steps": 5.0}, "steps is 5.0; give a whole number"),
        ({"temperature": None}, "temperature is None; give a number"),
        ({"step_scale": "1.8"}, "step scale is '1.8'; give a number"),
        ({"restarts": 1.0}, "restarts is 1.0; give a whole number"),
        ({"restarts": -1}, "restarts is -1"),
        ({"restarts": 101}, "restarts is 101"),
        ({"handedness": "R"}, "give L or D"),
    ],
)
def test_wrong_choices_are_refused_by_name(settings, message):
    with pytest.raises(InputError, match=message):
        SamplingSettings(**settings)

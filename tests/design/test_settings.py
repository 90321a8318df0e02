import inspect
import math

import pytest

from protdiff.design import SamplingSettings
from protdiff.design.samplers import (
    GRID_NAMES,
    SAMPLER_NAMES,
    make_grid,
    make_sampler,
)
from protdiff.diffusion import LinearVPSDE, Sampler, sampler
from protdiff.errors import InputError


@pytest.mark.parametrize("name", SAMPLER_NAMES)
def test_every_name_makes_a_sampler(name):
    assert isinstance(make_sampler(name), Sampler)


def test_every_sampler_has_a_name():
    # Langevin dynamics stays at one noise level: it corrects, and makes nothing on its own.
    without = {sampler.Langevin}
    classes = {
        kind
        for _, kind in inspect.getmembers(sampler, inspect.isclass)
        if issubclass(kind, Sampler) and not inspect.isabstract(kind)
    }
    assert {type(make_sampler(name)) for name in SAMPLER_NAMES} == classes - without


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
        ({"handedness": "R"}, "give L or D"),
    ],
)
def test_wrong_choices_are_refused_by_name(settings, message):
    with pytest.raises(InputError, match=message):
        SamplingSettings(**settings)

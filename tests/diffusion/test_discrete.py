import math

import pytest
import torch

from protdiff.diffusion import (
    VESDE,
    CosineVPSDE,
    DDPMSchedule,
    GaussianNoise,
    LinearVPSDE,
    NoiseLadder,
    OrnsteinUhlenbeckSDE,
    SubVPSDE,
)
from protdiff.errors import InputError


def test_ddpm_becomes_the_vp_sde():
    sde, errors = LinearVPSDE(), []
    for steps in (500, 1000, 2000):
        schedule = DDPMSchedule.make_linear(steps)
        times = torch.arange(1, steps + 1, dtype=torch.float64) / steps
        errors.append(float((schedule.alpha_bars - sde.alpha(times).square()).abs().max()))
        assert schedule.make_sde() == sde
    assert math.log2(errors[0] / errors[1]) == pytest.approx(1, abs=0.1)
    assert math.log2(errors[1] / errors[2]) == pytest.approx(1, abs=0.1)


def test_the_paper_schedule_is_the_default():
    betas = DDPMSchedule.make_linear(1000).betas
    assert float(betas[0]) == pytest.approx(1e-4)
    assert float(betas[-1]) == pytest.approx(0.02)


@pytest.mark.parametrize("sde", [LinearVPSDE(), CosineVPSDE(), OrnsteinUhlenbeckSDE()])
def test_discretised_chain_has_the_marginals_of_the_sde(sde):
    schedule = DDPMSchedule.discretise(sde, 50)
    times = torch.arange(1, 51, dtype=torch.float64) / 50
    torch.testing.assert_close(schedule.alpha_bars, sde.alpha(times).square())


@pytest.mark.statistical
def test_chain_runs_to_its_marginal():
    schedule, number = DDPMSchedule.make_linear(50, beta_max=5.0), 20_000
    x_0 = torch.full((number, 1), 2.0).double()
    x = schedule.run(x_0, GaussianNoise(torch.Generator().manual_seed(0)))
    last = schedule.alpha_bars[-1]
    assert float(x.mean()) == pytest.approx(float(2 * last.sqrt()), abs=4 / number**0.5)
    assert float(x.var()) == pytest.approx(float(1 - last), abs=4 * math.sqrt(2 / number))


def test_ladder_is_the_ve_sde():
    """σ_i² and σ_t² differ by the constant σ_min² that the ladder starts with, and nothing else."""
    ladder = NoiseLadder(0.01, 50.0, levels=7)
    sde = ladder.make_sde()
    assert sde == VESDE(0.01, 50.0)
    times = torch.linspace(0, 1, 7, dtype=torch.float64)
    torch.testing.assert_close(
        ladder.sigmas.square(), sde.sigma(times).square() + 1e-4, rtol=1e-12, atol=1e-14
    )
    ratios = ladder.sigmas[1:] / ladder.sigmas[:-1]
    torch.testing.assert_close(ratios, ratios[:1].expand(6))
    found = sde.noise_ratio(ladder.find_times(sde))
    torch.testing.assert_close(found, ladder.sigmas.flip(0), rtol=1e-6, atol=0)


@pytest.mark.parametrize("sde", [LinearVPSDE(), VESDE()], ids=str)
def test_a_step_of_the_chain_is_a_time(sde):
    """That at which data are drowned as deep, in any SDE; in its own as good as i/N."""
    schedule = DDPMSchedule.make_linear(1000)
    squared = (1 - schedule.alpha_bars) / schedule.alpha_bars
    times = schedule.find_times(sde)
    deep = squared.sqrt() > sde.noise_ratio_max
    expected = squared.sqrt().clamp(max=sde.noise_ratio_max)
    torch.testing.assert_close(sde.noise_ratio(times), expected, rtol=1e-6, atol=0)
    assert (times[deep] == 1).all()
    own = DDPMSchedule.discretise(LinearVPSDE(), 1000).find_times(LinearVPSDE())
    torch.testing.assert_close(own, torch.arange(1, 1001).double() / 1000)


@pytest.mark.parametrize(
    "make",
    [
        lambda: DDPMSchedule(torch.tensor([0.1, 1.2])),
        lambda: DDPMSchedule(torch.tensor(0.1)),
        lambda: DDPMSchedule.make_linear(10),  # β of 2, an SDE's steps that are too long
        lambda: DDPMSchedule.make_linear(0),
        lambda: DDPMSchedule.discretise(LinearVPSDE(), 0),
    ],
)
def test_impossible_chains_are_refused(make):
    with pytest.raises(InputError, match="no DDPM schedule"):
        make()


def test_impossible_schedules_are_refused():
    with pytest.raises(InputError):
        NoiseLadder(levels=1)
    for ends in ((0.0, 1.0), (2.0, 1.0)):
        with pytest.raises(InputError, match="no ladder"):
            NoiseLadder(*ends)


@pytest.mark.parametrize(
    "sde",
    [
        SubVPSDE(),
        VESDE(),
        OrnsteinUhlenbeckSDE(3.0, diffusion=1.0),
        OrnsteinUhlenbeckSDE(centre=0.5),
    ],
    ids=str,
)
def test_what_does_not_preserve_variance_is_no_chain(sde):
    with pytest.raises(InputError, match="preserves variance"):
        DDPMSchedule.discretise(sde, 100)


def test_only_a_line_becomes_the_linear_sde():
    single = DDPMSchedule(torch.linspace(1e-4, 0.02, 1000))
    assert single.make_sde().beta_max == pytest.approx(20, rel=1e-6)
    for betas in (
        DDPMSchedule.discretise(CosineVPSDE(), 1000).betas,
        DDPMSchedule.discretise(LinearVPSDE(), 100).betas,
        torch.linspace(1e-2, 0.14, 1000).square(),
    ):
        with pytest.raises(InputError, match="line"):
            DDPMSchedule(betas).make_sde()

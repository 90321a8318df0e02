"""Restart: the way back has the forward law, and what was wrong is partly forgotten."""

import itertools

import pytest
import torch

from protdiff.diffusion import (
    BrownianSDE,
    DPMSolverPP2M,
    FunctionDenoiser,
    GaussianDenoiser,
    GaussianNoise,
    HeunODE,
    KarrasGrid,
    LinearVPSDE,
    PerSampleNoise,
    Restart,
    ScaledScore,
    SDEDPMSolverPP2M,
    draw_prior,
)
from protdiff.diffusion.guidance import RePaint, Replacement
from protdiff.errors import InputError

SDE = LinearVPSDE()
MEAN = torch.tensor([1.0, -0.5]).double()
COVARIANCE = torch.tensor([[0.5, 0.2], [0.2, 1.0]]).double()
DENOISER = GaussianDenoiser(SDE, MEAN, COVARIANCE)
FROM = 1.0


def make_times(steps, sde=SDE):
    return KarrasGrid(noise_ratio_min=0.02, noise_ratio_max=20.0)(sde, steps)


def sample(sampler, x_T, steps=40, seed=0, **options):
    noise = GaussianNoise(torch.Generator().manual_seed(seed))
    return sampler(DENOISER, x_T, make_times(steps), noise=noise, **options)


def draw(count, seed=1):
    noise = GaussianNoise(torch.Generator().manual_seed(seed))
    return draw_prior(SDE, noise, torch.zeros(count, 2).double())


@pytest.mark.parametrize("inner", [HeunODE(), SDEDPMSolverPP2M()])
def test_the_law_of_the_data_is_kept(inner):
    """Mean and covariance of 40,000 samples, within four standard errors and what steps err."""
    x = sample(Restart(inner, FROM, restarts=3), draw(40_000), 60, final_denoise=False)
    assert (x.mean(0) - MEAN).abs().max() < 0.03
    assert (x.T.cov() - COVARIANCE).abs().max() < 0.04


def test_a_wrong_start_is_forgotten_restart_by_restart():
    """The solver of an ODE carries an error to its end; each restart forgets a share of it."""
    wrong = draw(4_000) + 6.0 * SDE.sigma(make_times(40)[0])
    errors = [
        float((sample(Restart(HeunODE(), FROM, restarts=count), wrong).mean(0) - MEAN).norm())
        for count in range(5)
    ]
    ratios = [after / before for before, after in itertools.pairwise(errors)]
    assert errors[0] > 1.0
    # The flow from noise k to a Gaussian of variance v shrinks by (v / (v + k²))^½ along an axis.
    variance = torch.linalg.eigvalsh(COVARIANCE)
    left = (variance / (variance + FROM**2)).sqrt()
    for ratio in ratios[:3]:
        assert float(left.min()) - 0.06 < ratio < float(left.max()) + 0.06


def test_no_restart_is_the_sampler_alone():
    x_T, plain = draw(5), sample(SDEDPMSolverPP2M(), draw(5))
    assert torch.equal(sample(Restart(SDEDPMSolverPP2M(), FROM, restarts=0), x_T), plain)
    # Nothing of the way is below the one, and all of it below the other.
    for noise_ratio in (1e-3, 1e3):
        assert torch.equal(sample(Restart(SDEDPMSolverPP2M(), noise_ratio), x_T), plain)


@pytest.mark.parametrize("inner", [HeunODE(), SDEDPMSolverPP2M()])
def test_steps_and_evaluations_are_counted_on(inner):
    calls, infos = [], []
    denoiser = FunctionDenoiser(SDE, lambda x_t, t: calls.append(float(t)) or x_t / 2)
    sampler, times = Restart(inner, FROM, restarts=2), make_times(12)
    noise = PerSampleNoise([torch.Generator().manual_seed(0)])
    x_T = torch.randn(1, 3)
    x_0 = sampler(denoiser, x_T, times, noise=noise, callback=infos.append)
    stretches = sampler.list_stretches(SDE, times)
    assert [info.index for info in infos] == list(range(sum(map(len, stretches))))
    steps = sum(len(stretch) - 1 for stretch in stretches)
    assert infos[-1].evaluations == len(calls) == steps * inner.evaluations_per_step + 3
    assert torch.equal(infos[-1].denoised, x_0)
    expected = [float(t) for stretch in stretches for t in stretch]
    assert [float(info.t) for info in infos] == pytest.approx(expected)
    assert (SDE.noise_ratio(stretches[1]) <= FROM).all()
    assert SDE.noise_ratio(times[len(times) - len(stretches[1]) - 1]) > FROM


def test_noise_that_is_put_back_is_its_own_where_it_is_given():
    """The steps' noise may be scaled down; the state still has to hold what the network is told."""
    still = PerSampleNoise([torch.Generator().manual_seed(0)])
    states = []
    oracle = FunctionDenoiser(SDE, lambda x_t, t: torch.zeros_like(x_t))
    full = GaussianNoise(torch.Generator().manual_seed(2))
    sampler = Restart(HeunODE(), FROM, noise=full)
    sampler(oracle, torch.zeros(1, 20_000), make_times(20), noise=still, callback=states.append)
    first = sampler.list_stretches(SDE, make_times(20))[1][0]
    (back,) = [info for info in states[1:] if info.t == first and info.x_t.any()]
    assert float(back.x_t.std()) == pytest.approx(float(SDE.sigma(first)), rel=0.03)


def test_what_a_last_step_overshot_is_not_taken_along():
    """The state at the end may be far off where its posterior mean is not."""
    denoiser = FunctionDenoiser(SDE, lambda x_t, t: torch.zeros_like(x_t))
    sharpened = ScaledScore(denoiser, 40.0)  # each long step leaves the state further out
    sampler = Restart(HeunODE(), FROM, restarts=20)
    noise = GaussianNoise(torch.Generator().manual_seed(5))
    states = []
    sampler(sharpened, draw(10), make_times(4), noise=noise, callback=states.append)
    again = sampler.list_stretches(SDE, make_times(4))[1]
    starts = [float(info.x_t.std()) for info in states if info.t == again[0]][1:]
    assert len(starts) == 20
    assert starts == pytest.approx([float(SDE.sigma(again[0]))] * 20, rel=0.6)


def test_the_shift_of_the_wind_moves_nothing():
    results = []
    for velocity in (0.0, 7.0):
        sde = BrownianSDE(drift_velocity=velocity, diffusion=20.0)
        denoiser = GaussianDenoiser(sde, MEAN, COVARIANCE)
        noise = PerSampleNoise([torch.Generator().manual_seed(4)])
        x_T = draw_prior(sde, noise, torch.zeros(1, 2, dtype=torch.float64))
        sampler = Restart(DPMSolverPP2M(), FROM)
        results.append(sampler(denoiser, x_T, make_times(20, sde), noise=noise))
    torch.testing.assert_close(results[0], results[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("wrap", [Replacement, RePaint])
def test_restarts_go_around_what_takes_steps_and_not_within(wrap):
    """Within, nobody would call them."""
    mask, known = torch.tensor([True, False]), torch.tensor([0.7, 0.0]).double()
    pinned = wrap(SDEDPMSolverPP2M(), mask, known)
    infos = []
    x = sample(Restart(pinned, FROM), draw(3), 12, callback=infos.append)
    assert len(infos) > 13
    assert (x[:, 0] == known[0]).all()
    with pytest.raises(InputError, match="put Restart outermost"):
        wrap(Restart(SDEDPMSolverPP2M(), FROM), mask, known)


def test_a_budget_of_restarts_is_left_to_the_grid():
    inner = HeunODE()
    assert Restart(inner, FROM, restarts=0).count_steps(41) == inner.count_steps(41) == 20
    with pytest.raises(InputError, match="list_stretches"):
        Restart(inner, FROM).count_steps(41)


@pytest.mark.parametrize(("noise_ratio", "restarts"), [(0.0, 1), (float("nan"), 1), (1.0, -1)])
def test_impossible_parameters_are_refused(noise_ratio, restarts):
    with pytest.raises(InputError, match="restarts from a noise ratio"):
        Restart(HeunODE(), noise_ratio, restarts=restarts)

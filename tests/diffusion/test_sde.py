import math

import pytest
import torch

from protdiff.diffusion import (
    VESDE,
    BrownianSDE,
    CosineVPSDE,
    GaussianNoise,
    LinearSDE,
    LinearVPSDE,
    OrnsteinUhlenbeckSDE,
    SubVPSDE,
    simulate,
)
from protdiff.errors import InputError

ALL = [
    LinearVPSDE(),
    LinearVPSDE(beta_min=1.0, beta_max=5.0),
    CosineVPSDE(),
    CosineVPSDE(offset=0.0, final_noise_ratio=30.0),
    SubVPSDE(),
    VESDE(),
    OrnsteinUhlenbeckSDE(),
    OrnsteinUhlenbeckSDE(rate=2.0, diffusion=3.0, centre=1.5),
    BrownianSDE(drift_velocity=-2.5, diffusion=20.5),
    LinearSDE(lambda t: -(1 + t), lambda t: 1 + t.cos()),
]
EVERY = pytest.mark.parametrize("sde", ALL, ids=lambda sde: type(sde).__name__)


def times(number=9):
    return torch.linspace(0.01, 0.99, number, dtype=torch.float64)


def differentiate(function, t, step=1e-6):
    return (function(t + step) - function(t - step)) / (2 * step)


@EVERY
def test_log_alpha_is_the_integral_of_the_drift(sde):
    torch.testing.assert_close(
        differentiate(sde.log_alpha, times()),
        sde.drift_coefficient(times()),
        rtol=1e-6,
        atol=1e-7,
    )
    assert abs(float(sde.log_alpha(torch.tensor(0.0).double()))) < 1e-15


@EVERY
def test_noise_ratio_grows_by_the_diffusion(sde):
    growth = differentiate(lambda t: sde.noise_ratio(t).square(), times())
    expected = (sde.diffusion_coefficient(times()) / sde.alpha(times())).square()
    torch.testing.assert_close(growth, expected, rtol=1e-6, atol=1e-9)
    assert float(sde.noise_ratio(torch.tensor(0.0).double())) == 0


@EVERY
def test_shift_follows_the_drift(sde):
    expected = sde.drift_coefficient(times()) * sde.shift(times()) + sde.drift_bias(times())
    torch.testing.assert_close(differentiate(sde.shift, times()), expected, rtol=1e-6, atol=1e-7)


@EVERY
@pytest.mark.parametrize("exponent", [-6, -3, -1])
def test_time_of_noise_ratio_is_the_inverse(sde, exponent):
    t = torch.cat([times(), torch.tensor([10.0**exponent, 1.0])]).double()
    found = sde.time_of_noise_ratio(sde.noise_ratio(t))
    torch.testing.assert_close(found, t, rtol=1e-9, atol=1e-14)
    torch.testing.assert_close(sde.time_of_log_snr(sde.log_snr(t)), t, rtol=1e-9, atol=1e-14)


@EVERY
@pytest.mark.parametrize("t", [1e-7, 1e-4, 0.3, 1.0])
def test_single_precision_loses_nothing_near_zero(sde, t):
    single = torch.tensor([t], dtype=torch.float32)
    exact = single.double()
    # A few roundings of the argument, multiplied by how steeply the ratio depends on it at most.
    torch.testing.assert_close(
        sde.noise_ratio(single).double(), sde.noise_ratio(exact), rtol=3e-5, atol=0
    )
    assert sde.noise_ratio(single).dtype == torch.float32


@pytest.mark.parametrize("sde", [LinearVPSDE(), CosineVPSDE(), OrnsteinUhlenbeckSDE()])
def test_variance_preserving(sde):
    total = sde.alpha(times()).square() + sde.sigma(times()).square()
    torch.testing.assert_close(total, torch.ones_like(total), rtol=1e-12, atol=0)
    assert sde.prior_sigma == pytest.approx(1, rel=1e-12)


def test_cosine_schedule_is_the_papers():
    """Where the prior's noise is as good as infinite, time is the paper's: ᾱ = f(t) / f(0)."""
    offset, t = 0.008, times()
    squared = torch.cos((t + offset) / (1 + offset) * math.pi / 2).square()
    squared = squared / math.cos(offset / (1 + offset) * math.pi / 2) ** 2
    found = CosineVPSDE(offset, final_noise_ratio=1e7).alpha(t).square()
    torch.testing.assert_close(found, squared, rtol=1e-4, atol=0)


def test_sub_vp_has_less_noise_than_vp():
    assert (SubVPSDE().sigma(times()) < LinearVPSDE().sigma(times())).all()
    torch.testing.assert_close(
        SubVPSDE().sigma(times()), LinearVPSDE().sigma(times()).square(), rtol=1e-10, atol=0
    )


def test_quadrature_finds_the_closed_form():
    exact = LinearVPSDE()
    found = LinearSDE(exact.drift_coefficient, exact.diffusion_coefficient)
    t = torch.cat([torch.tensor([0.0, 1e-8, 1.0]).double(), times(100)])
    torch.testing.assert_close(found.log_alpha(t), exact.log_alpha(t), rtol=1e-11, atol=1e-14)
    torch.testing.assert_close(found.noise_ratio(t), exact.noise_ratio(t), rtol=1e-9, atol=0)
    k = exact.noise_ratio(t[1:])
    torch.testing.assert_close(found.time_of_noise_ratio(k), t[1:], rtol=1e-7, atol=1e-15)


@EVERY
def test_transitions_compose(sde):
    s, u, t = torch.tensor([0.2, 0.5, 0.9]).double()
    first, last, whole = sde.transition(s, u), sde.transition(u, t), sde.transition(s, t)
    torch.testing.assert_close(first.scale * last.scale, whole.scale)
    torch.testing.assert_close(
        (last.scale * first.sigma).square() + last.sigma.square(), whole.sigma.square()
    )
    start = sde.transition(torch.tensor(0.0).double(), t)
    torch.testing.assert_close(start.sigma, sde.sigma(t))


@EVERY
def test_bridge_is_bayes_rule(sde):
    """q(x_s | x_0) q(x_t | x_s) = q(x_s | x_0, x_t) q(x_t | x_0): precisions add."""
    s, t = torch.tensor([0.3, 0.8]).double()
    step, bridge = sde.transition(s, t), sde.bridge(t, s)
    precision = sde.sigma(s) ** -2 + (step.scale / step.sigma).square()
    torch.testing.assert_close(bridge.sigma, precision.rsqrt())
    torch.testing.assert_close(bridge.weight_0, sde.alpha(s) / sde.sigma(s) ** 2 / precision)
    torch.testing.assert_close(bridge.weight_t, step.scale / step.sigma**2 / precision)


@EVERY
def test_perturb_broadcasts_over_the_batch(sde):
    x_0, noise = torch.randn(2, 4, 5, 3, generator=torch.Generator().manual_seed(0))
    t = torch.tensor([0.1, 0.2, 0.5, 0.9])
    together = sde.perturb(x_0, t, noise)
    assert together.dtype == torch.float32
    for i in range(4):
        alone = sde.perturb(x_0[i : i + 1], t[i], noise[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone)
        expected = sde.alpha(t[i]) * x_0[i] + sde.shift(t[i]) + sde.sigma(t[i]) * noise[i]
        torch.testing.assert_close(together[i], expected)


@pytest.mark.statistical
@EVERY
def test_simulation_agrees_with_the_kernel(sde):
    number, noise = 20_000, GaussianNoise(torch.Generator().manual_seed(1))
    x_0 = torch.full((number, 1), 0.7, dtype=torch.float64)
    grid = torch.linspace(0, 0.8, 161, dtype=torch.float64)
    path = simulate(sde, x_0, grid, noise)
    for index in (40, 160):
        t, x_t = grid[index], path[index]
        sigma, mean = sde.sigma(t), sde.mean(x_0[:1], t)
        # Four standard errors, and the bias of a first-order scheme at these steps.
        assert abs(float((x_t.mean() - mean) / sigma)) < 4 / math.sqrt(number) + 0.004
        assert float(x_t.std() / sigma) == pytest.approx(1, abs=4 / math.sqrt(2 * number) + 0.01)


@pytest.mark.statistical
def test_stationary_law_does_not_depend_on_the_start():
    sde = OrnsteinUhlenbeckSDE(rate=8.0, diffusion=2.0, centre=-1.0)
    grid = torch.linspace(0, 1, 101, dtype=torch.float64)
    noise = GaussianNoise(torch.Generator().manual_seed(2))
    for start in (-5.0, 5.0):
        x = simulate(sde, torch.full((20_000, 1), start).double(), grid, noise)[-1]
        standard_error = (sde.stationary_variance / 20_000) ** 0.5
        assert float(x.mean()) == pytest.approx(-1, abs=4 * standard_error + 6 * math.exp(-8))
        assert float(x.var()) == pytest.approx(sde.stationary_variance, rel=0.05)


def test_diffusion_is_what_was_given_and_the_end_its_stationary_law():
    sde, t = OrnsteinUhlenbeckSDE(rate=40.0, diffusion=3.0), times()
    torch.testing.assert_close(sde.diffusion_coefficient(t), torch.full_like(t, 3.0))
    assert sde.stationary_variance == pytest.approx(3.0**2 / (2 * 40), rel=1e-12)
    end = float(sde.sigma(torch.tensor(1.0).double()) ** 2)
    assert end == pytest.approx(sde.stationary_variance, rel=1e-12)


def test_brownian_motion_drifts():
    sde = BrownianSDE(drift_velocity=3.0, diffusion=2.0)
    t = torch.tensor(0.25).double()
    assert float(sde.mean(torch.zeros(1, 1), t)) == pytest.approx(0.75)
    assert float(sde.sigma(t)) == pytest.approx(1.0)
    torch.testing.assert_close(sde.drift(torch.randn(3, 2), t), torch.full((3, 2), 3.0))


@pytest.mark.parametrize(
    "make",
    [
        lambda: LinearVPSDE(beta_min=2, beta_max=1),
        lambda: SubVPSDE(beta_min=0),
        lambda: CosineVPSDE(offset=-1),
        lambda: VESDE(sigma_min=0),
        lambda: OrnsteinUhlenbeckSDE(rate=0),
        lambda: BrownianSDE(diffusion=0),
        lambda: BrownianSDE(diffusion=math.nan),
        lambda: BrownianSDE(drift_velocity=torch.ones(3)),
        lambda: OrnsteinUhlenbeckSDE(rate=math.nan),
        lambda: OrnsteinUhlenbeckSDE(centre=[1.0, 2.0]),
        lambda: OrnsteinUhlenbeckSDE(diffusion=math.inf),
        lambda: CosineVPSDE(offset=math.nan),
        lambda: VESDE(sigma_max=math.inf),
        lambda: LinearVPSDE(beta_max=math.inf),
    ],
)
def test_impossible_parameters_are_refused(make):
    with pytest.raises(InputError):
        make()


@EVERY
def test_a_whole_number_is_a_time(sde):
    """Coefficients at t = 1 are those at t = 1.0, not their whole parts."""
    for name in ("drift_coefficient", "diffusion_coefficient", "drift_bias", "shift", "alpha"):
        function = getattr(sde, name)
        found, expected = function(torch.tensor(1)), function(torch.tensor(1.0))
        torch.testing.assert_close(found, expected, check_dtype=False)
    found, expected = (sde.time_of_noise_ratio(torch.tensor(k)) for k in (1, 1.0))
    torch.testing.assert_close(found, expected, check_dtype=False)


@EVERY
def test_coefficients_are_differentiable_in_time(sde):
    t = times().requires_grad_()
    (rate,) = torch.autograd.grad((sde.log_alpha(t) + 0 * t).sum(), t)
    torch.testing.assert_close(rate, sde.drift_coefficient(times()))
    (growth,) = torch.autograd.grad(sde.noise_ratio(t).square().sum(), t)
    expected = (sde.diffusion_coefficient(times()) / sde.alpha(times())).square()
    torch.testing.assert_close(growth, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("times", [[0.5, 0.1], [0.5, math.nan], [-0.1, 0.5], [0.5, 1.5], [[0.1]]])
def test_the_process_is_simulated_forwards(times):
    with pytest.raises(InputError, match="times"):
        simulate(LinearVPSDE(), torch.zeros(2, 3), torch.tensor(times), GaussianNoise())

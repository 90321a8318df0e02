"""The declared order of every sampler is its measured order.

No Monte Carlo is needed. For Gaussian data every step is a linear map of the state and the noise,
so a whole run maps (x_T, ξ_1, ξ_2, ...) linearly to x_0. Each of these is here a basis vector, the
result is the vector of its coefficients, and the variance of the sampled law is its squared norm,
to rounding.
"""

import functools
import math

import pytest
import torch

from protdiff.diffusion import (
    DDIM,
    VESDE,
    AnnealedLangevin,
    ConstantGrid,
    CosineVPSDE,
    DormandPrince,
    DPMSolverPP2M,
    EulerMaruyama,
    EulerODE,
    ExponentialSDE,
    FunctionDenoiser,
    GaussianNoise,
    HeunODE,
    KarrasGrid,
    Langevin,
    LinearVPSDE,
    LogSNRGrid,
    MixtureDenoiser,
    Noise,
    PredictorCorrector,
    SDEDPMSolverPP2M,
    StochasticHeun,
    SubVPSDE,
    UniformGrid,
)

VARIANCES = torch.tensor([0.04, 0.5, 2.0]).double()
STOCHASTIC = [
    EulerMaruyama(),
    ExponentialSDE(),
    ExponentialSDE(stochasticity=0.5),
    ExponentialSDE(stochasticity=1.5),
    StochasticHeun(churn=0.5),
    StochasticHeun(churn=1.5),
    DDIM(eta=0.5),
    DDIM(eta=1.0),
    SDEDPMSolverPP2M(),
    PredictorCorrector(),
    PredictorCorrector(corrections=2, strength=0.5),
]
DETERMINISTIC = [EulerODE(), HeunODE(), DDIM(), DPMSolverPP2M()]
SDES = [LinearVPSDE(), CosineVPSDE(), SubVPSDE(), VESDE()]


class BasisNoise(Noise):
    """The i-th draw is the i-th basis vector."""

    def __init__(self):
        self.drawn = 0

    def __call__(self, like):
        self.drawn += 1
        noise = torch.zeros_like(like)
        noise[:, self.drawn] = 1
        return noise


def make_gaussian(sde, variances):
    def denoise(x_t, t):
        shrink = variances / (variances + sde.noise_ratio(t).square())
        return shrink[:, None] / sde.alpha(t) * x_t

    return FunctionDenoiser(sde, denoise)


def measure_error(sampler, sde, times):
    """Give the error of the log of each variance at the last time."""
    first, last = times[0], times[-1]
    draws = len(times) * (1 + getattr(sampler, "corrections", 0))
    x_T = torch.zeros(len(VARIANCES), draws, dtype=torch.float64)
    x_T[:, 0] = (sde.alpha(first) ** 2 * VARIANCES + sde.sigma(first) ** 2).sqrt()
    denoiser = make_gaussian(sde, VARIANCES)
    x = sampler(denoiser, x_T, times, noise=BasisNoise(), final_denoise=False)
    exact = sde.alpha(last) ** 2 * VARIANCES + sde.sigma(last) ** 2
    return (x.square().sum(1) / exact).log()


def name(value):
    return type(value).__name__


@pytest.mark.parametrize("sde", SDES, ids=name)
@pytest.mark.parametrize("sampler", STOCHASTIC + DETERMINISTIC, ids=name)
def test_order_of_the_sampled_law(sampler, sde):
    # Time is the natural variable of the two Euler rules, log k that of the others.
    grid = UniformGrid(t_min=0.2) if name(sampler).startswith("Euler") else LogSNRGrid()
    steps = (250, 500) if sampler.order == 1 else (100, 200)
    coarse, fine = (measure_error(sampler, sde, grid(sde, n)).abs().max() for n in steps)
    assert math.log2(coarse / fine) == pytest.approx(sampler.order, abs=0.1)
    assert fine < (0.1 if sampler.order == 1 else 0.02)


@pytest.mark.parametrize("sampler", [*STOCHASTIC[1:], HeunODE(), DPMSolverPP2M()], ids=name)
def test_order_on_a_karras_grid(sampler):
    sde, grid = LinearVPSDE(), KarrasGrid()
    steps = (200, 400) if sampler.order == 1 else (100, 200)
    coarse, fine = (measure_error(sampler, sde, grid(sde, n)).abs().max() for n in steps)
    assert math.log2(coarse / fine) == pytest.approx(sampler.order, abs=0.1)


def make_bimodal(sde):
    return MixtureDenoiser(
        sde,
        torch.tensor([0.3, 0.7]).double(),
        torch.tensor([[-1.0], [1.0]]).double(),
        torch.tensor([0.1, 0.05]).double().reshape(2, 1, 1),
    )


START = torch.tensor([[-1.5], [-0.6], [0.2], [0.9]]).double()


@functools.cache
def find_exact_flow():
    """Solve the flow of the bimodal mixture to a tolerance far below every error measured."""
    sde = LinearVPSDE()
    times = UniformGrid(t_min=0.05)(sde, 1)
    solver = DormandPrince(rtol=1e-10, atol=1e-10)
    return solver(make_bimodal(sde), START, times, noise=GaussianNoise(), final_denoise=False)


@pytest.mark.parametrize("sampler", DETERMINISTIC, ids=name)
def test_order_on_a_nonlinear_flow(sampler):
    sde = LinearVPSDE()
    mixture, noise = make_bimodal(sde), GaussianNoise()

    def run(sampler, times):
        return sampler(mixture, START, times, noise=noise, final_denoise=False)

    exact = find_exact_flow()
    uniform = isinstance(sampler, EulerODE)
    smallest = float(sde.noise_ratio(torch.tensor(0.05).double()))
    grid = UniformGrid(t_min=0.05) if uniform else LogSNRGrid(noise_ratio_min=smallest)
    coarse, fine = ((run(sampler, grid(sde, n)) - exact).abs().max() for n in (400, 800))
    assert math.log2(coarse / fine) == pytest.approx(sampler.order, abs=0.2)


def test_dormand_prince_earns_its_order():
    """An adaptive fifth-order rule divides its error by about 2⁵ when it takes twice the steps."""
    sde, noise = LinearVPSDE(), GaussianNoise()
    mixture, tolerances, results = make_bimodal(sde), (1e-4, 1e-6, 1e-8), []
    for tolerance in tolerances:
        taken = []
        x = DormandPrince(rtol=tolerance, atol=tolerance)(
            mixture,
            START,
            UniformGrid(t_min=0.05)(sde, 1),
            noise=noise,
            callback=lambda info, taken=taken: taken.append(info.evaluations),
            final_denoise=False,
        )
        results.append((float((x - find_exact_flow()).abs().max()), taken[-1]))
    for (error, taken), tolerance in zip(results, tolerances, strict=True):
        assert error < 300 * tolerance
        assert taken < 2000
    (coarse, few), (fine, many) = results[-2], results[-1]
    assert math.log(coarse / fine) / math.log(many / few) == pytest.approx(5, abs=1)


def test_ancestral_step_is_the_bridge():
    """With η = 1 both DDIM and the exponential integrator draw from q(x_s | x_t, x_0 = D)."""
    sde = LinearVPSDE()
    t, s = torch.tensor([0.6, 0.45]).double()
    bridge = sde.bridge(t, s)
    target = torch.tensor([[0.3, -0.2, 0.9]]).double()
    denoiser = FunctionDenoiser(sde, lambda x_t, t: target)
    x_t = torch.tensor([[0.5, 0.1, -1.0]]).double()
    for sampler in (DDIM(eta=1.0), ExponentialSDE()):
        noise = GaussianNoise(torch.Generator().manual_seed(0))
        drawn = GaussianNoise(torch.Generator().manual_seed(0))(x_t)
        x_s, _ = sampler.step(denoiser, x_t, t, s, noise=noise, previous=None)
        expected = bridge.weight_0 * target + bridge.weight_t * x_t + bridge.sigma * drawn
        torch.testing.assert_close(x_s, expected)


def test_deterministic_limits_coincide():
    sde, noise = CosineVPSDE(), GaussianNoise()
    mixture, times = make_bimodal(sde), KarrasGrid()(sde, 12)
    x_T = torch.linspace(-2, 2, 7, dtype=torch.float64)[:, None]

    def run(sampler):
        return sampler(mixture, x_T, times, noise=noise)

    torch.testing.assert_close(run(DDIM()), run(ExponentialSDE(stochasticity=0)))
    torch.testing.assert_close(run(HeunODE()), run(StochasticHeun(churn=0)))


@pytest.mark.parametrize("step_size", [0.02, 0.1])
def test_langevin_settles_at_its_known_law(step_size):
    """The variance of the chain x <- (1 - τ/v) x + √(2τ) ξ settles at v / (1 - τ/2v) exactly."""
    sde, t = LinearVPSDE(), 0.3
    time = torch.tensor(t).double()
    denoiser = make_gaussian(sde, VARIANCES)
    steps = 1500
    x_T = torch.zeros(3, steps + 2, dtype=torch.float64)
    x = Langevin(step_size)(
        denoiser, x_T, ConstantGrid(t)(sde, steps), noise=BasisNoise(), final_denoise=False
    )
    v = sde.alpha(time) ** 2 * VARIANCES + sde.sigma(time) ** 2
    tau = step_size * sde.sigma(time) ** 2
    torch.testing.assert_close(x.square().sum(1), v / (1 - tau / (2 * v)), rtol=1e-6, atol=0)


def test_annealed_langevin_is_exact_as_its_steps_shrink():
    sde, errors = VESDE(), []
    for step_size, corrections in ((0.2, 5), (0.1, 20), (0.05, 80)):
        times = LogSNRGrid()(sde, 40)
        x_T = torch.zeros(3, 40 * corrections + 2, dtype=torch.float64)
        x_T[:, 0] = sde.prior_sigma
        denoiser = make_gaussian(sde, VARIANCES)
        sampler = AnnealedLangevin(corrections, step_size)
        x = sampler(denoiser, x_T, times, noise=BasisNoise(), final_denoise=False)
        exact = VARIANCES + sde.sigma(times[-1]) ** 2
        errors.append(float((x.square().sum(1) / exact).log().abs().max()))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.08

"""Every sampler draws from the right law: correlated Gaussians and mixtures, 20,000 draws."""

import pytest
import torch

from protdiff.diffusion import (
    DDIM,
    VESDE,
    AnnealedLangevin,
    BrownianSDE,
    CosineVPSDE,
    DormandPrince,
    DPMSolverPP2M,
    EulerMaruyama,
    EulerODE,
    ExponentialSDE,
    GaussianDenoiser,
    GaussianNoise,
    HeunODE,
    KarrasGrid,
    LinearVPSDE,
    LogSNRGrid,
    MixtureDenoiser,
    OrnsteinUhlenbeckSDE,
    PredictorCorrector,
    SDEDPMSolverPP2M,
    StochasticHeun,
    SubVPSDE,
    UniformGrid,
    draw_prior,
)

NUMBER = 20_000
# Each sampler with the grid that suits it and the steps at which it is held to 5 %.
CASES = [
    (EulerMaruyama(), UniformGrid(), 300),
    (ExponentialSDE(), LogSNRGrid(), 400),
    (ExponentialSDE(stochasticity=0.5), KarrasGrid(), 200),
    (StochasticHeun(), KarrasGrid(), 80),
    (EulerODE(), UniformGrid(), 300),
    (HeunODE(), KarrasGrid(), 50),
    (DormandPrince(), UniformGrid(), 1),
    (DDIM(), KarrasGrid(), 200),
    (DDIM(eta=0.5), KarrasGrid(), 200),
    (DDIM(eta=1.0), LogSNRGrid(), 400),
    (DPMSolverPP2M(), KarrasGrid(), 40),
    (SDEDPMSolverPP2M(), KarrasGrid(), 80),
    (PredictorCorrector(), LogSNRGrid(), 400),
    (AnnealedLangevin(), LogSNRGrid(), 160),
]


def name(value):
    return type(value).__name__ if not isinstance(value, int) else str(value)


def make_covariance():
    generator = torch.Generator().manual_seed(11)
    basis, _ = torch.linalg.qr(torch.randn(4, 4, generator=generator).double())
    return (basis * torch.tensor([0.05, 0.3, 0.8, 2.0]).double()) @ basis.T


def draw(sampler, denoiser, times, like, seed=0):
    noise = GaussianNoise(torch.Generator().manual_seed(seed))
    x_T = draw_prior(denoiser.sde, noise, like)
    return sampler(denoiser, x_T, times, noise=noise)


def check_gaussian(sampler, sde, times):
    mean, covariance = torch.tensor([1.0, -0.5, 0.0, 2.0]), make_covariance()
    denoiser = GaussianDenoiser(sde, mean, covariance.float())
    x = draw(sampler, denoiser, times, torch.zeros(NUMBER, 4))
    assert x.dtype == torch.float32
    # Variances along the true eigenvectors; their Monte-Carlo error is 1 %.
    values, vectors = torch.linalg.eigh(covariance)
    found = ((x - x.mean(0)).double() @ vectors).square().mean(0)
    torch.testing.assert_close(found, values, rtol=0.05, atol=0)
    torch.testing.assert_close(torch.linalg.eigvalsh(x.double().T.cov()), values, rtol=0.05, atol=0)
    torch.testing.assert_close(x.mean(0), mean, rtol=0, atol=4 * (2 / NUMBER) ** 0.5 + 0.01)


@pytest.mark.parametrize(
    "sde",
    [LinearVPSDE(), VESDE(), BrownianSDE(3.0, 60.0), OrnsteinUhlenbeckSDE(1.0, 30.0, centre=2.0)],
    ids=name,
)
def test_a_grid_may_begin_before_the_end_of_the_process(sde):
    """The start has the width and the place that the process has there, not those of its end."""
    times = KarrasGrid(noise_ratio_max=10.0)(sde, 40)
    denoiser = GaussianDenoiser(sde, torch.zeros(4), torch.eye(4))
    noise = GaussianNoise(torch.Generator().manual_seed(2))
    x_T = draw_prior(sde, noise, torch.zeros(5000, 4), times[0])
    x = HeunODE()(denoiser, x_T, times, noise=noise)
    assert abs(float(x.std()) - 1) < 4 / 40_000**0.5 + 0.002
    assert abs(float(x.mean())) < 4 / 20_000**0.5


@pytest.mark.statistical
@pytest.mark.parametrize(("sampler", "grid", "steps"), CASES, ids=name)
def test_gaussian(sampler, grid, steps):
    sde = VESDE() if isinstance(sampler, AnnealedLangevin) else LinearVPSDE()
    check_gaussian(sampler, sde, grid(sde, steps))


@pytest.mark.statistical
@pytest.mark.parametrize(
    "sde",
    [
        CosineVPSDE(),
        SubVPSDE(),
        VESDE(),
        OrnsteinUhlenbeckSDE(centre=0.7),
        BrownianSDE(drift_velocity=3.0, diffusion=60.0),
    ],
    ids=name,
)
@pytest.mark.parametrize("sampler", [StochasticHeun(), SDEDPMSolverPP2M()], ids=name)
def test_gaussian_under_every_sde(sde, sampler):
    check_gaussian(sampler, sde, KarrasGrid()(sde, 80))


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("sampler", "grid", "steps"),
    [case for case in CASES if not isinstance(case[0], AnnealedLangevin | PredictorCorrector)],
    ids=name,
)
def test_mixture(sampler, grid, steps):
    """The weights of the components and their spreads, three well-separated peaks in a plane."""
    sde, number = LinearVPSDE(), 5_000
    weights = torch.tensor([0.2, 0.3, 0.5])
    means = torch.tensor([[-1.5, 0.0], [1.0, 1.2], [0.8, -1.0]])
    covariances = torch.tensor([0.04, 0.08, 0.06]).reshape(3, 1, 1) * torch.eye(2)
    mixture = MixtureDenoiser(sde, weights, means, covariances)
    x = draw(sampler, mixture, grid(sde, steps), torch.zeros(number, 2), seed=1)
    nearest = torch.cdist(x, means).argmin(1)
    for component in range(3):
        share = (nearest == component).float().mean()
        standard_error = (weights[component] * (1 - weights[component]) / number) ** 0.5
        assert abs(float(share - weights[component])) < 4 * standard_error + 0.01
        spread = x[nearest == component].var(0).mean()
        expected = covariances[component, 0, 0]
        # 2 n values; four standard errors, 5 % for the sampler.
        count = 2 * float((nearest == component).sum())
        assert abs(float(spread / expected) - 1) < 4 * (2 / count) ** 0.5 + 0.05


@pytest.mark.statistical
def test_euler_steps_without_the_final_denoising_keep_the_noise():
    """What the final denoising step takes away is the variance of the last noise."""
    sde = LinearVPSDE()
    denoiser = GaussianDenoiser(sde, torch.zeros(1), torch.full((1, 1), 0.01))
    times = KarrasGrid(noise_ratio_min=0.1)(sde, 60)
    noise = GaussianNoise(torch.Generator().manual_seed(0))
    x_T = draw_prior(sde, noise, torch.zeros(NUMBER, 1))
    kept = StochasticHeun()(denoiser, x_T, times, noise=noise, final_denoise=False)
    expected = sde.alpha(times[-1]) ** 2 * 0.01 + sde.sigma(times[-1]) ** 2
    assert float(kept.var() / expected) == pytest.approx(1, abs=0.05)

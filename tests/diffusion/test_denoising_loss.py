"""Weightings, times, and the loss they make together."""

import math

import pytest
import torch

from protdiff.diffusion.analytic import GaussianDenoiser, MixtureDenoiser
from protdiff.diffusion.denoiser import FunctionDenoiser, score
from protdiff.diffusion.discrete import NoiseLadder
from protdiff.diffusion.noise import GaussianNoise
from protdiff.diffusion.objective import (
    DataWeighting,
    DenoisingLoss,
    EDMWeighting,
    LikelihoodWeighting,
    LogNormalTimes,
    LogSNRTimes,
    MinSNRWeighting,
    UniformTimes,
    UnitWeighting,
    VarianceWeighting,
    ncsn_loss,
)
from protdiff.diffusion.sde import VESDE, CosineVPSDE, LinearVPSDE
from protdiff.errors import InputError

SDES = [LinearVPSDE(), CosineVPSDE(), VESDE()]
EVERY_SDE = pytest.mark.parametrize("sde", SDES, ids=lambda sde: type(sde).__name__)
TIMES = [
    UniformTimes(),
    LogSNRTimes(),
    LogNormalTimes(),
    LogNormalTimes(mean=0.5, std=2.0, stratified=True),
]
EVERY_TIMES = pytest.mark.parametrize("times", TIMES, ids=str)


@EVERY_SDE
@pytest.mark.parametrize(
    ("weighting", "score_weight"),
    [
        (UnitWeighting(), lambda sde, t: torch.ones_like(t)),
        (VarianceWeighting(), lambda sde, t: sde.sigma(t) ** 2),
        (LikelihoodWeighting(), lambda sde, t: sde.diffusion_coefficient(t) ** 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_weight_of_the_score(sde, weighting, score_weight):
    """λ ‖s − ∇ log p(x_t | x_0)‖² = w ‖D − x_0‖²."""
    t = torch.tensor([0.05, 0.4, 0.9]).double()
    x_0, noise = torch.randn(2, 3, 2, dtype=torch.float64)
    denoiser = GaussianDenoiser(sde, torch.zeros(2).double(), torch.eye(2).double())
    x_t = sde.perturb(x_0, t, noise)
    target = -noise / sde.sigma(t)[:, None]
    by_score = score_weight(sde, t) * (score(denoiser, x_t, t) - target).square().sum(1)
    by_mean = weighting(sde, t) * (denoiser(x_t, t) - x_0).square().sum(1)
    torch.testing.assert_close(by_score, by_mean)


@EVERY_SDE
def test_likelihood_weight_is_the_rate_of_the_signal(sde):
    t = torch.tensor([0.05, 0.4, 0.9]).double().requires_grad_()
    (rate,) = torch.autograd.grad(sde.noise_ratio(t).pow(-2).sum(), t)
    torch.testing.assert_close(LikelihoodWeighting()(sde, t.detach()), -rate)


@EVERY_SDE
def test_other_weights(sde):
    """Karras et al. (2022), Hang et al. (2023), and the ends of the last."""
    t = torch.tensor([0.05, 0.4, 0.9]).double()
    k = sde.noise_ratio(t)
    expected = (k**2 + 0.25) / (k * 0.5) ** 2
    torch.testing.assert_close(EDMWeighting(0.5)(sde, t), expected)
    capped = MinSNRWeighting(5.0)(sde, t)
    torch.testing.assert_close(capped, torch.minimum(k**-2, torch.tensor(5.0).double()))
    torch.testing.assert_close(MinSNRWeighting(1e9)(sde, t), VarianceWeighting()(sde, t))
    assert DataWeighting()(sde, t).tolist() == [1.0, 1.0, 1.0]


@EVERY_SDE
@EVERY_TIMES
def test_quantile_and_density_agree(sde, times):
    """dt/du = 1 / p(t), from t_min to t_max."""
    u = torch.linspace(0.001, 0.999, 9).double()
    step = 1e-6
    slope = (times.quantile(sde, u + step) - times.quantile(sde, u - step)) / (2 * step)
    torch.testing.assert_close(
        slope * times.density(sde, times.quantile(sde, u)),
        torch.ones(9).double(),
        rtol=1e-4,
        atol=0,
    )
    ends = times.quantile(sde, torch.tensor([0.0, 1.0]).double())
    torch.testing.assert_close(
        ends, torch.tensor([sde.t_min, sde.t_max]).double(), rtol=1e-6, atol=0
    )


@EVERY_TIMES
def test_draws(times):
    sde = LinearVPSDE()
    t = times(sde, 4000, torch.Generator().manual_seed(0))
    assert t.shape == (4000,)
    assert t.min() >= sde.t_min * (1 - 1e-6)
    assert t.max() <= 1
    assert torch.equal(t, times(sde, 4000, torch.Generator().manual_seed(0)))
    # Kolmogorov's bound at one in a thousand; stratified times are far closer.
    quantiles = times.quantile(sde, torch.linspace(0.05, 0.95, 19).double())
    shares = (t[:, None] <= quantiles).double().mean(0)
    limit = 1 / 4000 + 1e-4 if times.stratified else 1.95 / math.sqrt(4000)
    assert (shares - torch.linspace(0.05, 0.95, 19).double()).abs().max() < limit


def test_log_normal_times_are_log_normal():
    t = LogNormalTimes(mean=-0.4, std=1.0)(VESDE(), 20000, torch.Generator().manual_seed(0))
    log_noise = VESDE().noise_ratio(t.double()).log()
    assert abs(float(log_noise.mean()) + 0.4) < 5 / 20000**0.5
    assert abs(float(log_noise.std()) - 1.0) < 5 / 40000**0.5


def test_the_parameters_of_a_law_come_before_how_it_is_drawn():
    assert LogNormalTimes(-0.4, 1.0) == LogNormalTimes(mean=-0.4, std=1.0, stratified=False)
    with pytest.raises(TypeError):
        UniformTimes(True)


def make_mixture(sde):
    means = torch.tensor([[-1.0, 0.0], [1.0, 0.5]]).double()
    return MixtureDenoiser(sde, torch.ones(2), means, 0.1 * torch.eye(2).double().expand(2, 2, 2))


def estimate(loss, denoiser, x_0, seed=0):
    return loss(
        denoiser,
        x_0,
        noise=GaussianNoise(torch.Generator().manual_seed(seed)),
        generator=torch.Generator().manual_seed(seed + 1),
    )


@pytest.mark.statistical
@EVERY_SDE
def test_importance_sampling_keeps_the_mean_and_lowers_the_variance(sde):
    mixture = make_mixture(sde)
    x_0 = mixture.sample(20000, torch.Generator().manual_seed(3))
    uniform, level = (
        estimate(DenoisingLoss(LikelihoodWeighting(), times, integrate=True), mixture, x_0).loss
        for times in (UniformTimes(), LogSNRTimes())
    )
    error = float((uniform.var() / 20000 + level.var() / 20000).sqrt())
    assert abs(float(uniform.mean() - level.mean())) < 4 * error
    assert level.var() < 0.7 * uniform.var()


@pytest.mark.statistical
@pytest.mark.parametrize(
    "weighting", [EDMWeighting(), VarianceWeighting(), MinSNRWeighting()], ids=str
)
def test_minimum_is_the_posterior_mean(weighting):
    """Pythagoras: the loss of D + e exceeds that of D by ½ w ‖e‖²."""
    sde = CosineVPSDE()
    mixture = make_mixture(sde)
    x_0 = mixture.sample(20000, torch.Generator().manual_seed(3))
    loss = DenoisingLoss(weighting)
    for change in (0.3, -0.3):
        other = FunctionDenoiser(
            sde, lambda x_t, t, change=change: mixture(x_t, t) + change * x_t.cos()
        )
        exact, changed = estimate(loss, mixture, x_0), estimate(loss, other, x_0)
        x_t = sde.perturb(x_0, exact.t, GaussianNoise(torch.Generator().manual_seed(0))(x_0))
        expected = 0.5 * exact.weight * (change * x_t.cos()).square().sum(1)
        excess = changed.loss - exact.loss
        difference = excess - expected
        assert abs(float(difference.mean())) < 4 * float(difference.std()) / 20000**0.5
        assert float(excess.mean()) > 0


def test_edm_loss_of_an_untrained_network_is_level():
    """With preconditioning, an output of zero costs half the dimension at every noise."""
    sde = VESDE()
    x_0 = torch.randn(50000, 2, generator=torch.Generator().manual_seed(7))

    def skip_only(x_t, t):
        return x_t / (1 + sde.noise_ratio(t).square())[:, None]

    terms = estimate(DenoisingLoss(), FunctionDenoiser(sde, skip_only), x_0)
    for half in (terms.t < terms.t.median(), terms.t >= terms.t.median()):
        loss = terms.loss[half]
        assert abs(float(loss.mean()) - 1.0) < 5 * float(loss.std()) / 25000**0.5


@pytest.mark.statistical
def test_ncsn_loss_on_gaussian_data():
    """½ Σ λ / (λ + σ²) for the exact score, half the dimension for none, more for a wrong one."""
    variances = torch.tensor([1.0, 0.2])
    x = torch.randn(20000, 2, generator=torch.Generator().manual_seed(0)) * variances.sqrt()
    sigmas = NoiseLadder(0.1, 3.0, 6).sigmas.flip(0).float()
    torch.testing.assert_close(sigmas[1:] / sigmas[:-1], torch.full((5,), (0.1 / 3.0) ** 0.2))

    def run(scale):
        return ncsn_loss(
            lambda x, sigma: -scale * x / (variances + sigma[:, None] ** 2),
            x,
            sigmas,
            noise=GaussianNoise(torch.Generator().manual_seed(1)),
            generator=torch.Generator().manual_seed(2),
        )

    expected = 0.5 * (variances / (variances + sigmas[:, None] ** 2)).sum(1).mean()
    for scale, value in ((1.0, float(expected)), (0.0, 1.0)):
        loss = run(scale)
        assert abs(float(loss.mean()) - value) < 4 * float(loss.std()) / 20000**0.5
    assert run(1.0).mean() < min(run(0.9).mean(), run(1.1).mean())


def test_rungs_come_from_the_generator():
    def run(seed):
        return ncsn_loss(
            lambda x, sigma: -x,
            torch.ones(50, 2),
            torch.tensor([3.0, 2.0, 1.0]),
            noise=GaussianNoise(torch.Generator().manual_seed(0)),
            generator=torch.Generator().manual_seed(seed),
        )

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))


def test_bad_settings():
    with pytest.raises(InputError, match="data_std"):
        EDMWeighting(0.0)
    with pytest.raises(InputError, match="gamma"):
        MinSNRWeighting(0.0)
    with pytest.raises(InputError, match="std"):
        LogNormalTimes(std=0.0)
    for mean in (-30.0, 20.0, math.nan):
        with pytest.raises(InputError, match="hardly ever"):
            LogNormalTimes(mean=mean)(LinearVPSDE(), 3)


def test_a_mean_of_another_shape_is_refused():
    """(batch,) of data (batch, 1) would be broadcast to every pair of samples."""
    denoiser = FunctionDenoiser(LinearVPSDE(), lambda x_t, t: x_t[:, 0])
    with pytest.raises(InputError, match="denoised mean"):
        estimate(DenoisingLoss(), denoiser, torch.randn(5, 1))
    with pytest.raises(InputError, match="score"):
        ncsn_loss(lambda x, sigma: x[:, 0], torch.randn(5, 1), torch.ones(2), noise=GaussianNoise())


def test_numbers_are_events_of_size_one():
    x_0 = torch.randn(6, generator=torch.Generator().manual_seed(0))
    denoiser = FunctionDenoiser(LinearVPSDE(), lambda x_t, t: x_t.tanh())
    terms, expected = (estimate(DenoisingLoss(), denoiser, x) for x in (x_0, x_0[:, None]))
    assert torch.equal(terms.loss, expected.loss)

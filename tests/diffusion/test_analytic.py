import math

import pytest
import torch

from protdiff.diffusion import (
    DDIM,
    VESDE,
    BrownianSDE,
    CosineVPSDE,
    ExponentialSDE,
    FunctionDenoiser,
    GaussianDenoiser,
    KarrasGrid,
    LinearVPSDE,
    MixtureDenoiser,
    PerSampleNoise,
    ScaledNoise,
    ScaledScore,
    Trajectory,
    predict_noise,
    score,
)
from protdiff.errors import InputError

SDES = [LinearVPSDE(), CosineVPSDE(), VESDE(), BrownianSDE(drift_velocity=2.0)]
EVERY = pytest.mark.parametrize("sde", SDES, ids=lambda sde: type(sde).__name__)


def make_mixture(sde):
    generator = torch.Generator().manual_seed(5)
    factors = torch.randn(3, 2, 2, generator=generator, dtype=torch.float64)
    return MixtureDenoiser(
        sde,
        torch.tensor([0.2, 0.5, 0.3]).double(),
        torch.randn(3, 2, generator=generator, dtype=torch.float64),
        0.3 * factors @ factors.mT,
    )


@EVERY
@pytest.mark.parametrize("t", [0.01, 0.3, 0.9])
def test_tweedie(sde, t):
    """The score from the denoiser is the gradient of the noisy marginal's log-density."""
    mixture, t = make_mixture(sde), torch.tensor(t).double()
    x_0 = torch.randn(6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x_t = sde.mean(x_0, t).requires_grad_()
    (gradient,) = torch.autograd.grad(mixture.log_prob(x_t, t).sum(), x_t)
    torch.testing.assert_close(score(mixture, x_t, t), gradient, rtol=1e-7, atol=1e-7)
    noise = predict_noise(sde, x_t, t, mixture(x_t, t))
    torch.testing.assert_close(noise, -sde.sigma(t) * gradient, rtol=1e-7, atol=1e-7)


@EVERY
def test_second_tweedie(sde):
    """cov(x_0 | x_t) = (σ²/α) ∂D/∂x_t."""
    mixture, t = make_mixture(sde), torch.tensor(0.4).double()
    x_t = sde.mean(torch.randn(1, 2, dtype=torch.float64), t)
    jacobian = torch.func.jacrev(lambda x: mixture(x, t))(x_t)[0, :, 0]
    expected = sde.sigma(t).square() / sde.alpha(t) * jacobian
    torch.testing.assert_close(mixture.posterior_covariance(x_t, t)[0], expected)


@EVERY
def test_times_of_a_batch(sde):
    mixture, t = make_mixture(sde), torch.tensor([0.2, 0.7]).double()
    x_t = torch.randn(2, 2, dtype=torch.float64)
    for function in (mixture, mixture.log_prob, mixture.responsibilities):
        alone = torch.cat([function(x_t[i : i + 1], t[i]) for i in range(2)])
        torch.testing.assert_close(function(x_t, t), alone)


def test_marginal_is_the_convolution_of_data_and_kernel():
    sde, t = LinearVPSDE(), torch.tensor(0.25).double()
    mixture = MixtureDenoiser(
        sde,
        torch.tensor([1.0, 3.0]).double(),
        torch.tensor([[-1.0], [0.5]]).double(),
        torch.tensor([0.2, 0.05]).double().reshape(2, 1, 1),
    )
    x_0 = torch.linspace(-4, 4, 2001, dtype=torch.float64)[:, None]
    data = mixture.log_prob(x_0, torch.tensor(0.0).double()).exp()
    spacing = float(x_0[1] - x_0[0])
    assert float(data.sum() * spacing) == pytest.approx(1, abs=1e-9)
    x_t = torch.tensor([-1.2, 0.0, 0.9]).double()
    sigma = sde.sigma(t)
    kernel = torch.exp(-((x_t - sde.mean(x_0, t)) / sigma).square() / 2)
    kernel = kernel / (sigma * math.sqrt(2 * math.pi))
    convolved = (data[:, None] * kernel).sum(0) * spacing
    torch.testing.assert_close(mixture.log_prob(x_t[:, None], t).exp(), convolved)
    mean = (data[:, None] * kernel * x_0).sum(0) * spacing / convolved
    torch.testing.assert_close(mixture(x_t[:, None], t)[:, 0], mean)


@pytest.mark.statistical
def test_samples_have_the_moments_of_the_mixture():
    mixture = make_mixture(LinearVPSDE())
    x = mixture.sample(50_000, torch.Generator().manual_seed(0))
    mean = torch.einsum("c,ci->i", mixture.weights, mixture.means)
    centred = mixture.means - mean
    covariance = torch.einsum("c,cij->ij", mixture.weights, mixture.covariances) + torch.einsum(
        "c,ci,cj->ij", mixture.weights, centred, centred
    )
    spread = float(covariance.diagonal().max())
    torch.testing.assert_close(x.mean(0), mean, rtol=0, atol=4 * (spread / 50_000) ** 0.5)
    torch.testing.assert_close(x.T.cov(), covariance, rtol=0, atol=6 * spread * 50_000**-0.5)


def test_gaussian_is_a_mixture_of_one():
    sde, t = CosineVPSDE(), torch.tensor(0.5).double()
    covariance = torch.tensor([[2.0, 0.3], [0.3, 0.5]]).double()
    gaussian = GaussianDenoiser(sde, torch.tensor([1.0, -1.0]).double(), covariance)
    x_t = torch.randn(4, 2, dtype=torch.float64)
    marginal = sde.alpha(t) ** 2 * covariance + sde.sigma(t) ** 2 * torch.eye(2)
    law = torch.distributions.MultivariateNormal(sde.alpha(t) * gaussian.mean, marginal)
    torch.testing.assert_close(gaussian.log_prob(x_t, t), law.log_prob(x_t))
    gain = sde.alpha(t) * covariance @ marginal.inverse()
    expected = gaussian.mean + (x_t - sde.alpha(t) * gaussian.mean) @ gain.T
    torch.testing.assert_close(gaussian(x_t, t), expected)


@EVERY
def test_step_scale_multiplies_the_score(sde):
    mixture, t = make_mixture(sde), torch.tensor([0.3, 0.6]).double()
    x_t = torch.randn(2, 2, dtype=torch.float64)
    scaled = ScaledScore(mixture, 1.7)
    torch.testing.assert_close(score(scaled, x_t, t), 1.7 * score(mixture, x_t, t))
    torch.testing.assert_close(scaled.finish(x_t, t), mixture(x_t, t))


@EVERY
def test_a_fading_step_scale_sharpens_the_law_of_the_data(sde):
    """p^λ of N(m, v) is N(m, v/λ); its scores at every noise are those of the scaled denoiser."""
    mean, scale, variance = torch.tensor([1.0, -2.0]).double(), 1.7, 0.6
    broad, sharp = (
        GaussianDenoiser(sde, mean, torch.eye(2).double() * v) for v in (variance, variance / scale)
    )
    t = torch.tensor([0.01, 0.1, 0.4, 0.9]).double()
    x_t = torch.randn(4, 2, dtype=torch.float64)
    scaled = ScaledScore(broad, scale, data_variance=variance)
    torch.testing.assert_close(score(scaled, x_t, t), score(sharp, x_t, t))
    torch.testing.assert_close(scaled.recover(scaled(x_t, t), x_t, t), broad(x_t, t))
    with pytest.raises(InputError, match="variance is 0"):
        ScaledScore(broad, scale, data_variance=0.0)
    for impossible in (0.0, -1.0, math.nan):
        with pytest.raises(InputError, match="step scale"):
            ScaledScore(broad, impossible)


@pytest.mark.parametrize("sampler", [ExponentialSDE(1.0), ExponentialSDE(0.5), DDIM(), DDIM(1.0)])
def test_no_step_goes_past_the_mean(sampler):
    """Of data that are a point, long steps of a large scale come down to it from one side."""
    sde = LinearVPSDE()
    point = FunctionDenoiser(sde, lambda x_t, t: torch.zeros_like(x_t))
    quiet = ScaledNoise(PerSampleNoise([torch.Generator()]), 0.0)

    def find_states(denoiser, steps):
        trajectory = Trajectory()
        times = KarrasGrid()(sde, steps)
        x_T = torch.ones(1, 1, dtype=torch.float64)
        sampler(denoiser(times), x_T, times, noise=quiet, callback=trajectory)
        return torch.cat(trajectory.noisy)

    def scale(times):
        return ScaledScore(point, 5.0, times=times, pull=sampler.pull)

    def scale_without_times(times):
        return ScaledScore(point, 5.0)

    assert find_states(scale_without_times, 12).min() < -1e-3
    assert find_states(scale, 12).min() >= -1e-12
    # Steps that are short enough are what they were.
    few = [find_states(one, 400) for one in (scale, scale_without_times)]
    assert torch.equal(*few)


@EVERY
def test_times_in_single_precision_reach_as_far_as_those_of_the_grid(sde):
    """A time that was rounded up is not one just above that of the grid."""
    times = KarrasGrid(noise_ratio_max=0.9 * sde.noise_ratio_max)(sde, 200)
    point = FunctionDenoiser(sde, lambda x_t, t: torch.zeros_like(x_t))
    scaled = ScaledScore(point, 5.0, times=times)
    x_t = torch.ones(len(times), 1, dtype=torch.float64)
    assert (times.float() > times).any()
    for t, single in zip(times, times.float(), strict=True):
        expected = scaled(x_t[:1], t)
        torch.testing.assert_close(scaled(x_t[:1], single), expected, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(scaled(x_t, times.float()), scaled(x_t, times), rtol=1e-3, atol=1e-3)


def test_any_function_is_a_denoiser():
    denoiser = FunctionDenoiser(VESDE(), lambda x_t, t: x_t * t)
    assert float(denoiser(torch.tensor([[2.0]]), torch.tensor(0.5))) == 1.0


def test_ill_shaped_mixtures_are_refused():
    with pytest.raises(InputError, match="component"):
        MixtureDenoiser(VESDE(), torch.ones(2), torch.zeros(2, 3), torch.zeros(2, 2, 2))
    for weights in ([-1.0, 2.0], [0.0, 0.0], [math.nan, 1.0]):
        with pytest.raises(InputError, match="weights"):
            MixtureDenoiser(VESDE(), torch.tensor(weights), torch.zeros(2, 1), torch.zeros(2, 1, 1))
    for covariance in ([[1.0, 2.0], [2.0, 1.0]], [[1.0, 0.5], [0.0, 1.0]]):
        with pytest.raises(InputError, match="symmetric"):
            GaussianDenoiser(VESDE(), torch.zeros(2), torch.tensor(covariance))


def test_events_of_another_size_are_refused():
    """A number would be taken for a point with all its coordinates the same."""
    gaussian = GaussianDenoiser(VESDE(), torch.zeros(3), torch.eye(3))
    with pytest.raises(InputError, match=r"\(5, 1\)"):
        gaussian.log_prob(torch.ones(5), torch.tensor(0.5))


@EVERY
def test_the_wider_precision_is_taken(sde):
    t = torch.tensor([0.2, 0.7]).double()
    x_t = torch.randn(2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    precise = make_mixture(sde)
    gaussian = GaussianDenoiser(sde, precise.means[0], precise.covariances[0])
    single = [
        MixtureDenoiser(sde, precise.weights, precise.means.float(), precise.covariances),
        GaussianDenoiser(sde, precise.means[0].float(), precise.covariances[0]),
    ]
    for law, other in zip((precise, gaussian), single, strict=True):
        for name in ("__call__", "log_prob", "posterior_covariance"):
            for time in (t, t[0]):
                found = getattr(other, name)(x_t, time)
                assert found.dtype == torch.float64
                expected = getattr(law, name)(x_t, time)
                torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_integers_are_floating_point_numbers():
    sde, t = VESDE(), torch.tensor(0.5)
    covariances = torch.tensor([0.3, 0.6]).reshape(2, 1, 1)
    x_t = torch.tensor([[-0.4], [1.3]])
    whole, same = (
        MixtureDenoiser(sde, torch.ones(2), means, covariances)
        for means in (torch.tensor([[-1], [1]]), torch.tensor([[-1.0], [1.0]]))
    )
    assert torch.equal(whole(x_t, t), same(x_t, t))
    gaussian = GaussianDenoiser(sde, torch.tensor([1]), 0.3 * torch.eye(1))
    assert gaussian.mean.dtype == torch.float32
    assert torch.equal(gaussian.sample(3).frac() == 0, torch.zeros(3, 1).bool())


def test_numbers_are_events_of_size_one():
    sde, t = LinearVPSDE(), torch.tensor(0.4)
    weights, means, variances = torch.tensor([[0.3, 0.7], [-1.0, 1.0], [0.2, 0.1]])
    flat = MixtureDenoiser(sde, weights, means, variances.reshape(2, 1, 1))
    column = MixtureDenoiser(sde, weights, means[:, None], variances.reshape(2, 1, 1))
    x_t = torch.randn(5)
    for function in ("__call__", "log_prob", "posterior_covariance"):
        expected = getattr(column, function)(x_t[:, None], t)
        found = getattr(flat, function)(x_t, t)
        torch.testing.assert_close(found.reshape(expected.shape), expected)
    assert flat.sample(3).shape == (3,)
    gaussian = GaussianDenoiser(sde, means[0], 0.2 * torch.eye(1))
    assert gaussian(x_t, t).shape == gaussian(x_t, t.expand(5)).shape == (5,)

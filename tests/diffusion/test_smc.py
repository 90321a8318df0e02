"""Twisted SMC: weights that make a wrong guidance right."""

import itertools
import math

import pytest
import torch

from protdiff.diffusion.analytic import GaussianDenoiser, MixtureDenoiser
from protdiff.diffusion.denoiser import Denoiser
from protdiff.diffusion.guidance import (
    GaussianPriorObservation,
    Guided,
    LinearObservation,
    SMCDiff,
    SMCResult,
    TwistedSMC,
    effective_sample_size,
    gaussian_posterior,
    mixture_posterior,
    resample_systematically,
)
from protdiff.diffusion.noise import GaussianNoise, PerSampleNoise
from protdiff.diffusion.sampler import ExponentialSDE, draw_prior
from protdiff.diffusion.sde import BrownianSDE, CosineVPSDE
from protdiff.diffusion.time_grid import LogSNRGrid
from protdiff.errors import InputError

SDE = CosineVPSDE()
MEAN = torch.tensor([0.3, -0.2])
COVARIANCE = torch.tensor([[1.0, 0.7], [0.7, 0.8]])
MATRIX = torch.tensor([[1.0, 0.0]])
OBSERVED = torch.tensor([1.2])
NOISE_STD = 0.3


def run(guided, particles, runs, *, steps=60, threshold=0.5, seed=0):
    noise = GaussianNoise(torch.Generator().manual_seed(seed))
    return TwistedSMC(particles, ess_threshold=threshold)(
        guided,
        draw_prior(guided.sde, noise, torch.zeros(runs * particles, 2)),
        LogSNRGrid()(guided.sde, steps),
        noise=noise,
        generator=torch.Generator().manual_seed(seed + 1),
    )


def test_systematic_resampling_keeps_to_the_expected_counts():
    generator = torch.Generator().manual_seed(0)
    log_weights = 2 * torch.randn(50, 16, generator=generator)
    indices = resample_systematically(log_weights, torch.rand(50, generator=generator))
    expected = 16 * torch.softmax(log_weights, 1).double()
    counts = torch.stack([(indices == i).sum(1) for i in range(16)], 1)
    assert (counts >= (expected - 1e-5).floor()).all()
    assert (counts <= (expected + 1e-5).ceil()).all()


def test_systematic_resampling_is_unbiased():
    """Over a grid of all uniform numbers the mean count is K w."""
    log_weights = torch.tensor([[0.0, 1.0, -2.0, 0.5]]).expand(1000, 4)
    indices = resample_systematically(log_weights, (torch.arange(1000) + 0.5) / 1000)
    counts = torch.stack([(indices == i).double().sum(1) for i in range(4)], 1)
    torch.testing.assert_close(
        counts.mean(0), 4 * torch.softmax(log_weights[0], 0).double(), rtol=0, atol=2e-3
    )


def test_a_particle_of_zero_weight_is_never_drawn():
    """Not even where the uniform number is 0 and the first particle has nothing."""
    log_weights = torch.tensor([[-math.inf, 0.0, -math.inf, 0.0]])
    assert resample_systematically(log_weights, torch.zeros(1)).tolist() == [[1, 1, 3, 3]]


def test_effective_sample_size():
    log_weights = torch.randn(5, 8, dtype=torch.float64)
    size = effective_sample_size(log_weights)
    weights = log_weights.exp()
    torch.testing.assert_close(size, weights.sum(1) ** 2 / (weights**2).sum(1))
    torch.testing.assert_close(effective_sample_size(log_weights + 700), size)


@pytest.mark.statistical
@pytest.mark.parametrize(
    "sde", [SDE, BrownianSDE(drift_velocity=3.0)], ids=lambda sde: type(sde).__name__
)
def test_right_guidance_needs_no_resampling_and_knows_the_evidence(sde):
    denoiser = GaussianDenoiser(sde, MEAN, COVARIANCE)
    term = GaussianPriorObservation(COVARIANCE, MATRIX, OBSERVED, NOISE_STD)
    result = run(Guided(denoiser, term), particles=50, runs=20, steps=300)
    exact = gaussian_posterior(MEAN, COVARIANCE, MATRIX, OBSERVED, NOISE_STD)
    assert result.effective_sample_sizes.min() > 40
    assert not result.resampled.any()
    # The prior at t = 1 and 300 steps leave about 0.02 nats.
    assert abs(float(result.log_evidence.mean() - exact.log_evidence)) < 0.04
    error = 5 * (exact.covariance.diagonal() / 1000).sqrt()
    assert ((result.samples.mean(0) - exact.mean).abs() < error).all()


@pytest.mark.statistical
def test_weights_repair_a_guidance_that_is_too_weak():
    """Half of the log-likelihood's gradient: the guided samples are wrong, the weighted right."""
    exact = gaussian_posterior(MEAN, COVARIANCE, MATRIX, OBSERVED, NOISE_STD)

    class TooWeak(LinearObservation):
        """The right likelihood at the end, a vague one before."""

        def __call__(self, estimate):
            vague = 1.0 / (1.0 + 4.0 * estimate.noise_ratio)
            return vague * super().__call__(estimate)

    guided = Guided(GaussianDenoiser(SDE, MEAN, COVARIANCE), TooWeak(MATRIX, OBSERVED, NOISE_STD))
    result = run(guided, particles=200, runs=25, steps=100)
    weights = result.weights.reshape(-1, 1) / 25
    mean = (weights * result.samples).sum(0)
    noise = GaussianNoise(torch.Generator().manual_seed(0))
    plain = ExponentialSDE()(
        guided, draw_prior(SDE, noise, torch.zeros(5000, 2)), LogSNRGrid()(SDE, 100), noise=noise
    )
    assert result.resampled.any()
    error = 5 * (float(exact.covariance.diagonal().max()) / 25 / 50) ** 0.5
    assert float((plain.mean(0) - exact.mean).abs().max()) > 2 * error
    assert float((mean - exact.mean).abs().max()) < error


@pytest.mark.statistical
@pytest.mark.parametrize("threshold", [0.5, 1.0])
def test_mode_weights_of_a_mixture(threshold):
    """The posterior's weights of two modes, which ΠGDM alone gets wrong."""
    means = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    covariances = 0.04 * torch.eye(2).expand(2, 2, 2)
    weights, observed = torch.tensor([0.3, 0.7]), torch.tensor([-0.05])
    exact = mixture_posterior(weights, means, covariances, MATRIX, observed, 0.8)
    guided = Guided(
        MixtureDenoiser(SDE, weights, means, covariances), LinearObservation(MATRIX, observed, 0.8)
    )
    result = run(guided, particles=100, runs=40, threshold=threshold)
    share = (result.weights.reshape(-1) * (result.samples[:, 0] > 0)).sum() / 40
    # Resampled at every step, the share is a random walk of few effective particles.
    error = 4 * (0.25 / 40 / (30 if threshold < 1 else 10)) ** 0.5
    if threshold == 1:
        # The weights start anew after each resampling, and one step spreads them little.
        assert result.resampled.double().mean() > 0.9
        assert result.effective_sample_sizes.quantile(0.2) > 98
    assert abs(float(share) - float(exact.weights[1])) < error
    assert abs(float(result.log_evidence.mean() - exact.log_evidence)) < 0.1


class Remembering(Denoiser):
    """Checks at every call that its memory followed the particles it belongs to."""

    def __init__(self, inner):
        self.sde = inner.sde
        self.inner = inner
        self.previous = None
        self.reordered = 0

    def __call__(self, x_t, t):
        # An ancestral step moves a particle by little, so the memory's neighbour is its own past.
        if self.previous is not None:
            own = (x_t.detach() - self.previous).norm(dim=1)
            other = (x_t.detach() - self.previous.roll(1, 0)).norm(dim=1)
            assert own.mean() < 0.6 * other.mean()
        self.previous = x_t.detach().clone()
        return self.inner(x_t, t)

    def reorder(self, indices):
        self.reordered += 1
        self.previous = self.previous[indices]


@pytest.mark.parametrize("kind", ["twisted", "smcdiff"])
def test_memory_follows_resampling(kind):
    denoiser = Remembering(GaussianDenoiser(SDE, MEAN, COVARIANCE))
    if kind == "twisted":
        guided = Guided(denoiser, 0.3 * LinearObservation(MATRIX, OBSERVED, 0.05))
        result = run(guided, particles=50, runs=4, steps=300, threshold=1.0)
    else:
        noise = GaussianNoise(torch.Generator().manual_seed(0))
        mask, observed = torch.tensor([True, False]), torch.tensor([1.2, 0.0])
        result = SMCDiff(50, ess_threshold=1.0)(
            denoiser,
            mask,
            observed,
            draw_prior(SDE, noise, torch.zeros(200, 2)),
            LogSNRGrid()(SDE, 300),
            noise=noise,
            generator=torch.Generator().manual_seed(1),
        )
    assert denoiser.reordered > 10
    assert result.resampled.any(0).all()


@pytest.mark.parametrize("kind", ["twisted", "smcdiff"])
def test_a_drift_moves_the_frame_and_nothing_else(kind):
    """With the same numbers, x_T and the states carried by the wind end on the same samples."""

    def sample(sde):
        states = []
        noise = GaussianNoise(torch.Generator().manual_seed(0))
        denoiser = GaussianDenoiser(sde, MEAN.double(), COVARIANCE.double())
        x_T = draw_prior(sde, noise, torch.zeros(40, 2).double())
        options = {
            "noise": noise,
            "generator": torch.Generator().manual_seed(1),
            "callback": lambda info: states.append(info.x_t - sde.shift(info.t)),
        }
        times = LogSNRGrid()(sde, 15)
        if kind == "twisted":
            guided = Guided(denoiser, LinearObservation(MATRIX, OBSERVED, NOISE_STD))
            result = TwistedSMC(8, ess_threshold=0.9)(guided, x_T, times, **options)
        else:
            mask, observed = torch.tensor([True, False]), torch.tensor([1.2, 0.0])
            result = SMCDiff(8, ess_threshold=0.9)(denoiser, mask, observed, x_T, times, **options)
        return result.samples, torch.stack(states)

    still, windy = sample(BrownianSDE()), sample(BrownianSDE(drift_velocity=7.0))
    for expected, actual in zip(still, windy, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9)


def test_particles_of_a_run_share_the_path_of_what_is_known():
    states = []
    noise = GaussianNoise(torch.Generator().manual_seed(0))
    SMCDiff(10)(
        GaussianDenoiser(SDE, MEAN, COVARIANCE),
        torch.tensor([True, False]),
        torch.tensor([1.2, 0.0]),
        draw_prior(SDE, noise, torch.zeros(30, 2)),
        LogSNRGrid()(SDE, 10),
        noise=noise,
        callback=states.append,
    )
    for info in states:
        known, free = info.x_t.reshape(3, 10, 2).unbind(2)
        torch.testing.assert_close(known, known[:, :1].expand(3, 10))
        assert (known[1:, 0] != known[0, 0]).all()
        assert (free.std(1) > 0).all()


def test_evidence_of_a_path_is_its_density():
    """Where coordinates are independent all particles weigh the same: the kernel's density."""
    covariance = torch.diag(torch.tensor([0.6, 1.3])).double()
    denoiser = GaussianDenoiser(SDE, MEAN.double(), covariance)
    noise, states = GaussianNoise(torch.Generator().manual_seed(0)), []
    result = SMCDiff(4)(
        denoiser,
        torch.tensor([True, False]),
        torch.tensor([1.2, 0.0]),
        draw_prior(SDE, noise, torch.zeros(8, 2).double()),
        LogSNRGrid()(SDE, 6),
        noise=noise,
        callback=states.append,
    )
    assert [info.index for info in states] == [info.evaluations - 1 for info in states]
    expected = torch.zeros(2).double()
    for now, then in itertools.pairwise(states):
        bridge = SDE.bridge(now.t, then.t)
        mean = bridge.weight_0 * denoiser(now.x_t, now.t) + bridge.weight_t * now.x_t
        density = torch.distributions.Normal(mean, bridge.sigma).log_prob(then.x_t)
        expected = expected + density.reshape(2, 4, 2)[:, 0, 0]
    torch.testing.assert_close(result.log_evidence, expected)
    torch.testing.assert_close(result.weights, torch.full((2, 4), 0.25).double())


@pytest.mark.parametrize("kind", ["twisted", "smcdiff"])
def test_runs_do_not_depend_on_one_another(kind):
    denoiser = GaussianDenoiser(SDE, MEAN, COVARIANCE)

    def sample(seeds):
        noise = PerSampleNoise(
            [torch.Generator().manual_seed(100 * seed + i) for seed in seeds for i in range(8)]
        )
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        x_T = draw_prior(SDE, noise, torch.zeros(8 * len(seeds), 2))
        options = {"noise": noise, "generator": generators}
        times = LogSNRGrid()(SDE, 20)
        if kind == "twisted":
            guided = Guided(denoiser, LinearObservation(MATRIX, OBSERVED, NOISE_STD))
            return TwistedSMC(8, ess_threshold=0.9)(guided, x_T, times, **options)
        mask, observed = torch.tensor([True, False]), torch.tensor([1.2, 0.0])
        return SMCDiff(8, ess_threshold=0.9)(denoiser, mask, observed, x_T, times, **options)

    together, alone = sample([3, 4]), sample([4])
    assert together.resampled.any()
    torch.testing.assert_close(together.samples[8:], alone.samples)
    torch.testing.assert_close(together.log_weights[1:], alone.log_weights)
    torch.testing.assert_close(together.log_evidence[1:], alone.log_evidence)
    torch.testing.assert_close(
        together.draw([torch.Generator().manual_seed(seed) for seed in (8, 9)])[1:],
        alone.draw(torch.Generator().manual_seed(9)),
    )


def test_states_with_their_noise_on_request():
    guided = Guided(
        GaussianDenoiser(SDE, MEAN, COVARIANCE), LinearObservation(MATRIX, OBSERVED, NOISE_STD)
    )
    times = LogSNRGrid()(SDE, 10)[:6]

    def sample(**options):
        noise = GaussianNoise(torch.Generator().manual_seed(0))
        x_T = draw_prior(SDE, noise, torch.zeros(24, 2))
        generator = torch.Generator().manual_seed(1)
        return TwistedSMC(8)(guided, x_T, times, noise=noise, generator=generator, **options)

    means, states = sample(), sample(final_denoise=False)
    torch.testing.assert_close(guided.evaluate(states.samples, times[-1]).guided, means.samples)
    torch.testing.assert_close(states.log_weights, means.log_weights)


@pytest.mark.parametrize("kind", ["twisted", "smcdiff"])
def test_a_time_that_is_repeated_weighs_nothing(kind):
    """The kernel has no width there, and every particle stays where it is."""
    denoiser = GaussianDenoiser(SDE, MEAN, COVARIANCE)

    def sample(times):
        noise = GaussianNoise(torch.Generator().manual_seed(0))
        x_T = draw_prior(SDE, noise, torch.zeros(24, 2))
        if kind == "twisted":
            guided = Guided(denoiser, LinearObservation(MATRIX, OBSERVED, NOISE_STD))
            return TwistedSMC(8, ess_threshold=0.0)(guided, x_T, times, noise=noise)
        mask, observed = torch.tensor([True, False]), torch.tensor([1.2, 0.0])
        return SMCDiff(8, ess_threshold=0.0)(denoiser, mask, observed, x_T, times, noise=noise)

    times = LogSNRGrid()(SDE, 10)
    once, again = sample(times), sample(torch.cat([times, times[-1:]]))
    torch.testing.assert_close(again.samples, once.samples)
    torch.testing.assert_close(again.log_weights, once.log_weights)
    torch.testing.assert_close(again.log_evidence, once.log_evidence)
    between = sample(times.repeat_interleave(2))
    assert between.log_evidence.isfinite().all()
    assert between.samples.isfinite().all()


def test_a_sample_of_zero_weight_is_never_drawn(monkeypatch):
    monkeypatch.setattr(
        "protdiff.diffusion.guidance.smc.draw_uniform", lambda runs, generators: torch.zeros(runs)
    )
    log_weights = torch.tensor([[-math.inf, 0.0, -math.inf]])
    empty = torch.zeros(0)
    result = SMCResult(torch.arange(3.0)[:, None], log_weights, empty, empty, empty)
    assert result.draw().tolist() == [[1.0]]


class OnlyAbove(LinearObservation):
    """All that is wanted of the first coordinate is that it be above a bound."""

    bound = -0.5

    def __call__(self, estimate):
        allowed = estimate.denoised[:, 0] > self.bound
        return torch.where(allowed, 0.0, -torch.inf)


@pytest.mark.parametrize("threshold", [0.0, 0.5])
def test_what_is_impossible_has_no_weight(threshold):
    """One impossible particle leaves its run as it is; a run of such has no evidence."""
    denoiser = GaussianDenoiser(SDE, torch.zeros(2), COVARIANCE)
    term = OnlyAbove(MATRIX, OBSERVED, NOISE_STD)
    result = run(Guided(denoiser, term), particles=16, runs=40, steps=20, threshold=threshold)
    assert torch.isfinite(result.samples).all()
    assert not result.log_weights.isnan().any()
    torch.testing.assert_close(result.weights.sum(dim=1), torch.ones(40))
    below = result.samples.reshape(40, 16, 2)[:, :, 0] <= term.bound
    alive = result.log_evidence > -torch.inf
    assert alive.all() if threshold else alive.any()
    assert (result.weights[alive][below[alive]] == 0).all()
    term.bound = 1e6
    result = run(Guided(denoiser, term), particles=4, runs=2, steps=5, threshold=threshold)
    assert (result.log_evidence == -torch.inf).all()
    assert (result.effective_sample_sizes == 0).all()
    torch.testing.assert_close(result.weights, torch.full((2, 4), 0.25))


def test_drawing_one_sample_of_a_run():
    log_weights = torch.tensor([[0.0, -math.inf, -math.inf], [-math.inf, -math.inf, 0.0]])
    empty = torch.zeros(0)
    result = SMCResult(torch.arange(6.0)[:, None], log_weights, empty, empty, empty)
    assert result.draw(torch.Generator().manual_seed(0))[:, 0].tolist() == [0.0, 5.0]


def test_bad_settings():
    denoiser = GaussianDenoiser(SDE, MEAN, COVARIANCE)
    guided = Guided(denoiser, LinearObservation(MATRIX, OBSERVED, NOISE_STD))
    with pytest.raises(InputError, match="at least 1 particle"):
        TwistedSMC(0)
    with pytest.raises(InputError, match="ess_threshold"):
        SMCDiff(4, ess_threshold=2.0)
    noise = GaussianNoise()
    times = LogSNRGrid()(SDE, 4)
    with pytest.raises(InputError, match="whole number"):
        TwistedSMC(4)(guided, torch.zeros(6, 2), times, noise=noise)
    with pytest.raises(InputError, match="generators"):
        TwistedSMC(3)(guided, torch.zeros(6, 2), times, noise=noise, generator=[torch.Generator()])
    with pytest.raises(InputError, match="make no run"):
        TwistedSMC(3)(guided, torch.zeros(6, 2), times.flip(0), noise=noise)
    with pytest.raises(InputError, match="make no run"):
        SMCDiff(3)(
            denoiser, torch.tensor([True, False]), MEAN, torch.zeros(6, 2), 0 * times, noise=noise
        )
    with pytest.raises(InputError, match="at least 2 times"):
        SMCDiff(3)(
            denoiser, torch.tensor([True, False]), MEAN, torch.zeros(6, 2), times[:1], noise=noise
        )
    with pytest.raises(InputError, match="the mask"):
        SMCDiff(3)(denoiser, torch.ones(6, 3).bool(), MEAN, torch.zeros(6, 2), times, noise=noise)

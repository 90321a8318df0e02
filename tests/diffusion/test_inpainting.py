"""Known coordinates: what replacement does, and how far RePaint and SMC mend it."""

import pytest
import torch

from protdiff.diffusion.analytic import GaussianDenoiser
from protdiff.diffusion.denoiser import FunctionDenoiser
from protdiff.diffusion.guidance import (
    KnownCoordinates,
    LinearConstraint,
    ProjectedMean,
    RePaint,
    Replacement,
    SMCDiff,
    gaussian_posterior,
)
from protdiff.diffusion.noise import GaussianNoise, Noise, ProjectedNoise, ScaledNoise
from protdiff.diffusion.sampler import (
    DDIM,
    EulerODE,
    ExponentialSDE,
    HeunODE,
    StochasticHeun,
    draw_prior,
)
from protdiff.diffusion.sde import VESDE, BrownianSDE, CosineVPSDE, LinearVPSDE
from protdiff.diffusion.subspace import CentredSubspace
from protdiff.diffusion.time_grid import LogSNRGrid
from protdiff.errors import InputError

MEAN = torch.tensor([0.3, -0.2])
COVARIANCE = torch.tensor([[1.0, 0.7], [0.7, 0.8]])
MASK = torch.tensor([True, False])
OBSERVED = torch.tensor([1.2, 0.0])
EXACT = gaussian_posterior(MEAN, COVARIANCE, torch.eye(2)[:1], OBSERVED[:1], noise_std=0.0)


def run(sampler, sde=None, *, batch=4000, steps=40, denoiser=None, callback=None, seed=0):
    sde = CosineVPSDE() if sde is None else sde
    noise = GaussianNoise(torch.Generator().manual_seed(seed))
    denoiser = GaussianDenoiser(sde, MEAN, COVARIANCE) if denoiser is None else denoiser
    return sampler(
        denoiser,
        draw_prior(sde, noise, torch.zeros(batch, 2)),
        LogSNRGrid()(sde, steps),
        noise=noise,
        callback=callback,
    )


@pytest.mark.parametrize("wrap", [Replacement, RePaint])
@pytest.mark.parametrize(
    "sde",
    [LinearVPSDE(), VESDE(), BrownianSDE(drift_velocity=2.0)],
    ids=lambda sde: type(sde).__name__,
)
def test_network_is_evaluated_and_stepped_on_one_pinned_state(wrap, sde):
    """The trap: the network sees pinned coordinates while the sampler steps from others."""
    seen, stepped = [], []
    inner = GaussianDenoiser(sde, MEAN, COVARIANCE)

    def remember(x_t, t):
        seen.append((t, x_t))
        return inner(x_t, t)

    class Recording(ExponentialSDE):
        def step(self, denoiser, x_t, t, s, *, noise, previous):
            stepped.append(x_t + denoiser.shift(t))
            return super().step(denoiser, x_t, t, s, noise=noise, previous=previous)

    options = {"resamplings": 2} if wrap is RePaint else {}
    sampler = wrap(Recording(), MASK, OBSERVED, **options)
    run(sampler, sde, batch=2000, steps=10, denoiser=FunctionDenoiser(sde, remember))
    assert len(seen) == len(stepped) + 1
    for (_, x_t), state in zip(seen, stepped, strict=False):
        torch.testing.assert_close(x_t, state, rtol=0, atol=1e-4)
    for t, x_t in seen:
        # Pinned: the noise of the known coordinate is standard normal, at every level.
        epsilon = ((x_t - sde.mean(OBSERVED, t)) / sde.sigma(t))[:, 0]
        assert abs(float(epsilon.mean())) < 5 / 2000**0.5
        assert abs(float(epsilon.var()) - 1) < 5 * (2 / 2000) ** 0.5


@pytest.mark.parametrize(
    "sampler",
    [ExponentialSDE(), EulerODE(), HeunODE(), StochasticHeun()],
    ids=lambda s: type(s).__name__,
)
def test_what_is_known_is_held_by_every_sampler(sampler):
    sde = CosineVPSDE()
    known = KnownCoordinates(MASK, OBSERVED)
    projected = ProjectedMean(GaussianDenoiser(sde, MEAN, COVARIANCE), known)
    for sample in (
        run(sampler, denoiser=projected, batch=10, steps=20),
        run(Replacement(sampler, MASK, OBSERVED), batch=10, steps=20),
        run(RePaint(sampler, MASK, OBSERVED, resamplings=2, jump=2), batch=10, steps=10),
    ):
        torch.testing.assert_close(sample[:, 0], torch.full((10,), 1.2), rtol=0, atol=1e-6)


def test_below_its_noise_floor_nothing_is_held():
    sde = CosineVPSDE()
    denoiser = GaussianDenoiser(sde, MEAN, COVARIANCE)
    projected = ProjectedMean(denoiser, KnownCoordinates(MASK, OBSERVED), noise_floor=0.5)
    x_t = torch.randn(2, 2, generator=torch.Generator().manual_seed(0))
    above, below = (sde.time_of_noise_ratio(torch.tensor(k).double()) for k in (0.6, 0.4))
    assert (projected(x_t, above)[:, 0] == 1.2).all()
    assert (projected(x_t, below) == denoiser(x_t, below)).all()
    assert (projected.finish(x_t, below) == denoiser.finish(x_t, below)).all()
    mixed = projected(x_t, torch.stack([above, below]))  # each element has its own noise
    assert mixed[0, 0] == 1.2 != mixed[1, 0]


def test_linear_constraint():
    matrix = torch.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, -1.0]])
    observed = torch.tensor([1.0, 0.5])
    project = LinearConstraint(matrix, observed)
    x_0 = torch.randn(4, 3, 1)
    moved = project(x_0)
    torch.testing.assert_close(moved.flatten(1) @ matrix.mT, observed.expand(4, 2))
    torch.testing.assert_close(project(moved), moved)
    # Nearest: what moved is orthogonal to every direction the constraint leaves free.
    free = torch.linalg.svd(matrix).Vh[2]
    torch.testing.assert_close((moved - x_0).flatten(1) @ free, torch.zeros(4), atol=1e-5, rtol=0)


@pytest.mark.statistical
def test_projected_mean_carries_known_coordinates_along_the_noising_path():
    """With an ancestral sampler the known coordinate follows q(x_s | x_t, y): noise of N(0, 1)."""
    sde, states = CosineVPSDE(), []
    known = KnownCoordinates(MASK, OBSERVED)
    run(
        ExponentialSDE(),
        batch=4000,
        steps=20,
        denoiser=ProjectedMean(GaussianDenoiser(sde, MEAN, COVARIANCE), known),
        callback=states.append,
    )
    epsilon = [(i.x_t - sde.mean(OBSERVED, i.t))[:, 0] / sde.sigma(i.t) for i in states]
    for e in epsilon:
        assert abs(float(e.mean())) < 5 / 4000**0.5
        assert abs(float(e.var()) - 1) < 5 * (2 / 4000) ** 0.5
    # One path: the noise at neighbouring levels is correlated by their ratio of noise.
    ratios = [float(sde.noise_ratio(i.t)) for i in states]
    for index in (5, 10, 15):
        correlation = float((epsilon[index] * epsilon[index + 1]).mean())
        assert abs(correlation - ratios[index + 1] / ratios[index]) < 5 / 4000**0.5


@pytest.mark.statistical
def test_replacement_is_exact_where_coordinates_are_independent():
    covariance = torch.diag(COVARIANCE.diagonal())
    sde = CosineVPSDE()
    denoiser = GaussianDenoiser(sde, MEAN, covariance)
    free = run(Replacement(ExponentialSDE(), MASK, OBSERVED), denoiser=denoiser, steps=80)[:, 1]
    plain = run(ExponentialSDE(), denoiser=denoiser, steps=80)[:, 1]
    error = (2 * 0.8 / 4000) ** 0.5
    assert abs(float(free.mean() - plain.mean())) < 5 * error
    assert abs(float(free.var() / plain.var()) - 1) < 5 * (4 / 4000) ** 0.5


@pytest.mark.statistical
def test_repaint_and_smc_come_closer_than_replacement():
    """The posterior mean of the free coordinate: replacement stops short, for a known reason."""
    exact = float(EXACT.mean[1])
    replaced = run(Replacement(ExponentialSDE(), MASK, OBSERVED))[:, 1]
    repainted = run(RePaint(ExponentialSDE(), MASK, OBSERVED, resamplings=8))[:, 1]
    sde = CosineVPSDE()
    noise = GaussianNoise(torch.Generator().manual_seed(1))
    filtered = SMCDiff(particles=100)(
        GaussianDenoiser(sde, MEAN, COVARIANCE),
        MASK,
        OBSERVED,
        draw_prior(sde, noise, torch.zeros(4000, 2)),
        LogSNRGrid()(sde, 40),
        noise=noise,
        generator=torch.Generator().manual_seed(2),
    )
    assert torch.equal(filtered.samples[:, 0], torch.full((4000,), OBSERVED[0]))
    mean = float((filtered.weights.reshape(-1) * filtered.samples[:, 1]).sum() / 40)
    # The standard errors are near 0.01 (and 0.03 for 40 runs that share a path each).
    bias = [abs(value - exact) for value in (float(replaced.mean()), float(repainted.mean()), mean)]
    assert bias[0] > 0.12
    assert bias[1] < 0.5 * bias[0]
    assert bias[2] < 0.5 * bias[0]
    assert filtered.resampled.any()


def test_observation_may_follow_the_pose_of_the_sample():
    """A projection in place of values: here, a known difference, wherever the sample is."""

    def project(x_0):
        middle = x_0.mean(1, keepdim=True)
        return torch.cat([middle - 0.5, middle + 0.5], 1)

    everything = torch.tensor([True, True])
    sample = run(Replacement(ExponentialSDE(), everything, project), batch=500, steps=20)
    torch.testing.assert_close(sample[:, 1] - sample[:, 0], torch.ones(500))
    assert sample.mean(1).std() > 0.3


def test_noise_of_known_coordinates_is_its_own():
    """A temperature of the sampler need not cool what is known."""

    class Counting(Noise):
        calls = 0

        def __call__(self, like):
            Counting.calls += 1
            return torch.zeros_like(like)

    sde = CosineVPSDE()
    noise = ScaledNoise(GaussianNoise(torch.Generator().manual_seed(0)), 0.0)
    Replacement(ExponentialSDE(), MASK, OBSERVED, noise=Counting())(
        GaussianDenoiser(sde, MEAN, COVARIANCE),
        torch.zeros(3, 2),
        LogSNRGrid()(sde, 5),
        noise=noise,
    )
    assert Counting.calls == 6


def test_the_way_back_of_repaint_has_the_noise_that_is_given():
    """Else the free coordinates would hold less noise than the network is told."""
    sde, states = VESDE(), []
    # Of data that are the point 0 this sampler keeps x/k, so x is of size k at every level.
    denoiser = FunctionDenoiser(
        sde, lambda x_t, t: states.append((t, x_t)) or torch.zeros_like(x_t)
    )
    noise = GaussianNoise(torch.Generator().manual_seed(0))
    RePaint(DDIM(), MASK, torch.zeros(2), resamplings=3, noise=noise)(
        denoiser,
        draw_prior(sde, noise, torch.zeros(20_000, 2)),
        LogSNRGrid(noise_ratio_min=0.1)(sde, 6),
        noise=ScaledNoise(noise, 0.0),
    )
    sizes = [float(x_t[:, 1].std() / sde.sigma(t)) for t, x_t in states]
    assert len(sizes) == 19
    assert sizes == pytest.approx([1.0] * len(sizes), rel=5 / 40_000**0.5)


@pytest.mark.parametrize("wrap", [Replacement, RePaint])
def test_a_pinned_state_stays_in_the_subspace(wrap):
    """Known and free coordinates of two centred states have no centre of zero together."""
    sde, states = VESDE(), []
    subspace = CentredSubspace(torch.ones(4, 5, dtype=torch.bool), atoms=1)
    known = torch.tensor([True, True, False, False, False])[:, None]
    native = subspace.project(torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(1)))
    noise = ProjectedNoise(GaussianNoise(torch.Generator().manual_seed(0)), subspace)

    def denoise(x_t, t):
        states.append(x_t)
        return native

    sampler = wrap(ExponentialSDE(), known, native, subspace=subspace)
    x_T = draw_prior(sde, noise, torch.zeros(4, 5, 3))
    x_0 = sampler(FunctionDenoiser(sde, denoise), x_T, LogSNRGrid()(sde, 5), noise=noise)
    for x_t in states:
        subspace.check(x_t)
    torch.testing.assert_close(x_0, native)


def test_repaint_walks_each_stretch_in_equal_parts_of_log_noise():
    sde, seen = CosineVPSDE(), []
    denoiser = FunctionDenoiser(sde, lambda x_t, t: seen.append(t) or 0.5 * x_t)
    run(
        RePaint(ExponentialSDE(), MASK, OBSERVED, resamplings=2, jump=3), denoiser=denoiser, steps=4
    )
    stretches = torch.stack(seen[:-1]).reshape(4, 2, 3)
    assert torch.equal(stretches[:, 0], stretches[:, 1])
    parts = sde.log_snr(torch.cat([stretches[:, 0].flatten(), LogSNRGrid()(sde, 4)[-1:]])).diff()
    torch.testing.assert_close(parts, parts.mean().expand(12), rtol=1e-6, atol=0)


def test_repaint_that_walks_once_is_replacement():
    once = RePaint(ExponentialSDE(), MASK, OBSERVED, resamplings=1, jump=1)
    replacement = Replacement(ExponentialSDE(), MASK, OBSERVED)
    assert torch.equal(run(once, batch=5), run(replacement, batch=5))
    assert once.order == replacement.order == 0  # no number of steps reaches the posterior


def test_evaluations_are_declared():
    for sampler in (ExponentialSDE(), HeunODE()):
        repaint = RePaint(sampler, MASK, OBSERVED, resamplings=3, jump=2)
        assert repaint.evaluations_per_step == 6 * sampler.evaluations_per_step
        infos = []
        run(repaint, batch=3, steps=4, callback=infos.append)
        assert infos[-1].evaluations == 4 * repaint.evaluations_per_step + 1
    with pytest.raises(InputError, match="resamplings"):
        RePaint(ExponentialSDE(), MASK, OBSERVED, resamplings=0)


def test_masks_and_constraints_of_another_shape_are_refused():
    with pytest.raises(InputError, match="the mask"):
        run(Replacement(DDIM(), MASK[:, None, None], lambda x_0: x_0), batch=2, steps=2)
    with pytest.raises(InputError, match="linear constraint"):
        LinearConstraint(torch.eye(3)[:2], torch.ones(1))

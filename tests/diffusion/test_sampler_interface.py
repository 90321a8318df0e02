"""What every sampler shares: one loop, subspaces, batches, callbacks, budgets, symmetry."""

import itertools
import math

import pytest
import torch

from protdiff.diffusion import (
    DDIM,
    VESDE,
    AnnealedLangevin,
    BrownianSDE,
    CentredSubspace,
    ConstantGrid,
    CosineVPSDE,
    Denoiser,
    DormandPrince,
    DPMSolverPP2M,
    EulerMaruyama,
    EulerODE,
    ExponentialSDE,
    FunctionDenoiser,
    GaussianDenoiser,
    GaussianNoise,
    HeunODE,
    KarrasGrid,
    Langevin,
    LinearVPSDE,
    LogSNRGrid,
    Noise,
    NoiseLadder,
    PerSampleNoise,
    PredictorCorrector,
    ProjectedNoise,
    Restart,
    SamplerAround,
    ScaledNoise,
    ScaledScore,
    SDEDPMSolverPP2M,
    StochasticHeun,
    Trajectory,
    UniformGrid,
    draw_prior,
)
from protdiff.diffusion.guidance import RePaint, Replacement
from protdiff.errors import InputError

SAMPLERS = [
    EulerMaruyama(),
    ExponentialSDE(),
    StochasticHeun(),
    EulerODE(),
    HeunODE(),
    DormandPrince(),
    DDIM(),
    DDIM(eta=0.7),
    DPMSolverPP2M(),
    SDEDPMSolverPP2M(),
    PredictorCorrector(corrections=2),
    Langevin(),
    AnnealedLangevin(corrections=3),
]
EVERY = pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: type(sampler).__name__)
ADAPTIVE = (DormandPrince,)


def seeds(*numbers):
    return [torch.Generator().manual_seed(number) for number in numbers]


class CloudDenoiser(Denoiser):
    """A made-up, nonlinear, rotation-equivariant denoiser of mean-free clouds with padding."""

    def __init__(self, sde, subspace):
        self.sde, self.subspace = sde, subspace

    def __call__(self, x_t, t):
        k = self.sde.noise_ratio(t)
        y = x_t / self.sde.alpha(t)
        lengths = y.norm(dim=-1, keepdim=True) / (1 + k)
        return self.subspace.project(y / (1 + k**2) * torch.cos(0.3 * lengths))


def make_clouds(lengths, dtype=torch.float32):
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return CentredSubspace(mask), torch.zeros(len(lengths), max(lengths), 3, 3, dtype=dtype)


def run(sampler, lengths, generators, sde=None, steps=8, **options):
    sde = LinearVPSDE() if sde is None else sde
    subspace, like = make_clouds(lengths)
    noise = ProjectedNoise(PerSampleNoise(generators, lengths=lengths), subspace)
    x_T = draw_prior(sde, noise, like)
    steps = 1 if sampler.adaptive else steps
    times = LogSNRGrid()(sde, steps)
    return sampler(CloudDenoiser(sde, subspace), x_T, times, noise=noise, **options), subspace


@EVERY
@pytest.mark.parametrize("final_denoise", [True, False])
def test_samplers_stay_in_the_subspace(sampler, final_denoise):
    x, subspace = run(sampler, [4, 6], seeds(1, 2), final_denoise=final_denoise)
    assert x.dtype == torch.float32
    assert torch.isfinite(x).all()
    torch.testing.assert_close(subspace.project(x), x, rtol=0, atol=2e-6 * float(x.abs().max()))
    assert not x[0, 4:].any()


@EVERY
def test_an_element_does_not_depend_on_its_batch(sampler):
    if isinstance(sampler, ADAPTIVE):
        pytest.skip("error control judges the whole batch")
    together, _ = run(sampler, [6, 4], seeds(5, 9))
    alone, _ = run(sampler, [4], seeds(9))
    torch.testing.assert_close(together[1:, :4], alone, rtol=1e-5, atol=1e-5)


def test_dormand_prince_goes_nowhere_at_a_time_that_is_repeated():
    sde, noise = LinearVPSDE(), PerSampleNoise(seeds(0))
    denoiser = FunctionDenoiser(sde, lambda x_t, t: x_t.tanh())
    times, repeated = torch.tensor([0.9, 0.4, 0.1]), torch.tensor([0.9, 0.9, 0.4, 0.1, 0.1])
    x = [DormandPrince()(denoiser, torch.ones(1, 2), t, noise=noise) for t in (times, repeated)]
    assert torch.equal(*x)


def test_dormand_prince_depends_on_its_batch_only_within_the_tolerance():
    sampler = DormandPrince(rtol=1e-6, atol=1e-7)
    together, _ = run(sampler, [6, 4], seeds(5, 9))
    alone, _ = run(sampler, [4], seeds(9))
    torch.testing.assert_close(together[1:, :4], alone, rtol=1e-3, atol=1e-4)


class RotatedNoise(Noise):
    def __init__(self, noise, rotation):
        self.noise, self.rotation = noise, rotation

    def __call__(self, like):
        return self.noise(like) @ self.rotation


@EVERY
def test_samplers_are_equivariant(sampler):
    """Rotated noise in an equivariant denoiser gives the rotated sample."""
    matrix = torch.randn(3, 3, generator=torch.Generator().manual_seed(3)).double()
    rotation, _ = torch.linalg.qr(matrix)
    sde, (subspace, like) = LinearVPSDE(), make_clouds([5], torch.float64)
    times = LogSNRGrid()(sde, 1 if isinstance(sampler, ADAPTIVE) else 8)
    results = []
    for matrix in (torch.eye(3).double(), rotation):
        noise = RotatedNoise(ProjectedNoise(PerSampleNoise(seeds(0)), subspace), matrix)
        x_T = draw_prior(sde, noise, like)
        results.append(sampler(CloudDenoiser(sde, subspace), x_T, times, noise=noise))
    plain, rotated = results
    # The solver weighs its errors coordinate by coordinate.
    tolerance = 1e-3 if isinstance(sampler, ADAPTIVE) else 1e-8
    torch.testing.assert_close(plain @ rotation, rotated, rtol=tolerance, atol=tolerance)


@EVERY
def test_oracle_brings_every_sampler_to_its_native(sampler):
    """An oracle that always returns a native ends within 0.2 Å of it, were a unit ten Å."""
    sde, (subspace, like) = LinearVPSDE(), make_clouds([20])
    native = subspace.project(torch.randn(like.shape, generator=torch.Generator().manual_seed(8)))
    oracle = FunctionDenoiser(sde, lambda x_t, t: native)
    noise = ProjectedNoise(PerSampleNoise(seeds(0)), subspace)
    steps = 1 if isinstance(sampler, ADAPTIVE) else 400 if isinstance(sampler, Langevin) else 60
    steps = 300 if isinstance(sampler, EulerMaruyama | EulerODE) else steps
    times = KarrasGrid()(sde, steps)
    if isinstance(sampler, AnnealedLangevin):
        sampler = AnnealedLangevin(corrections=10, step_size=0.2)
    x = sampler(oracle, draw_prior(sde, noise, like), times, noise=noise, final_denoise=False)
    if isinstance(sampler, Langevin):  # alone it forgets the prior only slowly
        assert float((x - native).abs().max()) < 4
        return
    rms = (x - native).square().sum(-1).mean().sqrt()
    assert float(rms) < 0.02
    assert torch.equal(
        sampler(oracle, draw_prior(sde, noise, like), times, noise=noise), native.expand_as(like)
    )


@EVERY
def test_callback_sees_every_step_and_counts_evaluations(sampler):
    calls = []

    def count(x_t, t):
        calls.append(float(t))
        return x_t / 2

    sde, trajectory, infos = LinearVPSDE(), Trajectory(), []

    def callback(info):
        trajectory(info)
        infos.append(info)

    steps = 5
    noise = PerSampleNoise(seeds(0, 1))
    x_T = draw_prior(sde, noise, torch.zeros(2, 3))
    times = LogSNRGrid()(sde, steps)
    x_0 = sampler(FunctionDenoiser(sde, count), x_T, times, noise=noise, callback=callback)
    assert [info.index for info in infos] == list(range(steps + 1))
    assert trajectory.times == pytest.approx(times.tolist())
    assert torch.equal(trajectory.noisy[0], x_T)
    assert torch.equal(trajectory.denoised[-1], x_0)
    assert infos[-1].evaluations == len(calls)
    expected = steps * sampler.evaluations_per_step + 1
    assert len(calls) == expected or (isinstance(sampler, ADAPTIVE) and len(calls) >= expected)


@EVERY
def test_budget(sampler):
    steps = sampler.count_steps(100)
    assert steps * sampler.evaluations_per_step + 1 <= 100
    assert (steps + 1) * sampler.evaluations_per_step + 1 > 100
    with pytest.raises(InputError, match="evaluations"):
        sampler.count_steps(1)
    least = sampler.evaluations_per_step
    assert sampler.count_steps(least + 1) == sampler.count_steps(least, final_denoise=False) == 1
    with pytest.raises(InputError, match="evaluations"):
        sampler.count_steps(least)


@EVERY
def test_sampling_builds_no_graph_and_leaves_its_start_alone(sampler):
    sde, noise = LinearVPSDE(), PerSampleNoise(seeds(0))
    weight = torch.tensor(0.5, requires_grad=True)
    x_T = torch.randn(1, 3)
    before = x_T.clone()
    denoiser = FunctionDenoiser(sde, lambda x_t, t: weight * x_t)
    x_0 = sampler(denoiser, x_T, LogSNRGrid()(sde, 3), noise=noise)
    assert not x_0.requires_grad
    assert torch.equal(x_T, before)


@EVERY
def test_the_shift_of_the_wind_moves_nothing(sampler):
    """Brownian motion in a wind gives, draw by draw, what Brownian motion in still air gives."""
    results = []
    for velocity in (0.0, 7.0):
        sde = BrownianSDE(drift_velocity=velocity, diffusion=20.0)
        denoiser = GaussianDenoiser(sde, torch.ones(2).double(), 0.5 * torch.eye(2).double())
        noise = PerSampleNoise(seeds(4))
        x_T = draw_prior(sde, noise, torch.zeros(1, 2, dtype=torch.float64))
        times = LogSNRGrid()(sde, 10)
        results.append(sampler(denoiser, x_T, times, noise=noise))
    torch.testing.assert_close(results[0], results[1], rtol=1e-5, atol=1e-6)


@EVERY
def test_states_are_shown_and_left_where_the_wind_has_carried_them(sampler):
    """Every x_t of a callback, and the last state if it is not denoised, has its shift m_t."""
    states = []
    for velocity in (0.0, 7.0):
        sde, trajectory = BrownianSDE(drift_velocity=velocity, diffusion=20.0), Trajectory()
        denoiser = GaussianDenoiser(sde, torch.ones(2).double(), 0.5 * torch.eye(2).double())
        times = UniformGrid(t_min=0.2)(sde, 4)
        for final_denoise in (True, False):
            noise = PerSampleNoise(seeds(4))
            x_T = draw_prior(sde, noise, torch.zeros(1, 2, dtype=torch.float64))
            x = sampler(
                denoiser,
                x_T,
                times,
                noise=noise,
                final_denoise=final_denoise,
                callback=trajectory if final_denoise else None,
            )
        states.append(torch.stack([*trajectory.noisy, x]))
    carried = (states[1] - states[0]).mean((1, 2))
    expected = 7.0 * torch.cat([times, times[-1:]])
    torch.testing.assert_close(carried, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "sampler",
    [
        ExponentialSDE(),
        ExponentialSDE(stochasticity=0.6),
        DDIM(),
        DDIM(eta=0.7),
        HeunODE(),
        DPMSolverPP2M(),
        SDEDPMSolverPP2M(),
        PredictorCorrector(),
        PredictorCorrector(corrections=2, strength=0.3),
    ],
    ids=lambda sampler: type(sampler).__name__,
)
def test_pull_is_the_power_of_the_noise_that_a_short_step_leaves(sampler):
    sde, noise = LinearVPSDE(), ScaledNoise(GaussianNoise(), 0.0)
    t = torch.tensor(0.5).double()
    s = sde.time_of_noise_ratio(0.999 * sde.noise_ratio(t))
    still = FunctionDenoiser(sde, lambda x_t, t: torch.zeros_like(x_t))
    x_t = torch.ones(1, 1, dtype=torch.float64)
    x_s, _ = sampler.step(still, x_t, t, s, noise=noise, previous=None)
    left = float((x_s / sde.alpha(s)) / (x_t / sde.alpha(t)))
    assert math.log(left) / math.log(0.999) == pytest.approx(sampler.pull, rel=2e-3)


@pytest.mark.parametrize(
    "sampler",
    [sampler for sampler in SAMPLERS if not isinstance(sampler, EulerMaruyama | EulerODE)],
    ids=lambda sampler: type(sampler).__name__,
)
def test_samplers_in_the_noise_ratio_are_the_same_for_every_sde(sampler):
    """y = x/α turns the VP equation into the VE one, draw by draw."""
    covariance = torch.tensor([[0.5, 0.2], [0.2, 1.0]]).double()
    results = []
    for sde in (CosineVPSDE(final_noise_ratio=VESDE().noise_ratio_max), VESDE()):
        denoiser = GaussianDenoiser(sde, torch.ones(2).double(), covariance)
        noise = PerSampleNoise(seeds(4))
        times = KarrasGrid(noise_ratio_min=0.01, noise_ratio_max=40.0)(sde, 15)
        first = times[0]
        x_T = sde.sigma(first) * noise(torch.zeros(1, 2, dtype=torch.float64))
        results.append(sampler(denoiser, x_T, times, noise=noise))
    torch.testing.assert_close(results[0], results[1], rtol=1e-6, atol=1e-6)


def test_temperature():
    """Scaled noise and a scaled score each sharpen a Gaussian; the run ends with the plain D."""
    sde = LinearVPSDE()
    denoiser = GaussianDenoiser(sde, torch.zeros(1), torch.ones(1, 1))
    times, like = KarrasGrid()(sde, 40), torch.zeros(5_000, 1)

    def spread(denoiser, scale):
        noise = ScaledNoise(GaussianNoise(*seeds(0)), scale)
        return float(StochasticHeun()(denoiser, like + noise(like), times, noise=noise).std())

    assert spread(denoiser, 0.5) < 0.6 < 0.95 < spread(denoiser, 1.0)
    assert spread(ScaledScore(denoiser, 1.5), 1.0) < 0.9
    oracle = ScaledScore(FunctionDenoiser(sde, lambda x_t, t: torch.ones_like(x_t)), 1.5)
    x = ExponentialSDE()(oracle, torch.randn(2, 3), times, noise=PerSampleNoise(seeds(0, 1)))
    assert torch.equal(x, torch.ones(2, 3))


def test_the_mean_is_recovered_from_a_scaled_score():
    sde = LinearVPSDE()
    oracle = ScaledScore(FunctionDenoiser(sde, lambda x_t, t: x_t.tanh()), 1.5)
    x_t, t = torch.randn(4, 3, dtype=torch.float64), torch.tensor(0.4, dtype=torch.float64)
    assert torch.allclose(oracle.recover(oracle(x_t, t), x_t, t), x_t.tanh())


def test_churn_keeps_to_its_range():
    """No churn outside the range, nor above the prior's noise."""
    sde, drawn = LinearVPSDE(), []

    class CountingNoise(Noise):
        def __call__(self, like):
            drawn.append(1)
            return torch.zeros_like(like)

    times = KarrasGrid()(sde, 20)
    denoiser = FunctionDenoiser(sde, lambda x_t, t: x_t / 2)
    sampler = StochasticHeun(noise_ratio_min=0.1, noise_ratio_max=10.0)
    sampler(denoiser, torch.ones(1, 2), times, noise=CountingNoise())
    k = sde.noise_ratio(times[:-1])
    assert len(drawn) == int(((k >= 0.1) & (k <= 10)).sum())
    called = []
    denoiser = FunctionDenoiser(sde, lambda x_t, t: called.append(float(t)) or x_t / 2)
    StochasticHeun(churn=3.0)(denoiser, torch.ones(1, 2), times, noise=CountingNoise())
    assert max(called) <= 1 + 1e-12


def test_a_denoiser_with_memory_is_called_from_noise_to_data():
    for sampler in SAMPLERS:
        if isinstance(sampler, ADAPTIVE):
            continue
        called, sde = [], LinearVPSDE()
        denoiser = FunctionDenoiser(sde, lambda x_t, t, called=called: called.append(t) or x_t / 2)
        times, noise = LogSNRGrid()(sde, 10), PerSampleNoise(seeds(0))
        sampler(denoiser, torch.ones(1, 2), times, noise=noise)
        if isinstance(sampler, StochasticHeun):
            continue  # churn goes up before it goes down
        assert all(a >= b for a, b in itertools.pairwise(called))


def test_langevin_needs_a_constant_grid_only():
    sde, noise = LinearVPSDE(), PerSampleNoise(seeds(0))
    denoiser = GaussianDenoiser(sde, torch.zeros(2), torch.eye(2))
    x = Langevin()(denoiser, torch.ones(1, 2), ConstantGrid(0.5)(sde, 10), noise=noise)
    assert torch.isfinite(x).all()


@pytest.mark.statistical
def test_langevin_samples_the_noisy_marginal():
    """N(0, λ + k²), up to the bias of its steps; a final denoising step makes it narrower."""
    sde, variance, number, step_size = VESDE(), 1.2, 20_000, 0.1
    t = sde.time_of_noise_ratio(torch.tensor(1.0).double())
    denoiser = GaussianDenoiser(sde, torch.zeros(1), torch.full((1, 1), variance))
    times, noise = ConstantGrid(float(t))(sde, 200), GaussianNoise(*seeds(0))
    kept, denoised = (
        float(
            Langevin(step_size)(
                denoiser, torch.zeros(number, 1), times, noise=noise, final_denoise=final
            ).var()
        )
        for final in (False, True)
    )
    marginal = variance + 1.0
    expected = marginal / (1 - step_size / (2 * marginal))
    assert kept == pytest.approx(expected, rel=4 * (2 / number) ** 0.5)
    assert denoised < variance


@EVERY
@pytest.mark.parametrize(
    "times",
    [
        torch.linspace(1, 0, 50),
        torch.linspace(1, 0.01, 50).flip(0),
        torch.arange(1000, 0, -1),
        torch.tensor([0.9, 0.5, 0.6, 0.1]),
        torch.tensor([0.9, float("nan"), 0.1]),
        torch.tensor([[0.9, 0.1]]),
        torch.tensor(0.9),
        torch.tensor([]),
    ],
    ids=["to zero", "reversed", "steps", "rising", "nan", "matrix", "scalar", "none"],
)
def test_times_that_make_no_run_are_refused(sampler, times):
    denoiser = FunctionDenoiser(LinearVPSDE(), lambda x_t, t: x_t / 2)
    with pytest.raises(InputError, match="make no run"):
        sampler(denoiser, torch.ones(2, 3), times, noise=GaussianNoise())


@EVERY
def test_a_time_may_be_repeated(sampler):
    """As by the rungs of a ladder that lie above the noise of the SDE."""
    sde, noise = LinearVPSDE(), PerSampleNoise(seeds(0))
    times = NoiseLadder(0.1, 1e4, levels=12).find_times(sde)
    assert float(times[1]) == 1
    denoiser = FunctionDenoiser(sde, lambda x_t, t: x_t.tanh())
    assert torch.isfinite(sampler(denoiser, torch.ones(1, 2), times, noise=noise)).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: DDIM(eta=1.5),
        lambda: ExponentialSDE(stochasticity=-1),
        lambda: StochasticHeun(churn=-1),
        lambda: StochasticHeun(churn=math.nan),
        lambda: ExponentialSDE(stochasticity=math.nan),
        lambda: PredictorCorrector(strength=math.nan),
        lambda: Langevin(step_size=3),
        lambda: AnnealedLangevin(corrections=0),
        lambda: PredictorCorrector(strength=0),
    ],
)
def test_impossible_parameters_are_refused(make):
    with pytest.raises(InputError):
        make()


@EVERY
def test_a_sampler_around_another_is_what_that_one_is(sampler):
    around = SamplerAround(sampler)
    for name in ("order", "evaluations_per_step", "adaptive", "pull"):
        assert getattr(around, name) == getattr(sampler, name)
    if not isinstance(sampler, Langevin | AnnealedLangevin):  # these have a loop of their own
        expected, _ = run(sampler, [5, 5], seeds(1, 2))
        assert torch.equal(run(around, [5, 5], seeds(1, 2))[0], expected)


def test_what_goes_around_an_adaptive_sampler_chooses_steps_by_the_whole_batch_too():
    known = torch.tensor(True), torch.zeros(())
    inner = DormandPrince()
    assert all(
        made.adaptive
        for made in (Restart(inner, 1.0), Replacement(inner, *known), RePaint(inner, *known))
    )

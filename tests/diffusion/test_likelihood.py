import math

import pytest
import torch

from protdiff.diffusion import (
    VESDE,
    CentredSubspace,
    CosineVPSDE,
    ExactTrace,
    FullSpace,
    FunctionDenoiser,
    GaussianDenoiser,
    GaussianNoise,
    GaussianProbes,
    KarrasGrid,
    LinearVPSDE,
    MixtureDenoiser,
    OrnsteinUhlenbeckSDE,
    PerSampleNoise,
    ProjectedNoise,
    RademacherProbes,
    SubVPSDE,
    compute_log_likelihood,
    compute_variational_bound,
    decode,
    encode,
    interpolate,
    measure_round_trip,
    slerp,
)
from protdiff.diffusion.broadcasting import expand
from protdiff.diffusion.trace import compute_quadratic_forms
from protdiff.errors import InputError, ProtdiffError

ZERO = torch.tensor(0.0).double()
SDES = [
    LinearVPSDE(),
    CosineVPSDE(),
    SubVPSDE(),
    VESDE(sigma_max=200.0),
    OrnsteinUhlenbeckSDE(centre=1.0),
]
EVERY = pytest.mark.parametrize("sde", SDES, ids=lambda sde: type(sde).__name__)


def name(value):
    return type(value).__name__


def make_gaussian(sde, size=4):
    generator = torch.Generator().manual_seed(2)
    basis, _ = torch.linalg.qr(torch.randn(size, size, generator=generator).double())
    values = torch.linspace(0.1, 2.0, size).double()
    # Mean-free data: a mean would be seen by the flow's end, as α_1 times it, but not by the prior.
    return GaussianDenoiser(sde, torch.zeros(size).double(), (basis * values) @ basis.T)


def make_mixture(sde):
    return MixtureDenoiser(
        sde,
        torch.tensor([0.3, 0.7]).double(),
        torch.tensor([[-1.4, 0.7], [0.6, -0.3]]).double(),
        torch.stack([0.1 * torch.eye(2), torch.tensor([[0.4, 0.2], [0.2, 0.3]])]).double(),
    )


@EVERY
def test_gaussian_likelihood_is_exact(sde):
    gaussian = make_gaussian(sde)
    x_0 = gaussian.sample(8, torch.Generator().manual_seed(0))
    found = compute_log_likelihood(gaussian, x_0)
    error = (found.nats - gaussian.log_prob(x_0, ZERO)) / found.dimension
    assert float(error.abs().max()) < 1e-3
    assert not found.standard_error.any()
    assert 20 < found.evaluations < 400


@EVERY
def test_mixture_likelihood_is_exact(sde):
    mixture = make_mixture(sde)
    x_0 = mixture.sample(16, torch.Generator().manual_seed(0))
    found = compute_log_likelihood(mixture, x_0)
    error = (found.nats - mixture.log_prob(x_0, ZERO)) / found.dimension
    assert float(error.abs().max()) < 1e-3
    torch.testing.assert_close(found.bits_per_dimension, -found.nats / (2 * math.log(2)))


def test_single_precision_is_enough():
    sde = LinearVPSDE()
    exact = make_gaussian(sde)
    single = GaussianDenoiser(sde, exact.mean.float(), exact.covariance.float())
    x_0 = exact.sample(8, torch.Generator().manual_seed(0))
    found = compute_log_likelihood(single, x_0.float())
    assert found.nats.dtype == torch.float32
    error = (found.nats - exact.log_prob(x_0, ZERO)) / 4
    assert float(error.abs().max()) < 1e-3


def test_a_tighter_tolerance_takes_more_evaluations():
    mixture = make_mixture(LinearVPSDE())
    x_0 = mixture.sample(4, torch.Generator().manual_seed(0))
    counts = [
        compute_log_likelihood(mixture, x_0, rtol=tolerance, atol=tolerance).evaluations
        for tolerance in (1e-2, 1e-4, 1e-6)
    ]
    assert counts[0] < counts[1] < counts[2]


def test_an_impossible_tolerance_is_an_error_that_says_what_to_do():
    broken = FunctionDenoiser(LinearVPSDE(), lambda x_t, t: x_t * float("nan"))
    with pytest.raises(ProtdiffError, match="tolerance"):
        compute_log_likelihood(broken, torch.ones(1, 2))


def make_chain(lengths):
    """Gaussian clouds of residues of one atom, mean-free, padded, each residue correlated."""
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return CentredSubspace(mask, atoms=1)


class ShrunkClouds(FunctionDenoiser):
    """Data N(0, λ P) in a subspace."""

    def __init__(self, sde, subspace, variance):
        def denoise(x_t, t):
            shrink = variance / (variance + sde.noise_ratio(t).square())
            return subspace.project(expand(shrink / sde.alpha(t), x_t) * x_t)

        super().__init__(sde, denoise)


@pytest.mark.parametrize("trace", ["exact", "hutchinson"])
def test_likelihood_in_the_centred_subspace(trace):
    sde, variance = LinearVPSDE(), 0.6
    subspace = make_chain([3, 5])
    denoiser = ShrunkClouds(sde, subspace, variance)
    generator = torch.Generator().manual_seed(1)
    noise = ProjectedNoise(GaussianNoise(generator), subspace)
    x_0 = variance**0.5 * noise(torch.zeros(2, 5, 3, dtype=torch.float64))
    estimator = ExactTrace() if trace == "exact" else RademacherProbes(24, generator)
    found = compute_log_likelihood(denoiser, x_0, subspace, trace=estimator)
    assert found.dimension.tolist() == [6, 12]
    exact = -x_0.square().sum((1, 2)) / (2 * variance)
    exact = exact - found.dimension / 2 * math.log(2 * math.pi * variance)
    tolerance = 1e-3 * found.dimension + 4 * found.standard_error
    assert ((found.nats - exact).abs() < tolerance).all()
    torch.testing.assert_close(subspace.project(found.latent), found.latent)


def test_padding_changes_no_likelihood():
    sde = LinearVPSDE()
    results = []
    for lengths in ([3], [3, 4]):
        subspace = make_chain(lengths)
        x_0 = torch.zeros(len(lengths), max(lengths), 3, dtype=torch.float64)
        x_0[:, 0, 0], x_0[:, 1, 0] = 1.0, -1.0
        denoiser = ShrunkClouds(sde, subspace, 0.5)
        found = compute_log_likelihood(denoiser, x_0, subspace, rtol=1e-7, atol=1e-7)
        results.append(found.nats[0])
    torch.testing.assert_close(results[0], results[1], rtol=1e-5, atol=1e-5)


@pytest.mark.statistical
@pytest.mark.parametrize("kind", ["rademacher", "gaussian"])
def test_hutchinson_covers_the_exact_value(kind):
    """Of 200 trials, 95 % intervals cover the exact value in 90 to 99 %.

    The trials are 200 copies of one point in one batch, each with its own probes.
    """
    gaussian = make_gaussian(LinearVPSDE(), size=6)
    point = gaussian.sample(1, torch.Generator().manual_seed(4))
    exact = compute_log_likelihood(gaussian, point).nats
    generator = torch.Generator().manual_seed(0)
    if kind == "rademacher":
        trace = RademacherProbes(16, generator)
    else:
        trace = GaussianProbes(16, GaussianNoise(generator))
    found = compute_log_likelihood(gaussian, point.expand(200, 6), trace=trace)
    # Student's quantile for 16 probes.
    covered = (found.nats - exact).abs() < 2.131 * found.standard_error
    assert 0.90 <= float(covered.double().mean()) <= 0.99
    assert (found.standard_error > 0).all()


@pytest.mark.parametrize("subspace", [FullSpace((2, 4, 3)), make_chain([3, 4])], ids=name)
def test_exact_trace_is_the_trace(subspace):
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(12, 12, generator=generator).double()
    x = torch.randn(2, 4, 3, generator=generator).double()

    def function(x):
        return (x.flatten(1) @ matrix.T).reshape(x.shape)

    probes = ExactTrace().draw(x, subspace)
    value, forms = compute_quadratic_forms(function, x, probes)
    projections = probes.flatten(2)  # (d, batch, d), symmetric
    expected = torch.einsum("ibj,jk,ibk->b", projections, matrix, projections)
    torch.testing.assert_close(ExactTrace().reduce(forms)[0], expected)
    torch.testing.assert_close(value, function(x))


def test_probes_without_error_are_refused():
    with pytest.raises(InputError, match="at least 2"):
        RademacherProbes(1)


def test_two_probes_are_enough_and_come_from_their_generator():
    gaussian = make_gaussian(LinearVPSDE())
    x_0 = gaussian.sample(2, torch.Generator().manual_seed(0))
    first, again = (
        compute_log_likelihood(
            gaussian, x_0, trace=RademacherProbes(2, torch.Generator().manual_seed(1))
        )
        for _ in range(2)
    )
    assert torch.equal(first.nats, again.nats)


def test_many_probes_at_once_are_as_many_one_by_one():
    """However many backward passes they take."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 5, generator=generator).double()
    probes = torch.randn(150, 2, 5, generator=generator).double()
    _, together = compute_quadratic_forms(torch.tanh, x, probes)
    alone = [compute_quadratic_forms(torch.tanh, x, probe[None])[1] for probe in probes]
    torch.testing.assert_close(together, torch.cat(alone))


@EVERY
def test_encoding_is_one_to_one(sde):
    mixture = make_mixture(sde)
    x_0 = mixture.sample(8, torch.Generator().manual_seed(0))
    assert float(measure_round_trip(mixture, x_0, rtol=1e-7, atol=1e-7).max()) < 1e-4


@pytest.mark.parametrize("sde", [LinearVPSDE(), OrnsteinUhlenbeckSDE(centre=1.0)], ids=name)
def test_codes_of_gaussian_data_are_known(sde):
    """The flow of a Gaussian scales each principal axis by the ratio of its spreads."""
    gaussian = make_gaussian(sde)
    x_0 = gaussian.sample(5, torch.Generator().manual_seed(0))
    values, vectors = torch.linalg.eigh(gaussian.covariance)
    t_min, t_max = torch.tensor([sde.t_min, 1.0]).double()
    start = values + sde.noise_ratio(t_min).square()
    end = sde.alpha(t_max).square() * values + sde.sigma(t_max).square()
    scaled = ((x_0 - gaussian.mean) @ vectors) * (end / start).sqrt()
    exact = scaled @ vectors.T + sde.alpha(t_max) * gaussian.mean + sde.shift(t_max)
    found = encode(gaussian, x_0, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(found, exact, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        compute_log_likelihood(gaussian, x_0, rtol=1e-7, atol=1e-7).latent,
        found,
        rtol=1e-4,
        atol=1e-4,
    )


def test_round_trip_is_measured_by_the_root_mean_square():
    x_0 = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).double()
    gaussian = make_gaussian(LinearVPSDE())
    tolerance = {"rtol": 1e-2, "atol": 1e-2}  # so coarse that the way back misses
    back = decode(gaussian, encode(gaussian, x_0, **tolerance), **tolerance)
    expected = (back - x_0).norm(dim=1) / 2
    assert expected.min() > 1e-5
    torch.testing.assert_close(measure_round_trip(gaussian, x_0, **tolerance), expected)


@pytest.mark.statistical
def test_codes_of_data_are_standard_normal():
    sde = CosineVPSDE()
    mixture = make_mixture(sde)
    codes = encode(mixture, mixture.sample(4_000, torch.Generator().manual_seed(0)), rtol=1e-4)
    torch.testing.assert_close(codes.mean(0), torch.zeros(2).double(), rtol=0, atol=0.08)
    torch.testing.assert_close(codes.T.cov(), torch.eye(2).double(), rtol=0, atol=0.1)
    kurtosis = codes.pow(4).mean(0)
    torch.testing.assert_close(kurtosis, torch.full((2,), 3.0).double(), rtol=0, atol=0.4)


def test_interpolation_stays_on_the_shell():
    generator = torch.Generator().manual_seed(0)
    start, end = torch.randn(2, 40, 3, generator=generator, dtype=torch.float64)
    path = interpolate(start, end, 9)
    torch.testing.assert_close(path[0], start)
    torch.testing.assert_close(path[-1], end)
    norms = path.flatten(1).norm(dim=1)
    assert norms.min() > 0.97 * min(start.norm(), end.norm())
    assert (start + end).norm() / 2 < 0.85 * norms.min()
    unit = torch.nn.functional.normalize(path.flatten(1), dim=1)
    angles = (unit[1:] * unit[:-1]).sum(1).clamp(max=1).acos()
    # Equal fractions are equal angles for codes of equal length, and nearly so here.
    assert angles.std() / angles.mean() < 0.1
    moved = decode(make_gaussian(LinearVPSDE(), 3), path[:, 0])
    assert torch.isfinite(moved).all()


def test_interpolation_goes_around_the_centre_of_the_codes():
    """Of an SDE with a shift, whose codes are normal around it."""
    sde = OrnsteinUhlenbeckSDE(centre=2.0)
    centre = sde.shift(torch.tensor(sde.t_max, dtype=torch.float64))
    start, end = centre + torch.randn(
        2, 400, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    path = interpolate(start, end, 3, centre)
    torch.testing.assert_close(path[[0, 2]], torch.stack([start, end]))
    # Half-way too a code is as far from the centre as a draw of the prior.
    assert abs(float((path[1] - centre).square().mean()) - 1) < 4 * (2 / 400) ** 0.5
    assert float((interpolate(start, end, 3)[1] - centre).square().mean()) < 0.7


def test_slerp_of_equal_and_opposite_codes():
    a = torch.tensor([[3.0, 4.0]]).double()
    torch.testing.assert_close(slerp(a, a, 0.3), a)
    torch.testing.assert_close(slerp(a, 2 * a, 0.5), 1.5 * a)
    assert torch.isfinite(slerp(a, -a, 0.5)).all()


@pytest.mark.statistical
@pytest.mark.parametrize("sde", SDES[:4], ids=name)
def test_variational_bound_is_tight_for_the_exact_denoiser(sde):
    mixture = make_mixture(sde)
    generator = torch.Generator().manual_seed(0)
    # The same point many times: the mean of the estimates is the bound, their spread its error.
    point = torch.tensor([[0.6, -0.2]]).double()
    bound = compute_variational_bound(
        mixture, point.expand(500, 2), noise=GaussianNoise(generator), generator=generator
    )
    exact = float(mixture.log_prob(point, ZERO))
    standard_error = float(bound.nats.std()) / 500**0.5
    assert float(bound.nats.mean()) == pytest.approx(exact, abs=4 * standard_error + 2e-3)
    # The reported error is the true one.
    assert float(bound.standard_error.mean()) == pytest.approx(float(bound.nats.std()), rel=0.15)
    torch.testing.assert_close(bound.nats, -(bound.prior + bound.diffusion + bound.reconstruction))


@pytest.mark.statistical
def test_variational_bound_of_a_wrong_denoiser_lies_below():
    sde = LinearVPSDE()
    right, generator = make_mixture(sde), torch.Generator().manual_seed(0)
    wrong = FunctionDenoiser(sde, lambda x_t, t: 0.8 * right(x_t, t))
    x_0 = right.sample(500, generator)
    noise = GaussianNoise(generator)
    bound = compute_variational_bound(wrong, x_0, noise=noise, generator=generator)
    assert float(bound.nats.mean()) < float(right.log_prob(x_0, ZERO).mean()) - 1
    assert float(bound.bits_per_dimension.mean()) == pytest.approx(
        -float(bound.nats.mean()) / (2 * math.log(2))
    )


def test_variational_bound_in_the_centred_subspace():
    sde, variance = LinearVPSDE(), 0.6
    subspace = make_chain([4] * 400)
    generator = torch.Generator().manual_seed(1)
    noise = ProjectedNoise(GaussianNoise(generator), subspace)
    point = variance**0.5 * noise(torch.zeros(400, 4, 3, dtype=torch.float64))[:1]
    bound = compute_variational_bound(
        ShrunkClouds(sde, subspace, variance),
        point.expand(400, 4, 3),
        subspace,
        noise=noise,
        generator=generator,
    )
    exact = -float(point.square().sum()) / (2 * variance) - 4.5 * math.log(2 * math.pi * variance)
    tolerance = 4 * float(bound.nats.std()) / 20 + 5e-3
    assert float(bound.nats.mean()) == pytest.approx(exact, abs=tolerance)


def test_variational_bound_of_one_replicate_is_refused():
    gaussian = make_gaussian(LinearVPSDE())
    with pytest.raises(InputError, match="at least 2"):
        compute_variational_bound(gaussian, torch.zeros(1, 4), noise=GaussianNoise(), replicates=1)
    with pytest.raises(InputError, match="at least 1"):
        compute_variational_bound(gaussian, torch.zeros(1, 4), noise=GaussianNoise(), strata=0)


def test_an_interpolation_has_both_its_ends():
    with pytest.raises(InputError, match="at least 2"):
        interpolate(torch.ones(3), torch.ones(3), 1)


def test_per_sample_probes_do_not_depend_on_the_batch():
    gaussian = make_gaussian(LinearVPSDE())
    x_0 = gaussian.sample(2, torch.Generator().manual_seed(0))
    results = []
    for seeds, points in (((3, 4), x_0), ((4,), x_0[1:])):
        noise = PerSampleNoise([torch.Generator().manual_seed(seed) for seed in seeds])
        found = compute_log_likelihood(
            gaussian, points, trace=GaussianProbes(4, noise), rtol=1e-7, atol=1e-7
        )
        results.append(found.nats[-1])
    torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-4)


def test_grid_and_flow_end_at_the_same_noise():
    sde = LinearVPSDE()
    last = sde.noise_ratio(KarrasGrid()(sde, 3)[-1])
    assert float(last) == pytest.approx(float(sde.noise_ratio(torch.tensor(sde.t_min).double())))


def test_data_outside_of_the_subspace_are_refused():
    """A mean of 3 Å would be 77 nats that nobody asked for."""
    subspace = make_chain([3, 4])
    generator = torch.Generator().manual_seed(0)
    noise = ProjectedNoise(GaussianNoise(generator), subspace)
    denoiser = ShrunkClouds(LinearVPSDE(), subspace, 0.6)
    centred = noise(torch.zeros(2, 4, 3, dtype=torch.float64))
    assert compute_log_likelihood(denoiser, centred.float(), subspace).nats.isfinite().all()
    for moved in (centred + 0.3, centred + torch.tensor([0.0, 0.0, 0.0, 1.0])[:, None]):
        with pytest.raises(InputError, match="outside of the CentredSubspace"):
            compute_log_likelihood(denoiser, moved, subspace)
        with pytest.raises(InputError, match="outside of the CentredSubspace"):
            compute_variational_bound(denoiser, moved, subspace, noise=noise)


def test_inference_mode_changes_nothing():
    mixture = make_mixture(LinearVPSDE())
    x_0 = mixture.sample(3, torch.Generator().manual_seed(0))
    expected = compute_log_likelihood(mixture, x_0)
    probes = ExactTrace().draw(x_0, FullSpace((3, 2)))
    _, forms = compute_quadratic_forms(torch.tanh, x_0, probes)
    with torch.inference_mode():
        assert torch.equal(compute_log_likelihood(mixture, x_0.clone()).nats, expected.nats)
        found = compute_quadratic_forms(torch.tanh, x_0.clone(), probes.clone())
        assert torch.equal(found[1], forms)


@pytest.mark.parametrize("weight", [torch.ones(2), torch.ones(2, requires_grad=True)])
def test_a_denoiser_that_stands_still_has_no_trace(weight):
    """The oracle of one point: N(x_0; point, k_min²)."""
    sde = LinearVPSDE()
    oracle = FunctionDenoiser(sde, lambda x_t, t: weight * torch.zeros_like(x_t))
    x_0 = torch.tensor([[0.001, -0.002]]).double()
    found = compute_log_likelihood(oracle, x_0, rtol=1e-8, atol=1e-8).nats
    variance = sde.noise_ratio(torch.tensor(sde.t_min).double()).square()
    exact = -x_0.square().sum(1) / (2 * variance) - (2 * math.pi * variance).log()
    torch.testing.assert_close(found, exact, rtol=0, atol=1e-3)


def test_a_denoiser_without_a_gradient_is_refused():
    for detached in (
        lambda x_t, t: x_t.detach().tanh(),
        lambda x_t, t: torch.ones(2, requires_grad=True) * x_t.detach(),
    ):
        denoiser = FunctionDenoiser(LinearVPSDE(), detached)
        with pytest.raises(InputError, match="gradient"):
            compute_log_likelihood(denoiser, torch.ones(1, 2))


@pytest.mark.parametrize("smallest", [0.0, -1.0, 1e6, math.nan])
def test_a_flow_from_nowhere_is_refused(smallest):
    gaussian = make_gaussian(LinearVPSDE())
    for function in (encode, decode, compute_log_likelihood):
        with pytest.raises(InputError, match="noise_ratio_min"):
            function(gaussian, torch.ones(1, 4).double(), noise_ratio_min=smallest)


def test_numbers_are_events_of_size_one():
    """Data (batch,), whose event is one number."""
    denoiser = GaussianDenoiser(LinearVPSDE(), torch.zeros(()), 0.5 * torch.eye(1))
    column = GaussianDenoiser(LinearVPSDE(), torch.zeros(1), 0.5 * torch.eye(1))
    x_0 = torch.randn(3, generator=torch.Generator().manual_seed(0))
    found, expected = (
        compute_log_likelihood(one, x, trace=RademacherProbes(2)).nats
        for one, x in ((denoiser, x_0), (column, x_0[:, None]))
    )
    torch.testing.assert_close(found, expected)
    bounds = [
        compute_variational_bound(
            one, x, noise=PerSampleNoise(make_seeds()), generator=make_seeds()[0]
        ).nats
        for one, x in ((denoiser, x_0), (column, x_0[:, None]))
    ]
    torch.testing.assert_close(bounds[0], bounds[1])
    assert measure_round_trip(denoiser, x_0).max() < 1e-3
    torch.testing.assert_close(slerp(x_0, 2 * x_0, 0.5), 1.5 * x_0)


def make_seeds():
    return [torch.Generator().manual_seed(seed) for seed in (1, 2, 3)]

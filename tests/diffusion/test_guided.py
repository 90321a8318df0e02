"""A guided denoiser with the right likelihood is the denoiser of the posterior, to rounding."""

import math

import pytest
import torch

from protdiff.diffusion.analytic import GaussianDenoiser, MixtureDenoiser
from protdiff.diffusion.denoiser import Denoiser, FunctionDenoiser, MovingFrame
from protdiff.diffusion.guidance import (
    ClassifierGuidance,
    Estimate,
    FrozenGuided,
    GaussianPriorObservation,
    Guided,
    IsotropicVariance,
    KnownCoordinates,
    LikelihoodTerm,
    LinearObservation,
    MaskedObservation,
    MomentMatching,
    NoisyClassifier,
    Potential,
    ProjectedMean,
    ProportionalVariance,
    ResidualObservation,
    SumOfTerms,
    ZeroVariance,
    gaussian_posterior,
    mixture_posterior,
)
from protdiff.diffusion.polymer import PolymerMap, WhitenedDenoiser
from protdiff.diffusion.sde import VESDE, BrownianSDE, CosineVPSDE, LinearVPSDE
from protdiff.diffusion.subspace import CentredSubspace
from protdiff.diffusion.temperature import ScaledScore
from protdiff.errors import InputError

SDES = [LinearVPSDE(), CosineVPSDE(), VESDE(), BrownianSDE(drift_velocity=2.0)]
EVERY_SDE = pytest.mark.parametrize("sde", SDES, ids=lambda sde: type(sde).__name__)
EVERY_TIME = pytest.mark.parametrize("t", [0.02, 0.3, 1.0])

MEAN = torch.tensor([0.3, -0.2, 0.1]).double()
COVARIANCE = torch.tensor([[1.2, 0.6, 0.2], [0.6, 0.8, 0.1], [0.2, 0.1, 0.5]]).double()
MATRIX = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]).double()
OBSERVED = torch.tensor([1.0, -0.5]).double()
NOISE_STD = 0.3


def make_state(sde, t, size=3, batch=5):
    x_0 = torch.randn(batch, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    t = torch.tensor(t).double()
    return sde.perturb(x_0, t, x_0.flip(0)), t


def assert_same(guided, expected, x_t, t):
    torch.testing.assert_close(guided(x_t, t), expected(x_t, t), rtol=1e-8, atol=1e-8)
    times = t.expand(len(x_t))
    torch.testing.assert_close(guided(x_t, times), expected(x_t, times), rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(guided.finish(x_t, t), expected(x_t, t), rtol=1e-8, atol=1e-8)


def posterior_denoiser(sde, mean, covariance, matrix=MATRIX, observed=OBSERVED):
    posterior = gaussian_posterior(mean, covariance, matrix, observed, NOISE_STD)
    return GaussianDenoiser(sde, posterior.mean, posterior.covariance)


@EVERY_SDE
@EVERY_TIME
def test_gaussian_prior_observation_is_exact(sde, t):
    x_t, t = make_state(sde, t)
    term = GaussianPriorObservation(COVARIANCE, MATRIX, OBSERVED, NOISE_STD)
    guided = Guided(GaussianDenoiser(sde, MEAN, COVARIANCE), term)
    assert_same(guided, posterior_denoiser(sde, MEAN, COVARIANCE), x_t, t)


@EVERY_SDE
@EVERY_TIME
@pytest.mark.parametrize("frozen", [True, False])
def test_isotropic_variance_is_exact_for_isotropic_data(sde, t, frozen):
    """With data of covariance τ² I, ΠGDM is Bayes' rule, with and without a backward pass."""
    x_t, t = make_state(sde, t)
    covariance, variance = 0.7 * torch.eye(3).double(), IsotropicVariance(0.7)
    denoiser = GaussianDenoiser(sde, MEAN, covariance)
    term = LinearObservation(MATRIX, OBSERVED, NOISE_STD, variance)
    guided = FrozenGuided(denoiser, term, variance) if frozen else Guided(denoiser, term)
    assert_same(guided, posterior_denoiser(sde, MEAN, covariance), x_t, t)
    exact = Guided(denoiser, GaussianPriorObservation(covariance, MATRIX, OBSERVED, NOISE_STD))
    torch.testing.assert_close(
        guided.evaluate(x_t, t).log_likelihood, exact.evaluate(x_t, t).log_likelihood
    )


def test_an_observation_of_independent_rows_needs_no_noise():
    sde, covariance = LinearVPSDE(), 0.7 * torch.eye(3).double()
    x_t, t = make_state(sde, 0.4)
    term = LinearObservation(MATRIX, OBSERVED, 0.0, IsotropicVariance(0.7))
    posterior = gaussian_posterior(MEAN, covariance, MATRIX, OBSERVED, 0.0)
    assert_same(
        Guided(GaussianDenoiser(sde, MEAN, covariance), term),
        GaussianDenoiser(sde, posterior.mean, posterior.covariance),
        x_t,
        t,
    )


@EVERY_SDE
@EVERY_TIME
def test_moment_matching_is_exact_for_any_gaussian(sde, t):
    x_t, t = make_state(sde, t)
    guided = MomentMatching(
        GaussianDenoiser(sde, MEAN, COVARIANCE),
        lambda x_0: x_0 @ MATRIX.mT,
        OBSERVED,
        NOISE_STD,
        iterations=2,
    )
    assert_same(guided, posterior_denoiser(sde, MEAN, COVARIANCE), x_t, t)


@pytest.mark.parametrize("curvature", [0.1, 0.0, -40.0])
def test_moment_matching_stops_where_the_covariance_is_not_positive(curvature):
    """As the Jacobian of a network may be: that element keeps its mean, its neighbour is guided."""
    sde = VESDE()
    x_t, t = make_state(sde, 0.7, size=1, batch=2)
    # The system's curvature is r² + v, of which r² alone is known to be positive.
    variance = torch.tensor([[0.7], [(curvature - 1) * NOISE_STD**2]]).double()
    gain = variance / sde.noise_ratio(t).square()
    denoiser = FunctionDenoiser(sde, lambda x_t, t: gain * x_t)
    matched = MomentMatching(denoiser, lambda x_0: x_0, OBSERVED[:1], NOISE_STD)(x_t, t)
    mean = gain * x_t
    expected = mean + variance / (variance + NOISE_STD**2) * (OBSERVED[0] - mean)
    torch.testing.assert_close(matched[0], expected[0])
    assert torch.equal(matched[1], mean[1])


@EVERY_SDE
@EVERY_TIME
def test_log_likelihood_is_the_density_of_the_observation(sde, t):
    """p(y | x_t) p(x_t) = p(x_t | y) p(y)."""
    x_t, t = make_state(sde, t)
    prior = GaussianDenoiser(sde, MEAN, COVARIANCE)
    term = GaussianPriorObservation(COVARIANCE, MATRIX, OBSERVED, NOISE_STD)
    posterior = gaussian_posterior(MEAN, COVARIANCE, MATRIX, OBSERVED, NOISE_STD)
    conditional = GaussianDenoiser(sde, posterior.mean, posterior.covariance)
    expected = posterior.log_evidence + conditional.log_prob(x_t, t) - prior.log_prob(x_t, t)
    actual = Guided(prior, term).evaluate(x_t, t).log_likelihood
    torch.testing.assert_close(actual, expected, rtol=1e-8, atol=1e-6)


def make_mixture(sde):
    generator = torch.Generator().manual_seed(5)
    factors = torch.randn(3, 3, 3, generator=generator, dtype=torch.float64)
    means = torch.randn(3, 3, generator=generator, dtype=torch.float64)
    weights = torch.tensor([0.2, 0.5, 0.3]).double()
    return MixtureDenoiser(sde, weights, means, 0.3 * factors @ factors.mT)


@EVERY_SDE
@EVERY_TIME
def test_exact_classifier_gives_the_component(sde, t):
    """Guided by its own responsibilities, a mixture becomes one of its components."""
    x_t, t = make_state(sde, t)
    mixture = make_mixture(sde)
    guided = ClassifierGuidance(mixture, lambda x, t: mixture.responsibilities(x, t)[:, 1].log())
    component = GaussianDenoiser(sde, mixture.means[1], mixture.covariances[1])
    assert_same(guided, component, x_t, t)


@EVERY_SDE
def test_weight_of_a_classifier_multiplies_its_shift(sde):
    x_t, t = make_state(sde, 0.4)
    mixture = make_mixture(sde)
    plain, heavy = (
        ClassifierGuidance(
            mixture, lambda x, t: mixture.responsibilities(x, t)[:, 1].log(), **weight
        )(x_t, t)
        - mixture(x_t, t)
        for weight in ({}, {"weight": 2.5})
    )
    assert plain.abs().max() > 0.01
    torch.testing.assert_close(heavy, 2.5 * plain)


@EVERY_SDE
@pytest.mark.parametrize("t", [0.4, 0.7, 1.0])
def test_mixture_posterior(sde, t):
    """The exact posterior of a mixture, against Bayes' rule on the noisy side."""
    x_t, t = make_state(sde, t)
    mixture = make_mixture(sde)
    posterior = mixture_posterior(
        mixture.weights, mixture.means, mixture.covariances, MATRIX, OBSERVED, NOISE_STD
    )
    conditional = MixtureDenoiser(sde, posterior.weights, posterior.means, posterior.covariances)

    def log_likelihood(x, t):
        """p(y | x_t) summed over components, from each one's own posterior."""
        total = []
        for mean, covariance in zip(mixture.means, mixture.covariances, strict=True):
            estimate = Estimate(x, t, GaussianDenoiser(sde, mean, covariance)(x, t), sde)
            term = GaussianPriorObservation(covariance, MATRIX, OBSERVED, NOISE_STD)
            total.append(term(estimate))
        return torch.logsumexp(torch.stack(total, 1) + mixture.responsibilities(x, t).log(), dim=1)

    assert_same(Guided(mixture, NoisyClassifier(log_likelihood)), conditional, x_t, t)
    x_0, zero = torch.randn(4, 3, dtype=torch.float64), torch.zeros(()).double()
    torch.testing.assert_close(posterior.log_density(x_0), conditional.log_prob(x_0, zero))
    torch.testing.assert_close(
        posterior.responsibilities(x_0), conditional.responsibilities(x_0, zero)
    )
    second = torch.einsum(
        "k,kij->ij",
        posterior.weights,
        posterior.covariances + posterior.means[:, :, None] * posterior.means[:, None, :],
    )
    expected = second - posterior.mean[:, None] * posterior.mean
    torch.testing.assert_close(posterior.covariance, expected)


@EVERY_TIME
def test_guidance_around_guidance(t):
    """Two observations in turn are both: the outer gradient goes through the inner one."""
    sde = LinearVPSDE()
    x_t, t = make_state(sde, t)
    first, second = MATRIX[:1], MATRIX[1:]
    middle = gaussian_posterior(MEAN, COVARIANCE, first, OBSERVED[:1], NOISE_STD)
    inner = Guided(
        GaussianDenoiser(sde, MEAN, COVARIANCE),
        GaussianPriorObservation(COVARIANCE, first, OBSERVED[:1], NOISE_STD),
    )
    outer = Guided(
        inner, GaussianPriorObservation(middle.covariance, second, OBSERVED[1:], NOISE_STD)
    )
    assert_same(outer, posterior_denoiser(sde, MEAN, COVARIANCE), x_t, t)


def detach(denoiser):
    def function(x_t, t):
        with torch.no_grad():
            return denoiser(x_t, t)

    return FunctionDenoiser(denoiser.sde, function)


def detach_under_weights(denoiser):
    weight = torch.ones(3, requires_grad=True)
    return FunctionDenoiser(denoiser.sde, lambda x_t, t: weight * denoiser(x_t.detach(), t))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda denoiser: FrozenGuided(denoiser, LinearObservation(MATRIX, OBSERVED, NOISE_STD)),
        lambda denoiser: ClassifierGuidance(denoiser, lambda x_t, t: x_t[:, 0]),
        lambda denoiser: MomentMatching(denoiser, lambda x_0: x_0, OBSERVED[:1], NOISE_STD),
        detach,
        detach_under_weights,
    ],
)
def test_a_condition_on_a_mean_without_a_gradient_is_refused(wrap):
    """It would be dropped without a word, alone and beside one that reads the state."""
    sde = LinearVPSDE()
    x_t, t = make_state(sde, 0.4)
    denoiser = wrap(GaussianDenoiser(sde, MEAN, COVARIANCE))
    condition = LinearObservation(MATRIX, OBSERVED, NOISE_STD)
    guided = Guided(denoiser, condition)
    for evaluate in (guided, guided.finish, guided.evaluate):
        with pytest.raises(InputError, match=r"needs the gradient .* outermost"):
            evaluate(x_t, t)
    with torch.inference_mode(), pytest.raises(InputError, match="outermost"):
        guided(x_t.clone(), t.clone())
    if wrap is not detach_under_weights:
        with pytest.raises(InputError, match="outermost"):
            Guided(denoiser, condition + NoisyClassifier(lambda x_t, t: x_t[:, 0]))(x_t, t)


def test_a_condition_that_reads_no_mean_asks_for_no_gradient_of_it():
    sde = LinearVPSDE()
    x_t, t = make_state(sde, 0.4)
    condition = LinearObservation(MATRIX, OBSERVED, NOISE_STD)
    frozen = FrozenGuided(GaussianDenoiser(sde, MEAN, COVARIANCE), condition)
    classifier = NoisyClassifier(lambda x_t, t: -x_t.square().sum(1))
    assert_same(Guided(frozen, classifier), FrozenGuided(frozen, classifier), x_t, t)
    assert_same(Guided(frozen, condition.within(1e4, 1e5)), frozen, x_t, t)


def test_terms_add():
    """Independent rows: the sum of two observations is the observation of both."""
    sde = LinearVPSDE()
    x_t, t = make_state(sde, 0.4)
    denoiser = GaussianDenoiser(sde, MEAN, COVARIANCE)
    both = LinearObservation(MATRIX, OBSERVED, NOISE_STD)
    one, two = (
        LinearObservation(MATRIX[i : i + 1], OBSERVED[i : i + 1], NOISE_STD) for i in (0, 1)
    )
    assert_same(Guided(denoiser, one + two), Guided(denoiser, both), x_t, t)
    assert_same(Guided(denoiser, SumOfTerms()), denoiser, x_t, t)
    assert_same(Guided(denoiser, 0.5 * one + one * 0.5), Guided(denoiser, one), x_t, t)


def test_span():
    sde = LinearVPSDE()
    denoiser = GaussianDenoiser(sde, MEAN, COVARIANCE)
    term = LinearObservation(MATRIX, OBSERVED, NOISE_STD)
    times = sde.time_of_noise_ratio(torch.tensor([0.01, 0.1, 0.5, 2.0, 10.0]).double())
    x_t = torch.randn(5, 3, dtype=torch.float64)
    spanned = Guided(denoiser, term.within(0.09, 2.1))(x_t, times)
    inside = Guided(denoiser, term)(x_t, times)
    torch.testing.assert_close(spanned[1:4], inside[1:4])
    torch.testing.assert_close(spanned[[0, 4]], denoiser(x_t, times)[[0, 4]])
    # Where it does not hold at all, nothing is differentiated.
    assert_same(Guided(denoiser, term.within(0.09, 2.1)), denoiser, x_t, times[0])
    with pytest.raises(InputError, match="empty"):
        term.within(2.0, 1.0)


@pytest.mark.parametrize("guidance", [Guided, FrozenGuided])
def test_a_span_keeps_out_what_has_no_gradient_outside(guidance):
    sde = LinearVPSDE()
    denoiser = GaussianDenoiser(sde, MEAN, COVARIANCE)
    term = Potential(lambda x_0: (x_0.square().sum(1) - 1).sqrt())
    times = sde.time_of_noise_ratio(torch.tensor([0.1, 50.0]).double())
    x_t = 3 * torch.ones(2, 3, dtype=torch.float64)
    spanned = guidance(denoiser, term.within(0.0, 1.0))(x_t, times)
    torch.testing.assert_close(spanned[:1], guidance(denoiser, term)(x_t[:1], times[:1]))
    torch.testing.assert_close(spanned[1:], denoiser(x_t[1:], times[1:]))


def test_masked_observation_is_a_linear_one():
    sde = CosineVPSDE()
    x_t, t = make_state(sde, 0.4)
    mask = torch.tensor([True, False, True])
    observed = torch.tensor([1.0, math.nan, -0.5]).double()
    denoiser = GaussianDenoiser(sde, MEAN, COVARIANCE)
    masked = Guided(denoiser, MaskedObservation(mask, observed, NOISE_STD))
    selected = torch.eye(3).double()[mask]
    linear = Guided(denoiser, LinearObservation(selected, observed[mask], NOISE_STD))
    residual = Guided(
        denoiser, ResidualObservation(lambda x_0: (x_0 - observed)[:, mask], NOISE_STD)
    )
    assert_same(masked, linear, x_t, t)
    assert_same(masked, residual, x_t, t)
    torch.testing.assert_close(
        masked.evaluate(x_t, t).log_likelihood, linear.evaluate(x_t, t).log_likelihood
    )


def test_proportional_variance_is_reconstruction_guidance():
    """Ho et al. (2022): D − (w α / 2) ∇ ‖y − D‖² on the observed part."""
    sde, weight = LinearVPSDE(), 2.5
    x_t, t = make_state(sde, 0.4)
    mask = torch.tensor([True, False, True])
    denoiser = make_mixture(sde)
    x = x_t.clone().requires_grad_()
    error = (MEAN - denoiser(x, t))[:, mask].square().sum()
    expected = denoiser(x, t) - weight * sde.alpha(t) / 2 * torch.autograd.grad(error, x)[0]
    term = MaskedObservation(mask, MEAN, variance=ProportionalVariance(weight))
    torch.testing.assert_close(Guided(denoiser, term)(x_t, t), expected.detach())


def test_zero_variance_is_dps():
    sde = LinearVPSDE()
    x_t, t = make_state(sde, 0.4)
    denoiser = make_mixture(sde)
    x = x_t.clone().requires_grad_()
    error = (OBSERVED - denoiser(x, t) @ MATRIX.mT).square().sum() / (2 * NOISE_STD**2)
    gradient = torch.autograd.grad(-error, x)[0]
    expected = denoiser(x_t, t) + sde.sigma(t) ** 2 / sde.alpha(t) * gradient
    term = LinearObservation(MATRIX, OBSERVED, NOISE_STD, ZeroVariance())
    torch.testing.assert_close(Guided(denoiser, term)(x_t, t), expected)
    potential = Potential(
        lambda x_0: (OBSERVED - x_0 @ MATRIX.mT).square().sum(1) / 2, temperature=NOISE_STD**2
    )
    torch.testing.assert_close(Guided(denoiser, potential)(x_t, t), expected)


def test_frozen_guidance_does_not_differentiate_the_denoiser():
    def function(x_t, t):
        assert not torch.is_grad_enabled()
        return 0.5 * x_t

    denoiser = FunctionDenoiser(LinearVPSDE(), function)
    x_t, t = make_state(denoiser.sde, 0.4)
    FrozenGuided(denoiser, LinearObservation(MATRIX, OBSERVED, NOISE_STD))(x_t, t)


@pytest.mark.parametrize("guidance", [Guided, FrozenGuided])
def test_modes_and_precision(guidance):
    """Under no_grad and in inference mode alike; the precision of the state; no graph left."""
    sde = LinearVPSDE()
    denoiser = GaussianDenoiser(sde, MEAN.float(), COVARIANCE.float())
    guided = guidance(denoiser, LinearObservation(MATRIX, OBSERVED, NOISE_STD))
    x_t, t = make_state(sde, 0.4)
    x_t = x_t.float()
    expected = guided(x_t, t)
    assert expected.dtype == torch.float32
    assert not expected.requires_grad
    with torch.no_grad():
        assert torch.equal(guided(x_t, t), expected)
    with torch.inference_mode():
        assert torch.equal(guided(x_t.clone(), t.clone()), expected)


@pytest.mark.parametrize("guidance", [Guided, FrozenGuided])
def test_max_shift(guidance):
    sde = LinearVPSDE()
    denoiser = GaussianDenoiser(sde, MEAN, COVARIANCE)
    term = LinearObservation(MATRIX, 50.0 * OBSERVED, NOISE_STD)
    x_t, t = make_state(sde, 0.4)
    free = guidance(denoiser, term)(x_t, t) - denoiser(x_t, t)
    limit = float(free.norm(dim=1).median())
    held = guidance(denoiser, term, max_shift=limit)(x_t, t) - denoiser(x_t, t)
    expected = free * (limit / free.norm(dim=1, keepdim=True)).clamp(max=1.0)
    torch.testing.assert_close(held, expected)
    assert_same(guidance(denoiser, SumOfTerms(), max_shift=1.0), denoiser, x_t, t)
    with pytest.raises(InputError, match="max_shift"):
        guidance(denoiser, term, max_shift=0.0)
    with pytest.raises(InputError, match="max_shift"):
        guidance(denoiser, term, max_shift=torch.tensor([1.0, 0.0, 1.0, 1.0]))


@pytest.mark.parametrize("guidance", [Guided, FrozenGuided])
def test_what_a_denoiser_keeps_is_left_alone(guidance):
    sde = LinearVPSDE()
    x_t, t = make_state(sde, 0.4)
    kept = torch.zeros_like(x_t)
    guided = guidance(
        FunctionDenoiser(sde, lambda x_t, t: kept),
        LinearObservation(MATRIX, OBSERVED, NOISE_STD),
    )
    before = x_t.clone(), t.clone()
    guided(x_t, t)
    assert not any(tensor.requires_grad for tensor in (kept, x_t, t))
    assert not kept.any()
    assert torch.equal(x_t, before[0])
    assert torch.equal(t, before[1])


def test_impossible_variances_and_iterations_are_refused():
    denoiser = GaussianDenoiser(LinearVPSDE(), MEAN, COVARIANCE)
    with pytest.raises(InputError, match="not positive"):
        IsotropicVariance(0.0)
    for noise_std, iterations in ((0.0, 3), (1.0, 0)):
        with pytest.raises(InputError, match="Moment matching"):
            MomentMatching(denoiser, lambda x: x, OBSERVED, noise_std, iterations=iterations)


def test_guidance_stays_in_the_subspace():
    """Through a denoiser that projects, of itself; without a backward pass, by projection."""
    subspace = CentredSubspace(torch.tensor([[True] * 4 + [False]] * 2), atoms=1)
    sde = LinearVPSDE()
    denoiser = FunctionDenoiser(sde, lambda x_t, t: subspace.project(subspace.project(x_t).tanh()))
    mask = torch.tensor([True, True, False, False, False])[:, None]
    term = MaskedObservation(mask, torch.ones(5, 3), 0.1)
    generator = torch.Generator().manual_seed(0)
    x_t = subspace.project(torch.randn(2, 5, 3, generator=generator))
    t = torch.tensor(0.4)
    for guided in (Guided(denoiser, term), FrozenGuided(denoiser, term, subspace=subspace)):
        mean = guided(x_t, t)
        torch.testing.assert_close(mean, subspace.project(mean), rtol=0, atol=1e-5)
        assert (mean - denoiser(x_t, t)).abs().max() > 0.1


class Remembering(Denoiser):
    """A denoiser that remembers which element of the batch is which."""

    def __init__(self, sde, batch):
        self.sde = sde
        self.names = torch.arange(batch)

    def __call__(self, x_t, t):
        return 0.5 * x_t

    def reorder(self, indices):
        self.names = self.names[indices]


def test_every_guidance_hands_reordering_on():
    indices = torch.tensor([2, 0, 0])
    term = LinearObservation(MATRIX, OBSERVED, NOISE_STD)
    for wrap in (
        lambda denoiser: Guided(denoiser, term),
        lambda denoiser: FrozenGuided(denoiser, term),
        lambda denoiser: ClassifierGuidance(denoiser, lambda x, t: x.sum(1)),
        lambda denoiser: MomentMatching(denoiser, lambda x: x, MEAN, 1.0),
        lambda denoiser: ProjectedMean(denoiser, lambda x: x),
        lambda denoiser: ScaledScore(denoiser, 1.5),
        lambda denoiser: WhitenedDenoiser(denoiser, PolymerMap(4, 0.5)),
        MovingFrame,
    ):
        inner = Remembering(LinearVPSDE(), 3)
        wrap(inner).reorder(indices)
        assert inner.names.tolist() == [2, 0, 0]


def test_final_mean_is_that_of_the_unscaled_score():
    """A temperature inside a guidance sharpens the way, and is not in the last denoised mean."""
    sde = LinearVPSDE()
    x_t, t = make_state(sde, 0.02)
    denoiser = GaussianDenoiser(sde, MEAN, COVARIANCE)
    term = LinearObservation(MATRIX, OBSERVED, NOISE_STD)
    scaled = Guided(ScaledScore(denoiser, 1.5), term)
    torch.testing.assert_close(scaled.finish(x_t, t), Guided(denoiser, term)(x_t, t))
    assert (scaled(x_t, t) - scaled.finish(x_t, t)).abs().max() > 1e-3


def test_a_likelihood_of_ones_own():
    """A term is one function of an estimate."""

    class Halfspace(LikelihoodTerm):
        """Probit: the first coordinate, with noise, is positive."""

        def __call__(self, estimate):
            spread = (1.0 + estimate.isotropic_variance()).sqrt()
            return torch.special.log_ndtr(estimate.denoised[:, 0] / spread)

    sde = LinearVPSDE()
    x_t, t = make_state(sde, 0.4)
    denoiser = GaussianDenoiser(sde, torch.zeros(3).double(), torch.eye(3).double())
    shift = Guided(denoiser, Halfspace())(x_t, t) - denoiser(x_t, t)
    assert (shift[:, 0] > 0).all()
    torch.testing.assert_close(shift[:, 1:], torch.zeros(5, 2).double())


def test_bad_observations():
    with pytest.raises(InputError, match="shape"):
        LinearObservation(MATRIX, OBSERVED[:1], NOISE_STD)
    with pytest.raises(InputError, match="positive"):
        LinearObservation(MATRIX, OBSERVED, 0.0, ZeroVariance())
    with pytest.raises(InputError, match="repetition"):
        LinearObservation(MATRIX[[0, 0]], OBSERVED, 0.0)
    for seed in range(10):  # of which rounding in single precision hides some
        rows = torch.randn(2, 6, generator=torch.Generator().manual_seed(seed))
        with pytest.raises(InputError, match="repetition"):
            LinearObservation(torch.cat([rows, rows.sum(0)[None]]), torch.zeros(3), 0.0)
    with pytest.raises(InputError, match="noise_std"):
        MaskedObservation(torch.ones(3).bool(), MEAN, -1.0)
    with pytest.raises(InputError, match="weight"):
        ProportionalVariance(0.0)
    with pytest.raises(InputError, match="temperature"):
        Potential(lambda x_0: x_0.sum(1), temperature=0.0)


@pytest.mark.parametrize("guidance", [Guided, FrozenGuided])
@pytest.mark.parametrize(
    "make",
    [
        lambda term: term,
        lambda term: term + SumOfTerms(),
        lambda term: term.within(0.0, 1e9),
        lambda term: 2.0 * term,
    ],
)
@pytest.mark.parametrize("column", [lambda x: (x[:, :1] - 1) ** 2, lambda x: (x[:, 0] - 1).sum()])
def test_an_energy_of_another_shape_is_refused(guidance, make, column):
    """(batch, 1) would be broadcast to (batch, batch), a strength that grows with the batch."""
    sde = LinearVPSDE()
    x_t, t = make_state(sde, 0.4)
    denoiser = GaussianDenoiser(sde, MEAN, COVARIANCE)

    class Column(LikelihoodTerm):
        def __call__(self, estimate):
            return -column(estimate.denoised)

    for term, name in ((Potential(column), "energy"), (Column(), "log-likelihood")):
        with pytest.raises(InputError, match=f"{name} has the shape"):
            guidance(denoiser, make(term))(x_t, t)


@pytest.mark.parametrize(
    "make",
    [
        lambda one, column: FrozenGuided(one, MaskedObservation(column > 0, column[:, 0], 0.1)),
        lambda one, column: FrozenGuided(one, MaskedObservation(column[:, 0] > 0, column, 0.1)),
        lambda one, column: MomentMatching(one, lambda x: 2 * x, column, 0.1),
        lambda one, column: ProjectedMean(one, KnownCoordinates(column > 0, column)),
        lambda one, column: ProjectedMean(one, KnownCoordinates(column[:, 0] > 0, column)),
    ],
)
def test_observations_of_another_shape_are_refused(make):
    """(batch, 1) of numbers (batch,) would tell every element what was observed of all."""
    denoiser = GaussianDenoiser(LinearVPSDE(), torch.zeros(()), torch.eye(1))
    with pytest.raises(InputError, match=r"has the shape \(5, 1\)"):
        make(denoiser, torch.ones(5, 1))(torch.zeros(5), torch.tensor(0.5))


def test_weights_of_a_posterior_mixture_are_normalised():
    means = torch.tensor([[-1.0], [1.0]]).double()
    covariances = 0.1 * torch.eye(1).double().expand(2, 1, 1)
    weights = torch.tensor([1.0, 3.0]).double()
    one, other = (
        mixture_posterior(w, means, covariances, torch.eye(1).double(), torch.zeros(1).double(), 1)
        for w in (weights, weights / 4)
    )
    torch.testing.assert_close(one.log_evidence, other.log_evidence)
    torch.testing.assert_close(one.weights, other.weights)

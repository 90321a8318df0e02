"""The variational bound, and its equality with the weighted denoising loss."""

import pytest
import torch

from protdiff.diffusion.analytic import GaussianDenoiser, MixtureDenoiser
from protdiff.diffusion.denoiser import FunctionDenoiser
from protdiff.diffusion.noise import GaussianNoise, ProjectedNoise
from protdiff.diffusion.objective import LikelihoodWeighting, compute_discrete_bound, step_weights
from protdiff.diffusion.sde import VESDE, BrownianSDE, CosineVPSDE, LinearVPSDE
from protdiff.diffusion.subspace import CentredSubspace
from protdiff.diffusion.time_grid import LogSNRGrid, UniformGrid
from protdiff.errors import InputError

SDES = [LinearVPSDE(), CosineVPSDE(), VESDE(), BrownianSDE(drift_velocity=2.0)]
EVERY_SDE = pytest.mark.parametrize("sde", SDES, ids=lambda sde: type(sde).__name__)
ZERO = torch.zeros(()).double()


def make_mixture(sde):
    means = torch.tensor([[-1.0, 0.0], [1.0, 0.5]]).double()
    return MixtureDenoiser(sde, torch.ones(2), means, 0.1 * torch.eye(2).double().expand(2, 2, 2))


def bound(denoiser, x_0, steps, grid=None, **options):
    noise = GaussianNoise(torch.Generator().manual_seed(0))
    grid = LogSNRGrid() if grid is None else grid
    return compute_discrete_bound(
        denoiser, x_0, grid(denoiser.sde, steps), **{"noise": noise, **options}
    )


@EVERY_SDE
@pytest.mark.parametrize("grid", [LogSNRGrid(), UniformGrid()], ids=str)
def test_divergence_of_a_step_is_a_weighted_denoising_loss(sde, grid):
    """To rounding, sample by sample, for a denoiser that is not even right."""
    denoiser = FunctionDenoiser(sde, lambda x_t, t: torch.tanh(x_t))
    x_0 = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    terms = bound(denoiser, x_0, 20, grid)
    weights = step_weights(sde, grid(sde, 20))
    assert (weights > 0).all()
    torch.testing.assert_close(
        terms.steps, weights[:, None] * terms.squared_errors, rtol=1e-6, atol=1e-9
    )


@EVERY_SDE
def test_fine_steps_have_the_likelihood_weighting(sde):
    times = UniformGrid(t_min=0.2, t_max=0.8)(sde, 6000)
    middles, widths = (times[1:] + times[:-1]) / 2, times[:-1] - times[1:]
    expected = LikelihoodWeighting()(sde, middles) / 2
    torch.testing.assert_close(step_weights(sde, times) / widths, expected, rtol=1e-5, atol=0)


@EVERY_SDE
def test_prior_term_is_the_divergence_from_what_sampling_starts_from(sde):
    """On a grid that starts early, where there is something to pay."""
    denoiser = FunctionDenoiser(sde, lambda x_t, t: torch.tanh(x_t))
    x_0 = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    terms = bound(denoiser, x_0, 4, LogSNRGrid(noise_ratio_max=2.0))
    t = sde.time_of_noise_ratio(torch.tensor(2.0).double())
    expected = torch.distributions.kl_divergence(
        torch.distributions.Normal(sde.alpha(t) * x_0, sde.sigma(t)),
        torch.distributions.Normal(torch.zeros_like(x_0), sde.marginal_sigma(t)),
    ).sum(1)
    torch.testing.assert_close(terms.prior, expected)
    assert (terms.prior > 0.01).all()


@pytest.mark.statistical
@pytest.mark.parametrize("sde", [LinearVPSDE(), VESDE()], ids=lambda sde: type(sde).__name__)
def test_bound_holds_and_becomes_tight(sde):
    """With the exact denoiser the gap falls with the number of steps, towards zero."""
    mixture = make_mixture(sde)
    x_0 = mixture.sample(2000, torch.Generator().manual_seed(1))
    exact = mixture.log_prob(x_0, ZERO)
    gaps = []
    for steps in (10, 40, 160):
        difference = bound(mixture, x_0, steps).total + exact
        error = float(difference.std()) / 2000**0.5
        assert float(difference.mean()) > 4 * error
        gaps.append(float(difference.mean()))
    assert gaps[0] > 3 * gaps[1] > 9 * gaps[2]
    # The gap is of first order in the steps: extrapolated to infinitely many, there is none.
    assert abs((4 * gaps[2] - gaps[1]) / 3) < 0.25


@pytest.mark.statistical
def test_a_wrong_denoiser_has_a_worse_bound():
    mixture = make_mixture(LinearVPSDE())
    x_0 = mixture.sample(2000, torch.Generator().manual_seed(1))
    wrong = FunctionDenoiser(mixture.sde, lambda x_t, t: 0.9 * mixture(x_t, t))
    assert bound(wrong, x_0, 100).total.mean() > bound(mixture, x_0, 100).total.mean() + 0.1


@pytest.mark.statistical
def test_bound_in_a_subspace():
    """Clouds of three points without their mean: 3 · 3 − 3 dimensions, no more."""
    sde = LinearVPSDE()
    subspace = CentredSubspace(torch.ones(500, 3).bool(), atoms=1)
    projection = torch.kron(torch.eye(3) - 1 / 3, torch.eye(3)).double()
    denoiser = GaussianDenoiser(sde, torch.zeros(3, 3).double(), 0.5 * projection)
    noise = ProjectedNoise(GaussianNoise(torch.Generator().manual_seed(0)), subspace)
    x_0 = denoiser.sample(500, torch.Generator().manual_seed(1))
    density = -0.5 * (x_0.square().flatten(1).sum(1) / 0.5 + 6 * torch.tensor(torch.pi).log())
    coarse, fine = (
        bound(denoiser, x_0, steps, noise=noise, subspace=subspace).total + density
        for steps in (100, 200)
    )
    assert coarse.mean() > fine.mean() > 0
    # Extrapolated to infinitely many steps; one dimension amiss would cost 5 nats.
    gap = 2 * fine - coarse
    assert abs(float(gap.mean())) < 0.1 + 4 * float(gap.std()) / 500**0.5


def test_a_time_that_is_repeated_costs_nothing_and_one_time_is_a_bound():
    sde = LinearVPSDE()
    denoiser = FunctionDenoiser(sde, lambda x_t, t: torch.tanh(x_t))
    x_0 = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    times = LogSNRGrid()(sde, 4)
    once, twice, alone = (
        compute_discrete_bound(denoiser, x_0, grid, noise=torch.ones_like)
        for grid in (times, times.repeat_interleave(2), times[-1:])
    )
    assert twice.steps[::2].abs().max() == 0
    torch.testing.assert_close(twice.steps[1::2], once.steps)
    torch.testing.assert_close(twice.total, once.total)
    assert alone.steps.shape == alone.squared_errors.shape == (0, 5)
    torch.testing.assert_close(alone.total, alone.prior + once.reconstruction)


def test_times_and_data_that_make_no_bound_are_refused():
    sde, noise = LinearVPSDE(), GaussianNoise(torch.Generator().manual_seed(0))
    denoiser = FunctionDenoiser(sde, lambda x_t, t: x_t / 2)
    with pytest.raises(InputError, match="make no run"):
        compute_discrete_bound(denoiser, torch.ones(2, 3), torch.linspace(1, 0, 9), noise=noise)
    subspace = CentredSubspace(torch.ones(1, 3, dtype=torch.bool), atoms=1)
    with pytest.raises(InputError, match="outside"):
        compute_discrete_bound(
            denoiser, torch.ones(1, 3, 3), torch.linspace(1, 0.1, 9), noise=noise, subspace=subspace
        )

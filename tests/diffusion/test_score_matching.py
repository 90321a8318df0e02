"""Explicit, implicit, sliced and denoising score matching are one objective."""

import pytest
import torch

from protdiff.diffusion.noise import GaussianNoise
from protdiff.diffusion.objective import (
    denoising_score_matching,
    explicit_score_matching,
    implicit_score_matching,
    sliced_score_matching,
)
from protdiff.errors import InputError

COVARIANCE = torch.tensor([[1.0, 0.5], [0.5, 0.7]]).double()
WRONG = torch.tensor([[0.9, -0.2], [0.1, 2.0]]).double()


def make_data(count=4000):
    x = torch.randn(count, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return x @ torch.linalg.cholesky(COVARIANCE).mT


def make_noise(seed=1):
    return GaussianNoise(torch.Generator().manual_seed(seed))


def linear(precision):
    return lambda x: -x @ precision.mT


def test_implicit_trace_is_the_trace():
    network = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 6))

    def model(x):
        return network(x.flatten(1)).reshape(x.shape)

    x = torch.randn(4, 2, 3)
    jacobian = torch.func.vmap(torch.func.jacrev(lambda point: network(point)))(x.flatten(1))
    expected = 0.5 * model(x).flatten(1).square().sum(1) + jacobian.diagonal(dim1=1, dim2=2).sum(1)
    torch.testing.assert_close(implicit_score_matching(model, x), expected)


def test_implicit_optimum_is_the_inverse_of_the_sample_covariance():
    """A linear score's optimum is known in closed form, for the very sample: no tolerance."""
    x = make_data(50)
    precision = torch.linalg.inv(x.mT @ x / 50).requires_grad_()
    implicit_score_matching(linear(precision), x).mean().backward()
    torch.testing.assert_close(precision.grad, torch.zeros(2, 2).double())


@pytest.mark.statistical
def test_implicit_differs_from_explicit_by_a_constant():
    x = make_data()
    true_score = linear(torch.linalg.inv(COVARIANCE))(x)
    constant = 0.5 * float(torch.linalg.inv(COVARIANCE).trace())
    for precision in (WRONG, torch.linalg.inv(COVARIANCE), torch.eye(2).double()):
        explicit = explicit_score_matching(linear(precision), x, true_score)
        implicit = implicit_score_matching(linear(precision), x).detach()
        difference = explicit - implicit - constant
        assert abs(float(difference.mean())) < 4 * float(difference.std()) / 4000**0.5
    exact = explicit_score_matching(linear(torch.linalg.inv(COVARIANCE)), x, true_score)
    assert float(exact.max()) < 1e-20


@pytest.mark.statistical
@pytest.mark.parametrize("projections", [1, 4])
def test_sliced_is_implicit_on_average(projections):
    x = make_data()

    def model(x):
        return -x @ WRONG.mT + 0.3 * torch.sin(x).flip(1)

    sliced = sliced_score_matching(model, x, noise=make_noise(), projections=projections)
    difference = (sliced - implicit_score_matching(model, x)).detach()
    assert abs(float(difference.mean())) < 4 * float(difference.std()) / 4000**0.5
    if projections == 4:
        single = sliced_score_matching(model, x, noise=make_noise())
        single = (single - implicit_score_matching(model, x)).detach()
        assert 0.8 < float(single.var() / difference.var()) / 4 < 1.25


@pytest.mark.statistical
def test_denoising_optimum_is_the_score_of_the_noised_law():
    x, sigma = make_data(20000), 0.6
    noised = COVARIANCE + sigma**2 * torch.eye(2).double()
    precision = torch.linalg.inv(noised).requires_grad_()
    gradients = []
    for part in x.split(1000):
        loss = denoising_score_matching(
            linear(precision), part, sigma, noise=make_noise(len(gradients))
        )
        (gradient,) = torch.autograd.grad(loss.mean(), precision)
        gradients.append(gradient)
    gradients = torch.stack(gradients)
    error = gradients.std(0) / 20**0.5
    assert (gradients.mean(0).abs() < 4.5 * error).all()
    # And not that of the clean law.
    clean = torch.linalg.inv(COVARIANCE).requires_grad_()
    loss = denoising_score_matching(linear(clean), x, sigma, noise=make_noise())
    (gradient,) = torch.autograd.grad(loss.mean(), clean)
    assert (gradient.abs() > 10 * error).any()


def test_losses_train():
    """Each loss has a gradient in the parameters, through the derivative of the model too."""
    x = make_data(8).float()
    for loss in (
        lambda model: implicit_score_matching(model, x),
        lambda model: sliced_score_matching(model, x, noise=make_noise()),
        lambda model: denoising_score_matching(model, x, 0.5, noise=make_noise()),
    ):
        network = torch.nn.Linear(2, 2, bias=False)
        torch.nn.init.zeros_(network.weight)
        loss(network).mean().backward()
        # At a score of zero only the trace (or the noise) speaks.
        assert network.weight.grad.abs().max() > 0.1


def make_losses(x):
    """Each loss as a function of the model."""
    return (
        lambda model: explicit_score_matching(model, x, torch.zeros_like(x)),
        lambda model: implicit_score_matching(model, x),
        lambda model: sliced_score_matching(model, x, noise=make_noise()),
        lambda model: denoising_score_matching(model, x, 0.5, noise=make_noise()),
    )


def test_a_score_of_another_shape_is_refused():
    for loss in make_losses(make_data(5)[:, :1]):
        with pytest.raises(InputError, match="score"):
            loss(lambda x: -x[:, 0])
    with pytest.raises(InputError, match="true score"):
        explicit_score_matching(lambda x: -x, make_data(5)[:, :1], torch.zeros(5))


def test_numbers_are_events_of_size_one():
    x = make_data(5)[:, 0]
    for loss, expected in zip(make_losses(x), make_losses(x[:, None]), strict=True):
        assert torch.equal(loss(torch.tanh), expected(torch.tanh))


@pytest.mark.parametrize("sigma", [0.0, -0.5, float("nan"), float("inf"), torch.ones(2)])
def test_impossible_noise_is_refused(sigma):
    """A vector of as many numbers as a sample has would be one noise for each coordinate."""
    with pytest.raises(InputError, match="sigma"):
        denoising_score_matching(lambda x: -x, make_data(2), sigma, noise=make_noise())


def test_no_projections_are_refused():
    with pytest.raises(InputError, match="at least 1"):
        sliced_score_matching(lambda x: -x, make_data(2), noise=make_noise(), projections=0)


def test_inference_mode_changes_nothing():
    x = make_data(5)
    expected = [loss(torch.tanh) for loss in make_losses(x)]
    with torch.inference_mode():
        for loss, value in zip(make_losses(x.clone()), expected, strict=True):
            assert torch.equal(loss(torch.tanh), value)

"""Every target tells the same posterior mean."""

import pytest
import torch

from protdiff.diffusion.analytic import GaussianDenoiser
from protdiff.diffusion.denoiser import predict_noise, score
from protdiff.diffusion.noise import GaussianNoise
from protdiff.diffusion.objective import (
    DataTarget,
    DenoisingLoss,
    FlowTarget,
    NetworkDenoiser,
    NoiseTarget,
    PreconditionedTarget,
    ScoreTarget,
    VelocityTarget,
)
from protdiff.diffusion.sampler import HeunODE
from protdiff.diffusion.sde import (
    VESDE,
    BrownianSDE,
    CosineVPSDE,
    LinearVPSDE,
    OrnsteinUhlenbeckSDE,
    SubVPSDE,
)
from protdiff.diffusion.time_grid import KarrasGrid
from protdiff.errors import InputError

SDES = [
    LinearVPSDE(),
    CosineVPSDE(),
    SubVPSDE(),
    VESDE(),
    BrownianSDE(drift_velocity=2.0),
    OrnsteinUhlenbeckSDE(centre=1.5),
]
TARGETS = [
    NoiseTarget(),
    DataTarget(),
    VelocityTarget(),
    ScoreTarget(),
    FlowTarget(),
    PreconditionedTarget(0.8),
]
EVERY_SDE = pytest.mark.parametrize("sde", SDES, ids=lambda sde: type(sde).__name__)
EVERY_TARGET = pytest.mark.parametrize("target", TARGETS, ids=lambda target: type(target).__name__)
MEAN = torch.tensor([0.3, -0.2]).double()
COVARIANCE = torch.tensor([[1.2, 0.6], [0.6, 0.8]]).double()


def make_batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    x_0, noise = torch.randn(2, 6, 2, dtype=torch.float64, generator=generator)
    return x_0, noise, torch.tensor([0.02, 0.1, 0.3, 0.6, 0.9, 0.99]).double()


@EVERY_SDE
@EVERY_TARGET
def test_a_perfect_guess_gives_the_data_back(sde, target):
    x_0, noise, t = make_batch()
    x_t = sde.perturb(x_0, t, noise)
    output = target.target(sde, x_0, noise, t)
    torch.testing.assert_close(target.denoised(sde, output, x_t, t), x_0, rtol=1e-7, atol=1e-7)
    output = target.target(sde, x_0, noise, t[2])
    x_t = sde.perturb(x_0, t[2], noise)
    torch.testing.assert_close(target.denoised(sde, output, x_t, t[2]), x_0, rtol=1e-7, atol=1e-7)


@EVERY_SDE
@EVERY_TARGET
def test_the_regression_gives_the_posterior_mean(sde, target):
    """A network that has learned E[target | x_t] is the exact denoiser."""
    exact = GaussianDenoiser(sde, MEAN, COVARIANCE)

    def network(x_t, t):
        denoised = exact(x_t, t)
        return target.target(sde, denoised, predict_noise(sde, x_t, t, denoised), t)

    x_0, noise, t = make_batch()
    x_t = sde.perturb(x_0, t, noise)
    denoiser = NetworkDenoiser(network, sde, target)
    torch.testing.assert_close(denoiser(x_t, t), exact(x_t, t), rtol=1e-7, atol=1e-7)


@EVERY_SDE
def test_targets_are_what_they_are_called(sde):
    """Against the formulas that do not go through the coefficients."""
    x_0, noise, t = make_batch()
    alpha, sigma = sde.alpha(t)[:, None], sde.sigma(t)[:, None]
    x_t = sde.perturb(x_0, t, noise)
    for target, expected in (
        (NoiseTarget(), noise),
        (DataTarget(), x_0),
        (VelocityTarget(), alpha * noise - sigma * x_0),
        (ScoreTarget(), (sde.mean(x_0, t) - x_t) / sigma**2),
    ):
        torch.testing.assert_close(target.target(sde, x_0, noise, t), expected)


@EVERY_SDE
def test_flow_target_is_the_derivative_of_the_path(sde):
    x_0, noise, t = make_batch()
    leaf = t.clone().requires_grad_()
    columns = sde.perturb(x_0, leaf, noise).sum(0)
    derivative = torch.stack(
        [torch.autograd.grad(column, leaf, retain_graph=True)[0] for column in columns], 1
    )
    torch.testing.assert_close(FlowTarget().target(sde, x_0, noise, t), derivative)


@EVERY_SDE
def test_flow_regression_is_the_probability_flow(sde):
    """f x + b − ½ g² ∇ log p_t."""
    exact = GaussianDenoiser(sde, MEAN, COVARIANCE)
    x_0, noise, t = make_batch()
    x_t = sde.perturb(x_0, t, noise)
    denoised = exact(x_t, t)
    output = FlowTarget().target(sde, denoised, predict_noise(sde, x_t, t, denoised), t)
    diffusion = sde.diffusion_coefficient(t)[:, None]
    expected = sde.drift(x_t, t) - diffusion**2 / 2 * score(exact, x_t, t)
    torch.testing.assert_close(output, expected, rtol=1e-6, atol=1e-6)


@EVERY_SDE
def test_preconditioned_target(sde):
    """Karras et al. (2022): D = c_skip y + c_out o of a target of unit variance."""
    tau, target = 0.8, PreconditionedTarget(0.8)
    _, _, t = make_batch()
    c = target.coefficients(sde, t)
    torch.testing.assert_close(tau**2 * c.data**2 + c.noise**2, torch.ones_like(t))
    k = sde.noise_ratio(t)[:, None]
    output, y = torch.randn(2, 6, 2, dtype=torch.float64)
    x_t = sde.mean(y, t)
    expected = tau**2 / (k**2 + tau**2) * y + k * tau / (k**2 + tau**2).sqrt() * output
    torch.testing.assert_close(target.denoised(sde, output, x_t, t), expected)


@pytest.mark.parametrize("sde", [LinearVPSDE(), CosineVPSDE()])
def test_preconditioning_of_unit_data_is_minus_v(sde):
    x_0, noise, t = make_batch()
    torch.testing.assert_close(
        PreconditionedTarget(1.0).target(sde, x_0, noise, t),
        -VelocityTarget().target(sde, x_0, noise, t),
    )


def test_network_parameters_get_gradients():
    network = torch.nn.Linear(2, 2)
    denoiser = NetworkDenoiser(lambda x_t, t: network(x_t), LinearVPSDE(), VelocityTarget())
    denoiser(torch.randn(3, 2), torch.rand(3)).sum().backward()
    assert network.weight.grad is not None
    with pytest.raises(InputError, match="data_std"):
        PreconditionedTarget(0.0)


def test_a_network_is_called_in_sampling_as_in_training():
    """With one time for each element, in the precision of the data."""
    seen = []

    def network(x_t, t):
        seen.append((t.shape, t.dtype))
        return torch.cat([x_t, t[:, None]], 1)[:, :2]

    sde = LinearVPSDE()
    denoiser = NetworkDenoiser(network, sde, VelocityTarget())
    noise = GaussianNoise(torch.Generator().manual_seed(0))
    DenoisingLoss()(denoiser, torch.zeros(3, 2), noise=noise)
    HeunODE()(denoiser, torch.ones(3, 2), KarrasGrid()(sde, 2), noise=noise)
    assert set(seen) == {((3,), torch.float32)}
    x_t, t = torch.randn(3, 2), torch.tensor(0.3).double()
    torch.testing.assert_close(denoiser(x_t, t), denoiser(x_t, t.expand(3)))


def test_an_output_of_another_shape_is_refused():
    denoiser = NetworkDenoiser(lambda x_t, t: x_t[:, 0], LinearVPSDE(), VelocityTarget())
    with pytest.raises(InputError, match="network's output"):
        denoiser(torch.randn(3, 1), torch.rand(3))

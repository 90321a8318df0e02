"""Action matching: the velocity of a moving Gaussian, from samples alone."""

import pytest
import torch

from protdiff.diffusion.analytic import GaussianDenoiser
from protdiff.diffusion.denoiser import score
from protdiff.diffusion.objective import (
    UniformTimes,
    action_matching_loss,
    action_velocity,
    transport,
)
from protdiff.diffusion.sde import CosineVPSDE
from protdiff.errors import InputError


def mean(t):
    return torch.stack([1.5 * t, -t + t**2], 1)


def spread(t):
    return torch.stack([1.0 - 0.5 * t, 0.4 + 0.8 * t], 1)


def mean_rate(t):
    return torch.stack([torch.full_like(t, 1.5), 2 * t - 1], 1)


def spread_rate(t):
    return torch.stack([torch.full_like(t, -0.5), torch.full_like(t, 0.8)], 1)


def snapshot(t, seed):
    """Samples of q_t = N(m, diag s²), independent between times: no paths to follow."""
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(len(t), 2, dtype=torch.float64, generator=generator)
    return mean(t) + spread(t) * normal


def true_velocity(x, t):
    return mean_rate(t) + spread_rate(t) / spread(t) * (x - mean(t))


def true_action(x, t):
    """The potential of the velocity; a function of time alone is left free."""
    offset = x - mean(t)
    return (mean_rate(t) * offset + spread_rate(t) / spread(t) * offset**2 / 2).sum(1)


class PolynomialAction:
    """Σ c_ij t^i x^j, up to the square in each coordinate: linear in its coefficients."""

    def __init__(self, degree=3):
        self.coefficients = torch.zeros(2 * 2 * (degree + 1)).double().requires_grad_()
        self.degree = degree

    def __call__(self, x, t):
        powers = torch.stack([t**i for i in range(self.degree + 1)], 1)
        features = torch.cat([x, x**2], 1)
        products = (features[:, :, None] * powers[:, None]).flatten(1)
        return products @ self.coefficients


def fit(action, loss):
    """The loss is quadratic in the coefficients: one Newton step is its minimum."""
    coefficients = action.coefficients
    (gradient,) = torch.autograd.grad(loss(action), coefficients, create_graph=True)
    rows = [torch.autograd.grad(g, coefficients, retain_graph=True)[0] for g in gradient]
    action.coefficients = -torch.linalg.solve(torch.stack(rows), gradient).detach()
    return action


def test_loss_of_the_true_action_is_minus_its_kinetic_energy():
    t = (torch.arange(20000).double() + 0.5) / 20000
    x_t = snapshot(t, 0)
    loss = action_matching_loss(
        true_action, snapshot(torch.zeros_like(t), 1), snapshot(torch.ones_like(t), 2), x_t, t
    )
    energy = 0.5 * true_velocity(x_t, t).square().sum(1)
    assert abs(float(loss.detach() + energy.mean())) < 0.06
    torch.testing.assert_close(action_velocity(true_action, x_t, t), true_velocity(x_t, t))


@pytest.mark.statistical
def test_learned_from_snapshots_and_transported():
    t = torch.rand(30000, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    x_start, x_end = snapshot(torch.zeros_like(t), 1), snapshot(torch.ones_like(t), 2)
    x_t = snapshot(t, 0)
    action = fit(
        PolynomialAction(), lambda action: action_matching_loss(action, x_start, x_end, x_t, t)
    )
    times = torch.tensor([0.1, 0.5, 0.9]).double().repeat_interleave(500)
    x = snapshot(times, 5)
    error = (action_velocity(action, x, times) - true_velocity(x, times)).square().mean().sqrt()
    assert float(error) < 0.15  # of a velocity of about 1.3
    moved = transport(action, snapshot(torch.zeros(4000).double(), 7), torch.linspace(0, 1, 21))
    one = torch.ones(1).double()
    standard = spread(one)[0] / 4000**0.5
    assert ((moved.mean(0) - mean(one)[0]).abs() < 5 * standard + 0.02).all()
    assert ((moved.std(0) / spread(one)[0] - 1).abs() < 5 / 8000**0.5 + 0.02).all()


def test_transport_with_the_true_action_is_the_known_flow():
    """x ↦ m(1) + s(1)/s(0) (x − m(0)), to the accuracy of fourth order, and back."""
    x = snapshot(torch.zeros(50).double(), 0)
    zero, one = torch.zeros(1).double(), torch.ones(1).double()
    expected = mean(one) + spread(one) / spread(zero) * (x - mean(zero))
    errors = [
        float(
            (transport(true_action, x, torch.linspace(0, 1, n + 1).double()) - expected).abs().max()
        )
        for n in (4, 8)
    ]
    assert errors[1] < 1e-4
    assert 10 < errors[0] / errors[1] < 25
    back = transport(true_action, expected, torch.linspace(1, 0, 33).double())
    torch.testing.assert_close(back, x, rtol=0, atol=1e-6)


def test_density_of_the_times_is_divided_out():
    """The action t²/2 is at rest: its loss is −½ + ∫ t dt = 0, sample by sample if p(t) = 2t."""
    t = torch.rand(10, dtype=torch.float64).sqrt()
    x = snapshot(t, 0)
    loss = action_matching_loss(lambda x, t: t**2 / 2, x, x, x, t, density=2 * t)
    assert abs(float(loss.detach())) < 1e-12


def test_action_of_a_noising_process_is_its_probability_flow():
    """On Gaussian data: ∇ of d(variance)/dt x² / (4 variance) is f x − ½ g² ∇ log p_t."""
    sde = CosineVPSDE()
    variance = 0.3
    denoiser = GaussianDenoiser(sde, torch.zeros(1).double(), torch.full((1, 1), variance).double())
    t = UniformTimes(stratified=True)(sde, 64).double().clamp(max=0.99)
    marginal = sde.alpha(t) ** 2 * variance + sde.sigma(t) ** 2
    x = marginal.sqrt()[:, None]
    flow = sde.drift(x, t) - sde.diffusion_coefficient(t)[:, None] ** 2 / 2 * score(denoiser, x, t)

    def action(x, t):
        marginal = sde.alpha(t) ** 2 * variance + sde.sigma(t) ** 2
        (rate,) = torch.autograd.grad(marginal.sum(), t, create_graph=True)
        return rate / (4 * marginal) * x[:, 0] ** 2

    leaf = t.clone().requires_grad_()
    torch.testing.assert_close(action_velocity(action, x, leaf), flow, rtol=1e-6, atol=1e-8)


def test_what_is_not_one_number_a_sample_is_refused():
    """An action of (batch, 1) * (batch,) is one of every pair of samples."""
    x, t = torch.randn(5, 1), torch.rand(5)
    with pytest.raises(InputError, match="action"):
        action_matching_loss(lambda x, t: x * t, x, x, x, t)
    with pytest.raises(InputError, match="action"):
        action_velocity(lambda x, t: x * t, x, t)

    def action(x, t):
        return x[:, 0] * t

    with pytest.raises(InputError, match="times"):
        action_matching_loss(action, x, x, x, t[0])
    with pytest.raises(InputError, match="density"):
        action_matching_loss(action, x, x, x, t, density=t[:, None])


def test_numbers_are_events_of_size_one():
    x, t = torch.randn(5), torch.rand(5)
    flat = action_matching_loss(lambda x, t: x.sin() * t, x, x, x, t)
    column = x[:, None]
    expected = action_matching_loss(lambda x, t: x[:, 0].sin() * t, column, column, column, t)
    torch.testing.assert_close(flat, expected)


def test_inference_mode_changes_nothing():
    x, t = torch.randn(5, 2), torch.rand(5)
    weight = torch.ones(2, requires_grad=True)

    def action(x, t):
        return (weight * x).sin().sum(1) * t

    loss, velocity = action_matching_loss(action, x, x, x, t), action_velocity(action, x, t)
    with torch.inference_mode():
        x, t = x.clone(), t.clone()
        assert torch.equal(action_matching_loss(action, x, x, x, t), loss)
        assert torch.equal(action_velocity(action, x, t), velocity)
        assert transport(action, x, torch.linspace(0, 1, 3)).isfinite().all()

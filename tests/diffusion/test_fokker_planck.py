import math

import pytest
import torch

from protdiff.diffusion import (
    BrownianSDE,
    CosineVPSDE,
    GaussianNoise,
    LinearVPSDE,
    MixtureDenoiser,
    OrnsteinUhlenbeckSDE,
    simulate,
    solve_fokker_planck,
)
from protdiff.errors import InputError

POSITIONS = torch.linspace(-6, 6, 301, dtype=torch.float64)
WIDTH = float(POSITIONS[1] - POSITIONS[0])


def make_mixture(sde):
    return MixtureDenoiser(
        sde,
        torch.tensor([0.3, 0.7]).double(),
        torch.tensor([[-1.5], [1.0]]).double(),
        torch.tensor([0.15, 0.3]).double().reshape(2, 1, 1),
    )


def evaluate(mixture, t):
    return mixture.log_prob(POSITIONS[:, None], t).exp()


@pytest.mark.parametrize(
    "sde",
    [
        LinearVPSDE(beta_max=6.0),
        CosineVPSDE(final_noise_ratio=20.0),
        OrnsteinUhlenbeckSDE(rate=1.5, centre=0.8),
        BrownianSDE(drift_velocity=1.0, diffusion=1.0),
    ],
    ids=lambda sde: type(sde).__name__,
)
def test_density_agrees_with_the_closed_form(sde):
    mixture, times = make_mixture(sde), torch.linspace(0, 0.9, 91, dtype=torch.float64)
    densities = solve_fokker_planck(sde, POSITIONS, evaluate(mixture, times[0]), times)
    for index in (30, 90):
        exact = evaluate(mixture, times[index])
        # Total variation; the scheme's error at this width and step is about half of this.
        assert float((densities[index] - exact).abs().sum() * WIDTH / 2) < 2e-3
    torch.testing.assert_close(densities.sum(1), densities[0].sum().expand(91), rtol=1e-10, atol=0)
    assert float(densities.min()) > -1e-12


def test_error_is_of_second_order():
    sde = OrnsteinUhlenbeckSDE(rate=1.5, centre=0.8)
    mixture, errors = make_mixture(sde), []
    for cells in (151, 301):
        positions = torch.linspace(-6, 6, cells, dtype=torch.float64)
        times = torch.linspace(0, 0.5, (cells - 1) // 3 + 1, dtype=torch.float64)
        start = mixture.log_prob(positions[:, None], times[0]).exp()
        end = solve_fokker_planck(sde, positions, start, times)[-1]
        exact = mixture.log_prob(positions[:, None], times[-1]).exp()
        errors.append(float((end - exact).abs().max()))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.3)


@pytest.mark.statistical
def test_density_agrees_with_the_histogram_of_a_simulation():
    sde, number = LinearVPSDE(beta_max=6.0), 50_000
    mixture, times = make_mixture(sde), torch.linspace(0, 0.5, 51, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    x_0 = mixture.sample(number, generator)
    x_t = simulate(sde, x_0, times, GaussianNoise(generator))[-1]
    density = solve_fokker_planck(sde, POSITIONS, evaluate(mixture, times[0]), times)[-1]
    # Walls of cells, so that every cell lies in one bin.
    edges = torch.linspace(-3, 3, 31, dtype=torch.float64) + WIDTH / 2
    counts = torch.histogram(x_t.flatten(), edges).hist
    cell = torch.bucketize(POSITIONS, edges) - 1
    for index in range(30):
        expected = number * WIDTH * float(density[cell == index].sum())
        tolerance = 5 * math.sqrt(expected) + 0.02 * expected
        assert float(counts[index]) == pytest.approx(expected, abs=tolerance)


def test_stationary_law_stands_still():
    sde = OrnsteinUhlenbeckSDE(rate=2.0, diffusion=1.0)
    density = torch.exp(-POSITIONS.square() / (2 * sde.stationary_variance))
    times = torch.linspace(0, 1, 5, dtype=torch.float64)
    end = solve_fokker_planck(sde, POSITIONS, density, times)[-1]
    torch.testing.assert_close(end, density, rtol=0, atol=1e-3)


def test_uneven_positions_are_refused():
    positions = torch.tensor([0.0, 1.0, 3.0])
    with pytest.raises(InputError, match="evenly"):
        solve_fokker_planck(LinearVPSDE(), positions, positions, torch.tensor([0.0, 1.0]))


def test_a_way_back_and_a_density_of_another_shape_are_refused():
    density = torch.ones_like(POSITIONS)
    with pytest.raises(InputError, match="never fall"):
        solve_fokker_planck(LinearVPSDE(), POSITIONS, density, torch.tensor([0.5, 0.1]))
    with pytest.raises(InputError, match="the density"):
        solve_fokker_planck(LinearVPSDE(), POSITIONS, density[:, None], torch.tensor([0.0, 0.1]))

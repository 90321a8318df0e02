import pytest
import torch

from protdiff.diffusion import (
    CorrelatedNoise,
    FunctionDenoiser,
    GaussianDenoiser,
    GaussianNoise,
    KarrasGrid,
    LinearVPSDE,
    Noise,
    PolymerMap,
    SDEDPMSolverPP2M,
    StochasticHeun,
    WhitenedDenoiser,
    compute_log_likelihood,
    draw_prior,
)
from protdiff.diffusion.subspace import CentredSubspace
from protdiff.errors import InputError


def centre(x):
    return x - x.mean(1, keepdim=True)


def test_map_is_the_square_root_of_the_chains_covariance():
    polymer = PolymerMap(12, correlation=0.8)
    matrix = polymer.apply(torch.eye(12, dtype=torch.float64)[None])[0]
    torch.testing.assert_close(matrix @ matrix.T, polymer.covariance)
    torch.testing.assert_close(matrix, matrix.T)
    torch.testing.assert_close(matrix.sum(0), torch.zeros(12).double())
    assert float(polymer.covariance.trace()) == pytest.approx(11)
    eigenvalues = torch.linalg.eigvalsh(matrix)[1:]
    assert polymer.log_determinant == pytest.approx(float(eigenvalues.log().sum()))


def test_inverse():
    polymer = PolymerMap(9, correlation=0.95)
    z = centre(torch.randn(4, 9, 3, dtype=torch.float64))
    torch.testing.assert_close(polymer.invert(polymer.apply(z)), z)
    torch.testing.assert_close(polymer.apply(polymer.invert(z)), z)


def test_uncorrelated_chain_is_white_noise():
    polymer = PolymerMap(7, correlation=0.0)
    z = torch.randn(2, 7, 3, dtype=torch.float64)
    torch.testing.assert_close(polymer.apply(z), centre(z))


def test_neighbours_are_close():
    """The mean square bond of a chain is 2 (1 - b) of its variance, far below white noise's."""
    chain, white = PolymerMap(60, correlation=0.95), PolymerMap(60, correlation=0.0)

    def bond(polymer):
        c = polymer.covariance
        return float((c.diagonal()[1:] + c.diagonal()[:-1] - 2 * c.diagonal(1)).mean())

    assert bond(chain) < 0.1 * bond(white)


class RecordedNoise(Noise):
    def __init__(self, noise, polymer=None):
        self.noise, self.polymer = noise, polymer

    def __call__(self, like):
        drawn = centre(self.noise(like))
        return drawn if self.polymer is None else self.polymer.apply(drawn)


@pytest.mark.parametrize("sampler", [SDEDPMSolverPP2M(), StochasticHeun()])
def test_sampling_commutes_with_the_change_of_variables(sampler):
    """x with noise S ε, stepped as it stands, is S times z with white noise, draw by draw."""
    sde, polymer = LinearVPSDE(), PolymerMap(8, correlation=0.9)
    denoiser = FunctionDenoiser(sde, lambda x_t, t: centre(torch.tanh(x_t)))
    times, like = KarrasGrid()(sde, 12), torch.zeros(3, 8, 3, dtype=torch.float64)
    generator = torch.Generator()

    def run(denoiser, noise):
        generator.manual_seed(5)
        return sampler(denoiser, draw_prior(sde, noise, like), times, noise=noise)

    x = run(denoiser, CorrelatedNoise(RecordedNoise(GaussianNoise(generator)), polymer))
    z = run(WhitenedDenoiser(denoiser, polymer), RecordedNoise(GaussianNoise(generator)))
    torch.testing.assert_close(x, polymer.apply(z), rtol=1e-6, atol=1e-8)


@pytest.mark.statistical
def test_prior_has_the_size_of_a_chain():
    sde, polymer = LinearVPSDE(), PolymerMap(30, correlation=0.9)
    noise = CorrelatedNoise(GaussianNoise(torch.Generator().manual_seed(0)), polymer)
    x = draw_prior(sde, noise, torch.zeros(5_000, 30, 3))
    found = torch.einsum("bix,bjx->ij", x, x) / 15_000
    torch.testing.assert_close(found, polymer.covariance.float(), rtol=0, atol=0.06)


def test_likelihood_in_the_whitened_variables():
    """Data that are the polymer itself: log p(x) = log N(z; 0, 1) - 3 log det S."""
    sde, length = LinearVPSDE(), 3
    polymer = PolymerMap(length, correlation=0.7)
    subspace = CentredSubspace(torch.ones(2, length, dtype=torch.bool), atoms=1)
    unit = GaussianDenoiser(
        sde, torch.zeros(length, 3).double(), torch.eye(3 * length, dtype=torch.float64)
    )
    # The posterior mean of x commutes with S when x is S times a standard normal z.
    denoiser = FunctionDenoiser(sde, lambda x_t, t: polymer.apply(unit(polymer.invert(x_t), t)))
    z = centre(torch.randn(2, length, 3, dtype=torch.float64))
    found = compute_log_likelihood(WhitenedDenoiser(denoiser, polymer), z, subspace)
    log_z = -z.square().sum((1, 2)) / 2 - subspace.dimension / 2 * torch.log(
        torch.tensor(2 * torch.pi)
    )
    torch.testing.assert_close(found.nats, log_z, rtol=1e-4, atol=1e-3)
    log_x = found.nats - 3 * polymer.log_determinant
    # The same density from the covariance of x in an orthonormal basis of the subspace.
    x, values = polymer.apply(z), torch.linalg.eigvalsh(polymer.covariance)[1:]
    basis = torch.linalg.eigh(polymer.covariance)[1][:, 1:]
    coordinates = torch.einsum("in,bix->bnx", basis, x)
    exact = -(coordinates.square() / values[:, None]).sum((1, 2)) / 2
    exact = exact - 3 / 2 * (2 * torch.pi * values).log().sum()
    torch.testing.assert_close(log_x, exact, rtol=1e-4, atol=1e-3)


def test_impossible_chains_are_refused():
    with pytest.raises(InputError):
        PolymerMap(1, correlation=0.5)
    with pytest.raises(InputError):
        PolymerMap(5, correlation=1.0)

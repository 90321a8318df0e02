import pytest
import torch

from protdiff.diffusion import (
    VESDE,
    ConstantGrid,
    CosineGrid,
    CosineVPSDE,
    KarrasGrid,
    LinearVPSDE,
    LogSNRGrid,
    OrnsteinUhlenbeckSDE,
    UniformGrid,
)
from protdiff.errors import InputError

SDES = [LinearVPSDE(), CosineVPSDE(), VESDE(), OrnsteinUhlenbeckSDE()]
GRIDS = [UniformGrid(), LogSNRGrid(), KarrasGrid(), CosineGrid()]


@pytest.mark.parametrize("sde", SDES, ids=lambda sde: type(sde).__name__)
@pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: type(grid).__name__)
def test_grid_runs_from_the_prior_to_the_smallest_noise(sde, grid):
    times = grid(sde, 37)
    assert times.shape == (38,)
    assert times.dtype == torch.float64
    assert (times.diff() < 0).all()
    assert float(times[0]) == pytest.approx(1, rel=1e-9)
    assert float(sde.noise_ratio(times[-1])) == pytest.approx(0.004, rel=1e-6)


@pytest.mark.parametrize("grid", [LogSNRGrid, KarrasGrid, CosineGrid])
def test_grids_in_the_noise_ratio_mean_the_same_for_every_sde(grid):
    times = [grid(noise_ratio_min=0.01, noise_ratio_max=30.0)(sde, 20) for sde in SDES]
    ratios = [sde.noise_ratio(t) for sde, t in zip(SDES, times, strict=True)]
    for other in ratios[1:]:
        torch.testing.assert_close(other, ratios[0], rtol=1e-7, atol=0)


def test_karras_grid_is_the_papers_formula():
    grid = KarrasGrid(rho=7, noise_ratio_min=0.002, noise_ratio_max=40.0)
    k = VESDE().noise_ratio(grid(VESDE(), 10))
    i = torch.arange(11, dtype=torch.float64) / 10
    expected = (40 ** (1 / 7) + i * (0.002 ** (1 / 7) - 40 ** (1 / 7))) ** 7
    torch.testing.assert_close(k, expected)


def test_spacings():
    sde = LinearVPSDE()
    for grid, function in [
        (UniformGrid(), lambda t: t),
        (LogSNRGrid(), sde.log_snr),
        (CosineGrid(), lambda t: sde.noise_ratio(t).atan()),
        (KarrasGrid(rho=3), lambda t: sde.noise_ratio(t) ** (1 / 3)),
    ]:
        steps = function(grid(sde, 25)).diff()
        torch.testing.assert_close(steps, steps.mean().expand(25), rtol=1e-8, atol=0)


def test_constant_grid():
    assert ConstantGrid(0.3)(LinearVPSDE(), 4).tolist() == [0.3] * 5


def test_impossible_grids_are_refused():
    with pytest.raises(InputError, match="at least 1"):
        UniformGrid()(LinearVPSDE(), 0)
    for times in ({"t_min": 0.0}, {"t_min": 0.5, "t_max": 0.4}):
        with pytest.raises(InputError, match="above 0"):
            UniformGrid(**times)(LinearVPSDE(), 5)
    with pytest.raises(InputError, match="smallest"):
        KarrasGrid(noise_ratio_min=3.0, noise_ratio_max=2.0)(LinearVPSDE(), 5)
    with pytest.raises(InputError, match="rho"):
        KarrasGrid(rho=0.0)

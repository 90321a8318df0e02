"""The examples of schedules of one's own are what they say, by the laws that hold for ours."""

import dataclasses
import importlib
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from protdiff.diffusion import (
    CosineVPSDE,
    ExponentialSDE,
    GaussianDenoiser,
    GaussianNoise,
    KarrasGrid,
    LinearVPSDE,
    StochasticHeun,
    draw_prior,
)

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "custom_schedule.py"


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(EXAMPLE))


@pytest.fixture(scope="module")
def sde(example):
    return example["ShiftedCosineVPSDE"](scale=3.0)


def test_process_is_consistent(sde):
    t = torch.linspace(0.01, 0.99, 50, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(sde.alpha(t) ** 2 + sde.sigma(t) ** 2, torch.ones(50).double())
    (drift,) = torch.autograd.grad(sde.log_alpha(t).sum(), t)
    torch.testing.assert_close(sde.drift_coefficient(t), drift)
    (growth,) = torch.autograd.grad(sde.noise_ratio(t).square().sum(), t)
    squared = sde.diffusion_coefficient(t).square()
    torch.testing.assert_close(squared, sde.alpha(t) ** 2 * growth)
    torch.testing.assert_close(sde.time_of_noise_ratio(sde.noise_ratio(t)), t)
    assert sde.noise_ratio_max == pytest.approx(sde.final_noise_ratio)


def test_shift_multiplies_the_noise(example):
    one, three = (example["ShiftedCosineVPSDE"](scale, 1e6) for scale in (1.0, 3.0))
    t = torch.linspace(0.1, 0.9, 9, dtype=torch.float64)
    # The last noise is the same, so that times differ by a millionth.
    torch.testing.assert_close(three.noise_ratio(t), 3 * one.noise_ratio(t), rtol=1e-4, atol=0)
    unshifted = CosineVPSDE(offset=0.0, final_noise_ratio=1e6)
    torch.testing.assert_close(one.noise_ratio(t), unshifted.noise_ratio(t), rtol=1e-6, atol=0)


@pytest.mark.statistical
def test_law_of_a_gaussian(sde):
    values = torch.tensor([0.05, 0.8, 2.0])
    noise = GaussianNoise(torch.Generator().manual_seed(0))
    denoiser = GaussianDenoiser(sde, torch.ones(3), torch.diag(values))
    x_T = draw_prior(sde, noise, torch.zeros(20_000, 3))
    x = StochasticHeun()(denoiser, x_T, KarrasGrid()(sde, 80), noise=noise)
    torch.testing.assert_close(x.var(0), values, rtol=0.05, atol=0)
    torch.testing.assert_close(
        x.mean(0), torch.ones(3), rtol=0, atol=4 * (2 / 20_000) ** 0.5 + 0.01
    )


@pytest.mark.statistical
def test_the_grid_leads_to_the_law_of_a_gaussian(example):
    process, values = LinearVPSDE(), torch.tensor([0.2, 0.8, 2.0])
    noise = GaussianNoise(torch.Generator().manual_seed(0))
    denoiser = GaussianDenoiser(process, torch.zeros(3), torch.diag(values))
    x_T = draw_prior(process, noise, torch.zeros(20_000, 3))
    times = example["WindowGrid"]()(process, 300)
    assert len(times) == 301
    assert (times.diff() < 0).all()
    assert float(times[0]) == pytest.approx(process.t_max)
    assert float(times[-1]) == pytest.approx(process.t_min)
    x = ExponentialSDE()(denoiser, x_T, times, noise=noise)
    torch.testing.assert_close(x.var(0), values, rtol=0.05, atol=0)


def test_most_steps_are_in_the_window(example):
    process, grid = LinearVPSDE(), example["WindowGrid"](low=0.05, high=5.0, share=0.6)
    k = process.noise_ratio(grid(process, 1_000))
    assert float(((k > 0.05) & (k < 5.0)).double().mean()) == pytest.approx(0.6, abs=0.003)
    inside = k[(k > 0.05) & (k < 5.0)].log().diff()
    torch.testing.assert_close(inside, inside[:1].expand_as(inside))


def test_the_window_is_worth_it(example):
    values = torch.tensor([0.2, 0.8, 2.0])
    errors = {
        name: float((x.var(0) / values).log().abs().max()) for name, x in example["main"]().items()
    }
    assert errors["window"] < 0.7 * errors["even"]


def test_the_file_is_all_it_takes(monkeypatch, tiny_model):
    """A model makes backbones with the process, and on the grid by its place."""
    from protdiff import Designer

    monkeypatch.syspath_prepend(EXAMPLE.parent)
    module = importlib.import_module("custom_schedule")
    model = dataclasses.replace(tiny_model, sde=module.ShiftedCosineVPSDE())
    options = {"length": 30, "steps": 3, "excluded_volume": False}
    (ours,) = Designer(model).generate(**options, grid="custom_schedule:WindowGrid")
    (other,) = Designer(model).generate(**options, grid="log-snr")
    assert np.isfinite(ours.coordinates).all()
    assert not np.allclose(ours.coordinates, other.coordinates)


def test_example_prints(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE)])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert capsys.readouterr().out.count("variances") == 2

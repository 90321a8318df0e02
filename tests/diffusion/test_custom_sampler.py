"""The example of a sampler of one's own keeps what it declares, as every sampler of the package."""

import math
import runpy
import textwrap
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from protdiff.diffusion import (
    DDIM,
    CosineVPSDE,
    FunctionDenoiser,
    GaussianNoise,
    LinearVPSDE,
    LogSNRGrid,
    Sampler,
)

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "custom_sampler.py"


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(EXAMPLE))


@pytest.mark.parametrize("sde", [LinearVPSDE(), CosineVPSDE()], ids=lambda sde: type(sde).__name__)
def test_order(example, sde):
    """For Gaussian data the flow scales each axis; the error of the scale falls with h³."""
    variances = torch.tensor([0.04, 0.5, 2.0]).double()

    def denoise(x_t, t):
        return variances / (variances + sde.noise_ratio(t).square()) / sde.alpha(t) * x_t

    errors = []
    for steps in (40, 80, 160):
        times = LogSNRGrid()(sde, steps)
        start, end = (sde.alpha(t) ** 2 * variances + sde.sigma(t) ** 2 for t in times[[0, -1]])
        x = example["RalstonODE"]()(
            FunctionDenoiser(sde, denoise),
            start.sqrt()[None],
            times,
            noise=GaussianNoise(),
            final_denoise=False,
        )
        errors.append(float((x.square() / end).log().abs().max()))
    orders = [math.log2(coarse / fine) for coarse, fine in pairwise(errors)]
    assert orders[-1] == pytest.approx(example["RalstonODE"].order, abs=0.15), orders
    assert errors[-1] < 1e-4


@pytest.mark.statistical
def test_law_of_a_gaussian(example):
    """Its 20 steps, 61 evaluations, are within 5 % of every variance at 20,000 draws."""
    assert issubclass(example["RalstonODE"], Sampler)
    x = example["main"](steps=20, number=20_000)
    expected = torch.tensor([0.05, 0.8, 2.0])
    torch.testing.assert_close(x.var(0), expected, rtol=0.05, atol=0)
    # Four standard errors.
    assert (x.mean(0).abs() < 4 * (expected / 20_000).sqrt()).all()


def test_the_file_is_all_it_takes(monkeypatch):
    """Its place is a sampler's name, for the command line as for Python."""
    from protdiff.design import SamplingSettings
    from protdiff.design.samplers import make_sampler

    monkeypatch.syspath_prepend(EXAMPLE.parent)
    settings = SamplingSettings(sampler="custom_sampler:RalstonODE")
    sampler = make_sampler(settings.sampler)
    assert type(sampler).__name__ == "RalstonODE"
    assert sampler.count_steps(61) == 20
    assert settings.self_conditioned


def test_the_sampler_itself_is_short():
    source = EXAMPLE.read_text(encoding="utf-8")
    step = source[source.index("        sde = denoiser.sde") : source.index("def main")]
    assert len(step.strip().splitlines()) <= 12


def test_the_sampler_of_the_contributing_guide(example):
    """What the guide shows in ten lines is DDIM, to rounding."""
    text = (EXAMPLE.parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    code = textwrap.dedent(text[text.index("  ```python\n") :].split("```")[1].partition("\n")[2])
    namespace = {"Sampler": Sampler}
    exec(code, namespace)
    sde = LinearVPSDE()
    denoiser = FunctionDenoiser(sde, lambda x_t, t: x_t.tanh())
    x_T = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)).double()
    noise = GaussianNoise(torch.Generator().manual_seed(0))
    found, expected = (
        sampler(denoiser, x_T, LogSNRGrid()(sde, 12), noise=noise)
        for sampler in (namespace["EulerInNoise"](), DDIM())
    )
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)

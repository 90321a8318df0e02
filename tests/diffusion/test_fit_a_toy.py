"""The example of a network that is fitted and sampled from does what it says."""

import runpy
from pathlib import Path

import pytest
import torch

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "fit_a_toy.py"


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(EXAMPLE))


@pytest.fixture(scope="module")
def fitted(example):
    return example["fit"](steps=600)


def test_the_network_becomes_the_posterior_mean(example, fitted):
    sde, blobs = example["SDE"], example["BLOBS"]
    generator = torch.Generator().manual_seed(5)
    x_0, noise = blobs.sample(2_000, generator), torch.randn(2_000, 2, generator=generator)
    for ratio in (0.3, 1.0, 3.0):
        t = sde.time_of_noise_ratio(torch.tensor(ratio).double())
        x_t = sde.perturb(x_0, t, noise)
        # Found: 0.04, 0.06 and 0.07; before any fit: 0.24, 0.37 and 0.32.
        assert float((fitted(x_t, t) - blobs(x_t, t)).square().mean().sqrt()) < 0.12


def test_its_draws_are_the_blobs(example, fitted):
    points = example["sample"](fitted)
    # Four standard errors of 2,000 draws, and what a short fit leaves.
    error = (example["measure_shares"](points) - example["SHARES"]).abs()
    assert (error < 4 * 0.5 / 2_000**0.5 + 0.02).all()
    means = example["BLOBS"].means
    offsets = points - means[torch.cdist(points, means).argmin(1)]
    assert 0.19 < float(offsets.std()) < 0.27


def test_example_prints(example, fitted, capsys):
    """As it stands, but for the fit, which takes the seconds."""
    source = EXAMPLE.read_text(encoding="utf-8")
    last = source[source.index('if __name__ == "__main__":') :]
    namespace = example | {"__name__": "__main__", "fit": lambda: fitted}
    exec(last, namespace)
    assert capsys.readouterr().out.startswith("share 0.")

"""Radius of gyration: laws, an exact prior, and what cannot be."""

import pytest
import torch

from protdiff.conditioning import RadiusOfGyration, mean_size
from protdiff.conditioning.mean_size import restore_size
from protdiff.diffusion import LinearVPSDE
from protdiff.diffusion.guidance import Estimate
from protdiff.errors import InputError
from protdiff.structure.size import expect_radius, parse_radius


def measure(coordinates):
    points = coordinates.flatten(1, 2)
    centred = points - points.mean(1, keepdim=True)
    return centred.square().sum(-1).mean(1).sqrt()


@pytest.mark.parametrize("target", [9.0, "x1.2"])
def test_laws(laws, tiny_model, target):
    lengths = [40, 32]
    walks = laws.make_walks(lengths)
    make_term = RadiusOfGyration(target).make_term
    term = make_term(laws.make_scene(tiny_model, lengths))
    laws.hold_gradient(term, walks)
    laws.hold_pose(term, walks)
    laws.hold_batch(make_term, tiny_model, lengths, walks)
    laws.hold_silence(term, walks)


def test_it_is_zero_at_the_target_and_there_only(laws, tiny_model):
    walk = laws.make_walks([40])
    radius = float(measure(walk)) * tiny_model.scale
    scene = laws.make_scene(tiny_model, [40])
    values = [
        float(laws.evaluate(RadiusOfGyration(radius * share).make_term(scene), walk, 0.01))
        for share in (0.9, 1.0, 1.1)
    ]
    assert values[1] == pytest.approx(0.0, abs=1e-6)
    assert max(values[0], values[2]) < -10


def test_it_asks_for_the_size_of_samples_not_of_their_mean(laws, tiny_model):
    """At k = 4 half of the squared size is hidden, and a mean of half of it is as it should be."""
    walk = laws.make_walks([40])
    radius = float(measure(walk)) * tiny_model.scale
    term = RadiusOfGyration(radius).make_term(laws.make_scene(tiny_model, [40]))
    assert float(laws.evaluate(term, walk / 2**0.5, 4.0)) == pytest.approx(0.0, abs=1e-6)
    assert laws.evaluate(term, walk, 4.0) < -0.1


@pytest.mark.parametrize("share", [0.9, 1.0, 1.1])
def test_samples_of_a_chain_have_the_radius_that_is_asked_for(laws, tiny_model, share):
    """The prior is a polymer, its denoiser exact: guidance alone must bring the size."""
    # 120 atoms in a chain, in the unit of backbones of this length.
    radius = expect_radius(40) / tiny_model.scale
    scene = laws.make_scene(tiny_model, [40] * 8)
    polymers = laws.make_polymers(scene, decay=0.97, variance=radius**2 / 3)
    asked = RadiusOfGyration(f"x{share}", tolerance=0.1)
    free, held = (
        measure(polymers.sample(denoiser, steps=40)) / radius
        for denoiser in (polymers.free, polymers.guide(asked))
    )
    assert free.std() > 0.08  # the chain's own radius varies
    assert (held - share).abs().max() < 0.04  # against a spread of .1 and shifts of .1


def test_words():
    assert parse_radius(" 14.5 Å").at(100) == 14.5
    assert parse_radius("x1.1").at(100) == pytest.approx(1.1 * 12.66, abs=0.01)
    assert RadiusOfGyration("X1.10").describe()["target"] == "x1.1"
    for wrong in ("", "x", "-3", "0", "nan", "1e9", "10-12", "wide"):
        with pytest.raises(InputError, match="no radius of gyration"):
            parse_radius(wrong)


def test_what_no_chain_can_have_is_refused():
    RadiusOfGyration("x1").check(60)
    with pytest.raises(InputError, match=r"cannot have a radius of gyration of 5\.0 Å"):
        RadiusOfGyration(5).check(60)
    with pytest.raises(InputError, match=r"of 80\.0 Å; give .* to 65\.8 Å"):
        RadiusOfGyration(80).check(60)
    with pytest.raises(InputError, match="tolerance"):
        RadiusOfGyration(12, tolerance=0)


def test_restored_size_and_its_variance_are_the_formulas():
    sde = LinearVPSDE()
    mean = torch.randn(2, 5, 3, 3, generator=torch.Generator().manual_seed(0)).double()
    ratio = torch.tensor([0.5, 4.0], dtype=torch.float64)
    t = sde.time_of_noise_ratio(ratio)
    found, variance = restore_size(Estimate(mean, t, mean, sde))
    growth = 1 + ratio.square() / 16
    torch.testing.assert_close(found, mean * growth.sqrt()[:, None, None, None])
    torch.testing.assert_close(variance, growth * ratio.square() / (1 + ratio.square()))


def test_sizes_are_restored_with_the_constants_of_the_documentation():
    assert (mean_size.COLLECTIVE, mean_size.LARGEST_NOISE, mean_size.LOCAL_SHARE) == (4.0, 8.0, 0.1)

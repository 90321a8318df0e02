"""The denoiser of backbones."""

import copy
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from protdiff.checkpoint import load_checkpoint
from protdiff.diffusion import (
    CosineVPSDE,
    EulerODE,
    ExponentialSDE,
    KarrasGrid,
    LinearVPSDE,
    OrnsteinUhlenbeckSDE,
    ProjectedNoise,
    ScaledScore,
)
from protdiff.diffusion.noise import PerSampleNoise
from protdiff.diffusion.sampler import draw_prior
from protdiff.errors import InputError
from protdiff.model import (
    AUTOGUIDED_ABOVE,
    MotifInput,
    SecondaryStructureInput,
    make_residue_mask,
)


@pytest.fixture
def mask():
    return make_residue_mask([40, 33])


def draw(model, mask, seed=0):
    generators = [torch.Generator().manual_seed(seed + k) for k in range(len(mask))]
    noise = ProjectedNoise(PerSampleNoise(generators), model.subspace(mask))
    return noise, draw_prior(model.sde, noise, torch.zeros(*mask.shape, 3, 3))


def test_denoiser_turns_with_its_input_at_every_noise_level(tiny_model, mask):
    """E(3) as declared, float32: relative error below 1e-4, reflections with h to -h."""
    _, x_t = draw(tiny_model, mask)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(5)))
    for sign in (1.0, -1.0):
        for t in torch.linspace(0.005, 1.0, 7):
            matrix = sign * turn
            hand = float(torch.linalg.det(matrix).sign())
            plain = tiny_model.denoiser(mask, handedness=1.0)(x_t, t)
            turned = tiny_model.denoiser(mask, handedness=hand)(x_t @ matrix.mT, t)
            assert (turned - plain @ matrix.mT).abs().max() < 1e-4 * plain.abs().max()


@pytest.mark.parametrize("sampler", [ExponentialSDE(), EulerODE()])
def test_sampler_step_turns_with_its_state(tiny_model, mask, sampler):
    _, x_t = draw(tiny_model, mask)
    times = KarrasGrid()(tiny_model.sde, 10)
    mirror = torch.diag(torch.tensor([1.0, 1.0, -1.0]))

    def step(x, hand, sign):
        noise, _ = draw(tiny_model, mask, seed=9)
        signed = lambda like: noise(like) * sign  # noqa: E731
        denoiser = ScaledScore(tiny_model.denoiser(mask, handedness=hand), 1.3)
        return sampler.step(denoiser, x, times[4], times[5], noise=signed, previous=None)[0]

    signs = torch.tensor([1.0, 1.0, -1.0])
    plain, mirrored = step(x_t, 1.0, 1.0), step(x_t @ mirror, -1.0, signs)
    assert (mirrored - plain @ mirror).abs().max() < 1e-4 * plain.abs().max()


def test_d_designs_are_mirror_images(tiny_model, mask):
    """Same seed, mirrored noise, h = -1: the mirrored structure, through a whole run."""
    signs = torch.tensor([-1.0, 1.0, 1.0])

    def sample(hand, sign):
        noise, start = draw(tiny_model, mask)
        signed = lambda like: noise(like) * sign  # noqa: E731
        return ExponentialSDE()(
            tiny_model.denoiser(mask, handedness=hand),
            start * sign,
            KarrasGrid()(tiny_model.sde, 20),
            noise=signed,
        )

    right = sample(1.0, torch.ones(3))
    left = sample(-1.0, signs)
    assert (left - right * signs).abs().max() < 1e-3 * right.abs().max()
    assert (sample(-1.0, torch.ones(3)) - right).abs().max() > 1e-3


def test_output_does_not_depend_on_batch_or_padding(tiny_model, mask):
    _, x_t = draw(tiny_model, mask)
    t = torch.tensor(0.4)
    both = tiny_model.denoiser(mask)(x_t, t)
    alone = tiny_model.denoiser(mask[1:, :33])(x_t[1:, :33], t)
    assert (alone - both[1:, :33]).abs().max() < 1e-5
    assert (both[1, 33:] == 0).all()


def test_one_network_serves_every_schedule(tiny_model, mask):
    """At the same noise ratio all linear SDEs ask the network the same question."""
    ratio = torch.tensor(0.7, dtype=torch.float64)
    _, y = draw(tiny_model, mask)
    estimates = []
    for sde in (LinearVPSDE(), CosineVPSDE(), OrnsteinUhlenbeckSDE(centre=2.0)):
        t = sde.time_of_noise_ratio(ratio)
        x_t = y * sde.alpha(t).float() + sde.shift(t).float()
        estimates.append(tiny_model.denoiser(mask, sde=sde)(x_t, t))
    assert torch.allclose(estimates[0], estimates[1], atol=1e-5)
    assert torch.allclose(estimates[0], estimates[2], atol=1e-5)


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
def test_autoguidance_goes_from_the_halfway_estimate_to_the_last_and_beyond(
    tiny_model, mask, weight
):
    _, x_t = draw(tiny_model, mask)
    t = torch.tensor(0.4)
    guided = tiny_model.denoiser(mask, autoguidance=weight)
    with torch.no_grad():
        noise_ratio = tiny_model.sde.noise_ratio(t.double()).float().expand(len(mask))
        halfway, own, _ = tiny_model.network(
            x_t / tiny_model.sde.alpha(t.double()).float(),
            noise_ratio,
            torch.arange(mask.shape[1])[None],
            mask,
            torch.ones(len(mask)),
        )
        assert (halfway - own).abs().max() > 0.01
        assert noise_ratio[0] * tiny_model.scale > AUTOGUIDED_ABOVE
        expected = halfway + weight * (own - halfway)
        torch.testing.assert_close(guided(x_t, t), expected, rtol=1e-5, atol=1e-5)
        # What the network is shown next, and what ends a run, is its own estimate.
        torch.testing.assert_close(guided.previous, own)
        guided.previous = None
        torch.testing.assert_close(guided.finish(x_t, t), own)
        torch.testing.assert_close(guided.previous, own)


def test_autoguidance_leaves_bonds_to_the_network(tiny_model, mask):
    """Element by element: the first has less noise than 2 Å, the second more."""
    _, x_t = draw(tiny_model, mask)
    noise_ratio = torch.tensor([1.9, 2.1], dtype=torch.float64) / tiny_model.scale
    t = tiny_model.sde.time_of_noise_ratio(noise_ratio)
    with torch.no_grad():
        plain = tiny_model.denoiser(mask)(x_t, t)
        guided = tiny_model.denoiser(mask, autoguidance=3.0)(x_t, t)
    assert torch.equal(guided[0], plain[0])
    assert (guided[1] - plain[1]).abs().max() > 0.01


def test_self_conditioning_remembers_and_can_be_switched_off(tiny_model, mask):
    _, x_t = draw(tiny_model, mask)
    t = torch.tensor(0.4)
    remembering = tiny_model.denoiser(mask)
    first, second = remembering(x_t, t), remembering(x_t, t)
    assert (first - second).abs().max() > 1e-6
    function = tiny_model.denoiser(mask, self_condition=False)
    assert torch.equal(function(x_t, t), first)
    assert torch.equal(function(x_t, t), first)


def test_reorder_carries_the_memory_along(tiny_model):
    mask = make_residue_mask([40, 40])
    _, x_t = draw(tiny_model, mask)
    t, order = torch.tensor(0.4), torch.tensor([1, 0])
    one, other = tiny_model.denoiser(mask), tiny_model.denoiser(mask)
    one(x_t, t), other(x_t, t)
    other.reorder(order)
    assert torch.allclose(other(x_t[order], t), one(x_t, t)[order], atol=1e-6)


def test_motif_reaches_the_network(tiny_model, mask):
    _, x_t = draw(tiny_model, mask)
    group = torch.zeros(mask.shape, dtype=torch.int64)
    group[:, 4:12] = 1
    motif = MotifInput(group, torch.randn(2, 40, 3, 3))
    t = torch.tensor(0.2)
    told = tiny_model.denoiser(mask, motif=motif)(x_t, t)
    assert (told - tiny_model.denoiser(mask)(x_t, t)).abs().max() > 1e-6


def test_lengths_out_of_range_are_refused_with_the_range(tiny_model):
    for length in (29, 513):
        with pytest.raises(InputError, match=rf"{length} residues.*30 to 512"):
            tiny_model.denoiser(make_residue_mask([length]))
    with pytest.raises(InputError, match="handedness is 0"):
        tiny_model.denoiser(make_residue_mask([40]), handedness=0.0)


@pytest.mark.parametrize("length", [30, 512])
def test_shortest_and_longest_length_work(tiny_model, length):
    mask = make_residue_mask([length])
    _, x_t = draw(tiny_model, mask)
    assert tiny_model.denoiser(mask)(x_t, torch.tensor(0.5)).isfinite().all()


def test_secondary_structure_reaches_the_network(tiny_model, mask):
    model = replace(tiny_model, network=copy.deepcopy(tiny_model.network))
    with torch.no_grad():
        for weight in (model.network.secondary.weight, model.network.noise.composition):
            weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))
    assert model.knows_secondary_structure
    _, x_t = draw(model, mask)
    t = torch.tensor(0.2)
    plain = model.denoiser(mask)(x_t, t)
    states = SecondaryStructureInput(states=torch.full(mask.shape, 2))
    shares = SecondaryStructureInput(composition=torch.tensor([[0.2, 0.3], [torch.nan] * 2]))
    for told in (states, shares):
        assert (model.denoiser(mask, secondary_structure=told)(x_t, t) - plain).abs()[0].max() > 0
    # The second chain is told of nothing.
    assert torch.equal(model.denoiser(mask, secondary_structure=shares)(x_t, t)[1], plain[1])


def test_moving_a_model_leaves_it_where_it_is(tiny_model):
    moved = tiny_model.to("meta")
    assert (moved.device.type, tiny_model.device.type) == ("meta", "cpu")
    assert tiny_model.to("cpu") is tiny_model


def test_a_model_says_which_it_is_in_a_line(tiny_model):
    assert repr(tiny_model) == "BackboneModel(tiny, 30-512 residues, cpu)"


def test_a_model_is_known_by_what_it_computes_with(tiny_weights):
    loaded = load_checkpoint(tiny_weights)
    assert loaded.identify() is loaded
    tuned = replace(loaded, network=copy.deepcopy(loaded.network))
    assert tuned.identify() is tuned
    next(tuned.network.parameters()).data += 1e-3
    other = replace(loaded, sde=CosineVPSDE())
    sized = replace(loaded, network=copy.deepcopy(loaded.network))
    sized.network.config = replace(loaded.network.config, scale=9.0)
    found = [model.identify() for model in (tuned, other, sized)]
    assert {model.name for model in found} == {"modified tiny"}
    assert len({loaded.sha256, *(model.sha256 for model in found)}) == 4
    assert found[0].identify() is found[0]
    nameless = replace(tuned, name="untrained", sha256="", digest="").identify()
    assert (nameless.name, nameless.sha256) == ("untrained", found[0].sha256)


def test_names_that_the_package_declares_are_there():
    code = (
        "import protdiff; from protdiff import diffusion\n"
        "assert {'__version__', '__file__', 'load'} <= set(dir(protdiff))\n"
        "protdiff.checkpoint.load_checkpoint, protdiff.device.find_device, protdiff.errors\n"
        "protdiff.model.BackboneModel, protdiff.weights.list_weights\n"
        "diffusion.guidance.Guided, diffusion.objective\n"
        "assert {'guidance', 'DDIM'} <= set(dir(diffusion))"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


@pytest.mark.parametrize("length", [40, 100])
def test_evaluation_is_the_same_to_the_last_bit_whatever_the_batch(tiny_model, length):
    generator = torch.Generator().manual_seed(0)
    mask = make_residue_mask([length] * 8)
    x_t = tiny_model.subspace(mask).project(torch.randn(8, length, 3, 3, generator=generator))
    t = torch.tensor(0.2, dtype=torch.float64)
    together = tiny_model.denoiser(mask)(x_t, t)
    for size in (1, 2, 3, 5):
        assert torch.equal(tiny_model.denoiser(mask[:size])(x_t[:size], t), together[:size])

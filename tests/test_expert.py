"""A second network for low noise, and the residue types that it is told of."""

import copy
import json
import math
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from protdiff.chains import CHAIN_JUMP
from protdiff.checkpoint import load_checkpoint, read_header, save_checkpoint
from protdiff.design import Designer
from protdiff.errors import CheckpointError, InputError
from protdiff.model import ExpertNetwork, RevealedTypes, make_residue_mask
from protdiff.network import RESIDUE_TYPES
from protdiff.training.average import average_models

FIRST, LAST = 1.5, 0.4  # Å at which the first and the last types are told


@pytest.fixture
def model(tiny_model_with_expert):
    return tiny_model_with_expert


def get_time(model, *noise):
    """Return the times at which the noise is so many Å; a scalar for one."""
    ratio = torch.tensor(noise, dtype=torch.float64) / model.scale
    time = model.sde.time_of_noise_ratio(ratio)
    return time if len(noise) > 1 else time[0]


def draw(model, mask, seed=0):
    noise = torch.randn(*mask.shape, 3, 3, generator=torch.Generator().manual_seed(seed))
    return model.subspace(mask).project(noise)


def draw_types(mask, seed=0):
    shape = (*mask.shape, len(RESIDUE_TYPES))
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def reveal(types, noise):
    told = types.reveal(torch.tensor(noise, dtype=torch.float64))
    return told if told is None else told.clone()


def is_told(told):
    return told.sum(dim=-1) > 0.5


def test_types_are_told_one_after_the_other_as_the_noise_goes():
    mask = make_residue_mask([100, 80])
    types = RevealedTypes(mask, torch.arange(100)[None])
    assert reveal(types, 1.0) is None  # nobody has said what stands where
    types.expect(draw_types(mask))
    before = reveal(types, 1.6)
    assert not is_told(before).any()
    for noise in (1.4, 1.1, 0.9, 0.7, 0.5, 0.41):
        types.expect(draw_types(mask, seed=int(100 * noise)))
        told = reveal(types, noise)
        share = math.log(FIRST / noise) / math.log(FIRST / LAST)
        # The fractional parts of multiples of the golden ratio: never off by more than a few.
        assert (is_told(told).sum(dim=1) - share * mask.sum(dim=1)).abs().max() < 2.0
        assert torch.equal(told[is_told(before)], before[is_told(before)])  # what was said stays
        before = told
    told = reveal(types, 0.2)
    assert torch.equal(is_told(told), mask)
    torch.testing.assert_close(told.sum(dim=-1), mask.float())


def test_what_was_told_is_forgotten_where_the_noise_comes_back():
    mask = make_residue_mask([60])
    types = RevealedTypes(mask, torch.arange(60)[None])
    types.expect(draw_types(mask, seed=1))
    early, first = reveal(types, 1.0), reveal(types, 0.3)
    assert torch.equal(reveal(types, 1.0), early)
    types.expect(draw_types(mask, seed=2))
    second = reveal(types, 0.3)
    kept = is_told(early)
    assert torch.equal(second[kept], first[kept])
    assert (second[~kept] - first[~kept]).abs().max() > 0.1
    assert not is_told(reveal(types, 1.6)).any()


def test_types_are_told_with_the_sharpened_probabilities_of_the_network():
    mask = make_residue_mask([40])
    types = RevealedTypes(mask, torch.arange(40)[None])
    logits = draw_types(mask)
    types.expect(logits)
    expected = logits.double().div(0.1).softmax(dim=-1).float()
    torch.testing.assert_close(reveal(types, 0.1), expected)


def test_chains_alike_have_their_turns_alike_and_elements_do_not_matter_to_each_other():
    mask = make_residue_mask([60, 50])
    index = torch.arange(60).repeat(2, 1)
    index[0, 30:] += CHAIN_JUMP - 1
    types = RevealedTypes(mask, index)
    types.expect(draw_types(mask))
    told = reveal(types, [0.9, 0.6])
    assert torch.equal(is_told(told)[0, :30], is_told(told)[0, 30:])
    assert 0 < is_told(told)[0].sum() < is_told(told)[1].sum() < 50
    for row, noise in ((0, 0.9), (1, 0.6)):
        alone = RevealedTypes(mask[[row]], index[[row]])
        alone.expect(draw_types(mask)[[row]])
        assert torch.equal(reveal(alone, noise)[0], told[row])
    types.reorder(torch.tensor([1, 1]))
    again = reveal(types, 0.6)
    assert torch.equal(again[0], told[1])
    assert torch.equal(again[1], told[1])


def test_the_expert_is_asked_below_its_noise_and_the_network_above(model, tiny_model):
    mask = make_residue_mask([40, 33])
    x_t = draw(model, mask)
    alone = replace(tiny_model, network=model.expert.network)
    for noise, expected in ((2.1, tiny_model), (1.9, alone)):
        t = get_time(model, noise)
        found = model.denoiser(mask)(x_t, t)
        assert torch.equal(found, expected.denoiser(mask)(x_t, t))
    t = get_time(model, 2.1, 1.9)
    mixed = model.denoiser(mask)(x_t, t)
    assert torch.equal(mixed[0], tiny_model.denoiser(mask)(x_t, t)[0])
    assert torch.equal(mixed[1], alone.denoiser(mask)(x_t, t)[1])
    assert [model.get_network(noise) for noise in (2.0, 1.9)] == list(model.networks)
    # The two are different networks, or all this says nothing.
    assert (mixed - tiny_model.denoiser(mask)(x_t, t))[1].abs().max() > 1e-3


def test_the_expert_is_told_its_own_types_and_nothing_without_a_memory(model):
    mask = make_residue_mask([40, 33])
    x_t = draw(model, mask)
    times = [get_time(model, noise) for noise in (1.6, 0.9, 0.2)]
    remembers, forgets = model.denoiser(mask), model.denoiser(mask, self_condition=False)
    deaf = model.denoiser(mask)
    deaf.types.reveal = lambda noise: None
    with torch.no_grad():
        first = [denoiser(x_t, times[0]) for denoiser in (remembers, deaf)]
        assert torch.equal(*first)
        later = [[denoiser(x_t, t) for t in times[1:]] for denoiser in (remembers, deaf)]
        assert all((one - other).abs().max() > 1e-4 for one, other in zip(*later, strict=True))
        assert torch.equal(is_told(remembers.types.told), mask)
        assert torch.equal(forgets(x_t, times[1]), forgets(x_t, times[1]))
        assert forgets.types.told is None


def test_a_run_that_climbs_back_forgets_the_types_of_before(model):
    mask = make_residue_mask([40])
    denoiser, fresh = model.denoiser(mask), model.denoiser(mask)
    x_t, again = draw(model, mask), draw(model, mask, seed=1)
    with torch.no_grad():
        for noise in (1.6, 0.9, 0.2):
            denoiser(x_t, get_time(model, noise))
        fresh.previous = denoiser.previous
        for noise in (3.0, 1.2, 0.9):  # restart sampling, which makes detail anew
            found = denoiser(again, get_time(model, noise))
            assert torch.equal(found, fresh(again, get_time(model, noise)))


def test_designs_with_an_expert_do_not_depend_on_their_batch(model):
    designer = Designer(model)
    together = designer.generate((40, 48), num=4, seed=2, steps=8)
    alone = designer.generate((40, 48), num=4, seed=2, steps=8, batch_size=1)
    for one, other in zip(together, alone, strict=True):
        assert abs(one.coordinates - other.coordinates).max() < 1e-3
    without = Designer(replace(model, expert=None)).generate(40, num=1, seed=2, steps=8)
    with_expert = designer.generate(40, num=1, seed=2, steps=8)
    assert abs(with_expert[0].coordinates - without[0].coordinates).max() > 0.01


def test_compiled_and_moved_models_have_their_expert(model, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function, **options: function)
    compiled = model.compile("eager")
    assert compiled.expert.compiled.network is model.expert.network
    mask = make_residue_mask([40, 33])
    x_t = draw(model, mask)
    found = []
    for one in (model, compiled):
        denoiser = one.denoiser(mask)
        with torch.no_grad():
            found.append([denoiser(x_t, get_time(model, s)) for s in (3.0, 1.6, 0.9, 0.2)])
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)
    moved = compiled.to("meta")
    assert {p.device.type for network in moved.networks for p in network.parameters()} == {"meta"}
    assert moved.expert.compiled.network is moved.expert.network


def test_an_expert_is_part_of_what_designs_are_known_by(model, tmp_path):
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, model)
    loaded = load_checkpoint(path)
    assert loaded.identify().name == "a"
    for expert in (None, replace(loaded.expert, below=1.0)):
        assert replace(loaded, expert=expert).identify().name == "modified a"
    other = copy.deepcopy(loaded.expert.network)
    next(other.parameters()).data += 1e-3
    changed = replace(loaded, expert=replace(loaded.expert, network=other))
    assert changed.identify().name == "modified a"


def test_an_expert_of_another_unit_is_refused(model):
    network = copy.deepcopy(model.expert.network)
    network.config = replace(network.config, scale=9.0)
    with pytest.raises(InputError, match=r"unit of length is 9\.0 Å and the network's 8"):
        replace(model, expert=ExpertNetwork(network))


def rewrite(source, path, change):
    with safe_open(source, "pt") as file:
        header = json.loads(file.metadata()["protdiff"])
    weights = load_file(source)
    change(header, weights)
    save_file(weights, path, metadata={"protdiff": json.dumps(header)})


@pytest.mark.parametrize("below", [0.0, -1.0, math.nan, math.inf])
def test_an_expert_for_no_noise_is_refused(model, below):
    with pytest.raises(InputError, match="expected a number above 0"):
        replace(model.expert, below=below)


def test_weights_with_an_expert_are_not_averaged(model):
    with pytest.raises(InputError, match="average first, then add it"):
        average_models([replace(model, expert=None), model])


def test_checkpoints_keep_the_expert(model, tmp_path):
    path = tmp_path / "a.safetensors"
    smaller = replace(model.expert, below=1.25)
    save_checkpoint(path, replace(model, expert=smaller))
    loaded = load_checkpoint(path)
    assert loaded.expert.below == read_header(path)["expert"]["below"] == 1.25
    for one, other in zip(loaded.networks, model.networks, strict=True):
        assert one.config == other.config
        for name, value in other.state_dict().items():
            assert torch.equal(one.state_dict()[name], value), name
    assert not any(p.requires_grad for p in loaded.expert.network.parameters())
    assert not loaded.expert.network.training


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda header, weights: header.pop("expert"), "an expert that it does not describe"),
        (lambda header, weights: header.update(expert={"below": 2.0}), "network"),
        (lambda header, weights: header.update(expert=[]), "does not describe a network"),
        (lambda header, weights: header["expert"].update(below=-1.0), r"below -1\.0 Å"),
        (lambda header, weights: header["expert"].update(below=10**400), "below|large"),
        (lambda header, weights: header["expert"]["network"].update(scale=10**400), "too big"),
        (lambda header, weights: header["expert"].update(below="2"), "below '2' Å"),
        (lambda header, weights: header["expert"]["network"].update(hidden=4096), "too few"),
        (lambda header, weights: header["expert"]["network"].update(scale=9.0), "unit of length"),
        (lambda header, weights: weights.pop("expert.type_head.weight"), "expert|Missing|missing"),
    ],
)
def test_damaged_experts_are_refused_in_one_line(model, tmp_path, change, message):
    path, bad = tmp_path / "a.safetensors", tmp_path / "bad.safetensors"
    save_checkpoint(path, model)
    rewrite(path, bad, change)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_checkpoint(bad)
    assert "\n" not in str(caught.value)


def test_checkpoints_before_version_4_know_nothing_of_types(model, tmp_path):
    path, old = tmp_path / "new.safetensors", tmp_path / "old.safetensors"
    save_checkpoint(path, replace(model, expert=None))

    def age(header, weights):
        header["version"] = 3
        for name in ("residue_type.weight", "type_head.weight", "type_head.bias"):
            weights.pop(name)

    rewrite(path, old, age)
    mask = make_residue_mask([40])
    x_t, t = draw(model, mask), torch.tensor(0.3)
    expected = replace(model, expert=None).denoiser(mask)(x_t, t)
    assert torch.equal(load_checkpoint(old).denoiser(mask)(x_t, t), expected)

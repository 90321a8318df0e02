"""Checkpoints: round trips, older versions, and what is wrong with a file in one line."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from protdiff.checkpoint import load_checkpoint, read_header, save_checkpoint
from protdiff.diffusion import (
    VESDE,
    BrownianSDE,
    CosineVPSDE,
    LinearSDE,
    LinearVPSDE,
    OrnsteinUhlenbeckSDE,
    SubVPSDE,
)
from protdiff.errors import CheckpointError, InputError
from protdiff.model import BackboneModel, make_residue_mask
from protdiff.network import ScoreNetwork


@pytest.fixture
def mask():
    return make_residue_mask([40, 33])


def draw(model, mask):
    noise = torch.randn(*mask.shape, 3, 3, generator=torch.Generator().manual_seed(0))
    return model.subspace(mask).project(noise)


def test_checkpoint_round_trip(tiny_model, tmp_path, mask):
    path = tmp_path / "a.safetensors"
    model = BackboneModel(tiny_model.network, CosineVPSDE(), {"lengths": [40, 128], "steps": 7})
    save_checkpoint(path, model)
    loaded = load_checkpoint(path)
    x_t, t = draw(tiny_model, mask), torch.tensor(0.3)
    assert torch.equal(loaded.denoiser(mask)(x_t, t), model.denoiser(mask)(x_t, t))
    assert loaded.sde == model.sde
    assert loaded.metadata == model.metadata
    assert loaded.trained_lengths == (40, 128)
    assert loaded.name == "a"
    assert len(loaded.sha256) == 64
    assert read_header(path)["metadata"] == model.metadata
    with pytest.raises(InputError, match="exists already"):
        save_checkpoint(path, model)


@pytest.mark.parametrize(
    "sde",
    [
        BrownianSDE(diffusion=9.0),
        CosineVPSDE(),
        LinearVPSDE(beta_max=9.0),
        OrnsteinUhlenbeckSDE(rate=3.0),
        SubVPSDE(beta_max=9.0),
        VESDE(sigma_max=9.0),
    ],
)
def test_every_process_of_a_few_numbers_comes_back(tiny_model, tmp_path, sde):
    save_checkpoint(tmp_path / "a.safetensors", replace(tiny_model, sde=sde))
    assert load_checkpoint(tmp_path / "a.safetensors").sde == sde


def test_a_process_that_no_file_describes_is_refused(tiny_model, tmp_path):
    sde = LinearSDE(lambda t: -t, lambda t: t)
    with pytest.raises(InputError, match="cannot hold the process LinearSDE; save the model with"):
        save_checkpoint(tmp_path / "a.safetensors", replace(tiny_model, sde=sde))
    assert not list(tmp_path.iterdir())


def test_reading_leaves_torch_as_it_is(tiny_model, tiny_weights, mask, monkeypatch):
    before = torch.get_rng_state()
    plain = load_checkpoint(tiny_weights)
    assert torch.equal(torch.get_rng_state(), before)
    x_t, t = draw(tiny_model, mask), torch.tensor(0.3)
    expected = plain.denoiser(mask)(x_t, t)
    torch.set_default_dtype(torch.float64)
    try:
        found = load_checkpoint(tiny_weights).denoiser(mask)(x_t, t)
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(found, expected)


def test_what_a_network_has_on_request_comes_back(tiny_model, tmp_path, mask):
    path = tmp_path / "whole.safetensors"
    config = replace(tiny_model.network.config, hydrogen_bonds=True, neighbours=2, lmax=2)
    torch.manual_seed(0)
    model = replace(tiny_model, network=ScoreNetwork(config).requires_grad_(False).eval())
    save_checkpoint(path, model)
    loaded = load_checkpoint(path)
    x_t, t = draw(tiny_model, mask), torch.tensor(0.3)
    assert torch.equal(loaded.denoiser(mask)(x_t, t), model.denoiser(mask)(x_t, t))
    assert loaded.network.config == config
    for name, value in (("hydrogen_bonds", 1), ("neighbours", -1), ("lmax", 0)):
        bad = tmp_path / f"{name}.safetensors"
        rewrite(path, bad, lambda header, n=name, v=value: header["network"].update({n: v}))
        with pytest.raises(CheckpointError, match=f"{name} is {value}"):
            load_checkpoint(bad)


def rewrite(source, path, change):
    header = json.loads(load_header(source))
    change(header)
    save_file(load_file(source), path, metadata={"protdiff": json.dumps(header)})


def load_header(path):
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return file.metadata()["protdiff"]


def test_bad_checkpoints_give_one_clear_line(tiny_weights, tmp_path):
    bad = tmp_path / "bad.safetensors"
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        load_checkpoint(bad)
    bad.write_bytes(tiny_weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        load_checkpoint(bad)
    bad.write_bytes(b"PK\x03\x04" + bytes(200))
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        load_checkpoint(bad)
    save_file({"a": torch.zeros(2)}, bad)
    with pytest.raises(CheckpointError, match="not a protdiff checkpoint"):
        load_checkpoint(bad)
    rewrite(tiny_weights, bad, lambda header: header.update(version=99))
    with pytest.raises(CheckpointError, match="version 99, this protdiff reads versions 1 to 4"):
        load_checkpoint(bad)
    rewrite(tiny_weights, bad, lambda header: header["network"].update(scalars=99))
    with pytest.raises(CheckpointError, match="does not describe a network"):
        load_checkpoint(bad)
    rewrite(tiny_weights, bad, lambda header: header["sde"].update(name="os.system"))
    with pytest.raises(CheckpointError, match="does not describe a network"):
        load_checkpoint(bad)


def test_a_checkpoint_of_version_1_is_the_network_that_it_was(tiny_model, tmp_path, mask):
    """What came with version 2 starts at zero, so its absence is its beginning."""
    path, old = tmp_path / "new.safetensors", tmp_path / "old.safetensors"
    save_checkpoint(path, tiny_model)
    added = ("secondary.weight", "noise.composition")
    weights = {name: value for name, value in load_file(path).items() if name not in added}
    weights["pair.separation.weight"] = weights["pair.separation.weight"][:-1].clone()
    header = json.loads(load_header(path)) | {"version": 1}
    save_file(weights, old, metadata={"protdiff": json.dumps(header)})
    x_t, t = draw(tiny_model, mask), torch.tensor(0.3)
    loaded = load_checkpoint(old)
    assert torch.equal(loaded.denoiser(mask)(x_t, t), tiny_model.denoiser(mask)(x_t, t))
    assert not loaded.knows_secondary_structure
    save_file(weights, old, metadata={"protdiff": json.dumps(header | {"version": 2})})
    with pytest.raises(CheckpointError, match="does not describe a network"):
        load_checkpoint(old)


def test_a_checkpoint_of_version_2_takes_other_chains_for_far_residues(tiny_model, tmp_path):
    """Version 3 gave pairs of two chains an embedding; it begins between the two farthest."""
    path, old = tmp_path / "new.safetensors", tmp_path / "old.safetensors"
    save_checkpoint(path, tiny_model)
    weights = load_file(path)
    separation = weights["pair.separation.weight"]
    weights["pair.separation.weight"] = separation[:-1].clone()
    header = json.loads(load_header(path)) | {"version": 2}
    save_file(weights, old, metadata={"protdiff": json.dumps(header)})
    loaded = load_checkpoint(old).network.state_dict()["pair.separation.weight"]
    assert torch.equal(loaded[:-1], separation[:-1])
    assert torch.allclose(loaded[-1], (separation[0] + separation[-2]) / 2)
    save_file(weights, old, metadata={"protdiff": json.dumps(header | {"version": 3})})
    with pytest.raises(CheckpointError, match="does not describe a network"):
        load_checkpoint(old)

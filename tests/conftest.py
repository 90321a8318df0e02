"""What the tests of several parts share."""

import copy
import dataclasses
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from protdiff.checkpoint import save_checkpoint
from protdiff.design import Designer
from protdiff.model import BackboneModel, ExpertNetwork
from protdiff.network import NetworkConfig, ScoreNetwork
from protdiff.structure import build_backbone
from protdiff.structure.point_group import parse_point_group


@pytest.fixture(scope="session")
def tiny_model() -> BackboneModel:
    """Return a tiny untrained model: what it makes is no protein, and is made in milliseconds."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = ScoreNetwork(
            NetworkConfig(
                layers=2,
                scalars=16,
                vectors=4,
                hidden=16,
                heads=2,
                head_width=4,
                points=2,
                pair_width=4,
                noise_width=8,
            )
        )
    network.requires_grad_(False).eval()
    return BackboneModel(network, name="tiny", sha256="0" * 64)


@pytest.fixture(scope="session")
def tiny_model_with_expert(tiny_model) -> BackboneModel:
    """Return the tiny model with an expert, of other weights, which minds the types it is told."""
    network = copy.deepcopy(tiny_model.network)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
        network.secondary.weight[0] = 0.0  # not told: where training leaves it
    return dataclasses.replace(tiny_model, expert=ExpertNetwork(network), sha256="")


@pytest.fixture(scope="session")
def tiny_weights(tiny_model, tmp_path_factory) -> Path:
    """Return the checkpoint of the tiny model."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_checkpoint(path, tiny_model)
    return path


@pytest.fixture(scope="session")
def designer(tiny_model) -> Designer:
    """Return a designer with the tiny untrained model."""
    return Designer(tiny_model)


@pytest.fixture(scope="session")
def measure_asymmetry():
    """Return a function of coordinates and the name of a point group.

    It gives the largest distance of chain k from the image of the first by element k.
    """

    def measure(coordinates, group):
        rotations = parse_point_group(group).rotations
        chains = np.asarray(coordinates, dtype=float).reshape(len(rotations), -1, 3)
        return max(
            np.abs(chain - chains[0] @ rotation.T).max()
            for rotation, chain in zip(rotations, chains, strict=True)
        )

    return measure


@pytest.fixture(scope="session")
def four_helices():
    """Return four parallel helices of 20 residues along x, in a square of 10 Å: (80, 4, 3)."""
    helix = build_backbone(np.full(20, -60.0), -45.0)
    helix = helix - helix.mean(axis=(0, 1))
    helix = helix @ np.linalg.svd(helix[:, 1])[2].T
    places = [np.array([0.0, 10.0 * (k % 2), 10.0 * (k // 2)]) for k in range(4)]
    return np.concatenate([helix + place for place in places])


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Return a function that puts a fake program on PATH, where there is nothing else.

    Its arguments are a name and what the program is: ``"PROTEIN_MPNN"``, ``"LIGAND_MPNN"``,
    ``"FOLDER"`` or ``"FOLDSEEK"`` of ``tests/fake_programs.py``, or lines of Python.
    """
    fakes = runpy.run_path(str(Path(__file__).with_name("fake_programs.py")))
    folder, store = tmp_path / "bin", tmp_path / "store"
    store.mkdir()
    fakes["put_on_path"](monkeypatch, folder)
    monkeypatch.setenv("FAKE_STORE", str(store))

    def add(name, kind):
        return fakes["write_program"](folder, name, fakes.get(kind, kind))

    return add


@pytest.fixture
def gpu(monkeypatch):
    """Pretend that there is a GPU, ``cuda:0``; return what counts its launches and waits."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *args: True)
    pretended = runpy.run_path(str(Path(__file__).with_name("pretended_gpu.py")))
    with pretended["pretend_gpu"]() as counted:
        yield counted

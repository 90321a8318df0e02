"""What the tests of several parts share."""

from pathlib import Path

import pytest
import torch

from protdiff.model import BackboneModel, save_checkpoint
from protdiff.network import NetworkConfig, ScoreNetwork


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
def tiny_weights(tiny_model, tmp_path_factory) -> Path:
    """Return the checkpoint of the tiny model."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_checkpoint(path, tiny_model)
    return path

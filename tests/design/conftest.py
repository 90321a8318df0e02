"""A network of random weights: what it makes is no protein, and is made in milliseconds."""

import pytest
import torch

from protdiff.design import Designer
from protdiff.model import BackboneModel
from protdiff.network import NetworkConfig, ScoreNetwork


@pytest.fixture(scope="session")
def designer() -> Designer:
    """Return a designer with a tiny untrained network."""
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
    return Designer(BackboneModel(network, name="tiny", sha256="0" * 64))

from dataclasses import replace

import pytest
import torch

from protdiff.diffusion import CosineVPSDE
from protdiff.errors import InputError
from protdiff.network import ScoreNetwork
from protdiff.training.average import average_models


@pytest.fixture
def moments(tiny_model):
    """Return three models of a run, at steps 10, 20 and 30."""
    models = []
    for step in (10, 20, 30):
        network = ScoreNetwork(tiny_model.network.config)
        generator = torch.Generator().manual_seed(step)
        with torch.no_grad():
            for weight in network.parameters():
                weight.copy_(torch.randn(weight.shape, generator=generator))
        models.append(replace(tiny_model, network=network, metadata={"steps": step, "seed": 1}))
    return models


def test_the_mean_is_of_every_weight(moments):
    averaged = average_models(moments)
    every = [dict(model.network.named_parameters()) for model in moments]
    for name, weight in averaged.network.named_parameters():
        expected = (every[0][name] + every[1][name] + every[2][name]) / 3
        torch.testing.assert_close(weight, expected, rtol=1e-6, atol=1e-6)
    assert averaged.metadata == {"steps": 30, "seed": 1, "averaged_steps": [10, 20, 30]}
    # What was given stays what it was.
    assert not torch.equal(
        next(averaged.network.parameters()), next(moments[2].network.parameters())
    )
    alone = average_models(moments[:1]).network.state_dict()
    assert all(torch.equal(alone[k], v) for k, v in moments[0].network.state_dict().items())


def test_only_what_differs_in_weights_alone_is_averaged(moments):
    with pytest.raises(InputError, match="no weights to average"):
        average_models([])
    with pytest.raises(InputError, match="differ in their network or process"):
        average_models([replace(moments[0], sde=CosineVPSDE()), moments[1]])
    smaller = ScoreNetwork(replace(moments[0].network.config, layers=2, hidden=24))
    with pytest.raises(InputError, match="differ in their network or process"):
        average_models([moments[0], replace(moments[1], network=smaller)])

"""A small prepared data set of chains of our own making, and a run that takes seconds."""

import numpy as np
import pytest
import torch

from protdiff.network import NetworkConfig
from protdiff.training import TrainingConfig
from protdiff.training.dataset import write_dataset

TINY = NetworkConfig(
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


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """Return the path of 24 random walks of 40 to 63 residues, a quarter of them held out."""
    path = tmp_path_factory.mktemp("data") / "chains.safetensors"
    rng = np.random.default_rng(0)
    lengths = np.arange(40, 64)
    steps = rng.normal(size=(lengths.sum(), 3, 3))
    coordinates = np.cumsum(steps.reshape(-1, 3), axis=0).reshape(-1, 3, 3) * 1.2
    count = len(lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    write_dataset(
        path,
        {
            "coordinates": torch.tensor(coordinates, dtype=torch.float32),
            "residue_index": torch.cat([torch.arange(n, dtype=torch.int32) for n in lengths]),
            "offsets": torch.tensor(offsets),
            "cluster30": torch.arange(count),
            "cluster40": torch.arange(count) // 2,
            "held_out": torch.tensor([k % 4 == 0 for k in range(count)], dtype=torch.uint8),
            # Loop, helix, strand in turns of five residues.
            "secondary": torch.cat([1 + torch.arange(n) // 5 % 3 for n in lengths]).byte(),
            # All types in turn, and now and then one that is none of the twenty.
            "residue_type": torch.cat([torch.arange(n) % 21 for n in lengths]).byte(),
        },
        [f"walk{k}" for k in range(count)],
    )
    return path


@pytest.fixture
def config(prepared, tmp_path):
    return TrainingConfig(
        data=str(prepared),
        out=str(tmp_path / "run"),
        lengths=(40, 64),
        residues_per_batch=200,
        steps=8,
        warmup_steps=2,
        decay_steps=3,
        motif=0.5,
        log_every=2,
        checkpoint_every=4,
        evaluate_every=4,
        panel_every=8,
        panel_designs=2,
        panel_length=40,
        device="cpu",
        threads=1,
        network=TINY,
    )

"""Which weights a run takes if none are named."""

import dataclasses

import pytest

from protdiff.checkpoint import save_checkpoint
from protdiff.design import loading
from protdiff.design.loading import choose_weights


@pytest.fixture
def bundle(tiny_model, tmp_path, monkeypatch):
    """Three checkpoints as if they came with the package: to 128, 256 and 400 residues."""
    paths = {}
    for name, longest in (("protdiff-base", 128), ("longer", 256), ("longest", 400)):
        paths[name] = tmp_path / f"{name}.safetensors"
        card = {**tiny_model.metadata, "lengths": [40, longest]}
        save_checkpoint(paths[name], dataclasses.replace(tiny_model, metadata=card))
    monkeypatch.setattr(loading, "list_weights", lambda: paths)


@pytest.mark.parametrize(
    ("longest", "name"),
    [
        (30, "protdiff-base"),
        (128, "protdiff-base"),
        (129, "longer"),
        (256, "longer"),
        (257, "longest"),
        (512, "longest"),
    ],
)
def test_weights_are_chosen_by_the_longest_design(bundle, longest, name):
    assert choose_weights(longest) == name

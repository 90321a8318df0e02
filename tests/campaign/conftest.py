import importlib.util
from pathlib import Path

import numpy as np
import pytest

from protdiff.campaign import Campaign, run_campaign
from protdiff.structure import Backbone, build_backbone, write_backbone

BASE = {
    "seed": 7,
    "chunk": 4,
    "sampling": {"steps": 2, "excluded_volume": False},
    "job": [
        {"name": "mixed", "num": 6, "length": "30-33"},
        {"name": "cool", "num": 5, "length": 31, "temperature": 0.5},
    ],
}


@pytest.fixture
def make(tiny_weights, tmp_path):
    """Return a function that makes a campaign of the tiny model: BASE with changes."""

    def make(folder="out", **changes):
        values = {**BASE, "weights": str(tiny_weights), "device": "cpu", **changes}
        return Campaign.from_dict({**values, "out": str(tmp_path / folder)})

    return make


@pytest.fixture(scope="session")
def killer():
    """Return the script that kills campaigns, which also knows how to compare two."""
    path = Path(__file__).parents[2] / "scripts" / "kill_campaign.py"
    spec = importlib.util.spec_from_file_location("kill_campaign", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def read_designs(killer):
    """Return a function that reads all that a campaign is, but for when it was made."""
    return killer.read_designs


@pytest.fixture(scope="module")
def whole(designer, tiny_weights, tmp_path_factory):
    """Return the folder of BASE's campaign, which nothing disturbed."""
    out = tmp_path_factory.mktemp("whole") / "out"
    values = {**BASE, "weights": str(tiny_weights), "device": "cpu", "out": str(out)}
    assert run_campaign(Campaign.from_dict(values), designer).complete
    return out


@pytest.fixture(scope="session")
def helix_file(tmp_path_factory):
    """Return a PDB file of a helix of 40 residues, A1 to A40."""
    path = tmp_path_factory.mktemp("structures") / "helix.pdb"
    backbone = Backbone.from_coordinates(build_backbone(np.full(40, -57.0), -47.0))
    write_backbone(path, backbone)
    return path

import numpy as np
import pytest
from typer.testing import CliRunner

from protdiff.cli.main import app
from protdiff.structure import Backbone, build_backbone, write_backbone


@pytest.fixture
def run():
    """Return a function that runs a command in this process."""

    def run(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run


@pytest.fixture(scope="session")
def helix_file(tmp_path_factory):
    """Return a PDB file of a helix of 40 residues, A1 to A40."""
    path = tmp_path_factory.mktemp("structures") / "helix.pdb"
    backbone = Backbone.from_coordinates(build_backbone(np.full(40, -57.0), -47.0))
    write_backbone(path, backbone)
    return path

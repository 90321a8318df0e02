"""What the tests of design tasks share."""

import numpy as np
import pytest

from protdiff.structure import Backbone, build_backbone


@pytest.fixture(scope="session")
def source():
    """Return a structure of 60 residues with numbers and names of its own, A101 to A160."""
    rng = np.random.default_rng(0)
    return Backbone.from_coordinates(
        build_backbone(rng.uniform(-140, -50, 60), rng.uniform(-60, 150, 60)),
        residue_name=rng.choice(["ALA", "LEU", "TRP"], 60),
        residue_number=np.arange(101, 161),
        name="source",
    )

"""What the tests of design tasks share."""

import numpy as np
import pytest

from protdiff.design import DesignSet
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


@pytest.fixture(scope="session")
def designs(designer) -> DesignSet:
    """Return five designs of 30 to 33 residues."""
    return designer.generate(length=(30, 33), num=5, seed=3, steps=3, step_scale=1.0)


@pytest.fixture(scope="session")
def scaffolds(designer, source) -> DesignSet:
    """Return two designs around A110-119, of which A112 and A113 may be redesigned."""
    return designer.scaffold(
        source,
        "10-15/A110-119/0 10-15",
        num=2,
        redesignable="A112-113",
        steps=3,
        step_scale=1.0,
    )

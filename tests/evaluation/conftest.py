"""Backbones with known torsions, to be measured."""

import numpy as np
import pytest

from protdiff.structure.geometry import build_backbone


@pytest.fixture(scope="session")
def helix():
    """Return a right-handed alpha helix of 30 residues."""
    return build_backbone(np.full(30, -57.0), -47.0)


@pytest.fixture(scope="session")
def strand():
    """Return one extended strand of 30 residues."""
    return build_backbone(np.full(30, -120.0), 130.0)

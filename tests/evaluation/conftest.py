"""Backbones with known torsions, to be measured."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

Build = Callable[..., NDArray[np.float64]]


def _place(a, b, c, length, angle, torsion):
    """Place the atom after a, b, c at internal coordinates (Å, degrees)."""
    angle, torsion = np.radians(angle), np.radians(torsion)
    bc = (c - b) / np.linalg.norm(c - b)
    normal = np.cross(b - a, bc)
    normal /= np.linalg.norm(normal)
    frame = np.stack([bc, np.cross(normal, bc), normal], axis=1)
    local = length * np.array(
        [-np.cos(angle), np.sin(angle) * np.cos(torsion), np.sin(angle) * np.sin(torsion)]
    )
    return c + frame @ local


@pytest.fixture(scope="session")
def build() -> Build:
    """Return a function that builds a chain of ideal bonds from its torsions in degrees."""

    def build(phi, psi, omega=180.0):
        phi, psi = np.broadcast_arrays(np.atleast_1d(phi), np.atleast_1d(psi))
        omega = np.broadcast_to(omega, phi.shape)
        n = np.zeros(3)
        ca = np.array([1.460, 0.0, 0.0])
        c = _place(np.array([0.3, 1.0, 0.0]), n, ca, 1.524, 110.9, phi[0])
        atoms = []
        for i in range(len(phi)):
            following = _place(n, ca, c, 1.331, 116.7, psi[i])
            atoms.append([n, ca, c, _place(n, ca, c, 1.232, 120.5, psi[i] + 180.0)])
            if i + 1 < len(phi):
                following_ca = _place(ca, c, following, 1.460, 121.8, omega[i])
                following_c = _place(c, following, following_ca, 1.524, 110.9, phi[i + 1])
                n, ca, c = following, following_ca, following_c
        return np.array(atoms)

    return build


@pytest.fixture(scope="session")
def helix(build) -> NDArray[np.float64]:
    """Return a right-handed alpha helix of 30 residues."""
    return build(np.full(30, -57.0), -47.0)


@pytest.fixture(scope="session")
def strand(build) -> NDArray[np.float64]:
    """Return one extended strand of 30 residues."""
    return build(np.full(30, -120.0), 130.0)

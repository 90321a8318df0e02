"""Made backbones, a PDB formatter of our own, and the places of real structures."""

import os
from pathlib import Path

import numpy as np
import pytest

from protdiff.structure import Backbone, build_backbone


@pytest.fixture(scope="session")
def helix():
    """Return a right-handed alpha helix of 24 residues, of mixed amino acids."""
    names = ["ALA", "GLY", "LEU", "GLU"] * 6
    return Backbone.from_coordinates(
        build_backbone(np.full(24, -62.0), -42.0), residue_name=names, name="helix"
    )


@pytest.fixture
def rng():
    return np.random.default_rng(20250101)


@pytest.fixture(scope="session")
def real():
    """Return the path of a real structure that comes with tmtools, as PDB or mmCIF."""
    testing = pytest.importorskip("tmtools.testing")

    def get(name, suffix="pdb"):
        return testing.get_pdb_path(name.lower()).with_suffix(f".{suffix}")

    return get


@pytest.fixture(scope="session")
def shared():
    """Return the folder of shared structures, or skip."""
    folder = os.environ.get("PROTDIFF_SHARED")
    path = Path(folder) if folder else Path(__file__).parents[3] / "shared"
    if not (path / "files").is_dir():
        pytest.skip("the shared structures are not here")
    return path


def format_atom(
    serial, atom, residue, chain, number, xyz, *, code="", altloc="", occupancy=1.0, hetero=False
):
    """Write one line of a PDB file, column by column."""
    record = "HETATM" if hetero else "ATOM  "
    return (
        f"{record}{serial:5d}  {atom:<3s}{altloc or ' '}{residue:>3s} {chain}{number:4d}"
        f"{code or ' '}   {xyz[0]:8.3f}{xyz[1]:8.3f}{xyz[2]:8.3f}{occupancy:6.2f}{0.0:6.2f}"
        f"          {atom[0]:>2s}"
    )


@pytest.fixture(scope="session")
def pdb_line():
    return format_atom


@pytest.fixture(scope="session")
def pdb_lines():
    """Return a function that writes a backbone as the lines of a PDB file, not by our writer."""

    def make(backbone, *, hetero=()):
        return [
            format_atom(
                4 * i + k + 1,
                atom,
                str(backbone.residue_name[i]),
                str(backbone.chain_id[i]),
                int(backbone.residue_number[i]),
                backbone.coordinates[i, k],
                code=str(backbone.insertion_code[i]),
                hetero=i in hetero,
            )
            for i in range(len(backbone))
            for k, atom in enumerate(("N", "CA", "C", "O"))
        ]

    return make

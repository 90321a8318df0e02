"""Hydrogen bonds as a feature: those that DSSP finds."""

import numpy as np
import pydssp
import pytest
import torch
from tmtools.testing import get_pdb_path

from protdiff.network.chain import get_chain_links
from protdiff.network.hydrogen_bond import get_bond_strengths
from protdiff.structure import build_backbone, read_backbone


def describe(coordinates, index=None):
    positions = torch.as_tensor(np.asarray(coordinates)[None, :, :3], dtype=torch.float64) / 8.0
    count = positions.shape[1]
    index = torch.arange(count) if index is None else torch.as_tensor(index)
    mask = torch.ones(1, count, dtype=torch.bool)
    links = get_chain_links(index[None], mask)
    return get_bond_strengths(positions, index[None], links, 8.0)[0]


def test_a_helix_bonds_each_residue_to_the_fourth_before():
    gives, takes = describe(build_backbone(np.full(16, -62.0), -42.0))
    assert torch.equal(takes, gives.mT)
    fourth = gives.diagonal(-4)
    assert (fourth > 0.5).all()
    strong = gives > 0.3
    assert int(strong.sum()) == len(fourth)
    assert (gives[0] == 0).all()  # no hydrogen is known of the first
    assert (gives[:, -1] == 0).all()  # and no oxygen of the last


@pytest.mark.parametrize("name", ["2gtl", "7ok9"])
def test_bonds_of_real_structures_are_those_of_dssp(name):
    backbone = read_backbone(get_pdb_path(name))
    whole = np.isfinite(backbone.coordinates).all(axis=(1, 2))
    coordinates = backbone.coordinates[whole][:150]
    index = backbone.residue_index[whole][:150]
    gives = describe(coordinates, index)[0]
    theirs = (
        torch.as_tensor(pydssp.get_hbond_map(coordinates)) > 1e-3
    )  # graded, from -0.5 kcal/mol on
    ours = (gives > np.tanh(0.25)).tril(-3) | (gives > np.tanh(0.25)).triu(1)
    assert int(theirs.sum()) > 50
    assert float((ours & theirs).sum() / theirs.sum()) > 0.95
    assert float((ours & theirs).sum() / ours.sum()) > 0.95

"""Assemblies on the axes of their group, wherever and in whatever order their chains came."""

import numpy as np
import pytest

from protdiff.structure import build_backbone, superimpose
from protdiff.structure.assembly import turn_onto_axes
from protdiff.structure.point_group import parse_point_group

LENGTH = 11


@pytest.fixture(scope="module")
def chain():
    torsions = np.random.default_rng(0).uniform((-140, -60), (-50, 150), (LENGTH, 2)).T
    return build_backbone(*torsions) + np.array([9.0, 4.0, 2.0])


def displace(group, chain, rng, spread=0.0):
    """Return the assembly turned, moved, with chains in any order and atoms off by a little."""
    chains = group.assemble(chain).astype(float).reshape(group.order, *chain.shape)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    mixed = chains[rng.permutation(group.order)].reshape(-1, *chain.shape[1:])
    return mixed @ turn + 80.0 + rng.normal(size=mixed.shape) * spread


@pytest.mark.parametrize("symbol", ["C2", "C3", "C5", "C12", "D2", "D3", "D4", "D7"])
def test_an_assembly_is_found_its_axes_and_its_order(chain, symbol):
    group = parse_point_group(symbol)
    rng = np.random.default_rng(1)
    for spread in (0.0, 0.2):
        given = displace(group, chain, rng, spread)
        found, deviation = turn_onto_axes(group, given)
        assert np.abs(group.rebuild(found) - found).max() < 1e-4
        assert superimpose(found[:LENGTH], chain).rmsd < 2 * spread + 1e-3
        # Both an atom and its image are off, by spread in each of three directions.
        assert deviation < 1e-3 + spread * 6**0.5
        assert found.mean(axis=(0, 1))[:2] == pytest.approx([0, 0], abs=0.2)


def test_how_far_an_assembly_is_from_its_group_is_told(chain):
    group = parse_point_group("C2")
    beside = np.concatenate([chain, chain + 10.0])  # a step, and no turn
    assert turn_onto_axes(group, beside)[1] > 3
    three = displace(parse_point_group("C3"), chain, np.random.default_rng(0))
    four = np.concatenate([three, three[:LENGTH] + 30.0])
    assert turn_onto_axes(parse_point_group("C4"), four)[1] > 3

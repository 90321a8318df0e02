import gemmi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protdiff.errors import InputError
from protdiff.structure import (
    backbone_dihedrals,
    bond_angles,
    bond_lengths,
    build_backbone,
    count_contacts,
    find_links,
    place_cbeta,
    place_oxygen,
    radius_of_gyration,
    read_backbone,
    rmsd,
    superimpose,
)
from protdiff.structure.geometry import measure_angle, measure_dihedral, place_atom

angles = st.floats(20.0, 160.0)
torsions = st.floats(-179.0, 179.0)


def random_rotation(rng):
    q, r = np.linalg.qr(rng.standard_normal((3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else q[:, ::-1]


@settings(max_examples=50, deadline=None)
@given(angle=angles, torsion=torsions, bond=st.floats(0.5, 5.0), seed=st.integers(0, 99))
def test_placing_an_atom_inverts_measuring_it(angle, torsion, bond, seed):
    a, b, c = np.random.default_rng(seed).standard_normal((3, 3))
    d = place_atom(a, b, c, bond, angle, torsion)
    assert np.linalg.norm(d - c) == pytest.approx(bond, abs=1e-9)
    assert measure_angle(b, c, d) == pytest.approx(angle, abs=1e-6)
    assert measure_dihedral(a, b, c, d) == pytest.approx(torsion, abs=1e-6)


def test_torsions_keep_under_rotation_and_flip_under_reflection(rng):
    points = rng.standard_normal((4, 100, 3))
    before = measure_dihedral(*points)
    rotated = points @ random_rotation(rng) + 5.0
    np.testing.assert_allclose(measure_dihedral(*rotated), before, atol=1e-8)
    np.testing.assert_allclose(measure_dihedral(*(points * [1, 1, -1])), -before, atol=1e-8)


def test_the_sign_of_a_torsion_is_the_chemists():
    # Looking from b to c, d is reached from a by turning clockwise: a positive torsion.
    a, b, c, d = [0, 1, 0], [0, 0, 0], [0, 0, -1], [1, 1, -1]
    # From b to c the viewer looks along -z, so x is to the right of y: clockwise.
    assert measure_dihedral(a, b, c, d) == pytest.approx(45.0)


def test_a_built_backbone_has_its_torsions_and_ideal_bonds(rng):
    phi, psi = rng.uniform(-170, 170, (2, 30))
    omega = np.where(rng.random(30) < 0.2, 5.0, 175.0)
    x = build_backbone(phi, psi, omega)
    index = np.arange(30)
    got_phi, got_psi, got_omega = backbone_dihedrals(x, index)
    np.testing.assert_allclose(got_phi[1:], phi[1:], atol=1e-6)
    np.testing.assert_allclose(got_psi[:-1], psi[:-1], atol=1e-6)
    np.testing.assert_allclose(got_omega[1:], omega[1:], atol=1e-6)
    assert np.isnan([got_phi[0], got_omega[0], got_psi[-1]]).all()
    for name, ideal in {"N-CA": 1.459, "CA-C": 1.525, "C-N": 1.331}.items():
        np.testing.assert_allclose(bond_lengths(x, index)[name], ideal, atol=1e-9)
    for name, ideal in {"N-CA-C": 110.9, "CA-C-N": 116.7, "C-N-CA": 121.8}.items():
        np.testing.assert_allclose(bond_angles(x, index)[name], ideal, atol=1e-6)


def test_breaks_hide_what_spans_them(helix):
    index = np.r_[np.arange(10), np.arange(12, 26)]
    phi, psi, omega = backbone_dihedrals(helix.coordinates, index)
    assert np.flatnonzero(np.isnan(phi)).tolist() == [0, 10]
    assert np.flatnonzero(np.isnan(psi)).tolist() == [9, 23]
    assert np.flatnonzero(np.isnan(omega)).tolist() == [0, 10]
    assert len(bond_lengths(helix.coordinates, index)["C-N"]) == 22
    assert len(bond_angles(helix.coordinates, index)["CA-C-N"]) == 22


def test_links_need_both_distances(helix):
    x = helix.coordinates.astype(float)
    assert find_links(x).all()
    far = x.copy()
    far[12:] += 1.0 * (x[12, 0] - x[11, 2])  # C-N is 2.66 Å
    assert np.flatnonzero(~find_links(far)).tolist() == [11]
    bent = x.copy()
    bent[12, 0] += 5.0  # N alone is away, CA is where it was
    assert 11 in np.flatnonzero(~find_links(bent))
    unknown = x.copy()
    unknown[5] = np.nan
    assert np.flatnonzero(~find_links(unknown)).tolist() == [4, 5]


def read_atom(path, name):
    """Read one kind of atom of complete residues by gemmi, with the backbone beside it."""
    backbone, atoms = [], []
    for residue in (r for chain in gemmi.read_structure(str(path))[0] for r in chain):
        found = {atom.name: list(atom.pos) for atom in residue}
        if all(n in found for n in ("N", "CA", "C", "O", name)) and residue.name != "HEM":
            backbone.append([found[n] for n in ("N", "CA", "C")])
            atoms.append(found[name])
    return np.array(backbone), np.array(atoms)


def test_cbeta_of_real_proteins(real):
    backbone, beta = read_atom(real("2GTL"), "CB")
    distance = np.linalg.norm(place_cbeta(backbone) - beta, axis=-1)
    assert len(beta) > 2000
    # Real CB scatter by about 0.1 Å about the ideal place; the other hand is 2.4 Å away.
    assert np.median(distance) < 0.12
    assert np.median(np.linalg.norm(place_cbeta(backbone, handedness="D") - beta, axis=-1)) > 2.0


def test_cbeta_is_equivariant_with_its_hand(helix, rng):
    x = helix.coordinates[:, :3].astype(float)
    turn, mirror = random_rotation(rng), np.array([1.0, -1.0, 1.0])
    np.testing.assert_allclose(place_cbeta(x @ turn), place_cbeta(x) @ turn, atol=1e-6)
    flipped = place_cbeta(x * mirror, handedness="D")
    np.testing.assert_allclose(flipped, place_cbeta(x) * mirror, atol=1e-6)


def test_cbeta_has_its_bond_its_angles_and_its_side(helix):
    n, ca, c = helix.coordinates[:, :3].astype(float).transpose(1, 0, 2)
    beta = place_cbeta(helix.coordinates)
    np.testing.assert_allclose(np.linalg.norm(beta - ca, axis=-1), 1.53, atol=1e-6)
    np.testing.assert_allclose(measure_angle(n, ca, beta), 110.5, atol=1e-4)
    np.testing.assert_allclose(measure_angle(c, ca, beta), 110.1, atol=1e-4)
    # Seen from H, CO, R and N stand clockwise in an L-amino acid ("CORN").
    assert (np.linalg.det(np.stack([c - ca, beta - ca, n - ca], axis=-2)) > 0).all()


def test_oxygen_of_a_residue_alone_is_that_of_an_extended_chain(helix):
    alone = helix.coordinates[5:6, :3].astype(float)
    oxygen = place_oxygen(alone)[0]
    assert measure_dihedral(*alone[0], oxygen) == pytest.approx(135.0 - 180.0, abs=1e-6)
    # As is one between two breaks.
    apart = place_oxygen(helix.coordinates[:3, :3], np.array([0, 5, 9]))
    torsions = measure_dihedral(*helix.coordinates[:3, :3].transpose(1, 0, 2), apart)
    np.testing.assert_allclose(torsions, 135.0 - 180.0, atol=1e-4)


def test_oxygen_of_real_proteins(real):
    backbone = read_backbone(real("2GTL"))
    placed = place_oxygen(backbone.coordinates[:, :3], backbone.residue_index)
    distance = np.linalg.norm(placed - backbone.coordinates[:, 3], axis=-1)
    inside = np.r_[np.diff(backbone.residue_index) == 1, False]
    assert np.median(distance[inside]) < 0.06
    assert np.quantile(distance[inside], 0.99) < 0.3


def test_oxygen_is_planar_also_without_an_index_and_in_batches(helix):
    x = helix.coordinates[:, :3].astype(float)
    placed = place_oxygen(np.stack([x, x + 1.0]))
    assert placed.shape == (2, 24, 3)
    np.testing.assert_allclose(placed[1] - placed[0], 1.0, atol=1e-9)
    torsion = measure_dihedral(placed[0][:-1], x[:-1, 2], x[1:, 0], x[1:, 1])
    np.testing.assert_allclose(np.abs(torsion), 0.0, atol=2.0)  # O is cis to the next CA
    # A helix ends as a helix.
    assert measure_dihedral(*x[-1], placed[0][-1]) == pytest.approx(-42.0 + 180.0, abs=1e-3)


def test_coincident_atoms_give_finite_places():
    x = np.zeros((3, 3, 3))
    assert np.isfinite(place_oxygen(x)).all()
    assert np.isfinite(place_cbeta(x)).all()
    assert np.isfinite(measure_dihedral(*np.zeros((4, 3))))


def test_superposition_recovers_a_motion_and_no_reflection(rng):
    x = rng.standard_normal((40, 3)) * 10
    turn = random_rotation(rng)
    fit = superimpose(x, x @ turn + [1.0, -2.0, 3.0])
    np.testing.assert_allclose(fit.rotation, turn, atol=1e-9)
    np.testing.assert_allclose(fit.apply(x), x @ turn + [1.0, -2.0, 3.0], atol=1e-9)
    assert fit.rmsd < 1e-9
    mirrored = superimpose(x, x * [1, 1, -1])
    assert np.linalg.det(mirrored.rotation) == pytest.approx(1.0)
    assert mirrored.rmsd > 1.0


def test_superposition_is_the_best_motion(rng):
    x, y = rng.standard_normal((2, 12, 3))
    fit = superimpose(x, y)
    assert fit.rmsd == pytest.approx(rmsd(fit.apply(x), y))
    for _ in range(50):
        axis = rng.standard_normal(3) * 0.05
        step = np.array([[1, -axis[2], axis[1]], [axis[2], 1, -axis[0]], [-axis[1], axis[0], 1]])
        nudge = np.linalg.qr(step)[0]
        nudge *= np.sign(np.diag(nudge))
        moved = (fit.apply(x) - y.mean(0)) @ nudge + y.mean(0)
        assert rmsd(moved, y) >= fit.rmsd - 1e-12


def test_superposition_of_flat_and_single_points():
    line = np.outer(np.arange(5.0), [1.0, 2.0, 3.0])
    assert superimpose(line, line + 1.0).rmsd < 1e-6
    assert superimpose([[1.0, 2.0, 3.0]], [[0.0, 0.0, 0.0]]).rmsd < 1e-9
    with pytest.raises(InputError, match="superimpose 5 points on 4"):
        superimpose(line, line[:4])


def test_radius_and_contacts_of_a_known_shape():
    line = np.arange(20)[:, None] * np.array([3.8, 0.0, 0.0])
    # The variance of 0 ... n-1 is (n² − 1)/12.
    assert radius_of_gyration(line) == pytest.approx(3.8 * np.sqrt((400 - 1) / 12))
    assert count_contacts(line).sum() == 0
    assert count_contacts(line, separation=2).tolist() == [1, 1, *[2] * 16, 1, 1]
    assert (count_contacts(np.zeros((10, 3))) == [4, 3, 2, 1, 0, 0, 1, 2, 3, 4]).all()


@pytest.mark.parametrize(
    ("bond", "step", "linked"), [(1.99, 4.49, True), (2.01, 3.8, False), (1.33, 4.51, False)]
)
def test_links_end_at_their_distances(bond, step, linked):
    pair = np.array(
        [[[0, 9, 0], [0, 0, 0], [0, 0, 5]], [[0, 0, 5 + bond], [step, 0, 0], [9, 9, 9]]], float
    )
    assert find_links(pair).tolist() == [linked]


def test_oxygens_have_their_angle_and_the_last_its_psi():
    x = build_backbone(np.array([-60.0, -60, -60]), np.array([-45.0, -45, 30]))
    np.testing.assert_allclose(measure_angle(x[:, 1], x[:, 2], x[:, 3]), 120.4)
    np.testing.assert_allclose(np.linalg.norm(x[:, 3] - x[:, 2], axis=-1), 1.231)
    np.testing.assert_allclose(measure_dihedral(*x[-1]), 30 - 180.0)


def test_contacts_are_nearer_than_the_cutoff():
    line = np.arange(3)[:, None] * np.array([8.0, 0.0, 0.0])
    assert count_contacts(line, separation=1).sum() == 0

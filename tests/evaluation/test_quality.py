import dataclasses
import json

import numpy as np
import pytest

from protdiff.errors import InputError
from protdiff.evaluation import (
    NATIVE,
    Quality,
    measure_backbone,
    measure_quality,
    measure_recorded,
)
from protdiff.evaluation.measure import index_by_number, is_favoured
from protdiff.structure import Backbone, build_backbone, read_backbone, write_backbone


def mirror(coordinates):
    return coordinates * np.array([-1.0, 1.0, 1.0])


def test_an_ideal_helix_is_measured_as_it_was_built(helix):
    quality = measure_quality(helix)
    assert quality.links == 1.0
    assert quality.n_ca == pytest.approx(1.459, abs=1e-6)
    assert quality.ca_c == pytest.approx(1.525, abs=1e-6)
    assert quality.c_n == pytest.approx(1.331, abs=1e-6)
    assert quality.n_ca_c == pytest.approx(110.9, abs=1e-6)
    assert quality.ca_c_n == pytest.approx(116.7, abs=1e-6)
    assert quality.c_n_ca == pytest.approx(121.8, abs=1e-6)
    assert quality.omega == pytest.approx(0.0, abs=1e-6)
    assert quality.c_n_sd == pytest.approx(0.0, abs=1e-6)
    assert quality.planar == 1.0
    assert quality.ramachandran == 1.0
    assert quality.phi_positive == 0.0
    assert quality.left_handed_runs == 0
    assert quality.helix_right == 1.0
    assert quality.helix_left == 0.0
    assert quality.helix > 0.8
    assert quality.strand == 0.0
    assert quality.clashes == 0.0
    # A helix of 30 residues is a rod, and that is the one thing wrong with it.
    assert quality.failed == ("not_compact",)


def test_the_mirror_image_of_a_helix_fails_on_its_hand_only(helix):
    natural, mirrored = measure_quality(helix), measure_quality(mirror(helix))
    assert "left_handed" in mirrored.failed
    # The first residue has no phi and the last no psi.
    assert mirrored.left_handed_runs == len(helix) - 2
    assert mirrored.helix_left == natural.helix_right
    assert mirrored.helix_right == 0.0
    assert mirrored.phi_positive == 1.0
    # What has no hand is the same.
    for name in ("links", "n_ca", "c_n_ca", "helix", "strand", "clashes", "rg", "contacts"):
        assert getattr(mirrored, name) == pytest.approx(getattr(natural, name)), name


def test_a_d_protein_is_judged_by_its_mirror_image(helix):
    natural = measure_quality(helix)
    d_protein = measure_quality(mirror(helix), handedness="D")
    for field in dataclasses.fields(Quality):
        assert getattr(d_protein, field.name) == pytest.approx(
            getattr(natural, field.name), nan_ok=True
        )


def test_a_strand_is_extended_and_no_helix(strand):
    quality = measure_quality(strand)
    assert quality.ramachandran == 1.0
    assert quality.helix_right == quality.helix_left == quality.helix == 0.0
    assert quality.rg_ratio > 2.0
    assert quality.failed == ("not_compact",)


def test_two_paired_strands_are_a_sheet():
    # A tight two-residue turn (type I') folds a hairpin back on itself.
    phi = np.r_[np.full(8, -120.0), 60.0, 90.0, np.full(8, -120.0)]
    psi = np.r_[np.full(8, 130.0), 30.0, 0.0, np.full(8, 130.0)]
    found = max(
        measure_quality(build_backbone(phi + shift, psi)).strand
        for shift in np.arange(-10.0, 15.0, 5.0)
    )
    assert found > 0.3


def test_measuring_does_not_depend_on_the_frame(helix):
    rng = np.random.default_rng(0)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    rotation *= np.sign(np.linalg.det(rotation))
    moved = measure_quality(helix @ rotation.T + rng.normal(size=3) * 100.0)
    natural = measure_quality(helix)
    for field in dataclasses.fields(Quality):
        assert getattr(moved, field.name) == pytest.approx(
            getattr(natural, field.name), abs=1e-6, nan_ok=True
        ), field.name


def test_shuffled_torsions_keep_the_bonds_and_tangle_the_chain():
    # Half helix, half strand: in random order the residues keep their torsions and lose the rest.
    helical = np.random.default_rng(0).permutation(np.arange(200) < 100)
    phi, psi = np.where(helical, -57.0, -120.0), np.where(helical, -47.0, 130.0)
    quality = measure_quality(build_backbone(phi, psi))
    assert quality.links == quality.ramachandran == 1.0
    assert quality.helix < 0.2
    assert "clashing" in quality.failed or "not_compact" in quality.failed


def test_uniform_torsions_fall_into_the_boxes_by_chance():
    # The boxes' share of the plane, which is what uniform torsions must give.
    phi, psi = np.meshgrid(np.arange(-179.5, 180), np.arange(-179.5, 180))
    assert is_favoured(phi, psi).mean() == pytest.approx(0.237, abs=0.001)


def test_a_broken_chain_is_broken_unless_the_break_is_known(helix):
    torn = helix.copy()
    # Away along the axis, so that the halves are apart.
    torn[15:] += 5.0 * (helix[-1, 1] - helix[0, 1]) / np.linalg.norm(helix[-1, 1] - helix[0, 1])
    assert "broken" in measure_quality(torn).failed
    assert measure_quality(torn).links == pytest.approx(28 / 29)
    assert measure_quality(torn).longest_ca_ca > 4.2
    index = np.arange(30) + 5 * (np.arange(30) >= 15)
    assert "broken" not in measure_quality(torn, index).failed
    assert measure_quality(torn, index).links == 1.0


@pytest.mark.parametrize("stretched", [2, 4])
def test_a_chain_of_strained_links_is_distorted_though_it_hangs_together(helix, stretched):
    strained = helix.copy()
    for place in range(5, 5 + stretched):
        strained[place:] += 0.25 * (helix[place, 0] - helix[place - 1, 2])
    quality = measure_quality(strained)
    assert quality.links == pytest.approx(1 - stretched / 29)
    assert "broken" not in quality.failed
    assert ("distorted" in quality.failed) == (stretched > 2)


def test_a_file_s_numbers_tell_a_broken_chain_from_a_known_break(helix, tmp_path):
    torn = helix.copy()
    torn[15:] += 100.0
    for jump, broken in ((0, True), (5, False)):
        numbers = np.arange(1, 31) + jump * (np.arange(30) >= 15)
        path = tmp_path / f"{jump}.pdb"
        write_backbone(path, Backbone.from_coordinates(torn, residue_number=numbers))
        read = read_backbone(path)
        assert read.residue_index[15] > 15  # reading sees a break in both
        assert ("broken" in measure_backbone(read).failed) == broken


def test_a_sound_link_has_both_a_sound_bond_and_a_sound_step(helix):
    helix = helix.copy()
    helix[10, 2] += 0.2 * (helix[10, 2] - helix[11, 0])  # the C off its bond, the CA where they are
    quality = measure_quality(helix)
    assert quality.links_ca_ca == 1.0
    assert quality.links == quality.links_c_n == pytest.approx(1 - 1 / (len(helix) - 1))


def test_numbers_that_repeat_or_fall_are_odd_and_no_break(helix):
    numbers = np.r_[5, 5, 6, 4, 3, 7, 8, 20 : 20 + len(helix) - 7]
    apart = 3.0 * helix  # or the bonds would say what is linked
    index = index_by_number(Backbone.from_coordinates(apart, residue_number=numbers))
    assert np.diff(index)[:7].tolist() == [1, 1, 1, 1, 4, 1, 12]


def test_what_is_bonded_is_no_clash_though_numbers_are_left_out(helix, tmp_path):
    # As antibodies are numbered: 30, then 35, and a peptide bond between them.
    numbers = np.arange(1, 31) + 4 * (np.arange(30) >= 15)
    path = tmp_path / "kabat.pdb"
    write_backbone(path, Backbone.from_coordinates(helix, residue_number=numbers))
    quality = measure_backbone(read_backbone(path))
    assert quality.to_dict() == measure_quality(read_backbone(path).coordinates).to_dict()
    assert "clashing" not in quality.failed


def test_chains_are_not_linked(helix):
    chains = ["A"] * 15 + ["B"] * 15
    apart = helix.copy()
    apart[15:] += 100.0
    assert (
        "broken" not in measure_backbone(Backbone.from_coordinates(apart, chain_id=chains)).failed
    )


def test_a_cis_peptide_is_seen():
    omega = np.full(30, 180.0)
    omega[10] = 0.0
    quality = measure_quality(build_backbone(np.full(30, -57.0), -47.0, omega))
    assert quality.cis == pytest.approx(1 / 29)
    assert quality.planar == pytest.approx(28 / 29)
    assert quality.links_ca_ca == pytest.approx(28 / 29)
    assert quality.omega == pytest.approx(0.0, abs=1e-6)


def test_omega_is_signed():
    quality = measure_quality(build_backbone(np.full(20, -57.0), -47.0, 175.0))
    assert quality.omega == pytest.approx(-5.0, abs=1e-6)


def test_clashes_are_counted_by_their_definition():
    # Two residues far apart along the chain, seen from each pair of atoms at a time.
    limits = {"N": 1.55, "CA": 1.70, "C": 1.70, "O": 1.52}
    names = list(limits)
    far = np.arange(4)[:, None] * np.array([100.0, 0.0, 0.0])
    index = np.array([0, 3])
    for i, first in enumerate(names):
        for j, second in enumerate(names):
            limit = limits[first] + limits[second] - 0.4
            if {first, second} == {"N", "O"}:
                limit = 2.35
            for distance, expected in ((limit - 0.01, 1), (limit + 0.01, 0)):
                residues = np.stack([far, far + np.array([0.0, 50.0, 0.0])])
                residues[1, j] = residues[0, i] + np.array([0.0, 0.0, distance])
                quality = measure_quality(residues, index)
                assert quality.clashes == pytest.approx(50.0 * expected), (first, second)
                assert measure_quality(residues, np.array([0, 2])).clashes == 0.0


def test_contacts_count_both_directions():
    residues = np.arange(7)[:, None, None] * np.array([50.0, 0.0, 0.0]) + np.zeros((7, 4, 3))
    residues[6] = residues[0] + np.array([0.0, 7.9, 0.0])
    assert measure_quality(residues).contacts == pytest.approx(2 / 7)
    residues[5] = residues[0] + np.array([0.0, 0.0, 7.9])  # too near along the chain to count
    assert measure_quality(residues).contacts == pytest.approx(2 / 7)
    residues[6] += np.array([0.0, 0.2, 0.0])
    assert measure_quality(residues).contacts == 0.0


def test_a_point_cloud_is_collapsed_and_clashing():
    quality = measure_quality(np.random.default_rng(0).normal(size=(50, 4, 3)))
    assert {"clashing", "collapsed"} <= set(quality.failed)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_coordinates_are_a_verdict_not_a_crash(helix, bad):
    spoilt = helix.copy()
    spoilt[3, 1, 2] = bad
    quality = measure_quality(spoilt)
    assert quality.failed == ("non_finite",)
    assert not quality.passes
    assert json.loads(json.dumps(quality.to_dict(), allow_nan=False))["rg"] is None


@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_short_chains_are_measured_without_a_warning(helix, length):
    quality = measure_quality(helix[:length])
    assert quality.length == length
    json.dumps(quality.to_dict(), allow_nan=False)


def test_atoms_on_top_of_each_other_are_measured_without_a_warning():
    assert "clashing" in measure_quality(np.zeros((20, 4, 3))).failed


def test_oxygen_is_placed_when_it_is_missing(helix):
    quality = measure_quality(helix[:, :3])
    assert quality.helix == measure_quality(helix).helix


def test_to_dict_holds_plain_json(helix):
    numbers = measure_quality(helix).to_dict()
    assert json.loads(json.dumps(numbers, allow_nan=False)) == numbers
    assert numbers["passes"] is False
    assert numbers["failed"] == ["not_compact"]


def test_every_native_value_names_a_quantity():
    assert set(NATIVE) <= {field.name for field in dataclasses.fields(Quality)}


def test_wrong_shapes_are_refused(helix):
    with pytest.raises(InputError, match="expected \\(residue, 3 or 4, 3\\)"):
        measure_quality(helix[0])
    with pytest.raises(InputError, match="residue_index has shape"):
        measure_quality(helix, np.arange(3))


@pytest.mark.parametrize("handedness", ["X", "l", -1, 1, None])
def test_a_wrong_hand_is_refused(helix, handedness):
    with pytest.raises(InputError, match=f"^handedness is {handedness!r}; give L or D$"):
        measure_quality(helix, handedness=handedness)
    with pytest.raises(InputError, match="give L or D"):
        measure_quality(np.zeros((0, 3, 3)), handedness=handedness)


def test_contact_order_is_the_mean_separation_of_contacts_over_the_length():
    # Ten residues in a row far apart, but for two pairs that touch: 0 with 9, and 2 with 5.
    residues = np.arange(10)[:, None, None] * np.array([50.0, 0.0, 0.0]) + np.zeros((10, 4, 3))
    residues[9] = residues[0] + np.array([0.0, 7.9, 0.0])
    residues[5] = residues[2] + np.array([0.0, 0.0, 7.9])
    assert measure_quality(residues).contact_order == pytest.approx((9 + 3) / 2 / 10)
    residues[5] += np.array([0.0, 0.0, 0.2])
    assert measure_quality(residues).contact_order == pytest.approx(0.9)


def test_contact_order_knows_chains(helix):
    # A helix touches itself three and four residues on; a copy beside it adds nothing to that.
    one = measure_quality(helix).contact_order
    assert 3 / 30 < one < 5 / 30
    pair = np.concatenate([helix, helix + np.array([0.0, 0.0, 4.0])])
    index = np.r_[np.arange(30), 229 + np.arange(30)]
    assert measure_quality(pair, index).contact_order == pytest.approx(one)


def test_a_chain_without_contacts_has_no_contact_order(strand):
    assert np.isnan(measure_quality(strand).contact_order)


def test_what_only_the_manifest_knows_is_taken_from_it(helix):
    backbone = Backbone.from_coordinates(helix)
    assert measure_recorded(backbone, {}).failed == ("not_compact",)
    near, far, damaged = (
        measure_recorded(backbone, {"quality": {"partner_gap": gap}}) for gap in (2.4, 2.6, "?")
    )
    assert near.failed == ("not_compact", "target_clash")
    assert near.to_dict()["partner_gap"] == 2.4
    assert far.failed == ("not_compact",)
    assert damaged.to_dict()["partner_gap"] is None
    mirrored = Backbone.from_coordinates(mirror(helix))
    assert "left_handed" not in measure_recorded(mirrored, {"handedness": "D"}).failed
    assert "left_handed" in measure_recorded(mirrored, {"handedness": "D"}, handedness="L").failed


@pytest.mark.parametrize(
    ("change", "sound"), [(0.055, True), (0.065, False), (-0.055, True), (-0.065, False)]
)
def test_a_link_is_good_within_its_width(helix, change, sound):
    helix = helix.copy()
    bond = helix[10, 0] - helix[9, 2]
    unit = bond / np.linalg.norm(bond)
    helix[10:] += (1.33 + change - np.linalg.norm(bond)) * unit
    assert (measure_quality(helix).links_c_n == 1.0) == sound


@pytest.mark.parametrize(
    ("step", "sound"), [(3.67, True), (3.65, False), (3.95, True), (3.97, False)]
)
def test_a_step_is_good_within_its_width(helix, step, sound):
    helix = helix.copy()
    along = helix[10, 1] - helix[9, 1]
    helix[10, 1] = helix[9, 1] + step * along / np.linalg.norm(along)
    helix[11:] += helix[10, 1] + 3.81 * np.array([1.0, 0, 0]) - helix[11, 1]
    assert (measure_quality(helix).links_ca_ca == 1.0) == sound


@pytest.mark.parametrize(
    ("omega", "planar", "cis"), [(156, 1, 0), (154, 0, 0), (-156, 1, 0), (29, 0, 1), (31, 0, 0)]
)
def test_planes_have_their_limits(omega, planar, cis):
    quality = measure_quality(build_backbone(np.full(20, -57.0), -47.0, float(omega)))
    assert (quality.planar, quality.cis) == (planar, cis)


@pytest.mark.parametrize(("count", "psi", "found"), [(3, 45.0, 0), (4, 45.0, 4), (4, 100.0, 0)])
def test_left_handed_runs_are_of_four_or_more(count, psi, found):
    phi, psis = np.full(20, -57.0), np.full(20, -47.0)
    phi[8 : 8 + count], psis[8 : 8 + count] = 57.0, psi
    assert measure_quality(build_backbone(phi, psis)).left_handed_runs == found


def test_cis_links_are_no_steps_of_the_mean_and_no_sound_links():
    omega = np.full(30, 180.0)
    omega[10] = 0.0
    quality = measure_quality(build_backbone(np.full(30, -57.0), -47.0, omega))
    assert quality.ca_ca == pytest.approx(3.80, abs=0.02)
    assert quality.ca_ca_sd == pytest.approx(0.0, abs=1e-6)
    assert quality.links == pytest.approx(28 / 29)


def test_helices_do_not_run_over_a_break(helix):
    index = np.arange(30) + 7 * (np.arange(30) // 3)  # pieces of three residues
    assert measure_quality(helix).helix_right == 1.0
    assert measure_quality(helix, index).helix_right == 0.0


def test_contacts_over_a_break_within_a_chain_count(helix):
    index = np.arange(30) + 5 * (np.arange(30) >= 15)
    assert measure_quality(helix, index).contact_order == measure_quality(helix).contact_order


@pytest.mark.parametrize(("place", "finite"), [(989.0, True), (991.0, False), (-991.0, False)])
def test_coordinates_end_where_the_format_does(helix, place, finite):
    moved = helix.copy()
    moved[3, 0, 1] = place
    assert measure_quality(moved).finite == finite

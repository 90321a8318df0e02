"""Seams: known bonds and angles, and clashes between the motif and the rest alone."""

import numpy as np
import pytest

from protdiff.evaluation.clashes import count_clashes
from protdiff.evaluation.seams import SEAM_BANDS, measure_seams
from protdiff.structure import build_backbone, superimpose
from protdiff.structure.geometry import place_atom


@pytest.fixture
def helix():
    return build_backbone(np.full(20, -60.0), np.full(20, -45.0))


@pytest.fixture
def motif_mask():
    return (np.arange(20) >= 6) & (np.arange(20) < 12)


def test_a_native_chain_is_sound(helix, motif_mask):
    seams = measure_seams(helix, motif_mask)
    assert (seams.seams, seams.sound_seams, seams.motif_clashes) == (2, 2, 0)
    assert seams.sound
    for name, (centre, width) in SEAM_BANDS.items():
        assert abs(getattr(seams, f"seam_{name}") - centre) < width / 2


def test_numbers_of_seams_are_written_rounded(helix, motif_mask):
    seams = measure_seams(helix, motif_mask)
    written = seams.to_dict()
    assert (written["seams"], written["sound_seams"], written["motif_clashes"]) == (2, 2, 0)
    for name in SEAM_BANDS:
        assert written[f"seam_{name}"] == round(getattr(seams, f"seam_{name}"), 3) > 0


def test_a_design_without_a_seam_has_none_to_measure(helix):
    seams = measure_seams(helix, np.zeros(20, dtype=bool))
    assert (seams.seams, seams.sound_seams, seams.motif_clashes) == (0, 0, 0)
    assert seams.sound
    assert all(np.isnan(getattr(seams, f"seam_{name}")) for name in SEAM_BANDS)


def test_a_torn_seam_is_seen_and_a_break_is_none(helix, motif_mask):
    helix[12:] += 0.3 * (helix[12, 0] - helix[11, 2])  # 1.3 times the length of the bond
    seams = measure_seams(helix, motif_mask)
    assert (seams.seams, seams.sound_seams) == (2, 1)
    assert seams.seam_c_n == pytest.approx(1.3 * 1.33, abs=0.02)
    index = np.arange(20) + 200 * (np.arange(20) >= 12)
    broken = measure_seams(helix, motif_mask, index)
    assert (broken.seams, broken.sound_seams) == (1, 1)


def test_a_bent_seam_is_seen(helix, motif_mask):
    helix[12:] += [0.0, 0.0, 0.5]
    assert not measure_seams(helix, motif_mask).sound


def test_only_clashes_with_the_motif_count(helix, motif_mask):
    index = np.arange(20)
    helix[:3] += helix[8] - helix[1]  # into the motif
    clashing = measure_seams(helix, motif_mask, index).motif_clashes
    within = count_clashes(helix[~motif_mask], index[~motif_mask])
    assert 0 < clashing == count_clashes(helix, index) - within


def test_what_is_not_finite_is_not_sound(helix, motif_mask):
    helix[0] = np.nan
    assert not measure_seams(helix, motif_mask).sound
    assert measure_seams(helix, motif_mask).to_dict()["seam_c_n"] is None


def bend_seam(helix, name, share, motif_mask):
    values = {"c_n": 1.331, "ca_c_n": 116.7, "c_n_ca": 121.8}
    values[name] += share * {"c_n": 0.06, "ca_c_n": 7.6, "c_n_ca": 8.4}[name]
    after = helix.copy()
    n = place_atom(helix[11, 0], helix[11, 1], helix[11, 2], values["c_n"], values["ca_c_n"], -45.0)
    ca = place_atom(helix[11, 1], helix[11, 2], n, 1.459, values["c_n_ca"], 180.0)
    c = place_atom(helix[11, 2], n, ca, 1.525, 110.9, -60.0)
    motion = superimpose(helix[12, :3], np.stack([n, ca, c]))
    after[12:] = motion.apply(helix[12:])
    return measure_seams(after, motif_mask)


@pytest.mark.parametrize("name", ["ca_c_n", "c_n_ca", "c_n"])
@pytest.mark.parametrize("side", [-1, 1])
def test_seams_are_sound_within_their_bands(helix, motif_mask, name, side):
    for share, sound in ((0.97, True), (1.03, False)):
        assert bend_seam(helix, name, side * share, motif_mask).sound == sound, share


def test_sound_seams_do_not_excuse_a_clash(helix, motif_mask):
    helix[:3] += helix[8] - helix[1]
    seams = measure_seams(helix, motif_mask, np.arange(20) + 200 * (np.arange(20) >= 3))
    assert seams.sound_seams == seams.seams
    assert not seams.sound


def test_clashes_within_the_motif_are_its_own(helix, motif_mask):
    helix[6:8] += helix[10:12].mean(axis=(0, 1)) - helix[6:8].mean(axis=(0, 1))
    index = np.arange(20)
    within = count_clashes(helix[motif_mask], index[motif_mask])
    rest = count_clashes(helix[~motif_mask], index[~motif_mask])
    assert within > 0
    assert (
        measure_seams(helix, motif_mask).motif_clashes
        == count_clashes(helix, index) - within - rest
    )

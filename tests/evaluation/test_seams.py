"""Seams: known bonds and angles, and clashes between the motif and the rest alone."""

import numpy as np
import pytest

from protdiff.evaluation.clashes import count_clashes
from protdiff.evaluation.seams import SEAM_BANDS, measure_seams
from protdiff.structure import build_backbone


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

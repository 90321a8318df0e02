"""The part of a structure around some residues."""

import numpy as np
import pytest

from protdiff.structure import Backbone, build_backbone
from protdiff.structure.crop import crop_around


@pytest.fixture(scope="module")
def bundle():
    """Two chains of two helices of 20 residues, 10 Å apart, with a gap of six between them."""
    helix = build_backbone(np.full(20, -60.0), -45.0)
    helix = helix - helix.mean(axis=(0, 1))
    helix = helix @ np.linalg.svd(helix[:, 1])[2].T
    spread = [helix + np.array([0.0, 10.0 * k, 0.0]) for k in range(4)]
    numbers = np.r_[1:21, 27:47]
    return Backbone.from_coordinates(
        np.concatenate(spread),
        residue_index=np.r_[numbers, numbers + 300] - 1,
        chain_id=np.repeat(["A", "B"], 40),
        residue_number=np.r_[numbers, numbers],
        name="bundle",
    )


def test_a_small_structure_is_taken_whole(bundle):
    stretches = crop_around(bundle, [5], 80)
    assert [str(stretch) for stretch in stretches] == ["A1-20", "A27-46", "B1-20", "B27-46"]
    assert np.array_equal(np.concatenate([s.places for s in stretches]), np.arange(80))


def test_what_is_nearest_is_taken_in_stretches(bundle):
    stretches = crop_around(bundle, [70], 40)  # in the last helix
    places = np.concatenate([stretch.places for stretch in stretches])
    assert len(places) <= 40
    assert 70 in places
    assert np.isin(np.arange(64, 77), places).all()
    assert all(len(stretch.places) >= 4 for stretch in stretches)
    assert all(np.diff(stretch.places).max() == 1 for stretch in stretches)
    assert not np.isin(np.arange(20), places).any()  # the helix farthest off
    alpha = bundle.coordinates[:, 1]
    apart = np.linalg.norm(alpha - alpha[70], axis=-1)
    assert apart[places].max() < apart[np.setdiff1d(np.arange(80), places)].max()


def test_hot_spots_are_kept_wherever_they_are(bundle):
    stretches = crop_around(bundle, [0, 79], 24)
    places = np.concatenate([stretch.places for stretch in stretches])
    assert {0, 79} <= set(places.tolist())
    assert str(stretches[0]).startswith("A1")
    assert str(stretches[-1]).endswith("46")

"""The bands hold nature by construction, and not what is no protein."""

import dataclasses
import json
import math

import numpy as np
import pytest

from protdiff.errors import InputError
from protdiff.evaluation import load_native_bands, measure_backbone, measure_quality
from protdiff.evaluation.bands import (
    BANDED,
    Band,
    LengthBands,
    NativeBands,
    summarise_bands,
)
from protdiff.structure import backbone_dihedrals, build_backbone, read_backbone


@pytest.fixture(scope="module")
def chain():
    """Return a chain of a real protein, of 147 residues (a globin)."""
    testing = pytest.importorskip("tmtools.testing")
    return read_backbone(testing.get_pdb_path("2gtl"), chains="A")


@pytest.fixture(scope="module")
def drawn(helix):
    """Return 400 measured "chains" whose every number is drawn from a normal law."""
    rng = np.random.default_rng(0)
    template = measure_quality(helix)
    numbers = {name: rng.normal(size=400) for name in BANDED}
    return [
        dataclasses.replace(template, **{name: float(numbers[name][k]) for name in BANDED})
        for k in range(400)
    ]


def test_bands_hold_95_of_100_of_those_that_made_them(drawn):
    made = LengthBands.from_qualities(drawn, (30, 30))
    for name in BANDED:
        inside = np.mean([made.check(quality).inside[name] for quality in drawn])
        # One quantile step on each side, and the rounding of the edges.
        assert 0.94 <= inside <= 0.96, name
    assert made.expected_share == pytest.approx(0.95, abs=0.01)
    assert sum(made.reaches(made.check(q)) for q in drawn) >= 0.95 * len(drawn)


def test_only_the_faulty_side_is_outside(drawn):
    made = LengthBands.from_qualities(drawn, (30, 30))
    low, high = (dict.fromkeys(BANDED, sign * 99.0) for sign in (-1, 1))
    outside_below = made.check(dataclasses.replace(drawn[0], **low)).outside
    outside_above = made.check(dataclasses.replace(drawn[0], **high)).outside
    for name, side in BANDED.items():
        assert (name in outside_below) == (side in ("both", "lower")), name
        assert (name in outside_above) == (side in ("both", "upper")), name


def test_the_shipped_table_covers_40_to_400_without_gap_or_overlap():
    bands = load_native_bands()
    assert bands.bins[0].lengths[0] == 40
    assert bands.bins[-1].lengths[1] == 400
    for one, following in zip(bands.bins, bands.bins[1:], strict=False):
        assert following.lengths[0] == one.lengths[1] + 1
    for one in bands.bins:
        assert set(one.bands) == set(BANDED)
        assert one.chains > 150
        assert 0.94 < one.expected_share < 0.97
        for name, band in one.bands.items():
            assert (band.low is None, band.high is None) == {
                "both": (False, False),
                "upper": (True, False),
                "lower": (False, True),
            }[BANDED[name]], name
            assert band.low is None or band.high is None or band.low < band.high, name
    # Larger proteins are wider, by about the cube root of their length.
    edges = [one.bands["rg"].high for one in bands.bins]
    assert edges == sorted(edges)


def test_a_table_survives_json(drawn):
    made = NativeBands((LengthBands.from_qualities(drawn, (30, 30)),), {"script": "here"})
    assert NativeBands.from_dict(json.loads(json.dumps(made.to_dict()))) == made
    with pytest.raises(InputError, match="no table of native bands"):
        NativeBands.from_dict({"format": "other"})


def test_a_real_chain_is_native_like(chain):
    bands = load_native_bands()
    quality = measure_backbone(chain)
    assert bands.check(quality).share > 0.9
    assert bands.is_native_like(quality)


def test_a_mirror_image_is_outside_by_its_hand_alone(chain):
    bands = load_native_bands()
    natural = bands.check(measure_backbone(chain))
    mirrored = measure_quality(chain.coordinates * [-1, 1, 1], chain.residue_index)
    handed = {"phi_positive", "left_handed_runs", "helix_right", "helix_left", "ramachandran"}
    assert set(bands.check(mirrored).outside) - set(natural.outside) <= handed | {"omega"}
    assert {"phi_positive", "helix_left"} <= set(bands.check(mirrored).outside)
    assert not bands.is_native_like(mirrored)
    judged_as_d = measure_quality(
        chain.coordinates * [-1, 1, 1], chain.residue_index, handedness="D"
    )
    assert bands.check(judged_as_d) == natural


def test_shuffled_torsions_are_outside_by_their_packing(chain):
    bands = load_native_bands()
    phi, psi, _ = backbone_dihedrals(chain.coordinates, chain.residue_index)
    order = np.random.default_rng(0).permutation(np.arange(1, len(chain) - 1))
    shuffled = measure_quality(build_backbone(np.r_[-60, phi[order]], np.r_[140, psi[order]]))
    check = bands.check(shuffled)
    assert all(check.inside[name] for name in ("links", "c_n", "phi_positive", "planar"))
    assert {"clashes", "rg"} & set(check.outside)
    assert not bands.is_native_like(shuffled)


def test_noise_is_outside_by_its_bonds(chain):
    bands = load_native_bands()
    noise = np.random.default_rng(0).normal(size=chain.coordinates.shape)
    noisy = measure_quality(chain.coordinates + 0.1 * noise, chain.residue_index)
    check = bands.check(noisy)
    assert {"links", "n_ca_sd", "c_n_sd", "ca_ca_sd", "n_ca_c_sd"} <= set(check.outside)
    # A tenth of an Å leaves the fold as it is.
    assert all(check.inside[name] for name in ("rg", "contact_order"))
    assert not bands.find(len(chain)).reaches(check)
    assert not bands.is_native_like(noisy)


def test_a_length_without_bands_has_no_verdict(helix):
    bands = load_native_bands()
    quality = measure_quality(helix[:20])
    assert bands.check(quality).to_dict() is None
    assert math.isnan(bands.check(quality).share)
    assert bands.is_native_like(quality) is None


def test_what_is_not_finite_is_in_no_band_and_not_native_like(helix):
    spoilt = measure_quality(np.full((60, 4, 3), np.nan))
    bands = load_native_bands()
    assert bands.check(spoilt).inside == {}
    assert bands.is_native_like(spoilt) is False
    rows = summarise_bands([spoilt])
    assert rows["native_like"] == 0.0
    assert math.isnan(rows["in_bands"])


def test_the_summary_is_the_share_of_backbones(chain):
    natural = measure_backbone(chain)
    mirrored = measure_quality(chain.coordinates * [-1, 1, 1], chain.residue_index)
    rows = summarise_bands([natural, natural, natural, mirrored])
    assert rows["native_like"] == 0.75
    assert rows["phi_positive_in_native_band"] == 0.75
    assert rows["rg_in_native_band"] == 1.0
    assert math.isnan(summarise_bands([])["native_like"])


def test_native_like_is_both_the_checks_and_the_bands(chain):
    bands, natural = load_native_bands(), measure_backbone(chain)
    unchecked = [name for name in BANDED if name.endswith("_sd") or name in ("omega", "contacts")]
    odd = dataclasses.replace(natural, **dict.fromkeys(unchecked, 99.0))
    assert odd.passes
    assert not bands.is_native_like(odd)
    torn = dataclasses.replace(natural, longest_ca_ca=9.0)
    assert bands.find(torn.length).reaches(bands.check(torn))
    assert not bands.is_native_like(torn)


def test_a_summary_may_be_by_bands_of_ones_own(drawn):
    own = NativeBands((LengthBands.from_qualities(drawn, (30, 30)),), {})
    assert summarise_bands(drawn, own)["in_bands"] == pytest.approx(0.95, abs=0.01)
    assert math.isnan(summarise_bands(drawn)["in_bands"])


def test_an_edge_as_it_is_rounded_in_files_is_inside():
    band = Band(0.1, None)
    assert 0.1 in band
    assert 0.09995 in band
    assert 0.099 not in band
    assert math.nan not in band
    assert math.inf not in band
    assert str(Band(None, 2.0)) == "≤ 2"


def test_a_high_edge_as_it_is_rounded_in_files_is_inside():
    band = Band(None, 2.0)
    assert 2.00005 in band
    assert 2.001 not in band


def test_what_could_not_be_measured_is_in_no_check(helix):
    qualities = [
        dataclasses.replace(measure_quality(helix), contact_order=value)
        for value in (0.1, 0.2, math.nan)
    ]
    made = LengthBands.from_qualities(qualities, (30, 30))
    assert "contact_order" not in made.check(qualities[2]).inside
    assert made.check(qualities[2]).share == 1.0
    assert made.bands["contact_order"].low == pytest.approx(0.1025)

"""TM-scores, diversity and novelty: laws of both aligners, and of what is made of them."""

import math
import sys

import numpy as np
import pytest

from protdiff.errors import DependencyError, InputError
from protdiff.evaluation.diversity import cluster_greedily, measure_diversity, score_pairs
from protdiff.evaluation.novelty import (
    Novelty,
    Reference,
    measure_novelty,
    summarise_novelty,
)
from protdiff.evaluation.tm_score import Aligner, TMScore, can_align, get_aligner
from protdiff.structure import build_backbone, read_backbone


@pytest.fixture(params=["tm-align", "biotite"])
def aligner(request):
    if request.param == "tm-align":
        pytest.importorskip("tmtools")
    return get_aligner(request.param)


@pytest.fixture(scope="module")
def chains():
    """Return three globins and the jelly roll of a fourth chain, of real proteins."""
    testing = pytest.importorskip("tmtools.testing")
    globins = read_backbone(testing.get_pdb_path("2gtl"), chains="A,B,C")
    return [globins.select_chain(chain).coordinates.astype(float) for chain in "ABC"]


def rotate(coordinates, seed=0):
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    rotation *= np.sign(np.linalg.det(rotation))
    return coordinates @ rotation.T + 40.0 * rng.normal(size=3)


def make_bundle(turn=0.0):
    """Return two helices and a strand, joined by turns; ``turn`` bends the whole."""
    phi = np.r_[np.full(18, -60.0), -90.0 + turn, 60.0, np.full(18, -60.0), np.full(12, -120.0)]
    psi = np.r_[np.full(18, -45.0), 0.0, 30.0, np.full(18, -45.0), np.full(12, 130.0)]
    return build_backbone(phi, psi)


def test_a_fold_is_itself_wherever_it_lies(aligner, chains):
    one = chains[0]
    # Biotite rounds to single precision.
    assert aligner.score(one, one) == pytest.approx((1.0, 1.0), abs=1e-4)
    assert aligner.score(one, rotate(one)) == pytest.approx((1.0, 1.0), abs=1e-3)


def test_the_score_does_not_depend_on_the_frames(aligner, chains):
    one, other = chains[:2]
    expected = aligner.score(one, other)
    assert aligner.score(rotate(one, 1), rotate(other, 2)) == pytest.approx(expected, abs=0.02)


def test_relatives_are_alike_and_mirror_images_are_not(aligner, chains):
    one, other = chains[:2]
    assert aligner.score(one, other).by_shorter > 0.7
    assert aligner.score(one, one * [-1, 1, 1]).by_shorter < 0.5


def test_the_normalisation_is_by_the_length_it_says(aligner, chains):
    one = chains[0]
    part = one[:74]
    by_whole, by_part = aligner.score(one, part)
    assert by_part == pytest.approx(1.0, abs=1e-3)
    # The part covers 74 residues of the whole, each exactly.
    assert by_whole == pytest.approx(74 / len(one), abs=1e-3)
    assert aligner.score(one, part).by_shorter == by_part


def test_biotite_finds_no_better_alignment_than_tm_align(chains):
    pytest.importorskip("tmtools")
    pairs = [(chains[0], chains[1]), (chains[0], make_bundle()), (chains[1], chains[2])]
    for one, other in pairs:
        best = get_aligner("tm-align").score(one, other).by_shorter
        assert get_aligner("biotite").score(one, other).by_shorter <= best + 0.01


def test_tiny_and_odd_folds_have_a_score_or_none(aligner):
    for length in (5, 6, 10, 20):
        short = build_backbone(np.full(length, -57.0), -47.0)
        assert can_align(short)
        assert 0.0 <= aligner.score(short, short[::-1].copy()).by_shorter <= 1.0
    assert not can_align(build_backbone(np.full(4, -57.0), -47.0))
    assert not can_align(np.full((30, 4, 3), np.nan))
    heap = np.zeros((30, 4, 3))
    assert 0.0 <= aligner.score(heap, make_bundle()).by_first <= 1.0


def test_the_aligner_is_chosen_by_what_is_installed(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert get_aligner().name == "biotite"
    assert "lower" in get_aligner().note
    with pytest.raises(DependencyError, match=r"protdiff\[evaluate\]"):
        get_aligner("tm-align")
    with pytest.raises(InputError, match="no aligner 'dali'"):
        get_aligner("dali")


def test_nothing_imports_tmtools_before_it_is_needed():
    import subprocess

    code = (
        "import sys, protdiff.evaluation, protdiff.cli.main\n"
        "from protdiff.evaluation.tm_score import get_aligner\n"
        "get_aligner()\n"
        "print('tmtools' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


class FirstCoordinate(Aligner):
    """A stand-in: folds are as alike as their first coordinates are near."""

    name = "first coordinate"

    def __init__(self):
        self.asked = []

    def score(self, first, second):
        self.asked.append(len(second))
        near = 1.0 / (1.0 + abs(float(first[0, 0, 0] - second[0, 0, 0])))
        return TMScore(
            near * min(1.0, len(second) / len(first)), near * min(1.0, len(first) / len(second))
        )


def make_point(value, length=10):
    return np.full((length, 4, 3), float(value))


def test_duplicates_are_one_cluster():
    designs = [make_point(value) for value in (0, 10, 0, 20, 10, 0)]
    diversity = measure_diversity(designs, aligner=FirstCoordinate())
    assert diversity.clusters == ((0, 2, 5), (1, 4), (3,))
    assert diversity.clusters_per_design == 0.5
    assert diversity.cluster_of.tolist() == [0, 1, 0, 2, 1, 0]
    assert diversity.largest_pairwise_tm == 1.0
    # Of 15 pairs: 4 of duplicates, 6 at distance 10 (0-10), 3 at 20 (0-20), 2 at 10 (10-20).
    assert diversity.mean_pairwise_tm == pytest.approx((4 + 8 / 11 + 3 / 21) / 15)


def test_real_relatives_are_one_cluster(aligner, chains):
    designs = [chains[0], make_bundle(), rotate(chains[0]), rotate(make_bundle(), 3)]
    diversity = measure_diversity(designs, aligner=aligner)
    assert {frozenset(cluster) for cluster in diversity.clusters} == {
        frozenset({0, 2}),
        frozenset({1, 3}),
    }
    np.testing.assert_array_equal(diversity.scores, diversity.scores.T)
    np.testing.assert_array_equal(np.diag(diversity.scores), 1.0)


def test_the_centre_takes_along_all_that_are_near_it():
    # A chain of three: the middle one is near both ends, which are far from each other.
    scores = np.array([[1.0, 0.7, 0.3], [0.7, 1.0, 0.7], [0.3, 0.7, 1.0]])
    assert cluster_greedily(scores, 0.6) == ((1, 0, 2),)
    assert cluster_greedily(scores, 0.8) == ((0,), (1,), (2,))
    assert cluster_greedily(np.zeros((0, 0))) == ()


def test_one_design_has_no_pair():
    diversity = measure_diversity([make_point(0)], aligner=FirstCoordinate())
    assert math.isnan(diversity.mean_pairwise_tm)
    assert diversity.clusters_per_design == 1.0


def test_progress_counts_every_pair():
    done = []
    score_pairs(
        [make_point(k) for k in range(9)], aligner=FirstCoordinate(), on_progress=done.append
    )
    assert done == [1] * 36


@pytest.mark.slow
def test_several_processes_give_the_same_scores():
    designs = [make_bundle(turn) for turn in np.linspace(-40, 40, 9)]
    done = []
    apart = score_pairs(designs, workers=2, on_progress=done.append)
    np.testing.assert_array_equal(apart, score_pairs(designs))
    assert sum(done) == 36
    references = [Reference(str(k), design) for k, design in enumerate(designs)]
    assert measure_novelty(designs[:3], references, workers=2) == measure_novelty(
        designs[:3], references
    )


def test_a_copy_is_known_and_named(aligner, chains):
    references = [Reference(name, x) for name, x in zip("abc", chains, strict=True)]
    found = measure_novelty([rotate(chains[1])], references, aligner=aligner)[0]
    assert found.nearest == "b"
    assert found.tm == pytest.approx(1.0, abs=1e-3)


def test_only_references_that_cannot_win_are_passed_over():
    aligner = FirstCoordinate()
    lengths = (3, 10, 30, 60, 100, 200)
    references = [Reference(f"r{n}", make_point(1, n)) for n in lengths]
    done = []
    (found,) = measure_novelty(
        [make_point(0, 100)], references, aligner=aligner, on_progress=done.append
    )
    assert found == (found.__class__)(0.5, "r100")
    # r3 is too short for an alignment; 10 and 30 of 100 residues cannot reach a half.
    assert sorted(aligner.asked) == [60, 100, 200]
    assert sum(done) == 5
    best = max(
        FirstCoordinate().score(make_point(0, 100), reference.coordinates).by_first
        for reference in references
    )
    assert found.tm == best


def test_without_a_reference_nothing_is_known():
    (found,) = measure_novelty([make_point(0)], [], aligner=FirstCoordinate())
    assert (found.tm, found.nearest) == (0.0, "")
    assert summarise_novelty([found])["largest_known_tm"] == 0.0
    assert math.isnan(summarise_novelty([])["nearest_known_tm"])


def test_novelty_is_summarised_by_its_mean_and_its_worst():
    found = [Novelty(tm, "a") for tm in (0.2, 0.4, 0.9)]
    rows = summarise_novelty(found)
    assert rows == {"nearest_known_tm": pytest.approx(0.5), "largest_known_tm": 0.9}


class Half(Aligner):
    name = "half"

    def score(self, first, second):
        near = 0.5
        return TMScore(
            near * min(1.0, len(second) / len(first)), near * min(1.0, len(first) / len(second))
        )


def test_a_fragment_does_not_make_a_design_known():
    (found,) = measure_novelty(
        [np.zeros((100, 4, 3))], [Reference("part", np.zeros((50, 4, 3)))], aligner=Half()
    )
    assert found.tm == 0.25

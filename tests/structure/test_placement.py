"""Places of unindexed motifs: against enumeration, and the rules that they obey."""

import itertools

import numpy as np
import pytest

from protdiff.errors import InputError
from protdiff.structure import (
    Backbone,
    Motif,
    build_backbone,
    join_backbones,
    parse_contig,
    superimpose,
)
from protdiff.structure.placement import MotifPlacer


def make_chain(seed, length):
    torsions = np.random.default_rng(seed).uniform((-140, -60), (-50, 150), (length, 2)).T
    return build_backbone(*torsions)


@pytest.fixture(scope="module")
def source():
    return Backbone.from_coordinates(make_chain(0, 60), name="source")


def make_placer(source, text, **options):
    return MotifPlacer(source, parse_contig(text).resolve(source), **options)


def test_a_motif_is_found_in_the_chain_that_it_is_from(source):
    placer = make_placer(source, "A40-43,A5-9,A20-21")
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    found = placer.find(source.coordinates @ turn + 70.0)
    assert found.starts == (39, 4, 19)
    assert found.rmsd < 1e-3
    layout = placer.make_layout(found, 60)
    assert str(layout) == "4/A5-9/10/A20-21/18/A40-43/17"
    mirrored = placer.find(source.coordinates * np.array([1, 1, -1]))
    assert mirrored.rmsd > 0.5


@pytest.mark.parametrize("text", ["A5-8,A12-14,A18", "A5-7#1,A30-32#2,A9#1", "A5-8"])
def test_it_is_the_best_of_all_placements(source, text):
    contig = parse_contig(text).resolve(source)
    placer = MotifPlacer(source, contig, spacing=1)
    chain = make_chain(7, 19)[:, :3].astype(float)
    segments = contig.motif_segments
    given = [source.coordinates[list(s.places), :3].astype(float) for s in segments]
    groups = [s.group for s in segments]
    best = None
    for starts in itertools.product(*(range(19 - len(points) + 1) for points in given)):
        ordered = sorted(range(len(given)), key=lambda k: starts[k])
        room = True
        for i, j in itertools.combinations(ordered, 2):
            # Linkers span 3.4 Å a residue beyond the step of two neighbours.
            between = starts[j] - starts[i] - len(given[i])
            gap = 1
            if groups[i] == groups[j]:
                reach = np.linalg.norm(given[i][-1, 1] - given[j][0, 1])
                gap = max(1, int(np.ceil((reach - 4.0) / 3.4)))
            room &= between >= gap
        if not room:
            continue
        misfit = 0.0
        for group in dict.fromkeys(groups):
            mine = [k for k in range(len(given)) if groups[k] == group]
            p = np.concatenate([given[k] for k in mine])
            q = np.concatenate([chain[starts[k] : starts[k] + len(given[k])] for k in mine])
            misfit += superimpose(p, q).rmsd ** 2 * p.shape[0] * 3
        if best is None or misfit < best[0]:
            best = misfit, starts
    found = placer.find(chain)
    assert found.starts == best[1]
    assert found.rmsd == pytest.approx(np.sqrt(best[0] / (3 * sum(map(len, given)))), abs=1e-6)


def test_groups_are_found_each_by_itself(source):
    other = Backbone.from_coordinates(make_chain(3, 30), name="other")
    both = join_backbones([source, other])
    placer = make_placer(both, "source.A5-12,other.A3-9")
    turn = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    chain = np.concatenate([make_chain(3, 30)[:20], make_chain(0, 60)[2:20] @ turn + 30.0])
    found = placer.find(chain)
    assert found.starts == (22, 2)
    assert found.rmsd < 1e-3


def test_segments_of_two_groups_keep_their_distance(source):
    chain = source.coordinates
    for spacing in (0, 3, 9):
        starts = make_placer(source, "A5-8#1,A9-12#2", spacing=spacing).find(chain).starts
        first, second = sorted(starts)
        assert second - first - 4 >= spacing
        assert (spacing == 0) == (starts == (4, 8))


def test_neighbours_in_the_structure_may_be_neighbours_in_the_design(source):
    placer = make_placer(source, "A11,A9,A30,A5-7,A10,A8#2", spacing=3)
    assert [str(segment) for segment in placer.segments] == ["A9-11", "A30", "A5-7", "A8#2"]
    assert placer.find(source.coordinates).starts[:3] == (8, 29, 4)  # with one residue between
    # Two of a group keep the spacing where they have changed their order.
    chain = np.concatenate([source.coordinates[8:11], source.coordinates[4:7]])
    chain = np.insert(chain, 3, make_chain(2, 9) + 30.0, axis=0)
    first, second = make_placer(source, "A5-7,A9-11", spacing=8).find(chain).starts
    assert first - second - 3 >= 8


def test_the_shortest_chain_is_that_of_the_tightest_order(source):
    texts = ["A40-43", "A5-9", "A20-21", "A30-33"]
    shortest = {
        make_placer(source, ",".join(order)).shortest for order in itertools.permutations(texts)
    }
    assert len(shortest) == 1
    placer = make_placer(source, ",".join(texts))
    tight = placer.find(make_chain(1, placer.shortest))
    assert 0 <= min(tight.starts) < placer.shortest


def test_what_cannot_be_placed(source):
    placer = make_placer(source, "A5-14,A30-39")
    with pytest.raises(InputError, match="no room for the motif"):
        placer.find(make_chain(1, placer.shortest - 1)[:20])
    assert placer.find(make_chain(1, placer.shortest)).rmsd > 0
    for text in ("5/A5-8", "A5-8/0 A20-22", "5-10"):
        with pytest.raises(InputError, match="an unindexed motif is a list of residues"):
            make_placer(source, text)


def test_a_chain_with_just_enough_room_gets_the_motif_too(source, monkeypatch):
    """Where the best partial placements leave no room, the tightest order has some."""
    monkeypatch.setattr("protdiff.structure.placement._BEAM", 1)
    placer = make_placer(source, "A40-43,A5-9,A20-21,A30-33", spacing=1)
    for seed in range(10):
        chain = make_chain(seed, placer.shortest)
        found = placer.find(chain)
        order = np.argsort(found.starts)
        stops = np.add(found.starts, placer.lengths)
        assert (np.diff(np.array(found.starts)[order]) > np.array(placer.lengths)[order][:-1]).all()
        assert 0 <= min(found.starts) < max(stops) <= len(chain)
        layout = placer.make_layout(found, len(chain))
        motif = Motif.from_layout(source, layout)
        assert motif.length == len(chain)
        assert motif.measure_rmsd(chain) == pytest.approx(found.rmsd, abs=1e-4)

"""Rigid groups: how they are written, and that each moves by itself."""

import numpy as np
import pytest

from protdiff.errors import InputError
from protdiff.structure import (
    Backbone,
    ContigError,
    build_backbone,
    group_segments,
    parse_contig,
    sample_motif,
)
from protdiff.structure.placement import MotifPlacer, Placement


@pytest.fixture(scope="module")
def source():
    torsions = np.random.default_rng(0).uniform((-140, -60), (-50, 150), (60, 2)).T
    return Backbone.from_coordinates(build_backbone(*torsions), name="source")


def draw(source, contig, groups=None):
    parsed = parse_contig(contig).resolve(source)
    if groups is not None:
        parsed = group_segments(parsed, source, groups)
    return sample_motif(source, parsed, np.random.default_rng(0))


def test_groups_are_numbered_as_they_come_in_the_design(source):
    motif = draw(source, "5/A30-32#b/4/A1-2#a/6/A40-41#b/3/A50/2")
    assert motif.groups.tolist() == [1, 1, 1, 2, 2, 1, 1, 3]
    assert draw(source, "5/A30-32/4/A1-2/3").groups.tolist() == [1] * 5


def test_a_layout_is_a_contig_that_reads_back(source):
    layout = draw(source, "5/A30-32#b/4-9/A1-2#a/6").layout
    again = parse_contig(str(layout)).resolve(source).sample_layout(np.random.default_rng(1))
    assert (again.motif_groups == layout.motif_groups).all()
    assert str(again) == str(layout)


def test_a_whole_chain_reads_back_in_a_layout():
    source = Backbone.from_coordinates(build_backbone(np.full(9, -62.0), -42.0), chain_id="1")
    layout = draw(source, "5/1:/4").layout
    assert str(layout) == "5/1:/4"  # and not 1, a designed residue


def test_groups_by_residues_are_those_by_marks(source):
    contig = "5/A30-32/4/A1-2/6/A40-41/3"
    marked = draw(source, "5/A30-32#1/4/A1-2#2/6/A40-41#1/3")
    assert (draw(source, contig, "A30-32,A40-41;A1-2").groups == marked.groups).all()
    assert (draw(source, contig, "A1-5").groups == marked.groups).all()  # the others stay together


def test_a_named_group_takes_in_no_other(source):
    contig = "5/A30-32#1/4/A1-2/6/A40-41#2/3"
    assert draw(source, contig, "A1-2").groups.tolist() == [1, 1, 1, 2, 2, 3, 3]
    assert draw(source, contig, "A1-2;A30-32").groups.tolist() == [1, 1, 1, 2, 2, 3, 3]
    assert draw(source, contig, "A1-2,A40-41").groups.tolist() == [1, 1, 1, 2, 2, 2, 2]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ("A30-32;", "group 2 of 'A30-32;' is empty"),
        ("A31-32", "divide the segment A30-32"),
        ("A30-32;A32-41", "A32 is in two groups"),
        ("A30-32;A50-52", "group 2, A50-52, holds no segment"),
        ("A30-99", "no residue A99"),
        ("hello!", "names no residues"),
    ],
)
def test_groups_that_make_no_sense(source, groups, message):
    with pytest.raises(InputError, match=message):
        draw(source, "5/A30-32/4/A1-2/6/A40-41/3", groups)


@pytest.mark.parametrize("token", ["A30-32#", "A30-32#a#b", "A30-32#+", "A30-32#toolongname"])
def test_a_mark_that_is_none_is_pointed_at(token):
    with pytest.raises(ContigError, match="name of a group") as raised:
        parse_contig(f"5/{token}/4")
    assert raised.value.position == 2 + token.index("#") + 1


def test_each_group_is_set_and_judged_by_itself(source):
    motif = draw(source, "5/A30-36#1/4/A1-8#2/6")
    places = motif.motif_positions
    first = motif.groups == 1
    design = np.random.default_rng(1).normal(0, 10, (motif.length, 3, 3)).astype(np.float32)
    given = motif.source.coordinates[:, :3].copy()
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    given[first] = given[first] @ turn + 25.0
    design[places] = given
    # As one body the two are far from the input, group by group they are the input.
    one = draw(source, "5/A30-36/4/A1-8/6")
    assert one.measure_rmsd(design) > 5.0
    assert motif.measure_rmsd(design) < 1e-4
    design[places[~first]] += np.random.default_rng(3).normal(0, 0.5, (8, 3, 3))
    rmsds = motif.measure_group_rmsds(design)
    assert rmsds[0] < 1e-4 < 0.3 < rmsds[1] == motif.measure_rmsd(design)
    held = motif.set_into(design)
    assert motif.measure_rmsd(held) < 1e-4
    kept = ~motif.motif_mask
    assert (held[kept] == design[kept]).all()


def test_groups_are_numbered_as_they_are_named_where_their_order_in_the_chain_is_found(source):
    segments = parse_contig("A40-43#b/A10-12#a/A46-47#b").resolve(source)
    placer = MotifPlacer(source, segments)
    layout = placer.make_layout(Placement((20, 5, 30), 0.0), 40)
    assert str(layout) == "5/A10-12#a/12/A40-43#b/6/A46-47#b/8"
    assert layout.motif_groups.tolist() == [2] * 3 + [1] * 6
    assert layout.group_names == ("A40-43#b,A46-47#b", "A10-12#a")

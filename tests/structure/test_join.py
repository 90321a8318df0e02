"""Motifs from several files: names, groups, and what makes no sense."""

import numpy as np
import pytest

from protdiff.errors import InputError
from protdiff.structure import (
    Backbone,
    ContigError,
    build_backbone,
    group_segments,
    join_backbones,
    parse_contig,
    parse_selection,
    read_joined,
    sample_motif,
    select_residues,
    write_backbone,
    write_trajectory,
)
from protdiff.structure.selection import parse_residue_range


def make(name, length=20, **names):
    torsions = np.random.default_rng(len(name)).uniform((-140, -60), (-50, 150), (length, 2)).T
    return Backbone.from_coordinates(build_backbone(*torsions), name=name, **names)


@pytest.fixture(scope="module")
def joined():
    return join_backbones([make("5TPN"), make("my-motif.2", chain_id="1"), make("x", chain_id="H")])


def test_chains_are_called_after_their_files(joined):
    assert joined.chains == ("5TPN.A", "my-motif.2.1", "x.H")
    assert joined.segment_starts == [0, 20, 40]
    alone = make("5TPN")
    assert join_backbones([alone]) is alone
    spaced = join_backbones([make("a b/c"), make("d")])
    assert spaced.chains[0] == "a_b_c.A"


@pytest.mark.parametrize(
    ("text", "chain"),
    [
        ("5TPN.A3-5", "5TPN.A"),
        ("5TPN.A", "5TPN.A"),
        ("5TPN.A-5--2", "5TPN.A"),
        ("5TPN.A3-5TPN.A5", "5TPN.A"),
        ("my-motif.2.1:4-9", "my-motif.2.1"),
        ("my-motif.2.AB4-9", "my-motif.2.AB"),
        ("10.A5", "10.A"),
        ("my-motif.v2.A4-9", "my-motif.v2.A"),
        ("7x.A1.B9", "7x.A1.B"),
        ("7x.A1.B3A-9", "7x.A1.B"),
    ],
)
def test_residues_of_a_file_are_read_and_written(text, chain):
    found = parse_residue_range(text)
    assert found.chain == chain
    assert found.file == chain.rpartition(".")[0]
    assert parse_residue_range(str(found)) == found
    (segment,) = parse_contig(f"5/{text}/5").motif_segments
    assert segment.residues == found


def test_a_length_is_still_a_length():
    with pytest.raises(ContigError, match="expected a length"):
        parse_contig("10.5/A3-5")


def test_each_file_is_a_group(joined):
    contig = parse_contig("5/x.H3-6/4/5TPN.A2-3/5/my-motif.2.1:4-5/3/x.H10-11")
    motif = sample_motif(joined, contig, np.random.default_rng(0))
    assert motif.groups.tolist() == [1] * 4 + [2] * 2 + [3] * 2 + [1] * 2
    assert motif.motif_map()[0] == {"from": "x.H3", "to": 6}
    again = parse_contig(str(motif.layout)).resolve(joined)
    assert again.sample_layout(np.random.default_rng(0)).motif_groups.tolist() == (
        motif.groups.tolist()
    )
    places = select_residues(joined, parse_selection("5TPN.A2-3,x.H3"))
    assert joined.label(int(places[-1])) == "x.H3"


def test_files_have_no_pose_to_each_other(joined):
    text = "5/5TPN.A2-6#1/4/x.H2-3#1/5"
    with pytest.raises(ContigError, match="of two files") as raised:
        parse_contig(text).resolve(joined)
    assert raised.value.position == text.index("x.H2")
    contig = parse_contig("5/5TPN.A2-6/4/x.H2-3/5").resolve(joined)
    with pytest.raises(InputError, match="of two files"):
        group_segments(contig, joined, "5TPN.A2-6,x.H2-3")


def test_what_cannot_be_joined():
    with pytest.raises(InputError, match="two structures are called x"):
        join_backbones([make("x"), make("x")])
    with pytest.raises(InputError, match="no structure"):
        join_backbones([])
    with pytest.raises(InputError, match=r"no protein chain A; its protein chains are x.A, y.A"):
        parse_contig("5/A2-4/5").resolve(join_backbones([make("x"), make("y")]))


def test_a_model_is_asked_of_the_files_that_have_several(tmp_path):
    crystal, other = make("crystal"), make("other")
    ensemble = [crystal.with_coordinates(crystal.coordinates + shift) for shift in (0.0, 5.0)]
    write_trajectory(tmp_path / "nmr.pdb", ensemble)
    for backbone in (crystal, other):
        write_backbone(tmp_path / f"{backbone.name}.pdb", backbone)
    nmr, *files = (tmp_path / f"{name}.pdb" for name in ("nmr", "crystal", "other"))
    found = read_joined([nmr, files[0]], model=2)
    assert found.chains == ("nmr.A", "crystal.A")
    shift = (found.coordinates[:20] - found.coordinates[20:]).mean()
    assert shift == pytest.approx(5.0, abs=1e-3)
    for paths in (files, files[:1], [nmr]):
        with pytest.raises(InputError, match="and model 3 was asked for"):
            read_joined(paths, model=3)

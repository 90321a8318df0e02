"""MotifBench submissions: read back as its own scripts read them."""

import csv

import numpy as np
import pytest

from protdiff.design.motif_bench import describe_placement, write_motif_bench
from protdiff.errors import InputError
from protdiff.structure import Backbone, build_backbone, read_backbone

FAST = {"steps": 2, "step_scale": 1.0}


@pytest.fixture(scope="module")
def source():
    torsions = np.random.default_rng(0).uniform((-140, -60), (-50, 150), (40, 2)).T
    return Backbone.from_coordinates(build_backbone(*torsions), residue_name="LEU", name="source")


def test_segments_are_called_as_motifbench_calls_them():
    # In the order of the contig, whatever their order in the scaffold.
    assert describe_placement("9/A20-25/9/A2-4/9", "3/A2-4/5/A20-25") == "3/B/5/A"
    # By their chains where each has its own, as in MotifBench's files; not with one segment.
    assert describe_placement("9/B1-6/9/A1-3/9", "3/B1-6/5/A1-3/1") == "3/B/5/A/1"
    assert describe_placement("9/H20-25/9", "3/H20-25/6") == "3/A/6"
    assert describe_placement("9/A5#1/9/A9-10#2/9", "3/A5#1/5/A9-10#2/1") == "3/A/5/B/1"
    with pytest.raises(InputError, match="one chain"):
        describe_placement("9/A2-4/0 9", "9/A2-4/0 9")
    with pytest.raises(InputError, match="A5, which is not in"):
        describe_placement("9/A2-4/9", "9/A5/9")


def test_a_submission_says_where_the_motif_is(designer, source, tmp_path):
    cases = {
        "00_TEST": designer.scaffold(source, "8-12/A21-25/8-12/A2-4/8-12", 3, **FAST),
        "01_TEST": designer.scaffold(source, "10-12/A21-25/15-20", 2, seed=1, **FAST),
    }
    with pytest.warns(UserWarning, match=r"0._TEST has . scaffolds; MotifBench asks for 100"):
        write_motif_bench(tmp_path / "scaffolds", cases)
    assert sorted(p.name for p in (tmp_path / "scaffolds").iterdir()) == sorted(cases)
    segments = {"A": ["A21-25"], "B": ["A2-4"]}
    lengths = {"A": 5, "B": 3}
    for name, designs in cases.items():
        folder = tmp_path / "scaffolds" / name
        with (folder / "scaffold_info.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["sample_num"] for row in rows] == [str(k) for k in range(len(designs))]
        assert len(list(folder.glob("*.pdb"))) == len(designs)
        for row in rows:
            scaffold = read_backbone(folder / f"{name}_{row['sample_num']}.pdb")
            assert scaffold.residue_number[0] == 1
            place = 0
            for piece in row["motif_placements"].split("/"):
                length = lengths.get(piece) or int(piece)
                if piece in segments:
                    assert set(scaffold.residue_name[place : place + length]) == {"LEU"}
                place += length
            assert place == len(scaffold)
    with pytest.raises(InputError, match="exists already"):
        write_motif_bench(tmp_path / "scaffolds", cases)


def test_what_cannot_be_submitted(designer, source, tmp_path):
    with pytest.raises(InputError, match="no scaffolds"):
        write_motif_bench(tmp_path / "x", {})
    plain = designer.generate(30, 1, **FAST)
    with pytest.raises(InputError, match="does not say where"):
        write_motif_bench(tmp_path / "x", {"00_TEST": plain})
    for name in ("../00", "..", "a/../../b", str(tmp_path / "y"), "..\\00", "a\n", ""):
        with pytest.raises(InputError, match="name of a problem"):
            write_motif_bench(tmp_path / "x", {name: plain})
    assert list(tmp_path.iterdir()) == []

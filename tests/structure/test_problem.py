import numpy as np
import pytest

from protdiff.errors import InputError
from protdiff.structure import (
    read_backbone,
    read_genie2_problem,
    read_motifbench_problems,
    sample_motif,
)

HEADER = """\
REMARK 999 NAME   made_two
REMARK 999 PDB    made
REMARK 999 INPUT      5  20
REMARK 999 INPUT  A   2   9 A
REMARK 999 INPUT     10  25
REMARK 999 INPUT  A  12  15 B
REMARK 999 INPUT  A  20  20
REMARK 999 INPUT      0   5
REMARK 999 MINIMUM TOTAL LENGTH      40
REMARK 999 MAXIMUM TOTAL LENGTH      50
"""


@pytest.fixture
def write(tmp_path):
    def make(text, name="a.pdb"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return make


def test_a_genie2_header_is_a_contig(helix, pdb_lines, write):
    path = write(HEADER + "\n".join(pdb_lines(helix)) + "\nEND\n")
    problem = read_genie2_problem(path)
    assert problem.name == "made_two"
    assert problem.contig.text == "5-20/A2-9#A/10-25/A12-15#B/A20#A/0-5"
    assert problem.total_length == (40, 50)
    assert problem.groups == ("A", "B", "A")
    motif = sample_motif(
        read_backbone(path),
        problem.contig,
        np.random.default_rng(0),
        total_length=problem.total_length,
    )
    assert 40 <= motif.length <= 50
    assert motif.source.labels[0] == "A2"
    assert motif.groups.tolist() == [1] * 8 + [2] * 4 + [1]


def test_a_genie2_header_without_totals(write):
    lines = HEADER.splitlines()
    assert read_genie2_problem(write("\n".join(lines[:-2]))).total_length is None
    assert read_genie2_problem(write("\n".join(lines[:-1]))).total_length == (40, 63)


def test_headers_that_are_none(helix, pdb_lines, write, tmp_path):
    with pytest.raises(InputError, match="no Genie 2 header with a motif"):
        read_genie2_problem(write("\n".join(pdb_lines(helix))))
    with pytest.raises(InputError, match=r"line 3 of .* is no line of a Genie 2 header"):
        read_genie2_problem(write(HEADER.replace("   5  20", "   5  x0")))
    with pytest.raises(InputError, match=r"cannot read .*absent.pdb"):
        read_genie2_problem(tmp_path / "absent.pdb")


def test_motifbench_rows(helix, pdb_lines, write):
    table = write(
        "pdb_id,motif_residues,redesign_idcs,length,group\n"
        "1LDB,A2-9,,75,1\n2MAD,A2-5;A12-15;A20,A3;A13-14,60,3\n",
        "t.csv",
    )
    first, second = read_motifbench_problems(table)
    assert (first.name, first.contig.text, first.redesignable) == ("1LDB", "0-75/A2-9/0-75", None)
    assert second.total_length == (60, 60)
    assert second.groups == ("A", "A", "A")
    motif = sample_motif(
        read_backbone(write("\n".join(pdb_lines(helix)) + "\nEND\n")),
        second.contig,
        np.random.default_rng(0),
        total_length=second.total_length,
        redesignable=second.redesignable,
    )
    assert motif.length == 60
    free = np.array(motif.source.labels)[motif.redesignable_mask]
    assert free.tolist() == ["A3", "A13", "A14"]


def test_a_table_may_begin_with_the_mark_of_a_spreadsheet(write):
    table = write("\ufeffpdb_id,motif_residues,length\n1LDB,A2-9,75\n", "t.csv")
    assert read_motifbench_problems(table)[0].name == "1LDB"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pdb_id,length\n1LDB,75\n", "no column motif_residues"),
        ("pdb_id,motif_residues,length\n", "holds no problem"),
        ("pdb_id,motif_residues,length\n1LDB,A2-9,x\n", "row 2 of .* is no MotifBench problem"),
        ("pdb_id,motif_residues,length\n1LDB,A9-2,75\n", "row 2 of .* ends before it begins"),
        ("", "no column"),
    ],
)
def test_tables_that_are_none(write, text, message):
    with pytest.raises(InputError, match=message):
        read_motifbench_problems(write(text, "t.csv"))

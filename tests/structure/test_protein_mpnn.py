import json
import math

import numpy as np
import pytest

from protdiff.errors import InputError
from protdiff.structure import (
    Backbone,
    DesignedSequence,
    StructureWarning,
    thread_sequence,
    write_chain_ids,
    write_fasta,
    write_fixed_positions,
    write_parsed_backbones,
    write_tied_positions,
)
from protdiff.structure.protein_mpnn import add_target, find_fixed
from protdiff.structure.standard import find_letter, find_letters, mirror_to_l, standardise


@pytest.fixture
def complex_(helix):
    """Two chains with a gap in the second, a motif in both, one residue without a name."""
    names = helix.residue_name.copy()
    names[5] = "UNK"
    mask = np.zeros(24, dtype=bool)
    mask[[4, 5, 6, 20]] = True
    return Backbone.from_coordinates(
        helix.coordinates,
        chain_id=["B"] * 14 + ["A"] * 10,
        residue_name=names,
        residue_number=[*range(1, 15), *range(101, 106), *range(108, 113)],
        motif_mask=mask,
        name="complex",
    )


def designed(name, sequence):
    return DesignedSequence(name, sequence, score=0.8, temperature=0.1, sample=1)


def load(path):
    (line,) = path.read_text().splitlines()
    return json.loads(line)


def test_fixed_are_the_motif_s_residues_but_the_free_ones(complex_, helix, tmp_path):
    write_fixed_positions(tmp_path / "f.jsonl", [complex_, helix])
    # Position 9 of chain A: numbers 101 to 105 are 1 to 5, 106 and 107 are missing, 109 is 9.
    expected = {"complex": {"B": [5, 7], "A": [9]}, "helix": {"A": []}}
    assert load(tmp_path / "f.jsonl") == expected
    write_fixed_positions(tmp_path / "g.jsonl", [complex_], redesignable={"complex": [7, 109]})
    assert load(tmp_path / "g.jsonl") == {"complex": {"B": [5], "A": []}}


def test_equal_chains_are_tied(helix, complex_, tmp_path):
    # A gap in both chains takes a position, which has nothing to be tied.
    pair = Backbone.from_coordinates(
        helix.coordinates,
        chain_id=["A"] * 12 + ["B"] * 12,
        residue_number=[*range(1, 6), *range(8, 15), *range(31, 36), *range(38, 45)],
        name="pair",
    )
    write_tied_positions(tmp_path / "t.jsonl", [pair])
    expected = [{"A": [n], "B": [n]} for n in (*range(1, 6), *range(8, 15))]
    assert load(tmp_path / "t.jsonl") == {"pair": expected}
    with pytest.raises(InputError, match="chain A of complex has other residues"):
        write_tied_positions(tmp_path / "u.jsonl", [pair, complex_])
    assert not (tmp_path / "u.jsonl").exists()


@pytest.mark.parametrize(
    ("letter", "names"),
    [
        ("M", ["MET", "MSE", "FME"]),
        ("S", ["SEP"]),
        ("T", ["TPO"]),
        ("K", ["M3L", "MLY", "KCX", "PYL"]),
        ("C", ["CSO", "CYX", "SEC"]),
        ("P", ["HYP"]),
        ("H", ["HIC", "HIE", "HSE"]),  # the last two by force fields, elsewhere other molecules
        ("X", ["UNK", "CRO", "ASX", "A", "HOH", "<b>", ""]),
    ],
)
def test_a_modified_residue_goes_by_what_it_was_made_of(letter, names):
    assert {find_letter(name) for name in names} == {letter}


def test_what_is_written_for_a_fixed_residue_is_an_amino_acid(helix, tmp_path):
    names = helix.residue_name.copy()
    names[[2, 3, 4, 5, 6]] = ["MSE", "SEP", "M3L", "UNK", "CRO"]
    motif = Backbone.from_coordinates(
        helix.coordinates, residue_name=names, motif_mask=np.arange(24) < 8, name="motif"
    )
    with pytest.warns(
        StructureWarning, match="no standard amino acid is known for CRO of the motif"
    ):
        write_fixed_positions(tmp_path / "f.jsonl", [motif])
    fixed = load(tmp_path / "f.jsonl")["motif"]["A"]
    assert fixed == [1, 2, 3, 4, 5, 8]  # UNK is free without a word
    write_parsed_backbones(tmp_path / "b.jsonl", [motif])
    sequence = load(tmp_path / "b.jsonl")["seq"]
    assert "".join(sequence[place - 1] for place in fixed) == "AGMSKE"
    assert standardise(motif).residue_name[:8].tolist() == [
        *("ALA", "GLY", "MET", "SER", "LYS", "GLY", "GLY", "GLU"),
    ]
    # Redesignable, it is free and nobody asks what it is.
    assert find_fixed(motif, motif.motif_mask & (names != "CRO")).sum() == 6
    # What comes back has the letters that came, for whoever writes its sequence.
    back = thread_sequence(motif, sequence.replace("-", "W"))
    assert "".join(find_letters(back)) == sequence.replace("-", "W")
    assert back.residue_name[2:7].tolist() == ["MSE", "SEP", "M3L", "TRP", "TRP"]


def test_chains_are_designed_but_for_a_target(complex_, helix, tmp_path):
    write_chain_ids(tmp_path / "c.jsonl", [complex_, helix], designed={"complex": ["A"]})
    expected = {"complex": [["A"], ["B"]], "helix": [["A"], []]}
    assert load(tmp_path / "c.jsonl") == expected


def test_a_target_stands_beside_the_design_in_the_next_chains(helix, complex_, tmp_path):
    # Numbers of a target may repeat, as with insertion codes, which count as places of their own.
    target = Backbone.from_coordinates(
        complex_.coordinates,
        residue_index=complex_.residue_index,
        chain_id=complex_.chain_id,
        residue_number=np.where(complex_.chain_id == "B", 52, complex_.residue_number),
        insertion_code=[*"ABCDEFGHIJKLMN", *[""] * 10],
        motif_mask=True,
        name="target",
    )
    both = add_target(helix, target)
    assert both.name == "helix"
    assert both.chains == ("A", "B", "C")
    assert (both.coordinates == np.concatenate([helix.coordinates, target.coordinates])).all()
    assert not find_fixed(both, both.motif_mask).any()
    assert both.residue_number[24:38].tolist() == list(range(1, 15))
    assert (np.diff(both.residue_number[38:]) == np.diff(target.residue_index[14:])).all()
    assert len(thread_sequence(both, "A" * 24 + "/" + "G" * 14 + "/" + "L" * 10)) == 48
    many = Backbone.from_coordinates(
        np.tile(helix.coordinates, (3, 1, 1)), chain_id=[f"x{k}" for k in range(72)], name="many"
    )
    with pytest.raises(InputError, match="helix and many have 73 chains, more than ProteinMPNN"):
        add_target(helix, many)


def test_a_d_protein_is_mirrored_once(helix):
    assert mirror_to_l(helix, "L") is helix
    mirrored = mirror_to_l(helix, "D")
    assert (mirrored.coordinates[..., 0] == -helix.coordinates[..., 0]).all()
    assert (mirror_to_l(mirrored, "D").coordinates == helix.coordinates).all()
    assert mirrored.sequence == helix.sequence
    with pytest.raises(InputError, match="give L or D"):
        mirror_to_l(helix, "X")


def test_backbones_are_parsed_as_protein_mpnn_parses_them(complex_, helix, tmp_path):
    write_parsed_backbones(tmp_path / "b.jsonl", [complex_, helix])
    first, second = map(json.loads, (tmp_path / "b.jsonl").read_text().splitlines())
    assert first["name"] == "complex"
    assert first["num_of_chains"] == 2
    assert first["seq_chain_A"] == "LEAGL--EAGLE"
    assert first["seq_chain_B"] == "AGLEA-LEAGLEAG"
    assert first["seq"] == first["seq_chain_A"] + first["seq_chain_B"]
    x = first["coords_chain_A"]["CA_chain_A"]
    assert len(x) == 12
    assert math.isnan(x[5][0])
    np.testing.assert_allclose(x[7], complex_.coordinates[19, 1], atol=6e-4)
    assert second["seq"] == helix.sequence


def test_threading_goes_by_chain_ids_and_leaves_out_missing_residues(helix, complex_):
    whole = "M" * 24
    assert thread_sequence(helix, designed("helix", whole)).sequence == whole
    threaded = thread_sequence(complex_, designed("complex", "WYWYWXXHHHHH/" + "D" * 14))
    assert threaded.sequence == "D" * 14 + "WYWYWHHHHH"
    assert (threaded.coordinates == complex_.coordinates).all()


def test_what_did_not_change_keeps_its_name(helix):
    names = helix.residue_name.copy()
    names[0] = "MSE"
    odd = helix.with_names(names)
    assert thread_sequence(odd, odd.sequence).residue_name[0] == "MSE"
    assert thread_sequence(odd, "A" * 24).residue_name[0] == "ALA"


def test_sequences_that_do_not_fit_are_refused(helix, complex_):
    with pytest.raises(InputError, match=r"chains of \[24\] residues; got \[3\]"):
        thread_sequence(helix, "MMM")
    with pytest.raises(InputError, match=r"chains of \[12, 14\] residues; got \[26\]"):
        thread_sequence(complex_, "M" * 26)
    with pytest.raises(InputError, match="has 24 residues; the sequence has 2"):
        helix.with_sequence("MM")
    with pytest.raises(InputError, match=r"the chains of complex have \[14, 10\] residues"):
        complex_.with_sequence("M" * 10 + "/" + "M" * 14)
    with pytest.raises(InputError, match="no amino acid is called B; give one-letter"):
        helix.with_sequence("B" * 24)
    assert complex_.with_sequence("M" * 14 + "/" + "K" * 10).sequence == "M" * 14 + "K" * 10


def test_what_protein_mpnn_cannot_hold_is_refused(helix, tmp_path):
    path = tmp_path / "a.jsonl"
    with pytest.raises(InputError, match="two backbones are called helix"):
        write_chain_ids(path, [helix, helix])
    with pytest.raises(InputError, match="no backbone to write"):
        write_parsed_backbones(path, [])
    long = Backbone.from_coordinates(helix.coordinates, chain_id="AB", name="long")
    with pytest.raises(InputError, match="chain AB of long has more than one letter"):
        write_parsed_backbones(path, [long])
    down = Backbone.from_coordinates(
        helix.coordinates, residue_number=np.arange(24, 0, -1), name="down"
    )
    with pytest.raises(InputError, match="do not rise"):
        write_fixed_positions(path, [down])
    assert not list(tmp_path.iterdir())
    write_chain_ids(path, [helix])
    with pytest.raises(InputError, match="exists already"):
        write_chain_ids(path, [helix])


def test_fasta_has_an_entry_a_chain(helix, complex_, tmp_path):
    write_fasta(tmp_path / "a.fasta", [helix, complex_])
    text = (tmp_path / "a.fasta").read_text().replace("\n", "")
    assert text == f">helix{helix.sequence}>complex_BAGLEAXLEAGLEAG>complex_ALEAGLEAGLE"
    with pytest.raises(InputError, match="two sequences"):
        write_fasta(tmp_path / "b.fasta", [helix, helix])
    with pytest.raises(InputError, match="no sequence to write"):
        write_fasta(tmp_path / "b.fasta", [])
    with pytest.raises(InputError, match="exists already"):
        write_fasta(tmp_path / "a.fasta", [helix])

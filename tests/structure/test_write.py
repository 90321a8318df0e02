import gzip

import gemmi
import numpy as np
import pytest
from biotite.structure.io import pdbx

from protdiff.errors import InputError
from protdiff.structure import (
    Backbone,
    read_backbone,
    read_models,
    write_backbone,
    write_trajectory,
)

FORMS = ["a.pdb", "a.ent", "a.cif", "a.mmcif", "a.pdb.gz", "a.cif.gz"]


@pytest.fixture(scope="module")
def design(helix):
    """Two chains with a motif, odd numbers and far coordinates."""
    return Backbone.from_coordinates(
        helix.coordinates + np.array([950.0, -930.0, 0.0]),
        chain_id=["A"] * 10 + ["C"] * 14,
        residue_name=helix.residue_name,
        residue_number=[*range(-3, 7), *range(50, 64)],
        insertion_code=[""] * 12 + ["A"] + [""] * 11,
        motif_mask=np.arange(24) % 5 == 0,
        name="design 1/ä",
    )


def read_by_gemmi(path):
    structure = gemmi.read_structure(str(path))
    rows = []
    for model in structure:
        for chain in model:
            for residue in chain:
                label = f"{chain.name}{residue.seqid.num}{residue.seqid.icode.strip()}"
                for atom in residue:
                    rows.append((label, residue.name, atom.name, list(atom.pos), atom.b_iso))
    return len(structure), rows


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("cbeta", [False, True])
def test_two_parsers_read_it_back(design, tmp_path, name, cbeta):
    path = tmp_path / name
    write_backbone(path, design, cbeta=cbeta)
    back = read_backbone(path)
    np.testing.assert_allclose(back.coordinates, design.coordinates, atol=6e-4)
    assert back.labels == design.labels
    assert (back.residue_name == design.residue_name).all()
    assert (np.diff(back.residue_index) == 1).tolist() == (
        np.diff(design.residue_index) == 1
    ).tolist()

    count, rows = read_by_gemmi(path)
    assert count == 1
    main = [row for row in rows if row[2] != "CB"]
    assert [row[2] for row in main] == ["N", "CA", "C", "O"] * 24
    np.testing.assert_allclose(
        np.array([row[3] for row in main]).reshape(24, 4, 3), design.coordinates, atol=6e-4
    )
    assert [row[0] for row in main[::4]] == design.labels
    assert [row[1] for row in main[::4]] == design.residue_name.tolist()
    assert [row[4] for row in main[::4]] == [100.0 if given else 0.0 for given in design.motif_mask]
    beta = [row for row in rows if row[2] == "CB"]
    assert len(beta) == (18 if cbeta else 0)
    assert all(row[1] != "GLY" for row in beta)


def test_a_real_structure_survives(real, tmp_path):
    native = read_backbone(real("2GTL"))
    for name in ("a.pdb", "a.cif"):
        write_backbone(tmp_path / name, native)
        back = read_backbone(tmp_path / name, strict=True)
        np.testing.assert_allclose(back.coordinates, native.coordinates, atol=6e-4)
        assert back.labels == native.labels
        assert (back.residue_index == native.residue_index).all()


@pytest.mark.parametrize("name", ["t.pdb", "t.cif"])
def test_trajectories_are_models(helix, tmp_path, rng, name):
    frames = [
        helix.with_coordinates(helix.coordinates + rng.standard_normal(helix.coordinates.shape) * s)
        for s in (0.0, 1.0, 20.0)
    ]
    path = tmp_path / name
    write_trajectory(path, iter(frames))
    count, rows = read_by_gemmi(path)
    assert count == 3
    expected = np.stack([frame.coordinates for frame in frames])
    got = np.array([row[3] for row in rows]).reshape(3, 24, 4, 3)
    np.testing.assert_allclose(got, expected, atol=6e-4)
    back = read_models(path)
    np.testing.assert_allclose(back[2].coordinates, expected[2], atol=6e-4)
    with pytest.raises(InputError, match="no frame"):
        write_trajectory(tmp_path / "none.pdb", [])
    with pytest.raises(InputError, match="differ in their residues"):
        write_trajectory(tmp_path / "two.pdb", [helix, helix.select([0, 1])])
    with pytest.raises(InputError, match="differ in their residues"):
        write_trajectory(tmp_path / "two.pdb", [helix, helix.with_names("ALA")])


def test_the_text_is_as_the_formats_ask(design, tmp_path):
    write_backbone(tmp_path / "a.pdb", design, motif_map=[{"from": "A163", "to": 17}])
    lines = (tmp_path / "a.pdb").read_text().splitlines()
    assert lines[-1].rstrip() == "END"
    assert sum(line.startswith("TER") for line in lines) == 2
    assert "REMARK 999 MOTIF A163 -> 17" in [line.rstrip() for line in lines]
    write_backbone(tmp_path / "a.cif", design, motif_map=[{"from": "A163", "to": 17}])
    block = gemmi.cif.read(str(tmp_path / "a.cif")).sole_block()
    assert block.name == "design_1__"
    assert block.find_value("_protdiff_motif_map.from") == "A163"
    assert block.find_value("_protdiff_motif_map.to") == "17"
    sequence = [int(value) for value in block.find_values("_atom_site.label_seq_id")]
    assert sequence[::4] == [*range(1, 11), *range(1, 15)]


@pytest.fixture(scope="module")
def modified(helix):
    """Chains A and B, alike and with modified residues inside and last, and C without."""
    names = ["ALA", "MSE", "GLY", "LEU", "SEP", "UNK", "GLU", "TPO"]
    return Backbone.from_coordinates(
        helix.coordinates,
        chain_id=["A"] * 8 + ["B"] * 8 + ["C"] * 8,
        residue_name=[*names, *names, *["ALA"] * 8],
        residue_number=[*range(1, 8), 7] * 3,
        insertion_code=[*[""] * 7, "A"] * 3,
        name="modified",
    )


def test_a_chain_ends_in_a_record_that_counts_as_an_atom(modified, tmp_path):
    path = tmp_path / "t.pdb"
    write_trajectory(path, [modified, modified])
    lines = path.read_text().splitlines()
    assert {line[:6] for line in lines if line[17:20] == "SEP"} == {"HETATM"}
    for model in "".join(f"{line}\n" for line in lines).split("MODEL")[1:]:
        records = [
            line for line in model.splitlines() if line.startswith(("ATOM", "HETATM", "TER"))
        ]
        assert [int(line[6:11]) for line in records] == list(range(1, 24 * 4 + 3 + 1))
        ends = [place for place, line in enumerate(records) if line.startswith("TER")]
        assert [records[place][17:27] for place in ends] == [
            "TPO A   7A",
            "TPO B   7A",
            "ALA C   7A",
        ]
        for place in ends:
            # Residue and chain are those of the atom before, and no other of the chain follows.
            assert records[place][17:27] == records[place - 1][17:27]
            assert records[place][21] not in {line[21] for line in records[place + 1 :]}
    assert read_backbone(path).labels == modified.labels
    assert (read_backbone(path).residue_name == modified.residue_name).all()


@pytest.mark.parametrize(("hand", "kind"), [("L", "PeptideL"), ("D", "PeptideD")])
def test_polymers_are_entities(modified, tmp_path, hand, kind):
    path = tmp_path / "a.cif"
    write_backbone(path, modified, handedness=hand)
    found = gemmi.read_structure(str(path))
    assert [entity.subchains for entity in found.entities] == [["A", "B"], ["C"]]
    for entity in found.entities:
        assert entity.entity_type == gemmi.EntityType.Polymer
        assert entity.polymer_type == getattr(gemmi.PolymerType, kind)
        for chain in entity.subchains:
            polymer = found[0].get_subchain(chain)
            assert [residue.name for residue in polymer] == entity.full_sequence
            assert [residue.label_seq for residue in polymer] == list(range(1, 9))
            assert {residue.entity_id for residue in polymer} == {entity.name}
    block = gemmi.cif.read(str(path)).sole_block()
    table = block.find("_entity_poly.", ["pdbx_strand_id", "nstd_monomer"])
    assert [list(row) for row in table] == [["A,B", "yes"], ["C", "no"]]
    known = pdbx.get_sequence(pdbx.CIFFile.read(path))
    assert {chain: str(sequence) for chain, sequence in known.items()} == {
        **dict.fromkeys("AB", "AMGLSXET"),
        "C": "A" * 8,
    }
    assert (read_backbone(path).residue_name == modified.residue_name).all()


def test_a_long_sequence_is_written_in_lines(helix, tmp_path):
    long = Backbone.from_coordinates(np.tile(helix.coordinates, (90, 1, 1)), residue_name="ALA")
    write_backbone(tmp_path / "a.cif", long)
    assert max(map(len, (tmp_path / "a.cif").read_text().splitlines())) <= 132
    (sequence,) = pdbx.get_sequence(pdbx.CIFFile.read(tmp_path / "a.cif")).values()
    assert str(sequence) == "A" * len(long)


def test_names_of_designed_residues(design, tmp_path):
    write_backbone(tmp_path / "a.pdb", design, designed_name="ala", cbeta=True)
    back = read_backbone(tmp_path / "a.pdb")
    assert set(back.residue_name[~design.motif_mask]) == {"ALA"}
    assert (back.residue_name == design.residue_name)[design.motif_mask].all()
    with pytest.raises(InputError, match="one to three letters"):
        write_backbone(tmp_path / "b.pdb", design, designed_name="ALANINE")


def test_the_mirror_image_of_a_protein_is_written_as_of_the_other_hand(helix, tmp_path):
    mirrored = helix.with_coordinates(helix.coordinates * [-1, 1, 1])
    write_backbone(tmp_path / "l.pdb", helix, cbeta=True)
    write_backbone(tmp_path / "d.pdb", mirrored, cbeta=True, handedness="D")
    (_, natural), (_, other) = (read_by_gemmi(tmp_path / name) for name in ("l.pdb", "d.pdb"))
    assert [row[2] for row in other].count("CB") == 18
    for one, two in zip(natural, other, strict=True):
        np.testing.assert_allclose(two[3], one[3] * np.array([-1, 1, 1]), atol=2e-3)


@pytest.mark.parametrize("handedness", ["X", -1])
def test_a_wrong_hand_is_refused_and_nothing_is_written(helix, tmp_path, handedness):
    with pytest.raises(InputError, match=f"handedness is {handedness!r}; give L or D"):
        write_backbone(tmp_path / "a.pdb", helix, handedness=handedness)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten_and_nothing_is_left_half(helix, tmp_path):
    path = tmp_path / "a.pdb"
    write_backbone(path, helix)
    before = path.read_bytes()
    with pytest.raises(InputError, match="exists already"):
        write_backbone(path, helix.select([0]))
    assert path.read_bytes() == before
    write_backbone(path, helix.select([0]), overwrite=True)
    assert path.read_bytes() != before
    x = helix.coordinates.copy()
    x[4, 2, 1] = np.nan
    with pytest.raises(InputError, match="residue A5 of helix has a coordinate that is not"):
        write_backbone(tmp_path / "b.pdb", helix.with_coordinates(x))
    assert [p.name for p in tmp_path.iterdir()] == ["a.pdb"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"coordinates": 10_000.0}, r"coordinates from .* Å, and the columns hold -999.999"),
        ({"coordinates": -2_000.0}, r"coordinates from .* Å, and the columns hold -999.999"),
        ({"chain_id": "AB"}, "the chain id AB, and the column holds one letter"),
        ({"residue_name": "GLYC"}, "the residue name GLYC"),
        ({"residue_number": np.arange(9980, 10004)}, "residue numbers from 9980 to 10003"),
    ],
)
def test_what_does_not_fit_a_pdb_file_fits_mmcif(helix, tmp_path, change, message):
    x = helix.coordinates + change.pop("coordinates", 0.0)
    odd = Backbone.from_coordinates(x, **change)
    with pytest.raises(InputError, match=f"{message}.*write mmCIF instead"):
        write_backbone(tmp_path / "a.pdb", odd)
    assert not list(tmp_path.iterdir())
    write_backbone(tmp_path / "a.cif", odd)
    back = read_backbone(tmp_path / "a.cif")
    np.testing.assert_allclose(back.coordinates, odd.coordinates, atol=2e-3)
    assert back.labels == odd.labels


def test_formats_by_name_and_by_option(helix, tmp_path):
    write_backbone(tmp_path / "plain", helix, format="cif")
    assert (tmp_path / "plain").read_text().startswith("data_helix")
    for path, options in (("a.txt", {}), ("a.pdb", {"format": "xyz"})):
        with pytest.raises(InputError, match="expected pdb or cif"):
            write_backbone(tmp_path / path, helix, **options)
    write_backbone(tmp_path / "a.pdb.gz", helix)
    assert gzip.decompress((tmp_path / "a.pdb.gz").read_bytes()).startswith(b"ATOM")

import gzip
import warnings

import gemmi
import numpy as np
import pytest

from protdiff.errors import InputError
from protdiff.structure import (
    Backbone,
    StructureWarning,
    build_backbone,
    count_models,
    find_structure_files,
    get_structure_name,
    read_backbone,
    read_backbones,
    read_models,
    sample_motif,
    write_backbone,
)


@pytest.fixture
def write(tmp_path):
    """Return a function that writes lines to a file and gives its path."""

    def make(lines, name="made.pdb"):
        path = tmp_path / name
        path.write_text("\n".join([*lines, "END"]) + "\n")
        return path

    return make


def read_by_gemmi(path):
    """(residue, 4, 3) of all residues with N, CA, C, O that gemmi's own tables call amino acids."""
    structure = gemmi.read_structure(str(path))
    out = {}
    for chain in structure[0]:
        for residue in chain.first_conformer():
            atoms = {a.name: list(a.pos) for a in residue.first_conformer()}
            if all(name in atoms for name in ("N", "CA", "C", "O")):
                key = f"{chain.name}{residue.seqid.num}{residue.seqid.icode.strip()}"
                out[key] = [atoms[name] for name in ("N", "CA", "C", "O")]
    return out


# --- real structures --------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["pdb", "cif"])
def test_gemmi_reads_the_same_backbone(real, suffix):
    path = real("2GTL", suffix)
    backbone = read_backbone(path)
    other = read_by_gemmi(path)
    assert sorted(backbone.labels) == sorted(other)
    expected = np.array([other[label] for label in backbone.labels])
    np.testing.assert_allclose(backbone.coordinates, expected, atol=1e-4)
    assert backbone.name == path.stem


def test_pdb_and_mmcif_of_a_large_entry_agree(real):
    assert_same(read_backbone(real("7OK9")), read_backbone(real("7OK9", "cif")))


def assert_same(a, b):
    assert a.labels == b.labels
    for field in ("residue_index", "chain_id", "residue_name", "residue_number", "insertion_code"):
        np.testing.assert_array_equal(getattr(a, field), getattr(b, field))
    # A PDB file has three decimals.
    np.testing.assert_allclose(a.coordinates, b.coordinates, atol=5.1e-4)


def test_the_same_entry_in_every_format(shared):
    entries = {}
    for path in sorted((shared / "files").iterdir()):
        entries.setdefault(path.name[:4], []).append(path)
    several = {name: paths for name, paths in entries.items() if len(paths) > 1}
    assert len(several) >= 5
    for paths in several.values():
        first, *others = (read_backbone(path) for path in paths)
        for other in others:
            assert_same(first, other)


def test_depositions_without_protein_say_what_they_hold(shared):
    with pytest.raises(InputError, match=r"4gxy.bcif holds no protein: .*\(GTP, G, C, A, U"):
        read_backbone(shared / "files" / "4gxy.bcif")
    with pytest.raises(InputError, match=r"1bna.pdb holds no protein: .*DC, DG, DA, DT"):
        read_backbone(shared / "files" / "1bna.pdb")


def test_nmr_models_of_a_deposition(shared):
    models = read_models(shared / "files" / "1l2y.bcif")
    assert len(models) == count_models(shared / "files" / "1l2y.pdb") == 38
    second = read_backbone(shared / "files" / "1l2y.cif", model=2)
    np.testing.assert_array_equal(second.coordinates, models[1].coordinates)
    assert np.abs(second.coordinates - models[0].coordinates).max() > 0.5
    with pytest.raises(InputError, match="has 38 models, and model 39 was asked for"):
        read_backbone(shared / "files" / "1l2y.pdb", model=39)


# --- forms of files ---------------------------------------------------------------------------


def test_gzip_folders_and_lists(helix, pdb_lines, tmp_path):
    text = "\n".join(pdb_lines(helix)) + "\nEND\n"
    (tmp_path / "b.pdb").write_text(text)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.ENT.GZ").write_bytes(gzip.compress(text.encode()))
    (tmp_path / ".hidden.pdb").write_text(text)
    (tmp_path / "notes.txt").write_text("no structure")
    backbones = list(read_backbones(tmp_path))
    assert [b.name for b in backbones] == ["b", "a"]
    assert_same(*backbones)
    files = find_structure_files([tmp_path / "b.pdb", tmp_path])
    assert [f.name for f in files] == ["b.pdb", "a.ENT.GZ"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty holds no structure file; .*\.bcif"):
        find_structure_files(tmp_path / "empty")
    with pytest.raises(InputError, match="there is no file or folder"):
        list(read_backbones([tmp_path / "absent"]))


def test_the_content_tells_the_format(helix, pdb_lines, tmp_path):
    path = tmp_path / "structure"
    path.write_text("\n".join(pdb_lines(helix)) + "\nEND\n")
    assert len(read_backbone(path)) == 24
    path = tmp_path / "a.pdb"  # gzipped, though its name does not say so
    path.write_bytes(gzip.compress(("\n".join(pdb_lines(helix)) + "\nEND\n").encode()))
    assert len(read_backbone(path)) == 24
    assert get_structure_name(path) == "a"


def test_letters_outside_ascii_in_a_header_do_no_harm(helix, pdb_lines, tmp_path):
    path = tmp_path / "a.pdb"
    text = "AUTHOR    J. MÜLLER\n" + "\n".join(pdb_lines(helix)) + "\nEND\n"
    path.write_bytes(text.encode("latin-1"))
    assert len(read_backbone(path)) == 24


@pytest.mark.parametrize("name", ["a.pdb", "a.cif"])
def test_marks_of_other_systems_do_no_harm(helix, tmp_path, name):
    path = tmp_path / name
    write_backbone(path, helix)
    plain, text = read_backbone(path), path.read_bytes()
    for changed in (text.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + text):
        for data in (changed, gzip.compress(changed)):
            path.write_bytes(data)
            assert_same(read_backbone(path), plain)


def test_a_chain_without_an_id_is_named_by_a_colon(helix, pdb_lines, write):
    path = write(line[:21] + " " + line[22:] for line in pdb_lines(helix))
    backbone = read_backbone(path)
    assert backbone.labels[2] == ":3"
    assert read_backbone(path, residues=":3-5,7").labels == [":3", ":4", ":5", ":7"]
    motif = sample_motif(backbone, "5/:3-5/4", np.random.default_rng(0))
    assert motif.source.labels == [":3", ":4", ":5"]
    with pytest.raises(InputError, match=r"no chain A; .* are one without an id \(:10-50\)"):
        read_backbone(path, residues="A3-5")
    with pytest.raises(InputError, match=r"no protein chain A; .* are one without an id"):
        backbone.select_chain("A")


@pytest.mark.parametrize("width", [54, 60, 66])
def test_columns_behind_the_coordinates_may_be_missing(helix, pdb_lines, write, width):
    assert_same(read_backbone(write(line[:width] for line in pdb_lines(helix))), helix)
    overflown = [f"{line[:60]}******{line[66:]}" for line in pdb_lines(helix)]
    assert_same(read_backbone(write(overflown)), helix)


def test_columns_of_mmcif_may_be_missing_and_other_blocks_may_come_first(helix, tmp_path):
    names = "group_PDB id type_symbol label_atom_id label_comp_id label_asym_id label_seq_id"
    fields = [f"_atom_site.{name}" for name in [*names.split(), "Cartn_x", "Cartn_y", "Cartn_z"]]
    rows = [
        f"ATOM {4 * i + k} {atom[0]} {atom} {helix.residue_name[i]} A {i + 1} "
        + " ".join(f"{value:.3f}" for value in helix.coordinates[i, k])
        for i in range(len(helix))
        for k, atom in enumerate(("N", "CA", "C", "O"))
    ]
    path = tmp_path / "a.cif"
    text = "\n".join(["loop_", *fields, *rows]) + "\n#\n"
    for start in ("data_a\n", "data_comp_LIG\n_chem_comp.id LIG\n#\ndata_a\n"):
        path.write_text(start + text)
        assert_same(read_backbone(path), helix)
        assert count_models(path) == 1


# --- what belongs to the protein --------------------------------------------------------------


def test_water_ligands_and_ions_are_left_out_without_a_word(helix, pdb_lines, pdb_line, write):
    extra = [
        pdb_line(900, "CA", " CA", "A", 201, [9, 9, 9], hetero=True),
        pdb_line(901, "O", "HOH", "A", 202, [8, 8, 8], hetero=True),
        # A free amino acid, complete and linked to nothing.
        *(
            pdb_line(902 + k, atom, "GLU", "A", 203, xyz, hetero=True)
            for k, (atom, xyz) in enumerate(
                zip(("N", "CA", "C", "O"), build_backbone(-60.0, -45.0)[0] + 40.0, strict=True)
            )
        ),
        *(
            pdb_line(910 + k, atom, " DA", "B", 1, [20 + k, 0, 0])
            for k, atom in enumerate(("P", "C5'", "N9", "O4'"))
        ),
    ]
    assert_same(read_backbone(write([*pdb_lines(helix), *extra])), helix.select(slice(None)))


def test_modified_residues_are_kept(helix, pdb_lines, write):
    names = helix.residue_name.copy()
    names[[4, 9, 23]] = ["MSE", "SEP", "DAL"]
    lines = pdb_lines(helix.with_names(names), hetero={4, 9, 23})
    backbone = read_backbone(write(lines))
    assert backbone.residue_name.tolist() == names.tolist()
    assert backbone.segment_starts == [0]


def test_modified_residues_listed_after_the_chain_come_back_into_it(helix, pdb_lines, write):
    names = helix.residue_name.copy()
    places = [0, 7, 8, 15, 23]
    names[places] = "SEP"
    lines = pdb_lines(helix.with_names(names), hetero=set(places))
    late = [line for line in lines if line.startswith("HETATM")]
    moved = [line for line in lines if not line.startswith("HETATM")] + ["TER"] + late
    backbone = read_backbone(write(moved))
    assert_same(backbone, helix.with_names(names))


@pytest.mark.parametrize("order", [(8, 7), (7, 15, 8), (9, 7, 8), (15, 9, 23, 8, 0, 7)])
def test_modified_residues_listed_in_any_order_come_back_too(helix, pdb_lines, write, order):
    names = helix.residue_name.copy()
    names[list(order)] = "SEP"
    lines = pdb_lines(helix.with_names(names), hetero=set(order))
    chain = [line for line in lines if not line.startswith("HETATM")]
    late = [line for place in order for line in lines[4 * place : 4 * place + 4]]
    assert_same(read_backbone(write([*chain, "TER", *late])), helix.with_names(names))


def test_a_modified_residue_that_is_there_twice_is_read_twice(helix, pdb_lines, write):
    names = helix.residue_name.copy()
    names[7] = "MSE"
    lines = pdb_lines(helix.with_names(names), hetero={7})
    own = lines[28:32]
    away = [f"{line[:30]}{float(line[30:38]) + 90:8.3f}{line[38:]}" for line in own]
    backbone = read_backbone(write([*away, *lines[:28], *lines[32:], *own]))
    assert backbone.labels == ["A8", *helix.labels]
    assert backbone.segment_starts == [0, 1]


def test_an_unlinked_selenomethionine_is_still_protein(helix, pdb_lines, write):
    names = helix.residue_name.copy()
    names[[4, 9]] = ["MSE", "SEP"]
    part = helix.with_names(names).select([0, 1, 2, 4, 6, 7, 9, 11, 12])
    lines = pdb_lines(part, hetero={3, 6})
    # SEP alone between two gaps cannot be told from a ligand.
    assert read_backbone(write(lines)).labels == ["A1", "A2", "A3", "A5", "A7", "A8", "A12", "A13"]


def test_alternate_locations_go_by_occupancy(helix, pdb_lines, pdb_line, write):
    lines = pdb_lines(helix)

    def split(i, shares, names=("GLU", "GLU")):
        return [
            pdb_line(
                4 * i + k + 1,
                atom,
                name,
                "A",
                i + 1,
                helix.coordinates[i, k] + shift,
                altloc=altloc,
                occupancy=share,
            )
            for k, atom in enumerate(("N", "CA", "C", "O"))
            for altloc, share, shift, name in zip("AB", shares, (0.0, 0.3), names, strict=True)
        ]

    # From the back, as each replacement makes the list longer.
    lines[40:44] = split(10, (0.3, 0.7), ("SER", "THR"))
    lines[20:24] = split(5, (0.5, 0.5))
    lines[12:16] = split(3, (0.4, 0.6))
    backbone = read_backbone(write(lines))
    assert len(backbone) == 24
    shift = (backbone.coordinates - helix.coordinates)[:, :, 0].round(2)
    assert np.flatnonzero(shift.any(1)).tolist() == [3, 10]
    np.testing.assert_allclose(shift[[3, 10]], 0.3, atol=2e-3)
    assert backbone.residue_name[10] == "THR"


def test_alternates_may_be_listed_residue_by_residue_or_one_after_the_other(
    helix, pdb_lines, write
):
    lines = pdb_lines(helix)
    first = [f"{line[:16]}A{line[17:54]}  0.40{line[60:]}" for line in lines[40:48]]
    shifted = [
        f"{line[:16]}B{line[17:30]}{float(line[30:38]) + 0.3:8.3f}{line[38:54]}  0.60{line[60:]}"
        for line in lines[40:48]
    ]
    blocks = read_backbone(write([*lines[:40], *first, *shifted, *lines[48:]]))
    both = [*first[:4], *shifted[:4], *first[4:], *shifted[4:]]
    assert_same(blocks, read_backbone(write([*lines[:40], *both, *lines[48:]])))
    assert blocks.labels == helix.labels
    shift = (blocks.coordinates - helix.coordinates)[:, 1, 0].round(1)
    assert np.flatnonzero(shift).tolist() == [10, 11]
    # A second copy of the chain, without a record between models, is no alternate.
    twice = [*lines[:40], *both, *lines[48:]]
    assert len(read_backbone(write([*twice, "TER", *twice]))) == 48


def test_insertion_codes_and_negative_numbers(helix, pdb_lines, write):
    made = Backbone.from_coordinates(
        helix.coordinates,
        residue_name=helix.residue_name,
        residue_number=[-2, -1, 0, *range(1, 10), 9, 9, *range(10, 20)],
        insertion_code=[""] * 12 + ["A", "B"] + [""] * 10,
    )
    path = write(pdb_lines(made))
    backbone = read_backbone(path)
    assert_same(backbone, made)
    assert backbone.segment_starts == [0]
    labels = read_backbone(path, residues="A-2-0,A9A-11").labels
    assert labels == ["A-2", "A-1", "A0", "A9A", "A9B", "A10", "A11"]
    with pytest.raises(InputError, match=r"no residue A9C .*there is A9, A9A, A9B"):
        read_backbone(path, residues="A9C")


def test_breaks_are_kept_as_jumps(helix, pdb_lines, write):
    lines = pdb_lines(helix)
    gap = read_backbone(write(lines[:40] + lines[56:]))  # A11 to A14 missing
    assert np.diff(gap.residue_index).tolist() == [1] * 9 + [5] + [1] * 9
    # A jump of the numbering alone is no break.
    numbers = np.r_[np.arange(1, 11), np.arange(101, 115)]
    renumbered = Backbone.from_coordinates(helix.coordinates, residue_number=numbers)
    assert read_backbone(write(pdb_lines(renumbered))).segment_starts == [0]
    # A break that the numbering hides: the jump is the least that bridges the distance.
    x = helix.coordinates.copy()
    x[10:] += [30.0, 0.0, 0.0]
    apart = read_backbone(write(pdb_lines(helix.with_coordinates(x))))
    distance = np.linalg.norm(x[10, 1] - x[9, 1])
    assert apart.residue_index[10] - apart.residue_index[9] == np.ceil(distance / 3.8)


def test_incomplete_residues_are_dropped_and_named(helix, pdb_lines, write):
    lines = pdb_lines(helix)
    path = write([line for i, line in enumerate(lines) if i not in (20, 41, 42)])
    with pytest.warns(
        StructureWarning, match=r"dropped 2 .*GLY A6 \(no N\), LEU A11 \(no CA, C\)$"
    ):
        backbone = read_backbone(path)
    assert len(backbone) == 22
    assert np.flatnonzero(np.diff(backbone.residue_index) - 1).tolist() == [4, 8]
    with pytest.raises(InputError, match=r"residues without a full backbone: GLY A6 \(no N\)"):
        read_backbone(path, strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StructureWarning)
        with pytest.raises(InputError, match=r"no residue A6 .*A6 is missing there"):
            read_backbone(path, residues="A6")


def test_a_dropped_residue_of_a_chain_with_a_number_is_named_as_elsewhere(helix, pdb_lines, write):
    digit = Backbone.from_coordinates(helix.coordinates, chain_id="1")
    path = write(line for i, line in enumerate(pdb_lines(digit)) if i != 20)
    with pytest.warns(StructureWarning, match=r"GLY 1:6 \(no N\)$"):  # not residue 16
        read_backbone(path)


def test_a_missing_oxygen_is_placed_and_named(helix, pdb_lines, write):
    lines = pdb_lines(helix)
    path = write([line for i, line in enumerate(lines) if i not in (43, 95)])
    with pytest.warns(StructureWarning, match="placed O by geometry in 2 .*: LEU A11, GLU A24"):
        backbone = read_backbone(path)
    np.testing.assert_allclose(backbone.coordinates, helix.coordinates, atol=0.01)
    with pytest.raises(InputError, match="residues without O: LEU A11, GLU A24"):
        read_backbone(path, strict=True)


def test_other_names_of_the_last_oxygen(helix, pdb_lines, write):
    lines = pdb_lines(helix)
    lines[-1] = lines[-1].replace(" O  ", " OT1")
    assert_same(read_backbone(write(lines), strict=True), helix)


def test_chain_selection(helix, pdb_lines, write):
    two = Backbone.from_coordinates(helix.coordinates, chain_id=["A"] * 12 + ["B"] * 12)
    path = write(pdb_lines(two))
    assert read_backbone(path, chains="B,A").chains == ("B", "A")
    assert read_backbone(path, chains=["B"]).labels[0] == "B13"
    assert read_backbone(path, residues="B,A2-3").labels[:3] == ["B13", "B14", "B15"]
    assert read_backbone(path, residues=["A2-3,5", "B20"]).labels == ["A2", "A3", "A5", "B20"]
    with pytest.raises(InputError, match="has no chain C; its protein chains are A, B"):
        read_backbone(path, chains="C")
    with pytest.raises(InputError, match="has no chain C; its protein chains are A, B"):
        read_backbone(path, residues="C1-5")
    with pytest.raises(InputError, match=r"no residue A30 .*chain A runs from A1 to A12"):
        read_backbone(path, residues="A5-30")
    with pytest.raises(InputError, match="chains are ids"):
        read_backbone(path, chains="A,,B")


# --- damaged files: one line each -------------------------------------------------------------


@pytest.fixture(scope="module")
def damaged(real):
    """Return the bytes of damaged files by name."""
    pdb, cif = real("2GTL").read_bytes(), real("2GTL", "cif").read_bytes()
    noise = np.random.default_rng(0).bytes(4000)
    atom = pdb.index(b"\nATOM  ")
    third = pdb.index(b"\nATOM  ", atom + 200) + 1
    return {
        "empty.pdb": b"",
        "blank.cif": b" \n\n",
        "noise.pdb": noise,
        "noise.cif": noise,
        "noise.bcif": noise,
        "noise.pdb.gz": noise,
        "noise.xyz": noise,
        "words.pdb": b"this is not a structure\n" * 20,
        "words.cif": b"this is not a structure\n" * 20,
        "cut_in_line.pdb": pdb[: third + 40],
        "cut_late_in_line.pdb": pdb[: third + 70],
        "cut_at_line.pdb": pdb[:third],
        "cut_in_row.cif": cif[: cif.index(b"\nATOM", 200_000) + 30],
        "cut_at_row.cif": cif[: cif.index(b"\nATOM", 200_000) + 1],
        "cut_in_head.cif": cif[:3000],
        "cut.pdb.gz": gzip.compress(pdb)[:100_000],
        "stars.pdb": pdb[: third + 30] + b"********" + pdb[third + 38 :],
        "nan.pdb": pdb[: third + 30] + b"     nan" + pdb[third + 38 :],
        "inf.pdb": pdb[: third + 30] + b"     inf" + pdb[third + 38 :],
    }


EXPECTED = {
    "empty.pdb": "is empty",
    "blank.cif": "is empty",
    "noise.pdb": "is not a PDB file",
    "noise.cif": "is not a mmCIF file",
    "noise.bcif": "not a readable BinaryCIF file",
    "noise.pdb.gz": "is not a gzip file",
    "noise.xyz": "no structure file that protdiff can read; expected PDB, mmCIF or BinaryCIF",
    "words.pdb": "has no atom records",
    "words.cif": "has no atom records",
    "cut_in_line.pdb": "line .* cut short",
    "cut_late_in_line.pdb": "is cut off",
    "cut_at_line.pdb": "is cut off: .* no END record",
    "cut_in_row.cif": "cut off",
    "cut_at_row.cif": "is cut off",
    "cut_in_head.cif": "cut off",
    "cut.pdb.gz": "cut-off gzip file",
    "stars.pdb": "no number as a coordinate",
    "nan.pdb": "coordinate that is not a number",
    "inf.pdb": "coordinate that is not a number",
}


@pytest.mark.parametrize("name", EXPECTED)
def test_damaged_files_give_one_clear_line(damaged, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(damaged[name])
    with pytest.raises(InputError, match=EXPECTED[name]) as caught:
        read_backbone(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    assert len(message) < 500


def test_a_last_line_cut_behind_its_coordinates(helix, pdb_lines, tmp_path):
    # No header tells that this file should have an END, and all coordinates are there.
    path = tmp_path / "cut.pdb"
    path.write_text("\n".join(pdb_lines(helix))[:-15])
    with pytest.raises(InputError, match=r"cut.pdb is cut off in its last line"):
        read_backbone(path)
    path.write_text("\n".join(pdb_lines(helix)))
    assert len(read_backbone(path)) == 24


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.999])
def test_cut_binary_files(shared, tmp_path, keep):
    data = (shared / "files" / "1aki.bcif").read_bytes()
    path = tmp_path / "cut.bcif"
    path.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(InputError, match=r"not a readable BinaryCIF file.*get the file again"):
        read_backbone(path)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(InputError, match=r"there is no file .*absent.pdb; check the path"):
        read_backbone(tmp_path / "absent.pdb")
    with pytest.raises(InputError, match="is a folder; give a structure file"):
        read_backbone(tmp_path)


def test_alpha_carbons_alone_are_not_a_backbone(helix, pdb_lines, write):
    lines = pdb_lines(helix)
    path = write(lines[1::4], "trace.pdb")
    with pytest.raises(InputError, match=r"trace.pdb has CA atoms only \(24 residues\)"):
        read_backbone(path)
    # One chain of two: the whole file is read with a warning, the chain itself is refused.
    other = Backbone.from_coordinates(helix.coordinates + 50, chain_id="B")
    path = write([*lines[1::4], *pdb_lines(other)])
    with pytest.warns(StructureWarning, match=r"dropped 24 .*ALA A1 \(no N, C\).*and 19 more"):
        assert read_backbone(path).chains == ("B",)
    with pytest.raises(InputError, match=r"chain A of .* has CA atoms only"):
        read_backbone(path, chains="A")


def test_a_chain_without_protein_is_not_there(helix, pdb_lines, pdb_line, write):
    lines = [*pdb_lines(helix), pdb_line(900, "O", "HOH", "W", 1, [0, 0, 0], hetero=True)]
    with pytest.raises(
        InputError, match=r"chain W of .* holds no protein; its protein chains are A"
    ):
        read_backbone(write(lines), chains="W")


def test_a_nan_outside_the_selection_does_no_harm(helix, pdb_lines, write):
    lines = pdb_lines(helix)
    lines[80] = lines[80][:30] + "     nan" + lines[80][38:]
    path = write(lines)
    assert len(read_backbone(path, residues="A1-10")) == 10
    with pytest.raises(InputError, match=r"residue A21 of .* \(1 such"):
        read_backbone(path)


def test_models_that_are_not_there(helix, pdb_lines, write):
    path = write(pdb_lines(helix))
    for model in (0, 2, -1):
        with pytest.raises(InputError, match=f"has 1 model, and model {model} was asked for"):
            read_backbone(path, model=model)

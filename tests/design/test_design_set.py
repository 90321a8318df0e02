import json
import sys
from dataclasses import replace

import numpy as np
import pytest

import protdiff
from protdiff.conditioning import Partner
from protdiff.design import Generation, SamplingSettings, run_designs
from protdiff.design.design_set import DesignSet, Interrupted, read_designs
from protdiff.design.run_folder import RunFolder
from protdiff.errors import InputError
from protdiff.structure import Backbone, DesignedSequence, build_backbone, write_backbone

FAST = {"steps": 3, "step_scale": 1.0}


@pytest.fixture(scope="module")
def designs(designer) -> DesignSet:
    return designer.generate(length=(30, 33), num=5, seed=3, **FAST)


@pytest.fixture(scope="module")
def scaffolds(designer) -> DesignSet:
    rng = np.random.default_rng(0)
    source = Backbone.from_coordinates(
        build_backbone(rng.uniform(-140, -50, 40), rng.uniform(-60, 150, 40)),
        residue_name=rng.choice(["ALA", "LEU", "TRP"], 40),
        residue_number=np.arange(101, 141),
        name="source",
    )
    return designer.scaffold(
        source, "10-15/A110-119/0 10-15", num=2, redesignable="A112-113", **FAST
    )


def with_qualities(designs, *changes):
    """Give some of the designs other numbers."""
    changed = [
        replace(design, quality=replace(design.quality, **change))
        for design, change in zip(designs.designs, changes, strict=False)
    ]
    return DesignSet(changed, [{}] * len(changed), {})


def test_it_is_a_sequence_of_backbones(designs):
    assert len(designs) == 5
    assert [b.name for b in designs] == [f"design_{k:04d}" for k in range(5)]
    assert designs[-1] is designs[4] is list(designs)[4]
    assert designs[1] in designs
    assert isinstance(designs[1:3], DesignSet)
    assert [b.name for b in designs[::-2]] == ["design_0004", "design_0002", "design_0000"]
    assert len(designs.qualities) == 5
    assert designs.qualities[0].length == len(designs[0])
    with pytest.raises(IndexError):
        designs[5]


def test_filtering_keeps_what_is_wanted_and_its_order(designs):
    some = with_qualities(
        designs, {"strand": 0.5}, {"strand": 0.1}, {"strand": 0.3}, {"strand": 0.0, "finite": False}
    )
    assert [d.index for d in some.filter(lambda d: d.quality.strand > 0.2).designs] == [0, 2]
    assert [d.index for d in some.filter(lambda d: len(d.backbone) > 99).designs] == []
    assert [d.index for d in some.filter("strand>0.2").designs] == [0, 2]
    assert [d.index for d in some.filter(["strand>0.2", "strand<=0.2"]).designs] == []
    assert some.filter("pass").qualities == some.filter(passing=True).qualities
    with pytest.raises(InputError, match="did you mean 'strand'"):
        some.filter("stand>0.2")
    passing, failing = some.filter(passing=True), some.filter(passing=False)
    assert len(passing) + len(failing) == 4
    assert all(quality.passes for quality in passing.qualities)
    assert 3 in [design.index for design in failing.designs]


def test_sorting_puts_what_was_not_measured_last(designs):
    some = with_qualities(
        designs, {"strand": 0.3}, {"strand": float("nan")}, {"strand": 0.1}, {"strand": 0.2}
    )
    assert [d.index for d in some.sort("strand").designs] == [2, 3, 0, 1]
    assert [d.index for d in some.sort("strand", reverse=True).designs] == [0, 3, 2, 1]
    assert [d.index for d in some.sort(lambda d: -d.index).designs] == [3, 2, 1, 0]
    with pytest.raises(InputError, match=r"cannot sort by 'strnd'; there are .*strand"):
        some.sort("strnd")
    assert len(some[:0].sort("strand")) == 0


def test_records_are_flat_and_plain(designs):
    records = designs.to_records()
    assert [record["index"] for record in records] == list(range(5))
    json.dumps(records, allow_nan=False)
    for record, quality in zip(records, designs.qualities, strict=True):
        assert record["helix"] == round(quality.helix, 4)
        assert record["passes"] == quality.passes
        assert record["seed"] == 3
        assert not any(isinstance(value, dict) for value in record.values())


def test_a_written_set_reads_back(designs, tmp_path):
    folder = designs.write(tmp_path / "run")
    back = read_designs(folder)
    assert [d.index for d in back.designs] == list(range(5))
    for first, second in zip(designs, back, strict=True):
        assert np.abs(first.coordinates - second.coordinates).max() < 6e-4
        assert first.name == second.name
    # The coordinates of a file have three decimals.
    for first, second in zip(designs.to_records(), back.to_records(), strict=True):
        assert list(first) == list(second)
        assert {
            k: v for k, v in first.items() if isinstance(v, str | int)
        }.items() <= second.items()
        assert first["rg"] == pytest.approx(second["rg"], abs=2e-3)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_motif_reads_back(scaffolds, tmp_path):
    for format in ("pdb", "cif"):
        back = read_designs(scaffolds.write(tmp_path / format, format=format))
        for first, second in zip(scaffolds, back, strict=True):
            assert (first.motif_mask == second.motif_mask).all()
            assert (first.residue_name == second.residue_name).all()
            assert first.labels == second.labels
        assert back.to_records()[0]["motif_rmsd"] == scaffolds.to_records()[0]["motif_rmsd"]
        assert all((tmp_path / format / f"design_000{k}.{format}").is_file() for k in (0, 1))


def test_a_run_goes_on_from_a_written_set(designer, designs, tmp_path):
    folder = designs[1:3].write(tmp_path / "run")
    task = Generation((30, 33), 3, SamplingSettings(**FAST))
    result = run_designs(designer, task, folder, 5)
    assert result.made == 3
    for first, second in zip(designs, read_designs(folder), strict=True):
        assert np.abs(first.coordinates - second.coordinates).max() < 2e-3


def test_a_run_of_the_commands_is_read(designer, tmp_path):
    task = Generation(30, 0, SamplingSettings(handedness="D", **FAST))
    run_designs(designer, task, tmp_path, 2)
    back = read_designs(tmp_path)
    assert len(back) == 2
    records = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    for quality, record in zip(back.qualities, records, strict=True):
        # Judged as the D-proteins that they are.
        assert quality.phi_positive == pytest.approx(record["quality"]["phi_positive"], abs=0.04)


def test_nothing_is_overwritten_and_nothing_is_left_half(designs, tmp_path, monkeypatch):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "empty").mkdir()
    for name in ("full", "file"):
        with pytest.raises(InputError, match="exists already"):
            designs.write(tmp_path / name)
    designs.write(tmp_path / "empty")
    with pytest.raises(InputError, match="exists already"):
        designs.write(tmp_path / "empty")
    with pytest.raises(InputError, match="the set is empty"):
        designs[:0].write(tmp_path / "none")
    twice = DesignSet(designs.designs[:1] * 2, [{}, {}], {})
    with pytest.raises(InputError, match="have one index"):
        twice.write(tmp_path / "none")
    with pytest.raises(InputError, match="cannot write"):
        designs.write(tmp_path / "file" / "run")
    calls = []

    def fail(*args, **options):
        calls.append(args)
        if len(calls) == 3:
            raise OSError("No space left on device")

    monkeypatch.setattr("protdiff.design.design_set.write_backbone", fail)
    with pytest.raises(OSError, match="No space"):
        designs.write(tmp_path / "half")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file", "full"]


def test_a_design_that_is_not_finite_has_a_line_and_no_file(designs, tmp_path):
    first, second = designs.designs[:2]
    nowhere = replace(first.backbone, coordinates=first.backbone.coordinates * np.nan)
    bad = replace(first, backbone=nowhere, quality=protdiff.measure_quality(nowhere.coordinates))
    some = DesignSet([bad, second], designs._records[:2], designs._run)
    folder = some.write(tmp_path / "run")
    assert [d.index for d in read_designs(folder).designs] == [1]
    with RunFolder.open(folder, json.loads((folder / "run.json").read_text())) as run:
        assert run.find_missing(2) == []
    some.write_protein_mpnn(tmp_path / "mpnn")
    assert list(json.loads((tmp_path / "mpnn" / "chain_ids.jsonl").read_text())) == ["design_0001"]
    assert "non_finite" in repr(some)


def test_a_run_folder_tells_what_is_in_it(designs, tmp_path):
    """The run may have had trajectories; what is written of its designs has none."""
    some = DesignSet(designs.designs, designs._records, designs._run | {"trajectory": True})
    settings = json.loads((some.write(tmp_path / "run", format="cif") / "run.json").read_text())
    assert (settings["format"], settings["trajectory"]) == ("cif", False)


def test_what_is_no_run_is_refused(designs, tmp_path):
    with pytest.raises(InputError, match=r"holds no manifest\.jsonl"):
        read_designs(tmp_path)
    folder = designs.write(tmp_path / "run")
    (folder / "design_0002.pdb").unlink()
    with pytest.raises(InputError, match=r"design_0002\.pdb"):
        read_designs(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"handedness": "X"},
        {"handedness": 3},
        {"motif_map": [{}]},
        {"motif_map": 7},
        {"motif_map": [{"to": 5}]},
        {"redesignable": ["5"]},
        {"seconds": ""},
        {"seconds": 10**400},
    ],
)
def test_a_damaged_line_is_refused_in_words(designs, tmp_path, change):
    folder = designs[:1].write(tmp_path / "run")
    record = json.loads((folder / "manifest.jsonl").read_text())
    (folder / "manifest.jsonl").write_text(json.dumps(record | change))
    with pytest.raises(InputError, match=r"manifest.*\bdesign[ _]0"):
        read_designs(folder)


def test_torn_lines_are_passed_over_with_a_warning(designs, tmp_path):
    folder = designs.write(tmp_path / "run")
    with (folder / "manifest.jsonl").open("a") as file:
        file.write('{"index": 9, "fi')
    with pytest.warns(UserWarning, match="1 damaged lines"):
        assert len(read_designs(folder)) == 5
    (folder / "run.json").write_text("{")
    with pytest.warns(UserWarning, match="1 damaged lines"):
        assert len(read_designs(folder)) == 5


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


def test_text_and_tables(designs, scaffolds):
    lines = repr(designs).splitlines()
    assert lines[0].startswith("DesignSet: 5 designs, ")
    assert len(lines) == 7
    assert "motif (Å)" in repr(scaffolds)
    assert repr(designs[:0]) == "DesignSet: 0 designs, 0 without a fault"
    many = DesignSet(designs.designs * 5, designs._records * 5, {})
    assert repr(many).endswith("... and 5 more")
    assert "... and 5 more" in many._repr_html_()
    assert designs._repr_html_().count("<tr>") == 6


def test_tables_are_escaped(designs):
    (first,) = designs.designs[:1]
    evil = replace(first, backbone=replace(first.backbone, name="<script>alert(1)</script>"))
    html = DesignSet([evil], [{}], {})._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_an_interrupt_carries_what_is_done(designer, monkeypatch):
    amounts = []

    def interrupt(amount):
        amounts.append(amount)
        if sum(amounts) > 2.5:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=r"2 of 4 designs were finished") as caught:
        designer.generate(length=30, num=4, batch_size=1, on_progress=interrupt, **FAST)
    assert isinstance(caught.value, KeyboardInterrupt)
    whole = designer.generate(length=30, num=2, **FAST)
    assert len(caught.value.designs) == 2
    for first, second in zip(caught.value.designs, whole, strict=True):
        assert np.abs(first.coordinates - second.coordinates).max() < 1e-3


def test_the_bar_counts_to_the_end_and_no_further(designer, capsys):
    amounts = []
    designer.generate(
        length=30, num=3, batch_size=2, progress=True, on_progress=amounts.append, **FAST
    )
    assert sum(amounts) == pytest.approx(3)
    error = capsys.readouterr().err
    assert "sampling: 100%" in error
    assert "3.0/3" in error
    assert "Traceback" not in error


def test_without_a_bar_nothing_is_printed(designer, capsys):
    designer.generate(length=30, num=1, **FAST)
    assert capsys.readouterr() == ("", "")
    assert "pandas" not in sys.modules

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

import protdiff
from protdiff.design import Generation, SamplingSettings, run_designs
from protdiff.design.design_set import DesignSet, Interrupted
from protdiff.design.reading import read_designs
from protdiff.design.run_folder import RunFolder
from protdiff.errors import InputError

FAST = {"steps": 3, "step_scale": 1.0}


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
        assert run.find_missing(range(2)) == []
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


@pytest.mark.parametrize("asked", [None, 3, "helix"])
def test_what_a_line_says_was_asked_may_be_anything(designs, tmp_path, asked):
    folder = designs[:1].write(tmp_path / "run")
    record = json.loads((folder / "manifest.jsonl").read_text())
    (folder / "manifest.jsonl").write_text(json.dumps(record | {"asked": asked}))
    (found,) = read_designs(folder).to_records()
    assert not any(name.startswith("asked") for name in found)


def test_runs_that_share_a_design_without_a_file_are_several(designs, tmp_path):
    folder = designs[:1].write(tmp_path / "campaign" / "a")
    designs[:1].write(tmp_path / "campaign" / "b")
    for name in ("a", "b"):
        manifest = tmp_path / "campaign" / name / "manifest.jsonl"
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"file": None}))
    assert read_designs(folder).drawn == 1
    with pytest.raises(InputError, match="holds several runs"):
        read_designs(tmp_path / "campaign")


def test_torn_lines_are_passed_over_with_a_warning(designs, tmp_path):
    folder = designs.write(tmp_path / "run")
    with (folder / "manifest.jsonl").open("a") as file:
        file.write('{"index": 9, "fi')
    with pytest.warns(UserWarning, match="1 damaged lines"):
        assert len(read_designs(folder)) == 5
    (folder / "run.json").write_text("{")
    with pytest.warns(UserWarning, match="1 damaged lines"):
        assert len(read_designs(folder)) == 5


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

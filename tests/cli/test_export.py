import json
import shutil

import numpy as np
import pytest

from protdiff.structure import read_backbone


@pytest.fixture
def scaffolds(run, helix_file, tiny_weights, tmp_path):
    result = run(
        *("scaffold", helix_file, "--contig", "10-15/A3-12/0 10-15", "--redesignable", "A4"),
        *("--num", 2, "--steps", 2, "--weights", tiny_weights, "--out", tmp_path / "run"),
    )
    assert result.exit_code == 0, result.output
    return tmp_path / "run"


def test_protein_mpnn_gets_fixed_positions_chain_by_chain(run, scaffolds, tmp_path):
    result = run("export", scaffolds, "--protein-mpnn", tmp_path / "mpnn")
    assert result.exit_code == 0, result.output
    assert "2 designs" in result.stdout
    fixed = json.loads((tmp_path / "mpnn" / "fixed_positions.jsonl").read_text())
    for line in (scaffolds / "manifest.jsonl").read_text().splitlines():
        record = json.loads(line)
        places = [pair["to"] for pair in record["motif_map"] if pair["from"] != "A4"]
        assert fixed[record["file"].removesuffix(".pdb")] == {"A": places, "B": []}


@pytest.mark.filterwarnings("default:these designs bind")
def test_a_target_goes_with_its_binders_and_its_absence_is_said(
    run, helix_file, tiny_weights, tmp_path
):
    out, target = tmp_path / "run", f"{helix_file}:A"
    result = run(
        *("generate", "--length", 40, "--steps", 2, "--step-scale", 1, "--weights", tiny_weights),
        *("--num", 1, "--target", target, "--hotspots", "A5,A9", "--out", out),
    )
    assert result.exit_code == 0, result.output
    result = run("export", out, "--protein-mpnn", tmp_path / "both", "--target", target)
    assert (result.exit_code, result.stderr) == (0, "")
    line = json.loads((tmp_path / "both" / "backbones.jsonl").read_text())
    x = np.array(line["coords_chain_B"]["N_chain_B"])
    np.testing.assert_allclose(x, read_backbone(helix_file).coordinates[:, 0], atol=6e-4)
    result = run("export", out, "--protein-mpnn", tmp_path / "alone")
    assert result.exit_code == 0
    assert "warning: these designs bind helix" in result.stderr
    assert "--target" in result.stderr
    design = out / "design_0000.pdb"
    for arguments, message in (
        (("--protein-mpnn", tmp_path / "x", "--target", design), "has not the coordinates of"),
        (("--motifbench", tmp_path / "x", "--target", target), "goes with --protein-mpnn"),
    ):
        result = run("export", out, *arguments)
        assert result.exit_code == 2
        assert message in result.stderr
    assert not (tmp_path / "x").exists()


def test_that_d_proteins_go_out_mirrored_is_said(run, tiny_weights, tmp_path):
    run(
        *("generate", "--length", 40, "--num", 2, "--steps", 2, "--step-scale", 1),
        *("--weights", tiny_weights, "--handedness", "D", "--out", tmp_path / "run"),
    )
    result = run("export", tmp_path / "run", "--protein-mpnn", tmp_path / "mpnn")
    assert result.exit_code == 0, result.output
    assert "2 D-proteins were written as their mirror images" in result.stdout
    result = run("export", tmp_path / "run", "--protein-mpnn", tmp_path / "again", "--json")
    assert json.loads(result.stdout)["mirrored"] == 2


@pytest.mark.filterwarnings("default:.*asks for 100")
def test_a_motifbench_submission_is_written(run, helix_file, tiny_weights, tmp_path):
    for name in ("00_ONE", "01_TWO"):
        run(
            *("scaffold", helix_file, "--contig", "10-15/A3-12/10-15", "--num", 1, "--steps", 2),
            *("--weights", tiny_weights, "--out", tmp_path / name),
        )
    folder = tmp_path / "scaffolds"
    runs = (tmp_path / "00_ONE", tmp_path / "01_TWO")
    result = run("export", *runs, "--motifbench", folder, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["designs"] == {"00_ONE": 1, "01_TWO": 1}
    assert "MotifBench asks for 100" in result.stderr
    assert (folder / "01_TWO" / "01_TWO_0.pdb").is_file()
    assert (folder / "00_ONE" / "scaffold_info.csv").read_text().startswith("sample_num,motif_")


@pytest.mark.filterwarnings("default:.*asks for 100")
def test_of_two_exports_both_are_written_or_none(run, helix_file, tiny_weights, tmp_path):
    out, full = tmp_path / "00_ONE", tmp_path / "full"
    run(
        *("scaffold", helix_file, "--contig", "10-15/A3-12/10-15", "--num", 1, "--steps", 2),
        *("--weights", tiny_weights, "--out", out),
    )
    full.mkdir()
    (full / "mine.txt").touch()
    mpnn, motifbench = tmp_path / "mpnn", tmp_path / "motifbench"
    for one, other, message in (
        (mpnn, full, "full exists already"),
        (full, motifbench, "full exists already"),
        (mpnn, mpnn, "folders apart from each other"),
        (motifbench / "mpnn", motifbench, "folders apart from each other"),
    ):
        result = run("export", out, "--protein-mpnn", one, "--motifbench", other)
        assert result.exit_code == 2
        assert message in result.stderr
        assert sorted(tmp_path.iterdir()) == [out, full]
    result = run("export", out, "--protein-mpnn", mpnn, "--motifbench", motifbench)
    assert result.exit_code == 0, result.output
    assert (mpnn / "backbones.jsonl").is_file()
    assert (motifbench / "00_ONE" / "scaffold_info.csv").is_file()


def test_of_a_campaign_each_job_has_a_folder(run, tiny_weights, tmp_path):
    for job, num in (("one", 2), ("two", 1)):
        result = run(
            *("generate", "--length", 40, "--num", num, "--steps", 2, "--step-scale", 1),
            *("--weights", tiny_weights, "--out", tmp_path / "campaign" / job / "chunk-0000"),
        )
        assert result.exit_code == 0, result.output
    unfinished = tmp_path / "campaign" / "three" / "chunk-0000"
    unfinished.mkdir(parents=True)
    (unfinished / "manifest.jsonl").write_text("")
    result = run("export", tmp_path / "campaign", "--protein-mpnn", tmp_path / "mpnn", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["designs"] == {"one": 2, "two": 1}
    for job, num in (("one", 2), ("two", 1)):
        lines = (tmp_path / "mpnn" / job / "backbones.jsonl").read_text().splitlines()
        assert len(lines) == num
    assert {path.name for path in (tmp_path / "mpnn").iterdir()} == {"one", "two"}
    shutil.copytree(tmp_path / "campaign/one/chunk-0000", tmp_path / "campaign" / "best")
    shutil.rmtree(tmp_path / "campaign" / "two")
    result = run("export", tmp_path / "campaign", "--protein-mpnn", tmp_path / "more", "--json")
    assert json.loads(result.stdout)["designs"] == {"best": 2, "one": 2}
    shutil.rmtree(tmp_path / "campaign" / "best")
    result = run("export", tmp_path / "campaign", "--protein-mpnn", tmp_path / "some")
    assert {path.name for path in (tmp_path / "some").iterdir()} == {"one"}
    result = run("export", tmp_path / "campaign" / "three", "--protein-mpnn", tmp_path / "none")
    assert result.exit_code == 2
    assert "no design of" in result.stderr
    assert not (tmp_path / "none").exists()


def test_what_cannot_be_exported_is_said(run, scaffolds, tmp_path):
    (tmp_path / "job" / "chunk-0000" / "manifest.jsonl").mkdir(parents=True)
    for arguments, message in (
        ((scaffolds,), "nothing is asked for"),
        ((scaffolds, scaffolds, "--protein-mpnn", tmp_path / "x"), "two runs are called run"),
        ((scaffolds, tmp_path, "--motifbench", tmp_path / "x", "--name", "a"), "--name goes with"),
        ((scaffolds, tmp_path, "--protein-mpnn", tmp_path / "x", "--target", "a"), "--target goes"),
        ((scaffolds, scaffolds, "--motifbench", tmp_path / "x"), "two runs are called run"),
        ((tmp_path / "no", "--motifbench", tmp_path / "x"), "holds no manifest.jsonl"),
        ((tmp_path / "job", "--motifbench", tmp_path / "x"), "cannot read"),
        ((scaffolds, "--motifbench", tmp_path / "x"), "one chain"),
        (
            (scaffolds, "--protein-mpnn", tmp_path / "x", "--motifbench", tmp_path / "y"),
            "one chain",
        ),
        ((scaffolds, "--motifbench", tmp_path / "x", "--name", "../y"), "name of a problem"),
    ):
        result = run("export", *arguments)
        assert result.exit_code == 2
        assert message in result.stderr
    assert not (tmp_path / "x").exists()
    assert not (tmp_path / "y").exists()

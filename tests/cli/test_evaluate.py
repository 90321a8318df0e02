import csv
import json
from pathlib import Path

import numpy as np
import pytest

from protdiff.structure import Backbone, build_backbone, write_backbone


def test_a_structure_is_compared_with_nature(run, helix_file):
    result = run("evaluate", helix_file)
    assert result.exit_code == 0, result.output
    assert "not_compact" in result.stdout
    assert "nature" in result.stdout
    assert "1.460±.013" in result.stdout


def test_json_holds_every_quantity(run, helix_file):
    result = json.loads(run("evaluate", helix_file, "--json").stdout)
    (design,) = result["designs"]
    assert design["length"] == 40
    assert design["helix_right"] == 1.0
    assert result["summary"]["designs"] == 1


def test_a_helix_is_left_handed_to_those_who_expect_d_proteins(run, helix_file):
    result = json.loads(run("evaluate", helix_file, "--json", "--handedness", "D").stdout)
    assert "left_handed" in result["designs"][0]["failed"]


def test_of_a_run_the_designs_are_measured_and_not_the_trajectories(run, tiny_weights, tmp_path):
    run(
        *(
            "generate",
            "--weights",
            tiny_weights,
            "--steps",
            2,
            "--length",
            40,
            "--num",
            2,
            "--step-scale",
            1,
        ),
        *("--out", tmp_path, "--trajectory", "--handedness", "D"),
    )
    (tmp_path / "other.pdb").write_text("not ours")
    result = run("evaluate", tmp_path, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["designs"]
    lines = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert len(found) == 2
    for design, line in zip(found, lines, strict=True):
        # What the manifest says was measured before the file's three decimals; and as D-proteins.
        assert design["failed"] == line["quality"]["failed"]
        for name in ("links", "phi_positive", "ramachandran", "rg", "longest_ca_ca"):
            assert abs(design[name] - line["quality"][name]) < 2e-3, name


def test_a_manifest_of_no_known_hand_is_refused_unless_told(run, helix_file, tmp_path):
    (tmp_path / "design_0000.pdb").write_bytes(helix_file.read_bytes())
    line = {"index": 0, "file": "design_0000.pdb", "handedness": "X"}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(line))
    result = run("evaluate", tmp_path)
    assert result.exit_code == 2
    assert "handedness is 'X'; give L or D" in result.stderr
    assert run("evaluate", tmp_path, "--handedness", "L").exit_code == 0


def test_nothing_to_measure_is_an_error(run, tmp_path):
    assert run("evaluate", tmp_path).exit_code == 2
    (tmp_path / "manifest.jsonl").write_text("")
    assert "names no structure" in run("evaluate", tmp_path).stderr
    assert run("evaluate", tmp_path / "nowhere").exit_code == 2


@pytest.fixture
def blown_up(helix_file, tmp_path):
    """Return the folder of a run of a helix, a design that blew up, and a damaged line."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "design_0000.pdb").write_bytes(helix_file.read_bytes())
    lines = [
        {"index": 0, "file": "design_0000.pdb"},
        {"index": 1, "file": None, "length": 40, "quality": {"finite": False}},
    ]
    (folder / "manifest.jsonl").write_text("".join(f"{json.dumps(x)}\n" for x in lines) + "{")
    return folder


def test_designs_of_a_run_that_blew_up_count_as_failed(run, blown_up):
    found = evaluate(run, blown_up)
    assert len(found["designs"]) == 1
    for quantity, value in (("designs", 2), ("length", 40), ("finite", 0.5), ("unbroken", 0.5)):
        assert found["summary"][quantity] == value
    assert run("evaluate", blown_up, "--quiet", "--fail-on", "finite<1").exit_code == 3


@pytest.mark.parametrize(
    "length", [None, "40", -1, 10**400], ids=["none", "text", "negative", "endless"]
)
def test_a_design_that_blew_up_has_no_length_if_its_line_has_none(run, blown_up, length):
    line = {"index": 1, "file": None, "length": length}
    with (blown_up / "manifest.jsonl").open("a") as file:
        file.write(f"\n{json.dumps(line)}\n")
    assert evaluate(run, blown_up)["summary"]["length"] == 20


def test_what_is_left_out_is_said(run, blown_up, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "manifest.jsonl").write_text("")
    found = evaluate(run, blown_up, tmp_path / "empty")
    assert found["notes"] == [
        f"the manifest in {tmp_path / 'empty'} names no structure",
        f"{blown_up / 'manifest.jsonl'}: 1 damaged line passed over",
        f"{blown_up}: design 1 came out without finite coordinates",
    ]
    assert "without finite coordinates" in run("evaluate", blown_up).stderr


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a helix of 40 residues, a copy of it, and a strand of 45."""
    path = tmp_path / "designs"
    helix, strand = build_backbone(np.full(40, -57.0), -47.0), build_backbone([-120.0] * 45, 130.0)
    for name, x in (("a", helix), ("b", helix + 3.0), ("c", strand)):
        write_backbone(path / f"{name}.pdb", Backbone.from_coordinates(x))
    return path


def evaluate(run, *arguments):
    result = run("evaluate", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_each_quantity_is_held_against_the_band_of_its_length(run, helix_file):
    found = evaluate(run, helix_file)
    (design,) = found["designs"]
    assert {"rg", "rg_ratio", "contacts"} <= set(design["bands"]["outside"])
    assert design["bands"]["share"] < 1.0
    assert design["native_like"] is False
    assert found["summary"]["rg_in_native_band"] == 0.0
    assert found["summary"]["links_in_native_band"] == 1.0


def test_diversity_is_measured_unasked_for_a_few(run, folder):
    found = evaluate(run, folder)
    assert [design["cluster"] for design in found["designs"]] == [0, 0, 1]
    assert found["summary"]["clusters_per_design"] == pytest.approx(2 / 3, abs=1e-4)
    assert found["diversity"]["normalised_by"] == "the shorter chain"
    assert "diversity" not in evaluate(run, folder, "--no-diversity")


def test_many_are_compared_on_request_and_that_is_said(run, folder, monkeypatch):
    monkeypatch.setattr("protdiff.cli.evaluate.DIVERSITY_UP_TO", 100)
    found = evaluate(run, folder)
    assert "diversity" not in found
    assert "--diversity" in found["notes"][0]
    assert "diversity" in evaluate(run, folder, "--diversity")


def test_the_bias_of_biotite_is_said(run, folder):
    result = run("evaluate", folder, "--aligner", "biotite")
    assert "not TM-align's" in result.stdout
    assert run("evaluate", folder, "--aligner", "dali").exit_code == 2


def test_novelty_names_the_nearest_of_a_folder(run, folder):
    found = evaluate(run, folder, "--novelty", folder, "--novelty-designs", 2)
    first, second, third = found["designs"]
    assert first["novelty"] == {"tm": 1.0, "nearest": "a"}
    assert second["novelty"]["tm"] == 1.0
    assert "novelty" not in third
    assert "first 2 of 3" in found["notes"][0]
    assert found["novelty"]["structures"] == 3
    assert found["summary"]["largest_known_tm"] == 1.0
    assert run("evaluate", folder, "--novelty", folder / "nowhere").exit_code == 2


def test_csv_and_json_tell_the_same(run, folder, tmp_path):
    path = tmp_path / "table.csv"
    found = evaluate(run, folder, "--csv", path)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for design, row in zip(found["designs"], rows, strict=True):
        assert row["file"] == design["file"]
        assert row["failed"].split(";") == design["failed"]
        assert row["bands_outside"].split(";") == design["bands"]["outside"]
        for name in ("length", "rg", "ramachandran", "n_ca_sd", "cluster"):
            assert float(row[name]) == design[name], name
        assert (row["contact_order"] == "") == (design["contact_order"] is None)
    before = path.read_text()
    for place, message in ((tmp_path, "is a folder"), (path / "x.csv", "is a file")):
        result = run("evaluate", folder, "--csv", place, "--overwrite")
        assert (result.exit_code, result.stdout) == (2, "")  # before anything is measured
        assert message in result.stderr
    refused = run("evaluate", folder, "--csv", path)
    assert refused.exit_code == 2
    assert "--overwrite" in refused.stderr
    assert path.read_text() == before
    assert run("evaluate", folder, "--csv", path, "--overwrite", "--quiet").exit_code == 0
    assert path.read_text() == before


@pytest.mark.parametrize("how", ["print_evaluation", "to_json"])
def test_the_table_is_there_whoever_stops_reading(run, folder, tmp_path, monkeypatch, how):
    def leave(_):
        raise OSError("nobody reads")  # as a closed pipe, which would end this process's output too

    monkeypatch.setattr(f"protdiff.cli.evaluation_output.{how}", leave)
    path = tmp_path / "table.csv"
    run("evaluate", folder, "--csv", path, *(["--json"] if how == "to_json" else []))
    assert len(path.read_text().splitlines()) == 4


@pytest.mark.parametrize(
    ("conditions", "code"),
    [
        (["passing<0.9"], 3),
        (["passing<=0"], 3),
        (["passing<0"], 0),
        (["links<0.9", "designs<3"], 0),
        (["links<0.9", "designs<=3"], 3),
        (["clusters_per_design<0.9"], 3),
        (["rg_in_native_band<0.5"], 3),
        (["largest_pairwise_tm>0.99"], 3),
        (["pasing<0.9"], 2),
        (["passing"], 2),
        (["largest_known_tm>0.9"], 2),
        (["designable<0.5"], 2),
    ],
)
def test_conditions_decide_the_exit_code(run, folder, conditions, code):
    arguments = [word for text in conditions for word in ("--fail-on", text)]
    result = run("evaluate", folder, "--quiet", *arguments)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert ("condition met" in result.stderr) == (code == 3)
    if conditions == ["pasing<0.9"]:
        assert "did you mean 'passing'" in result.stderr
    if conditions == ["largest_known_tm>0.9"]:
        assert "--novelty" in result.stderr


def test_one_bad_file_is_put_aside_and_fails_the_command(run, folder):
    (folder / "bad.pdb").write_text("ATOM, but not of a structure\n")
    result = run("evaluate", folder, "--json")
    assert result.exit_code == 2
    found = json.loads(result.stdout)
    assert len(found["designs"]) == 3
    assert found["unreadable"][0]["file"].endswith("bad.pdb")
    assert "1 of 4 files" in result.stderr
    assert "Traceback" not in result.stderr


def test_odd_structures_are_measured_or_refused_in_a_line(run, folder):
    rng = np.random.default_rng(0)
    helix = build_backbone(np.full(40, -57.0), -47.0)
    torn = helix.copy()
    torn[20:] += 60.0
    odd = {
        "one": helix[:1],
        "two": helix[:2],
        "five": helix[:5],
        "heap": np.zeros((30, 4, 3)),
        "cloud": 3.0 * rng.normal(size=(60, 4, 3)),
        "torn": torn,
    }
    for name, x in odd.items():
        write_backbone(folder / f"{name}.pdb", Backbone.from_coordinates(x))
    complex = Backbone.from_coordinates(torn, chain_id=["A"] * 20 + ["B"] * 20)
    write_backbone(folder / "complex.pdb", complex)
    text = (folder / "a.pdb").read_text()
    (folder / "nan.pdb").write_text(text.replace(text[30:38], "     nan", 1))
    result = run("evaluate", folder, "--json", "--novelty", folder, "--aligner", "biotite")
    assert result.exit_code == 2  # for the file with a coordinate that is not a number
    assert "Traceback" not in result.output
    assert "internal error" not in result.output
    found = json.loads(result.stdout)
    assert len(found["designs"]) == 10
    by_name = {Path(design["file"]).stem: design for design in found["designs"]}
    assert "novelty" not in by_name["two"]
    assert any("nan.pdb" in note for note in found["notes"])
    assert by_name["torn"]["failed"][0] == "broken"
    assert "broken" not in by_name["complex"]["failed"]


def test_names_that_look_like_markup_are_printed_as_they_are(run, folder):
    (folder / "a.pdb").rename(folder / "[red]a[bold].pdb")
    result = run("evaluate", folder)
    assert result.exit_code == 0, result.output
    assert "[red]a[bold].pdb" in result.stdout
    assert "\x1b" not in result.stdout


def test_likelihood_is_added_or_its_absence_explained(run, tiny_weights, folder):
    short = Backbone.from_coordinates(build_backbone(np.full(20, -57.0), -47.0))
    write_backbone(folder / "short.pdb", short)
    (folder / "b.pdb").unlink()
    (folder / "c.pdb").unlink()
    found = evaluate(run, folder, "--likelihood", "--weights", tiny_weights, "--device", "cpu")
    long, short = found["designs"]
    assert long["likelihood"]["nats_per_residue"] == found["summary"]["nats_per_residue"]
    assert "30 to 512" in short["likelihood"]["problem"]
    assert found["likelihood"]["weights"] == "tiny"
    assert run("evaluate", folder, "--likelihood", "--weights", "nowhere").exit_code == 2


def test_a_model_that_cannot_be_is_refused_before_anything_is_measured(
    run, tiny_weights, folder, monkeypatch
):
    measure = "protdiff.cli.evaluation_steps.measure_all"
    monkeypatch.setattr(measure, lambda *_, **__: pytest.fail("it was measured"))
    arguments = ("evaluate", folder, "--likelihood", "--weights", tiny_weights)
    result = run(*arguments, "--device", "abacus")
    assert result.exit_code == 2
    assert "abacus" in result.stderr


def test_absent_programs_are_skipped_with_a_word(run, folder, programs, monkeypatch):
    monkeypatch.setattr(
        "protdiff.evaluation.external.ESMFold.is_installed", staticmethod(lambda: False)
    )
    result = run("evaluate", folder, "--refold", "--foldseek", folder, "--no-diversity")
    assert result.exit_code == 0, result.output
    for name in ("ProteinMPNN", "LigandMPNN", "Foldseek"):
        assert f"{name}: not found on PATH; skipped" in result.stderr
    assert "structure prediction: none of esm-fold" in result.stderr
    assert run("evaluate", folder, "--mpnn-command", "nowhere").exit_code == 2
    assert run("evaluate", folder, "--fold-command", "true {fasta}").exit_code == 2


def test_designs_are_refolded_with_what_is_on_path(run, folder, programs):
    programs("protein_mpnn_run.py", "PROTEIN_MPNN")
    programs("myfold", "FOLDER")
    programs("foldseek", "FOLDSEEK")
    found = evaluate(
        *(run, folder, "--fold-command", "myfold {fasta} {out}", "--num-sequences", 2),
        *("--foldseek", folder, "--fail-on", "designable<1", "--no-diversity"),
    )
    for design in found["designs"]:
        assert design["self_consistency"]["sc_rmsd"] < 1.0
        assert design["self_consistency"]["sc_tm"] > 0.5
        assert len(design["self_consistency"]["sequences"]) == 2
        assert design["foldseek"]["nearest"] == "2xyz_B"
    assert found["summary"]["designable"] == 1.0
    assert found["self_consistency"]["sequences_by"] == "ProteinMPNN"
    assert found["self_consistency"]["structures_by"] == "myfold"


def test_designs_are_compared_with_predictions_that_were_made_elsewhere(run, folder, tmp_path):
    helix = build_backbone(np.full(40, -57.0), -47.0)
    names = sorted(path.stem for path in folder.glob("*.pdb"))
    there = tmp_path / "there"
    there.mkdir()
    for name in names[:2]:
        fold = Backbone.from_coordinates(helix[..., [2, 0, 1]])
        write_backbone(there / f"{name}_3_model_0.pdb", fold)
    found = evaluate(
        run, folder, "--predictions", there, "--fail-on", "sc_rmsd>2", "--no-diversity"
    )
    known = [one for one in found["designs"] if one["self_consistency"]["sc_rmsd"] is not None]
    assert len(known) == 2
    assert found["summary"]["designable"] == pytest.approx(2 / len(names), abs=1e-4)
    assert found["self_consistency"]["structures_by"] == str(there)
    result = run("evaluate", folder, "--predictions", there, "--no-diversity")
    assert "has no prediction for it" in result.stderr
    assert "sequences by others" in result.stdout
    for options, message in (
        (("--predictions", there, "--refold"), "--predictions has been folded already"),
        (("--predictions", folder.parent / "none"), "there is no file or folder"),
        (("--novelty-designs", 1), "--novelty-designs goes with --novelty REFERENCE"),
        (("--fail-on", "sc_rmsd>2"), "--predictions, or --refold"),
    ):
        result = run("evaluate", folder, *options)
        assert result.exit_code == 2
        assert message in result.stderr


def test_a_mirrored_design_goes_out_as_its_mirror_image(run, programs, tmp_path):
    # Programs know L-proteins only; and the fake folder gives back what the designer was shown.
    programs("protein_mpnn_run.py", "PROTEIN_MPNN")
    programs("myfold", "FOLDER")
    mirrored = build_backbone(np.full(40, -57.0), -47.0) * [-1, 1, 1]
    path = tmp_path / "d.pdb"
    write_backbone(path, Backbone.from_coordinates(mirrored))
    found = evaluate(
        *(run, path, "--fold-command", "myfold {fasta} {out}", "--num-sequences", 1),
        *("--handedness", "D"),
    )
    (design,) = found["designs"]
    assert design["self_consistency"]["sc_rmsd"] < 1.0
    (shown,) = (tmp_path / "store").glob("*.pdb")
    assert evaluate(run, shown)["designs"][0]["helix_right"] == 1.0


def test_the_motif_of_a_scaffold_is_compared_with_its_predictions(run, folder, programs, tmp_path):
    programs("protein_mpnn_run.py", "PROTEIN_MPNN")
    programs("myfold", "FOLDER")
    # Redesignable residues, and those of no known amino acid, count to the geometry.
    names = np.full(40, "GLY")
    names[[4, 5, 6]] = ["MSE", "SEP", "UNK"]
    helix = Backbone.from_coordinates(build_backbone(np.full(40, -57.0), -47.0), residue_name=names)
    write_backbone(folder / "design_0000.pdb", helix)
    motif_map = [{"from": f"A{k}", "to": k} for k in (5, 6, 7, 20)]
    line = {"index": 0, "file": "design_0000.pdb", "motif_map": motif_map, "redesignable": [20]}
    (folder / "manifest.jsonl").write_text(json.dumps(line) + "\n")
    files = folder / "design_0000.pdb", folder / "b.pdb"
    refold = ("--fold-command", "myfold {fasta} {out}", "--num-sequences", 2)
    found = evaluate(run, folder, *refold, "--csv", tmp_path / "a.csv")
    (design,) = found["designs"]
    told = design["self_consistency"]
    # Noise of .3 Å a coordinate, less what the superposition takes of twelve atoms.
    assert 0.2 < told["sc_motif_rmsd"] < 0.9
    best = min(told["sequences"], key=lambda one: one["rmsd"])
    assert told["sc_motif_rmsd"] == best["motif_rmsd"]
    assert all(one["sequence"][4:6] == "MS" for one in told["sequences"])
    assert told["scaffold_success"] is True
    assert found["summary"]["scaffold_success"] == 1.0
    assert found["summary"]["sc_motif_rmsd"] == told["sc_motif_rmsd"]
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert float(row["self_consistency_sc_motif_rmsd"]) == told["sc_motif_rmsd"]
    asked = ("--fail-on", "scaffold_success<1")
    result = run("evaluate", folder, *refold, *asked)
    assert result.exit_code == 0, result.output
    assert "its motif" in result.stdout
    assert "scaffold_success: scRMSD < 2 Å and motif RMSD < 1 Å in one prediction" in result.stdout
    (folder / "manifest.jsonl").unlink()
    result = run("evaluate", *files, *refold)
    assert "motif" not in result.stdout


def test_a_program_that_fails_leaves_the_rest_and_exits_with_1(run, folder, programs):
    programs("protein_mpnn_run.py", "import sys; sys.exit('no weights')")
    result = run("evaluate", folder, "--refold", "--json", "--no-diversity")
    assert result.exit_code == 1
    assert "ProteinMPNN failed with exit code 1: no weights" in result.stderr
    assert len(json.loads(result.stdout)["designs"]) == 3
    (folder / "bad.pdb").write_text("ATOM, but not of a structure\n")
    result = run("evaluate", folder, "--refold", "--no-diversity")
    assert result.exit_code == 2
    assert "1 of 4 files could not be read" in result.stderr
    assert "ProteinMPNN failed with exit code 1: no weights" in result.stderr


def test_the_residues_of_a_motif_are_kept(run, folder, programs):
    # As scaffold leaves it: a manifest that says which residues came from the motif.
    programs("protein_mpnn_run.py", "PROTEIN_MPNN")
    names = np.full(40, "GLY")
    names[[4, 5]] = "TRP"
    helix = build_backbone(np.full(40, -57.0), -47.0)
    file = "design_0000.pdb"
    write_backbone(folder / file, Backbone.from_coordinates(helix, residue_name=names))
    motif_map = [{"from": "A163", "to": 5}, {"from": "A164", "to": 6}]
    line = {"index": 0, "file": file, "handedness": "L", "motif_map": motif_map}
    (folder / "manifest.jsonl").write_text(json.dumps(line) + "\n")
    found = evaluate(run, folder, "--refold", "--num-sequences", 3)
    (design,) = found["designs"]
    for one in design["self_consistency"]["sequences"]:
        assert one["sequence"][4:6] == "WW"
        assert one["sequence"].count("W") == 2
    (folder / "manifest.jsonl").write_text(json.dumps(line | {"redesignable": [6]}) + "\n")
    found = evaluate(run, folder, "--refold", "--num-sequences", 1)
    (one,) = found["designs"][0]["self_consistency"]["sequences"]
    assert (one["sequence"][4], one["sequence"].count("W")) == ("W", 1)
    (folder / "manifest.jsonl").write_text(json.dumps(line | {"motif_map": [{"to": 5}]}) + "\n")
    found = evaluate(run, folder, "--refold", "--num-sequences", 1)
    (note,) = (note for note in found["notes"] if "motif_map" in note)
    assert note.startswith("self-consistency: no residue of design_0000.pdb is kept: ")
    assert str(folder / "manifest.jsonl") in note
    (one,) = found["designs"][0]["self_consistency"]["sequences"]
    assert "WW" not in one["sequence"]


def test_novelty_against_a_prepared_file(run, folder, tmp_path):
    from protdiff.structure import find_structure_files
    from protdiff.training.prepare import prepare_dataset

    known = tmp_path / "known.safetensors"
    settings = {"min_length": 5, "compact": False, "held_out_fraction": 0.0, "workers": 1}
    kept = prepare_dataset(find_structure_files(folder), known, **settings)
    found = evaluate(run, folder, "--novelty", known)
    by_files = evaluate(run, folder, "--novelty", folder)
    assert found["novelty"]["structures"] == kept.kept <= by_files["novelty"]["structures"]
    for one, other in zip(found["designs"], by_files["designs"], strict=True):
        assert one["novelty"]["tm"] == pytest.approx(other["novelty"]["tm"], abs=1e-3)
    (tmp_path / "damaged.safetensors").write_bytes(known.read_bytes()[:200])
    result = run("evaluate", folder, "--novelty", tmp_path / "damaged.safetensors")
    assert result.exit_code == 2
    assert "damaged.safetensors" in result.stderr

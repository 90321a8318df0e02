"""Conditions on the command line: options become conditioners, and mistakes one line."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from protdiff.structure import Backbone, read_backbone, superimpose, write_backbone

MODULE = """
from protdiff.conditioning import Conditioner

def far(x):
    return (x[:, 0, 1] - x[:, -1, 1]).norm(dim=-1) / 10

class Silent(Conditioner):
    def describe(self):
        return {"kind": "silent"}
"""


@pytest.fixture
def generate(run, tiny_weights, tmp_path, monkeypatch):
    """Return a function that generates with the tiny weights into ``tmp_path/out``."""
    (tmp_path / "own.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    common = ("--weights", tiny_weights, "--steps", 3, "--step-scale", 1, "--num", 1)
    return lambda *more: run("generate", *common, "--out", tmp_path / "out", *more)


def read_settings(tmp_path):
    return json.loads((tmp_path / "out" / "run.json").read_text())


def test_symmetry(generate, tmp_path):
    result = generate("--length", 16, "--symmetry", "d2")
    assert result.exit_code == 0, result.output
    design = read_backbone(tmp_path / "out" / "design_0000.pdb")
    assert len(design) == 64
    assert design.chains == ("A", "B", "C", "D")
    settings = read_settings(tmp_path)
    assert settings["length"] == 16
    assert settings["conditioners"] == [{"kind": "symmetry", "group": "D2"}]
    again = generate("--length", 16, "--symmetry", "D2", "--num", 2, "--json")
    assert [record["length"] for record in json.loads(again.stdout)] == [64, 64]


def test_partial_diffusion(generate, helix_file, tmp_path):
    result = generate("--from", helix_file, "--noise", 0.3)
    assert result.exit_code == 0, result.output
    assert "from start (Å)" in result.stdout
    (line,) = (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()
    design, start = read_backbone(tmp_path / "out" / "design_0000.pdb"), read_backbone(helix_file)
    moved = superimpose(design.coordinates[:, :3], start.coordinates[:, :3]).rmsd
    assert json.loads(line)["rmsd_to_start"] == pytest.approx(moved, abs=2e-3)
    (asked,) = read_settings(tmp_path)["conditioners"]
    assert (asked["start"], asked["noise"]) == ("helix", 0.3)


def test_one_s_own_potential_and_conditioner(generate, tmp_path):
    options = ("--length", 40, "--potential", "own:far", "--conditioner", "own:Silent")
    result = generate(*options)
    assert result.exit_code == 0, result.output
    potential, silent = read_settings(tmp_path)["conditioners"]
    assert potential["function"] == "own:far"
    assert silent == {"kind": "silent"}


def test_a_size_and_contacts_in_a_ring(generate, tmp_path):
    options = ("--length", 16, "--symmetry", "C3", "--rg", "x1.1", "--contacts", "A5-B9")
    assert generate(*options).exit_code == 0
    asked = [one["kind"] for one in read_settings(tmp_path)["conditioners"]]
    assert asked == ["symmetry", "radius-of-gyration", "contacts"]


def test_without_conditions_nothing_is_said_of_them(generate, tmp_path):
    assert generate("--length", 40).exit_code == 0
    assert "conditioners" not in read_settings(tmp_path)
    assert read_settings(tmp_path)["length"] == 40


def test_a_file_of_options(generate, helix_file, tmp_path):
    config = tmp_path / "options.toml"
    config.write_text(f'[generate]\nfrom = "{helix_file}"\nnoise = 0.5\npotential = ["own:far"]\n')
    plan = json.loads(generate("--config", config, "--dry-run", "--json").stdout)
    assert plan["lengths"] == [40]
    assert [one["kind"] for one in plan["conditioners"]] == ["partial diffusion", "potential"]


def test_scaffolds_take_what_makes_sense_for_them(
    run, generate, tiny_weights, helix_file, tmp_path
):
    contig = ("--contig", "10-20/A5-14/10-20", "--total-length", 40, "--num", 1)
    common = ("--weights", tiny_weights, "--steps", 2, "--step-scale", 1, "--out", tmp_path / "s")
    result = run("scaffold", helix_file, *contig, *common, "--potential", "own:far")
    assert result.exit_code == 0, result.output
    settings = json.loads((tmp_path / "s" / "run.json").read_text())
    assert [one["kind"] for one in settings["conditioners"]] == ["potential"]
    line = json.loads((tmp_path / "s" / "manifest.jsonl").read_text())
    assert line["motif_rmsd"] < 0.01
    assert np.isfinite(line["potential own:far"])


def test_a_ring_of_scaffolds(run, tiny_weights, helix_file, tmp_path):
    contig = ("--contig", "5-10/A5-14/5-10", "--length", 24, "--symmetry", "C3", "--num", 1)
    common = ("--weights", tiny_weights, "--steps", 2, "--step-scale", 1, "--out", tmp_path / "s")
    plan = json.loads(run("scaffold", helix_file, *contig, *common, "--dry-run", "--json").stdout)
    assert plan["lengths"] == [72]
    result = run("scaffold", helix_file, *contig, *common)
    assert result.exit_code == 0, result.output
    design = read_backbone(tmp_path / "s" / "design_0000.pdb")
    assert design.chains == ("A", "B", "C")
    assert len(design) == 72
    line = json.loads((tmp_path / "s" / "manifest.jsonl").read_text())
    assert [pair["from"] for pair in line["motif_map"]] == [f"A{n}" for n in range(5, 15)] * 3
    assert line["motif_rmsd"] < 0.01


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--contig", "10/A5-14/20", "--symmetry", "C1"], "there is no symmetry 'C1'"),
        (["--contig", "10/A5-14/20", "--symmetry", "C20"], "800 residues are asked for"),
        (["--contig", "10/A5-14/0 20", "--symmetry", "C2"], "without a break"),
        (["--unindexed", "A5-14", "--length", "40", "--symmetry", "C2"], "give the places"),
        (
            ["--contig", "10/A5-14/20", "--symmetry", "C2", "--method", "twisted-smc"],
            "choose another method",
        ),
    ],
)
def test_what_is_no_ring_of_scaffolds_is_one_line(
    run, tiny_weights, helix_file, tmp_path, options, message
):
    result = run(
        "scaffold", helix_file, *options, "--weights", tiny_weights, "--out", tmp_path / "s"
    )
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert message in line
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--symmetry", "C1"], "there is no symmetry 'C1'"),
        (["--symmetry", "icosahedral"], "there is no symmetry"),
        (["--symmetry", "C6", "--length", "100"], "designs of 600 residues are asked for"),
        (["--from", "nowhere.pdb"], "nowhere.pdb"),
        (["--noise", "0.4"], "there is none"),
        (["--from", "HELIX", "--noise", "1.5"], "above 0, up to 1"),
        (["--from", "HELIX", "--length", "60"], "has 40 residues, and designs of 60"),
        (["--from", "HELIX", "--symmetry", "C2"], "C2 has 2 equal chains"),
        (["--rg", "large"], "no radius of gyration"),
        (["--rg", "60", "--length", "40"], "cannot have a radius of gyration of 60"),
        (["--contacts", "12"], "12"),
        (["--contacts", "12-90", "--length", "40"], "90"),
        (["--contacts", "A5-B9", "--length", "40"], "no chain B; it has A"),
        (["--contacts", "A5-C9", "--length", "20", "--symmetry", "C2"], "no chain C; it has A, B"),
        (["--contacts", "A5-B25", "--length", "20-30", "--symmetry", "C2"], "no residue B25"),
        (["--contacts", "A5-B9", "--from", "HELIX"], "no chain B; it has A"),
        (["--symmetry", "C2", "--length", "20", "--from", "HELIX"], "this design has others"),
        (["--potential", "own:nothing"], "no potential 'own:nothing'"),
        (["--potential", "own:Silent"], "potential own:Silent"),
        (["--conditioner", "own:far"], "is no conditioner"),
        (["--conditioner", "own:none"], "there is no conditioner 'own:none'"),
    ],
)
@pytest.mark.parametrize("dry", [True, False])
def test_mistakes_are_one_line_before_anything_is_made(
    generate, helix_file, tmp_path, options, message, dry
):
    options = [str(helix_file) if option == "HELIX" else option for option in options]
    result = generate(*options, *["--dry-run"] * dry)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("protdiff: error: ")
    assert message in line
    assert not (tmp_path / "out").exists()


def test_chains_that_pdb_cannot_name_go_to_mmcif(generate, helix_file, tmp_path):
    helix, start = read_backbone(helix_file), tmp_path / "many.cif"
    names = np.full(len(helix), "AA")
    write_backbone(start, Backbone.from_coordinates(helix.coordinates, chain_id=names))
    for dry in (["--dry-run"], []):
        result = generate("--from", start, *dry)
        assert result.exit_code == 2
        assert "the chain id AA" in result.stderr
        assert not (tmp_path / "out").exists()
    result = generate("--from", start, "--format", "cif")
    assert result.exit_code == 0, result.output
    assert read_backbone(tmp_path / "out" / "design_0000.cif").chains == ("AA",)


def test_a_chain_that_a_scaffold_has_not_is_refused(run, tiny_weights, helix_file, tmp_path):
    common = ("--weights", tiny_weights, "--steps", 2, "--step-scale", 1, "--out", tmp_path / "s")
    contig = ("--contig", "10-20/A5-14/0 10-30", "--num", 1)
    refused = {
        "A5-C9": "no chain C; it has A, B",
        "A5-B11": "no residue B11; chain B has 10 residues",
    }
    for contacts, message in refused.items():
        result = run("scaffold", helix_file, *contig, *common, "--contacts", contacts)
        assert result.exit_code == 2
        assert message in result.stderr
        assert not (tmp_path / "s").exists()
    result = run("scaffold", helix_file, *contig, *common, "--contacts", "A5-B9")
    assert result.exit_code == 0, result.output


def test_a_name_that_no_residue_has_is_refused_before_the_weights_are_loaded(
    run, tiny_weights, helix_file, monkeypatch
):
    monkeypatch.setattr("protdiff.design.loading.load", lambda *_, **__: pytest.fail("loaded"))
    options = ("--contig", "10/A1-16/10", "--residue-name", "GLYCINE", "--weights", tiny_weights)
    result = run("scaffold", helix_file, *options)
    assert result.exit_code == 2
    assert "residue name is 'GLYCINE'" in result.stderr


def test_a_wrong_symmetry_needs_no_torch():
    code = (
        "import sys\n"
        "from protdiff.design.conditions import ConditionOptions\n"
        "try:\n    ConditionOptions(symmetry='C0')\n"
        "except Exception as error:\n    print(error, 'torch' in sys.modules)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip().endswith("False")


def test_a_shape_and_a_partner(generate, helix_file, tmp_path):
    np.save(tmp_path / "ball.npy", np.random.default_rng(0).normal(size=(200, 3)))
    options = ("--shape", tmp_path / "ball.npy", "--target", helix_file, "--hotspots", "A5,A9")
    result = generate("--length", 40, *options)
    assert result.exit_code == 0, result.output
    asked = [one["kind"] for one in read_settings(tmp_path)["conditioners"]]
    assert asked == ["shape", "partner"]
    (line,) = (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()
    told = json.loads(line)
    assert "hot spots" in result.stdout
    # The design is written in the frame of its partner, and what is told of it is true there.
    design = read_backbone(tmp_path / "out" / "design_0000.pdb").coordinates.reshape(-1, 1, 3)
    partner = read_backbone(helix_file).coordinates.reshape(-1, 3)
    gap = np.linalg.norm(design - partner, axis=-1).min()
    assert told["quality"]["partner_gap"] == pytest.approx(gap, abs=0.02)
    assert 0 <= told["hotspots_touched"] <= 1


def test_a_partner_needs_its_hot_spots_and_no_motif(generate, run, helix_file, tmp_path):
    for options in (("--target", helix_file), ("--hotspots", "A5")):
        result = generate("--length", 40, *options)
        assert result.exit_code == 2
        assert "go together" in result.stderr
    result = generate("--length", 40, "--target", helix_file, "--hotspots", "B5")
    assert result.exit_code == 2
    assert not (tmp_path / "out").exists()


@pytest.fixture
def scaffold(run, tiny_weights, pair_file, tmp_path):
    """Return a function that scaffolds B5-14 of two helices into ``tmp_path/s``."""
    common = ("--weights", tiny_weights, "--steps", 3, "--step-scale", 1, "--num", 1)
    return lambda *more: run("scaffold", pair_file, *common, "--out", tmp_path / "s", *more)


@pytest.fixture
def pair_file(helix_file, tmp_path):
    """Return a PDB file of two helices of 40 residues, A and B, 10 Å apart."""
    helix = read_backbone(helix_file).coordinates
    across = np.linalg.svd(helix[:, 1] - helix[:, 1].mean(axis=0))[2][2]
    pair = np.concatenate([helix, helix + 10.0 * across])
    chains = np.repeat(["A", "B"], 40)
    write_backbone(tmp_path / "pair.pdb", Backbone.from_coordinates(pair, chain_id=chains))
    return tmp_path / "pair.pdb"


def test_scaffolds_beside_a_target_and_from_a_structure(scaffold, pair_file, helix_file, tmp_path):
    # With --from the contig has one layout, and the hot spots are the target's.
    options = ("--contig", "10/B45-54/20", "--target", f"{pair_file}:A", "--hotspots", "A5")
    result = scaffold(*options, "--from", helix_file, "--noise", 0.3)
    assert result.exit_code == 0, result.output
    settings = json.loads((tmp_path / "s" / "run.json").read_text())
    assert [one["kind"] for one in settings["conditioners"]] == ["partial diffusion", "partner"]
    line = json.loads((tmp_path / "s" / "manifest.jsonl").read_text())
    assert line["motif_rmsd"] < 0.01
    # Motif and target stand where they stood, so that the files load as the complex.
    design = read_backbone(tmp_path / "s" / "design_0000.pdb").coordinates
    complex_ = read_backbone(pair_file)
    assert np.abs(design[10:20, :3] - complex_.coordinates[44:54, :3]).max() < 0.02
    others = complex_.coordinates[:40].reshape(-1, 3)
    gap = np.linalg.norm(design.reshape(-1, 1, 3) - others, axis=-1).min()
    assert line["quality"]["partner_gap"] == pytest.approx(gap, abs=0.02)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--contig", "10/B45-54/20", "--target", "PAIR"), "stand in one place"),
        (("--contig", "10/B45-54/20", "--target", "PAIR:C"), "has no protein chain C"),
        (("--contig", "10/B45-54/20", "--hotspots", "A5"), "go together"),
        (("--contig", "10/B45-54/20", "--noise", "0.3"), "there is none"),
        (("--contig", "10/B45-54/30", "--from", "HELIX"), "has 40 residues, .* has 50"),
        (("--contig", "10-15/B45-54/20", "--from", "HELIX"), "allows several, of 40 to 45"),
        (("--unindexed", "B45-54", "--length", "40", "--target", "PAIR:A"), "give a contig"),
    ],
)
@pytest.mark.parametrize("dry", [True, False])
def test_mistakes_beside_a_motif_are_one_line(
    scaffold, pair_file, helix_file, tmp_path, options, message, dry
):
    files = {"PAIR": str(pair_file), "HELIX": str(helix_file)}
    filled = [re.sub("PAIR|HELIX", lambda found: files[found[0]], option) for option in options]
    result = scaffold(*filled, *["--dry-run"] * dry)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("protdiff: error: ")
    assert re.search(message, line)
    assert not (tmp_path / "s").exists()

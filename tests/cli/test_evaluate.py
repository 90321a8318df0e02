import json


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


def test_nothing_to_measure_is_an_error(run, tmp_path):
    assert run("evaluate", tmp_path).exit_code == 2
    (tmp_path / "manifest.jsonl").write_text("")
    assert "names no structure" in run("evaluate", tmp_path).stderr
    assert run("evaluate", tmp_path / "nowhere").exit_code == 2

import json


def test_a_contig_is_explained(run, helix_file):
    result = run("contig", "5-10/A3-12/5-10", helix_file, "--total-length", 25, "--num", 2)
    assert result.exit_code == 0, result.output
    assert "10 found" in result.stdout
    assert "total length: 20 to 30 residues" in result.stdout
    assert result.stdout.count("(25 residues)") == 2


def test_json_holds_segments_and_layouts(run):
    result = run("contig", "5/A3-12/5", "--json")
    facts = json.loads(result.stdout)
    assert [segment["kind"] for segment in facts["segments"]] == ["designed", "motif", "designed"]
    assert facts["layouts"][0] == {"length": 20, "contig": "5/A3-12/5"}


def test_layouts_are_those_that_scaffold_draws(run, helix_file):
    from protdiff.design import Scaffolding
    from protdiff.structure import parse_contig, read_backbone

    result = run("contig", "10-40/A3-12/10-40", helix_file, "--json", "--seed", 4)
    drawn = [layout["contig"] for layout in json.loads(result.stdout)["layouts"]]
    task = Scaffolding(read_backbone(helix_file), parse_contig("10-40/A3-12/10-40"), seed=4)
    assert drawn == [str(task.plan(index).motif.layout) for index in range(3)]


def test_missing_residues_are_listed_and_fail(run, helix_file):
    result = run("contig", "5/A38-45/5", helix_file)
    assert result.exit_code == 2
    assert "no residue A45" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_contig_that_cannot_be_read_says_where(run):
    result = run("contig", "5/A3-/5")
    assert result.exit_code == 2
    assert "character" in result.stderr


def test_the_structure_may_be_an_option(run, helix_file):
    by_option = run("contig", "5-10/A3-12/5-10", "--pdb", helix_file)
    assert by_option.exit_code == 0, by_option.output
    assert by_option.stdout == run("contig", "5-10/A3-12/5-10", helix_file).stdout


def test_several_structures_are_told_by_name(run, helix_file, tmp_path):
    other = tmp_path / "other.pdb"
    other.write_bytes(helix_file.read_bytes())
    result = run("contig", "5/helix.A3-12/5/other.A1-4/5", helix_file, other, "--json")
    facts = json.loads(result.stdout)
    assert [segment["found"] for segment in facts["segments"]] == [None, 10, None, 4, None]


def test_a_header_is_a_contig(run, helix_file, tiny_weights, tmp_path):
    problem = tmp_path / "problem.pdb"
    header = (
        "REMARK 999 INPUT      5  20\nREMARK 999 INPUT  A   2   9 A\n"
        "REMARK 999 INPUT     10  25\nREMARK 999 INPUT  A  12  15 B\n"
        "REMARK 999 MINIMUM TOTAL LENGTH      40\nREMARK 999 MAXIMUM TOTAL LENGTH      44\n"
    )
    problem.write_text(header + helix_file.read_text())
    result = run("scaffold", problem, "--dry-run", "--json", "--weights", tiny_weights, "--num", 9)
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["contig"] == "5-20/A2-9#A/10-25/A12-15#B"
    assert set(facts["lengths"]) <= set(range(40, 45))
    assert run("scaffold", helix_file, "--dry-run").exit_code == 2


def test_unindexed_motifs_need_a_length(run, helix_file, tiny_weights):
    fixed = ("scaffold", helix_file, "--unindexed", "A3-8,A20-23", "--weights", tiny_weights)
    result = run(*fixed, "--length", 40, "--dry-run", "--json", "--num", 2)
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["lengths"] == [40, 40]
    assert facts["unindexed"] == "A3-8,A20-23"
    for wrong in ((), ("--length", 40, "--contig", "10/A3-8/20")):
        refused = run(*fixed, *wrong, "--dry-run")
        assert refused.exit_code == 2
        assert "--unindexed goes with --length" in refused.stderr

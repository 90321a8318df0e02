import json


def test_a_page_is_written_beside_what_it_shows(run, helix_file, tmp_path):
    out = tmp_path / "page.html"
    result = run("report", helix_file, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert (said["made"], said["shown"]) == (1, 1)
    assert said["bytes"] == out.stat().st_size


def test_an_empty_folder_is_one_line_and_exit_code_2(run, tmp_path):
    result = run("report", tmp_path)
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
    (tmp_path / "manifest.jsonl").write_text("")
    assert "names no structure" in run("report", tmp_path).stderr

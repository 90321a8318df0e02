import json

import pytest

COMMANDS = (
    "generate",
    "scaffold",
    "contig",
    "export",
    "evaluate",
    "likelihood",
    "fetch",
    "prepare",
    "train",
    "info",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(run, command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.stdout


def test_the_help_names_every_command(run):
    result = run("--help")
    assert all(command in result.stdout for command in COMMANDS)


def test_info_tells_versions_and_devices(run):
    facts = json.loads(run("info", "--json").stdout)
    assert "cpu" in facts["devices"]
    assert facts["packages"]["torch"]
    assert facts["protdiff"] in run("--version").stdout
    assert "torch" in run("info").stdout


def test_fetch_refuses_what_is_no_id(run, tmp_path):
    result = run("fetch", "../../etc/passwd", "--out", tmp_path)
    assert result.exit_code == 2
    assert "is no PDB id" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_fetch_says_where_the_files_are(run, tmp_path, monkeypatch, helix_file):
    from protdiff.structure import fetch

    monkeypatch.setattr(fetch, "_download", lambda entry, kind: helix_file.read_bytes())
    result = run("fetch", "1aki", "5TPN", "--format", "pdb", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [str(tmp_path / "1aki.pdb"), str(tmp_path / "5tpn.pdb")]


def test_prepare_reports_what_it_dropped(run, tmp_path, helix_file):
    out = tmp_path / "prepared.safetensors"
    result = run("prepare", helix_file, "--out", out, "--min-length", 20, "--all-shapes")
    assert result.exit_code == 0, result.output
    assert "1 chains kept of 1 files" in result.stdout
    assert out.is_file()
    refused = run("prepare", helix_file, "--out", out)
    assert refused.exit_code == 2
    assert "exists already" in refused.stderr
    empty = run("prepare", helix_file, "--out", tmp_path / "none.safetensors", "--min-length", 100)
    assert empty.exit_code == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot read"),
        ("lengths = [", "is no TOML file"),
        ('data = "a"\nout = "b"\nstesp = 3', "did you mean 'steps'"),
        ('data = "nowhere"\nout = "b"', "there is no prepared data nowhere"),
    ],
)
def test_train_refuses_bad_configurations(run, tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / "run.toml").write_text(text)
    result = run("train", "--config", tmp_path / "run.toml")
    assert result.exit_code == 2, result.output
    assert message in result.stderr

"""Options from a TOML file, the same for every command."""

import json

import pytest

from protdiff.design.samplers import FAST
from protdiff.design.settings import DEFAULT_STEPS


@pytest.fixture
def plan(run, tiny_weights, tmp_path, monkeypatch):
    """Return a function that plans a generation with a file of the given text."""
    monkeypatch.chdir(tmp_path)

    def plan(text, *arguments):
        (tmp_path / "c.toml").write_text(text)
        common = ("--config", "c.toml", "--weights", tiny_weights, "--dry-run", "--json")
        return run("generate", *common, *arguments)

    return plan


def test_the_command_line_wins_over_the_file_and_the_file_over_the_defaults(plan):
    text = "seed = 7\nstep_scale = 1.5\n[generate]\nlength = 50\nnum = 3\nexcluded-volume = false"
    found = json.loads(plan(text, "--num", 2).stdout)
    assert found["designs"] == 2
    assert found["lengths"] == [50, 50]
    assert (found["seed"], found["step_scale"], found["excluded_volume"]) == (7, 1.5, False)
    assert found["steps"] == DEFAULT_STEPS


def test_a_table_wins_over_the_top_and_tables_of_other_commands_are_theirs(plan):
    found = json.loads(plan("num = 3\n[generate]\nnum = 4\n[scaffold]\nmodel = 2").stdout)
    assert found["designs"] == 4


def test_a_name_that_means_the_opposite(plan):
    assert json.loads(plan("no-excluded-volume = true").stdout)["excluded_volume"] is False


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nun = 3", "did you mean 'num'?"),
        ("[generate]\nsedd = 1", "did you mean 'seed'?"),
        ("[genrate]\nseed = 1", "did you mean 'generate'?"),
        ("num = 'many'", "Invalid value for '--num'"),
        ("num = 0", "Invalid value for '--num'"),
        ("num = 3.5", "Invalid value for '--num'"),
        ("num = true", "expected one value"),
        ("num = [1, 2]", "expected one value"),
        ("trajectory = 'yes'", "expected true or false"),
        ("batch_size = 1\nbatch-size = 2", "one option"),
        ("handedness = 'R'", "Invalid value for '--handedness'"),
        ("sampler = 'hen'", "did you mean 'heun'?"),
        ('out = "a\\u0000b"', "can be printed"),
        ("config = 'd.toml'", "is no option"),
        ("num = ", "is no TOML file"),
        ("num = " + "9" * 5000, "is no TOML file"),
        ("num = " + "[" * 5000, "is no TOML file"),
    ],
)
def test_what_cannot_be_used_is_refused(plan, tmp_path, text, message):
    result = plan(text)
    assert result.exit_code == 2, result.output
    # typer's own frame breaks lines in this process; see test_process.py for the words users get.
    assert message in " ".join(result.stderr.replace("│", "").split())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.toml"]


def test_a_file_that_is_missing_or_no_text(run, tmp_path):
    (tmp_path / "c.toml").write_bytes(b"\xff\xfe\x00")
    for name in ("c.toml", "nowhere.toml", "."):
        assert run("info", "--config", tmp_path / name).exit_code == 2


def test_required_options_may_come_from_the_file(run, tmp_path, helix_file, tiny_weights):
    path = tmp_path / "c.toml"
    path.write_text(f"contig = '10/A1-20/10'\nnum = 2\nweights = '{tiny_weights}'")
    arguments = ("--config", path, "--dry-run", "--json", "--out", tmp_path / "out")
    result = run("scaffold", helix_file, *arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["lengths"] == [40, 40]


def test_training_keeps_a_file_of_its_own(run):
    assert "run's TOML file" in run("train", "--help").stdout


def test_verbose_says_where_values_come_from(run, tmp_path, helix_file):
    path = tmp_path / "c.toml"
    path.write_text("num = 1")
    arguments = ("5/A1-5", helix_file, "--config", path, "--seed", 2)
    told = run("contig", *arguments, "--verbose")
    assert told.exit_code == 0
    assert told.stdout == run("contig", *arguments).stdout
    assert "--num 1 (file)" in told.stderr
    assert "--seed 2 (command line)" in told.stderr
    assert "took" in told.stderr
    assert run("contig", *arguments, "--verbose", "--quiet").exit_code == 2
    assert run("contig", *arguments, "--quiet").stdout == ""


def test_fast_stands_below_the_file_and_the_command_line(plan):
    found = json.loads(plan("step_scale = 1.7", "--fast", "--steps", 20).stdout)
    assert (found["steps"], found["step_scale"], found["grid"]) == (20, 1.7, FAST["grid"])
    found = json.loads(plan("fast = true").stdout)
    assert {name: found[name] for name in FAST} == FAST
    assert json.loads(plan("fast = false").stdout)["steps"] == DEFAULT_STEPS


def test_verbose_tells_what_fast_chose_from_what_the_file_says(plan):
    told = plan("step_scale = 1.7", "--fast", "--verbose").stderr.splitlines()
    assert "protdiff: --step-scale 1.7 (file)" in told
    assert f"protdiff: --grid {FAST['grid']}" in told

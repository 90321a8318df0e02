"""A dry run checks all and writes nothing."""

import json

import pytest

from protdiff.cli.display import format_value


def list_files(folder):
    return sorted((str(path), path.stat().st_mtime_ns) for path in folder.rglob("*"))


@pytest.fixture
def generate(run, tiny_weights, tmp_path):
    """Return a function that generates into ``tmp_path/out``."""
    common = ("--weights", tiny_weights, "--steps", 2, "--length", "40-60", "--step-scale", 1)
    return lambda *more: run("generate", *common, "--out", tmp_path / "out", *more)


def test_a_plan_of_designs_is_what_is_then_made(generate, tmp_path):
    plan = json.loads(generate("--num", 3, "--dry-run", "--json").stdout)
    assert plan["dry_run"] is True
    assert list(tmp_path.iterdir()) == []
    made = json.loads(generate("--num", 2, "--json").stdout)
    assert [record["length"] for record in made] == plan["lengths"][:2]
    before = list_files(tmp_path)
    more = json.loads(generate("--num", 3, "--dry-run", "--json").stdout)
    assert (more["present"], more["to_make"], more["lengths"]) == (2, 1, plan["lengths"][2:])
    afresh = generate("--num", 3, "--dry-run", "--overwrite", "--json")
    assert json.loads(afresh.stdout)["to_make"] == 3
    assert "to make" in generate("--num", 3, "--dry-run").stdout
    assert generate("--num", 3, "--dry-run", "--quiet").stdout == ""
    assert list_files(tmp_path) == before


@pytest.mark.parametrize(
    "options",
    [("--seed", 1), ("--length", "600"), ("--device", "abacus"), ("--residue-name", "GLYCINE")],
)
def test_a_plan_refuses_what_a_run_would(generate, tmp_path, options):
    generate("--num", 1)
    before = list_files(tmp_path)
    planned, run = generate("--num", 1, *options, "--dry-run"), generate("--num", 1, *options)
    assert planned.exit_code == run.exit_code == 2
    assert planned.stderr.splitlines()[-1] == run.stderr.splitlines()[-1]
    assert list_files(tmp_path) == before


def test_a_plan_of_preparation(run, tmp_path, helix_file):
    arguments = ("prepare", helix_file, "--out", tmp_path / "p.safetensors", "--dry-run", "--json")
    plan = json.loads(run(*arguments).stdout)
    assert (plan["files"], plan["to_read"]) == (1, 1)
    assert list(tmp_path.iterdir()) == []


def test_a_plan_of_fetching_needs_no_network(run, tmp_path, monkeypatch):
    from protdiff.structure import fetch

    monkeypatch.setattr(fetch, "_download", lambda *_: pytest.fail("nothing may be downloaded"))
    (tmp_path / "1aki.bcif").touch()
    before = list_files(tmp_path)
    result = run("fetch", "1AKI", "5tpn", "--out", tmp_path, "--dry-run", "--json")
    plan = json.loads(result.stdout)
    assert plan["present"] == ["1aki"]
    assert plan["to_fetch"] == [str(tmp_path / "5tpn.bcif")]
    assert list_files(tmp_path) == before


def test_a_plan_of_training(run, tmp_path, helix_file):
    data = tmp_path / "p.safetensors"
    arguments = ("--min-length", 20, "--all-shapes", "--held-out", 0)
    assert run("prepare", helix_file, "--out", data, *arguments).exit_code == 0
    config = tmp_path / "run.toml"
    config.write_text(f'data = "{data}"\nout = "{tmp_path / "out"}"\nsteps = 5')
    before = list_files(tmp_path)
    result = run("train", "--config", config, "--dry-run", "--json")
    plan = json.loads(result.stdout)
    assert (plan["training_chains"], plan["held_out_chains"], plan["done_steps"]) == (1, 0, 0)
    assert plan["steps"] == 5
    assert list_files(tmp_path) == before
    # The file wins over the preset, an option over the file.
    preset = ("--preset", "cpu", "--config", config, "--minutes", 7, "--dry-run", "--json")
    # Relative folders of a preset are relative to the working directory.
    plan = json.loads(run("train", *preset, "--out", tmp_path / "x").stdout)
    assert (plan["steps"], plan["minutes"], plan["threads"]) == (5, 7.0, 2)
    assert list_files(tmp_path) == before


def test_values_on_one_line():
    assert format_value(list(range(100))).endswith("15, ... (100 in all)")
    assert format_value({"a": 1}) == "a 1"
    assert format_value(None) == "–"


@pytest.mark.parametrize(
    ("options", "weights"),
    [
        (("--length", "100"), "protdiff-base"),
        (("--length", "60-200"), "protdiff-long"),
        (("--length", "60", "--symmetry", "C3"), "protdiff-complex"),
        (("--length", "150", "--symmetry", "C2"), "protdiff-complex"),
        (("--length", "200", "--weights", "protdiff-base"), "protdiff-base"),
    ],
)
@pytest.mark.filterwarnings("ignore:designs of:UserWarning")
def test_weights_are_those_that_know_the_chains(run, tmp_path, options, weights):
    result = run("generate", *options, "--dry-run", "--json", "--out", tmp_path / "out")
    assert json.loads(result.stdout)["weights"] == weights


def test_weights_of_a_scaffold_are_those_that_know_its_length(run, helix_file, tmp_path):
    common = ("scaffold", helix_file, "--dry-run", "--json", "--out", tmp_path / "out", "--contig")
    short, long = (run(*common, contig) for contig in ("30/A5-14/30", "90/A5-14/90"))
    assert json.loads(short.stdout)["weights"] == "protdiff-base"
    assert json.loads(long.stdout)["weights"] == "protdiff-long"

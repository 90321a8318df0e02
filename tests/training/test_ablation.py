"""Variants are trained under one budget, once each, and what is there is not made again."""

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "ablation.py"
TABLE = """
[base]
lengths = [40, 64]
residues_per_batch = 200
threads = 1
network = {layers = 2, scalars = 16, vectors = 4, hidden = 16, heads = 2, head_width = 4, points = 2, pair_width = 4, noise_width = 8}
[variants.base]
[variants.adamw]
muon = false
"""  # noqa: E501


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPT.parent)  # where it finds other scripts
    spec = importlib.util.spec_from_file_location("ablation", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "ablation", module)
    spec.loader.exec_module(module)
    return module


def test_variants_see_the_same_samples_and_are_made_once(script, prepared, tmp_path, capsys):
    (tmp_path / "table.toml").write_text(TABLE)
    common = ["--data", str(prepared), "--table", str(tmp_path / "table.toml"), "--steps", "4"]
    arguments = [*common, "--out", str(tmp_path / "out"), "--panel-designs", "0"]
    assert script.main([*arguments, "--only", "adamw"]) == 0
    path = tmp_path / "out" / "ablation.jsonl"
    path.write_text(path.read_text() + '{"name": "ba')  # killed while it wrote
    assert script.main(arguments) == 0
    found = script.read_results(path)
    rows = {name: result["row"] for name, result in found.items()}
    assert set(rows) == {"base", "adamw"}
    assert rows["base"]["samples"] == rows["adamw"]["samples"]
    assert rows["base"]["held_out"] != rows["adamw"]["held_out"]
    assert found["adamw"]["change"] == "muon: false"
    capsys.readouterr()
    before = path.read_text()
    assert script.main(arguments) == 0
    assert path.read_text() == before
    table = capsys.readouterr().out
    assert table == (tmp_path / "out" / "ablation.md").read_text()
    assert table.count("\n") == 4


def test_the_table_of_the_documents_is_of_runs(script, tmp_path):
    options = script.parse_arguments(["--data", "d", "--out", str(tmp_path), "--steps", "100"])
    configs = script.make_configs(script.tomllib.loads(script.TABLE), options)
    base = configs["base"].to_dict()
    for name, config in configs.items():
        changed = {key for key, value in config.to_dict().items() if value != base[key]} - {"out"}
        assert ("seed" in changed) == name.endswith("-seed"), name
        # A change is made with other seeds too, which are a change by themselves.
        assert (len(changed - {"seed"} or changed) == 1) == (name != "base"), name


def test_a_wrong_table_is_refused_in_a_line(script, prepared, tmp_path, capsys):
    for text, message in (
        ("[variants.a]\nmoun = false", "variant a: unknown key 'moun'; did you mean 'muon'?"),
        ("[variant.a]", "the table has [base] and [variants.NAME]"),
    ):
        (tmp_path / "table.toml").write_text(text)
        table = ["--table", str(tmp_path / "table.toml"), "--out", str(tmp_path / "out")]
        assert script.main(["--data", str(prepared), *table]) == 2
        assert message in capsys.readouterr().err

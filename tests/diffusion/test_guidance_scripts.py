"""The table and the figure of guidance are made, and say what they should."""

import runpy
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def run(monkeypatch):
    def run_script(script, *arguments):
        monkeypatch.syspath_prepend(str(SCRIPTS))
        monkeypatch.setattr(sys, "argv", [script, *arguments])
        runpy.run_path(str(SCRIPTS / script), run_name="__main__")

    return run_script


@pytest.mark.slow
def test_table_of_biases(run, tmp_path, capsys):
    table = tmp_path / "bias.md"
    run("guidance_bias.py", "--draws", "1000", "--steps", "30", "--out", str(table))
    text = table.read_text(encoding="utf-8")
    assert text == capsys.readouterr().out
    rows = [line.strip("|").split("|") for line in text.splitlines()[4:]]
    errors = {(row[0].strip(), row[1].strip()): float(row[2]) for row in rows}
    for law in ("correlated Gaussian", "mixture of three"):
        # What is asymptotically exact comes closer than what is not.
        assert errors[law, "twisted SMC, 50 particles"] < 0.2
        assert errors[law, "SMCDiff, 50 particles"] < 0.2
        assert errors[law, "replacement"] > 0.2
        assert errors[law, "RePaint, 10 resamplings"] < 0.6 * errors[law, "replacement"]


@pytest.mark.slow
def test_figure_of_posteriors(run, tmp_path):
    pytest.importorskip("matplotlib")
    run("gallery_posteriors.py", "--draws", "100", "--steps", "4", "--out", str(tmp_path))
    figure = tmp_path / "posteriors.png"
    assert figure.read_bytes().startswith(b"\x89PNG")

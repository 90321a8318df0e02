"""The scripts run; how fast things are is nobody's business here."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent / "scripts"
BENCHMARK = SCRIPTS / "benchmark.py"


@pytest.mark.slow
def test_benchmark_runs_without_biotite(tiny_weights):
    arguments = [
        *("--weights", str(tiny_weights), "--device", "cpu", "--json", "--profile"),
        *("--lengths", "30", "--batch-sizes", "1", "3", "--evaluations", "3", "--repeats", "1"),
    ]
    code = (
        "import runpy, sys\n"
        "sys.modules['biotite'] = None\n"
        f"sys.argv = ['benchmark', *{arguments}]\n"
        f"runpy.run_path({str(BENCHMARK)!r}, run_name='__main__')\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    lines = report["timings"]
    assert [(line["length"], line["batch"]) for line in lines] == [(30, 1), (30, 3)]
    for line in lines:
        assert line["evaluations"] == report["settings"]["steps"] + 1
        assert line["seconds_per_backbone"] > 0
        assert line["ratio"] == line["milliseconds_per_evaluation"] / line["matmul_milliseconds"]
        assert 0 < line["profile"]["product_share"] < 1
    # Counted, not timed: the work grows with the batch.
    single, triple = (line["profile"]["product_gigaflops"] for line in lines)
    assert 2.5 < triple / single <= 3.001


def test_benchmark_says_in_a_line_that_a_length_cannot_be_made(tiny_weights, capsys, monkeypatch):
    spec = importlib.util.spec_from_file_location("benchmark", BENCHMARK)
    benchmark = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "benchmark", benchmark)  # dataclasses look their module up
    spec.loader.exec_module(benchmark)
    weights = ["--weights", str(tiny_weights), "--device", "cpu"]
    assert benchmark.main([*weights, "--lengths", "9"]) == 2
    error = capsys.readouterr().err
    assert "9 residues asked for" in error
    assert error.count("\n") == 1

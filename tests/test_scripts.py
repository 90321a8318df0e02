"""The scripts run; how fast things are is nobody's business here."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent / "scripts"
BENCHMARK = SCRIPTS / "benchmark.py"


@pytest.fixture
def load_script(monkeypatch):
    def load(name):
        spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)  # dataclasses look their module up
        spec.loader.exec_module(module)
        return module

    return load


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


def test_benchmark_says_in_a_line_that_a_length_cannot_be_made(tiny_weights, capsys, load_script):
    benchmark = load_script("benchmark")
    weights = ["--weights", str(tiny_weights), "--device", "cpu"]
    assert benchmark.main([*weights, "--lengths", "9"]) == 2
    error = capsys.readouterr().err
    assert "9 residues asked for" in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_benchmark_times_training(capsys, load_script):
    benchmark = load_script("benchmark")
    arguments = ["--training", "--device", "cpu", "--json", "--lengths", "37", "--steps", "1"]
    assert benchmark.main([*arguments, "--batch-sizes", "2", "3", "--warm-up", "1"]) == 0
    lines = json.loads(capsys.readouterr().out)["training"]
    assert [line["batch"] for line in lines] == [2, 3]
    for line in lines:
        seconds = line["milliseconds_per_step"] / 1e3
        assert line["samples_per_second"] == pytest.approx(line["batch"] / seconds)
        assert line["peak_megabytes"] > 0


def test_benchmark_finds_the_growth(load_script):
    benchmark = load_script("benchmark")
    cpu = benchmark.torch.device("cpu")

    def line(length, batch, seconds):
        return benchmark.Timing(length, batch, 46, 9.9, seconds, 1.0, 1.0, 1.0, 1.0, False)

    lines = [line(100, 1, 1.0), line(128, 1, 2.0), line(512, 1, 16.0), line(512, 8, 12.0)]
    found = benchmark.get_growth(lines, cpu)
    assert found == {"exponent": pytest.approx(1.5), "batch_512": pytest.approx(0.75)}
    assert benchmark.get_growth(lines[:2], cpu) == {}


@pytest.fixture
def sampler_cost(load_script, tiny_weights, tmp_path, monkeypatch):
    """Run the script on the tiny model; what it measured is counted."""
    script = load_script("sampler_cost")
    script.made = []
    for name in ("measure_on_mixture", "measure_on_backbones"):
        measure = getattr(script, name)

        def count(*arguments, measure=measure, **options):
            script.made.append(next(a for a in arguments if isinstance(a, script.Cell)))
            return measure(*arguments, **options)

        monkeypatch.setattr(script, name, count)

    drawn = []
    monkeypatch.setattr(script, "draw", lambda *arguments: drawn.append(arguments) or True)

    def run(*arguments):
        script.made.clear()
        arguments = ["--out", str(tmp_path), "--weights", str(tiny_weights), *arguments]
        tiny = ["--length", "30", "--num", "2", "--batch-size", "1", "--draws", "200"]
        assert script.main([*tiny, *arguments]) == 0
        return script.made

    run.drawn = drawn
    return run


def read_cells(path):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [(line["cell"], line["result"]) for line in lines]


def test_sampler_cost_counts_what_was_spent(sampler_cost, tmp_path, capsys):
    names = ["exponential", "heun", "dormand-prince"]
    sampler_cost("--samplers", *names, "--grids", "karras", "--budgets", "2", "6", "9")
    for part in ("analytic", "backbones"):
        for cell, result in read_cells(tmp_path / f"{part}.jsonl"):
            spent, budget = result["evaluations"], cell["budget"]
            if cell["sampler"] == "exponential":
                assert spent == budget == result["steps"] + 1
            elif cell["sampler"] == "heun":  # two a step, and the last
                assert spent == budget - (budget % 2 == 0) == 2 * result["steps"] + 1
            else:
                assert budget is None
                assert spent > 9
    table = capsys.readouterr().out
    assert table == (tmp_path / "sampler_cost.md").read_text() + "\n"
    # A heading, a rule and 3 + 2 + 1 cells.
    assert sum(line.startswith("|") for line in table.split("## ")[2].splitlines()) == 8
    # The same numbers are drawn: 3 + 2 + 5 tolerances on the mixture.
    ((_, analytic, backbones, _),) = sampler_cost.drawn
    assert (len(analytic), len(backbones)) == (10, 6)


def test_sampler_cost_goes_on_where_it_was_killed(sampler_cost, tmp_path):
    arguments = ["--samplers", "ddim", "--grids", "karras", "log-snr", "--budgets", "4", "5"]
    assert len(sampler_cost("backbones", *arguments)) == 4
    path = tmp_path / "backbones.jsonl"
    before = read_cells(path)
    assert sampler_cost("backbones", *arguments) == []
    path.write_text(path.read_text()[:-9])  # killed while it wrote the last line
    assert sampler_cost("backbones", *arguments, "--report") == []
    assert [cell.budget for cell in sampler_cost("backbones", *arguments)] == [5]
    # The torn line is passed over, and the cell is found again from the same seeds.
    whole = path.read_text().splitlines()
    assert len(whole) == 5
    assert json.loads(whole[-1])["result"]["panel"] == before[-1][1]["panel"]
    # Another seed is another cell.
    assert len(sampler_cost("backbones", *arguments, "--seed", "1")) == 4


@pytest.mark.statistical
def test_sampler_cost_finds_the_law_of_exact_draws(load_script):
    """The distance to the law falls with the draws, and sees a small shift above its floor."""
    script = load_script("sampler_cost")
    mixture = script.make_mixture()
    few, many = (script.measure_floor(draws)[0] for draws in (500, 8_000))
    assert 2 < few / many < 8  # by the square root of 16
    shifted = mixture.sample(8_000, script.torch.Generator().manual_seed(0))
    shifted[:, 0] += 0.1
    # Along a direction at an angle a the shift is cos a, whose mean absolute value is 2/π.
    expected = 0.1 * 2 / script.math.pi
    assert abs(script.measure_distance(shifted, mixture) - expected) < 3 * many


def test_sampler_cost_draws_its_figure(load_script, tmp_path):
    pytest.importorskip("matplotlib")
    script = load_script("sampler_cost")
    analytic = [
        (script.Cell("ddim", "karras", budget), {"evaluations": budget, "error": 1 / budget})
        for budget in (10, 100)
    ]
    backbones = [
        (script.Cell("ddim", "karras", 10, scale), {"evaluations": 10, "panel": panel})
        for scale, panel in (
            (1.0, {"passing": 0.5, "links": None}),
            (1.3, {"passing": 1, "links": 1}),
        )
    ]
    backbones.append((script.Cell("dormand-prince", "karras", None), {"failed": "too stiff"}))
    assert script.draw(tmp_path / "figure.png", analytic, backbones, (0.01, 0.001))
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")

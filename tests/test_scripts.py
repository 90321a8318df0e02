"""The scripts run; how fast things are is nobody's business here."""

import copy
import dataclasses
import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from protdiff.checkpoint import load_checkpoint, save_checkpoint
from protdiff.design.settings import DEFAULT_STEPS
from protdiff.evaluation.novelty import Reference
from protdiff.model import BackboneModel
from protdiff.structure import Backbone, build_backbone, superimpose, write_backbone
from protdiff.training.dataset import BackboneDataset
from protdiff.training.held_out import NOISE_EDGES, HeldOutLoss
from protdiff.training.sampling import NoiseLevels

SCRIPTS = Path(__file__).parent.parent / "scripts"
BENCHMARK = SCRIPTS / "benchmark.py"


@pytest.fixture
def load_script(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)  # where a script finds another

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
        assert line["evaluations"] == DEFAULT_STEPS + 1
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


def test_released_weights_tell_of_all_parts_of_their_training(
    tmp_path, tiny_weights, capsys, load_script, monkeypatch
):
    release = load_script("release_weights")
    run = tmp_path / "run"
    run.mkdir()
    model = load_checkpoint(tiny_weights)
    card = {"lengths": [40, 60], "steps": 20, "samples": 160, "training_seconds": 9}
    card |= {"initial_weights": "others"}
    save_checkpoint(run / "weights.safetensors", replace(model, metadata=card))
    config = {"secondary_structure": 0.5, "data": "chains", "out": "run", "lengths": [30, 50]}
    (run / "config.json").write_text(json.dumps(config))
    log = "step,samples,seconds,held_out,held_out_0-1,links\n"
    (run / "log.csv").write_text(log + "10,80,4,.2,.3,1\n20,160,9,,,\n")
    earlier = tmp_path / "earlier.csv"
    earlier.write_text(log + "5,40,2.4,.4,.5,1\n7,5.6e+01,3.4,,,\n")  # as %g writes a million
    out = tmp_path / "released.safetensors"
    words = ["--description", "tiny", "--hardware", "none", "--out", str(out)]
    assert release.main([str(run), "--earlier", str(earlier), *words]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert load_checkpoint(out).metadata == printed
    assert (printed["steps"], printed["samples"], printed["training_seconds"]) == (27, 216, 12)
    assert printed["held_out_loss"] == {"held_out": 0.2, "held_out_0-1": 0.3}
    assert release.main([str(run), *words]) == 2
    assert "exists" in capsys.readouterr().err
    # Weights that were saved between two measurements are measured on the chains held out.
    chains = make_walks([30] * 24, 0)
    monkeypatch.setattr(release, "load_dataset", lambda *_: (None, chains))
    assert release.main([str(run), *words, "--overwrite", "--data", "chains"]) == 0
    told = json.loads(capsys.readouterr().out)["held_out_loss"]
    expected = HeldOutLoss(chains, NoiseLevels(), model.scale).measure(model.network)
    assert told == pytest.approx(expected, rel=1e-5)


def test_an_expert_is_added_to_weights_with_its_card(
    tmp_path, tiny_model, tiny_weights, capsys, load_script
):
    script = load_script("add_expert")
    run = tmp_path / "run"
    run.mkdir()
    card = {"steps": 20, "samples": 160, "training_seconds": 9, "initial_weights": "others"}
    network = copy.deepcopy(tiny_model.network)
    next(network.parameters()).data += 0.1
    trained = replace(tiny_model, network=network, metadata=card)
    save_checkpoint(run / "weights.safetensors", trained)
    (run / "config.json").write_text(json.dumps({"secondary_structure": 0.5}))
    (run / "log.csv").write_text("step,samples,seconds,held_out,held_out_types\n20,160,9,.2,2.4\n")
    out = tmp_path / "both.safetensors"
    words = [str(tiny_weights), str(run), "--hardware", "none", "--out", str(out)]
    assert script.main([*words, "--below", "1.5"]) == 0
    printed = json.loads(capsys.readouterr().out)
    both = load_checkpoint(out)
    assert both.metadata["expert"] == printed
    assert printed["steps"] == 20
    assert printed["held_out_loss"] == {"held_out": 0.2, "held_out_types": 2.4}
    assert printed["below"] == both.expert.below == 1.5
    for found, given in zip(both.networks, (tiny_model.network, network), strict=True):
        assert torch.equal(next(found.parameters()), next(given.parameters()))
    assert script.main(words) == 2
    assert "exists" in capsys.readouterr().err


def test_kept_weights_are_averaged(tmp_path, tiny_weights, capsys, load_script):
    script = load_script("average_weights")
    model = load_checkpoint(tiny_weights)
    for step in (3, 6):
        path = tmp_path / f"weights-{step}.safetensors"
        save_checkpoint(path, replace(model, metadata={"steps": step}))
    given = [str(path) for path in sorted(tmp_path.glob("weights-*"))]
    arguments = [*given, "--out", str(tmp_path / "mean.safetensors")]
    assert script.main(arguments) == 0
    assert "the mean of 2, steps 3, 6" in capsys.readouterr().out
    mean = load_checkpoint(tmp_path / "mean.safetensors")
    assert mean.metadata == {"steps": 6, "averaged_steps": [3, 6]}
    for name, weight in model.network.state_dict().items():
        torch.testing.assert_close(mean.network.state_dict()[name], weight)
    assert script.main(arguments) == 2
    assert "exists" in capsys.readouterr().err


MOTIFS = """\
name\tfile\tcontig\ttotal_length\tredesignable_residues
one\thelix.pdb\t10-20,A3-14,10-20\t40-44\tA3-5
two\thelix.pdb\t15,A3-8,5,A20-25,10-20\t45\t
"""


@pytest.fixture
def benchmark_motifs(load_script, tiny_weights, tmp_path):
    """Run the script on two problems and the tiny model; returns the code and the rows."""
    helix = Backbone.from_coordinates(build_backbone([-62.0] * 30, -42.0))
    write_backbone(tmp_path / "motifs" / "helix.pdb", helix)
    (tmp_path / "motifs" / "problems.tsv").write_text(MOTIFS)
    script = load_script("benchmark_motifs")

    def run(*arguments):
        fixed = ["--weights", str(tiny_weights), "--device", "cpu", "--out", str(tmp_path / "out")]
        fixed += ["--steps", "2", "--num", "2"]
        code = script.main([str(tmp_path / "motifs"), *fixed, *map(str, arguments)])
        report = tmp_path / "out" / "benchmark.json"
        return code, json.loads(report.read_text())["rows"] if report.exists() else []

    run.script = script
    return run


def test_motif_problems_are_scaffolded_judged_and_gone_on_with(
    benchmark_motifs, tmp_path, capsys, monkeypatch
):
    methods = ("--method", "replacement", "amortized")
    code, rows = benchmark_motifs(*methods, "--problems", "one")
    assert code == 0
    assert [(row["problem"], row["method"]) for row in rows] == [
        ("one", "replacement"),
        ("one", "amortized"),
    ]
    for row in rows:
        assert row["designs"] == 2
        assert row["motif_rmsd"] < 0.01
        assert 0 <= row["unique_good"] <= row["unique_passing"] <= row["clusters"] <= 2
        assert row["cpu_seconds"] > 0
        assert row["times_unconditional"] > 0
    # What is there is not made again, and other problems join it.
    before = (tmp_path / "out" / "costs.jsonl").read_text()
    code, rows = benchmark_motifs(*methods)
    assert code == 0
    assert [row["problem"] for row in rows] == ["one", "one", "two", "two"]
    assert (tmp_path / "out" / "costs.jsonl").read_text().startswith(before)
    # Nothing changed, so nothing is judged or made.
    monkeypatch.setattr(benchmark_motifs.script, "judge", None)
    assert benchmark_motifs(*methods)[1] == rows
    assert benchmark_motifs("--report", *methods, "--problems", "two")[1][:2] == rows[2:]
    table = (tmp_path / "out" / "benchmark.md").read_text()
    assert "| two | amortized | 2 |" in table
    assert "| amortized | 2 |" in table  # and what it gives over both problems
    assert (tmp_path / "out" / "benchmark.csv").read_text().startswith("problem,method,designs")
    monkeypatch.undo()
    # Without what sampling took there is no cost to tell, the second time as the first.
    (tmp_path / "out" / "costs.jsonl").unlink()
    for _ in range(2):
        code, rows = benchmark_motifs("--report", *methods)
        assert (code, [row["cpu_seconds"] for row in rows]) == (0, [None] * 4)
    capsys.readouterr()


def test_lines_are_added_after_one_that_a_kill_tore(load_script, tmp_path):
    script = load_script("json_lines")
    path = tmp_path / "new" / "results.jsonl"
    assert script.read_lines(path) == []
    script.append_line(path, {"a": 1})
    script.append_line(path, {"b": "Å"})
    path.write_bytes(path.read_bytes()[:-3])
    assert script.read_lines(path) == [{"a": 1}]
    script.append_line(path, {"c": 3})
    assert script.read_lines(path) == [{"a": 1}, {"c": 3}]


def test_the_ranking_of_natives_goes_on_where_it_was(
    load_script, tiny_weights, tmp_path, monkeypatch, capsys
):
    script = load_script("likelihood_ranking")
    chains = make_walks([30] * 4, 0)
    monkeypatch.setattr(script, "load_dataset", lambda *_: (None, chains))
    measured = []

    def measure(model, backbone, settings):
        measured.append(settings.probes)
        # A flow that cannot be solved says nothing for the native, nor against it.
        return (None, None) if len(measured) % 4 == 1 else (-1.0, 0.1)

    monkeypatch.setattr(script, "measure", measure)
    out = tmp_path / "ranking.jsonl"
    arguments = ["prepared", "--weights", str(tiny_weights), "--out", str(out)]
    script.main([*arguments, "--num", "3"])
    assert len(measured) == 3 * 4
    assert "native above all         0.00" in capsys.readouterr().out
    out.write_text(out.read_text()[:-20])  # killed while it wrote the last line
    for _ in range(2):
        script.main([*arguments, "--num", "3"])
        assert len(measured) == 4 * 4
    script.main([*arguments, "--num", "1", "--probes", "2"])
    assert measured[16:] == [2] * 4  # other settings are another measurement
    assert "over 1 chains" in capsys.readouterr().out


def test_a_motif_benchmark_stops_in_time_and_names_what_is_wrong(benchmark_motifs, capsys):
    code, rows = benchmark_motifs("--minutes", 0)
    assert (code, rows) == (0, [])
    assert "the time is over" in capsys.readouterr().err
    assert benchmark_motifs("--problems", "three")[0] == 2
    assert "no problem 'three'" in capsys.readouterr().err
    assert benchmark_motifs("--method", "magic")[0] == 2


def test_a_sound_seam_is_told_from_a_strained_one(load_script):
    script = load_script("benchmark_motifs")
    torsions = np.full(12, -62.0), np.full(12, -42.0), np.full(12, 180.0)
    mask = (np.arange(12) >= 4) & (np.arange(12) < 9)
    helix = Backbone.from_coordinates(build_backbone(*torsions), motif_mask=mask)
    assert script.check_seams(helix) == [True, True]
    x = helix.coordinates.copy()
    x[9:] += 0.15
    assert script.check_seams(helix.with_coordinates(x)) == [True, False]


def test_a_native_is_denoised_nearer_with_its_own_motif(load_script):
    """The released weights on two chains that they were not trained on."""
    testing = pytest.importorskip("tmtools.testing")
    script = load_script("denoise_natives")
    model = script.load().model
    paths = [Path(testing.get_pdb_path(name)).with_suffix(".pdb") for name in ("2gtl", "7ok9")]
    found = {
        noise: np.array(
            [
                script.measure_native(model, native, script.write_native_contig(native), noise)
                for native in script.iterate_natives(paths)
            ]
        )
        for noise in (1.0, 4.0)
    }
    assert (found[1.0][:, 0] < 1.0).all()
    # At 1 Å the noisy chain says nearly all by itself, and the motif changes little.
    assert found[1.0][:, 0].mean() < 1.05 * found[1.0][:, 1].mean()
    assert (found[4.0][:, 0] < 0.96 * found[4.0][:, 1]).all()


@pytest.fixture
def load_test(load_script):
    return load_script("load_test")


LINUX = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="it reads /proc")


@LINUX
@pytest.mark.slow
def test_load_test_watches_a_campaign_and_goes_on(load_test, tiny_weights, tmp_path, capsys):
    arguments = ["--out", str(tmp_path), "--weights", str(tiny_weights), "--steps", "4"]
    arguments += ["--single", "2", "--length", "30-40", "--every", "0.2"]
    assert load_test.main([*arguments, "--num", "20"]) == 0
    first = json.loads((tmp_path / "load.json").read_text())
    assert first["campaign"]["designs"] == 20
    assert first["single"]["designs"] == 2
    assert first["memory"]["peak_mb"] > 50
    assert (tmp_path / "memory.png").read_bytes().startswith(b"\x89PNG")
    # What is done is not made again; more is made by a second process, whose looks are added.
    looks = load_test.read_looks(tmp_path / "memory.csv")
    assert load_test.main([*arguments, "--num", "20"]) == 0
    assert load_test.read_looks(tmp_path / "memory.csv") == looks
    assert load_test.main([*arguments, "--num", "40"]) == 0
    more = load_test.read_looks(tmp_path / "memory.csv")
    assert more[: len(looks)] == looks
    assert (more[-1].process, more[-1].designs) == (2, 40)
    assert "campaign: 40 designs" in capsys.readouterr().out


def test_load_test_finds_a_slope_beside_the_lengths(load_test):
    looks = [
        load_test.Look(process, 0.0, 0.0, designs, length, memory, memory)
        for process, level in ((1, 300.0), (2, 350.0))
        for designs in range(1000 * (process - 1), 1000 * process + 1, 4)
        for length in [60 + designs % 500 / 12]  # as a campaign works through a block
        for memory in [level + 0.003 * designs + 0.5 * length]
    ]
    for cold in (*range(50), *range(251, 300)):  # caches fill, which is no slope
        looks[cold] = dataclasses.replace(looks[cold], rss_mb=100.0)
    points = load_test.select_points(looks, designs=2000)
    assert min(point.designs for point in points) >= 200
    slope, error = load_test.fit_slope(points)
    assert slope == pytest.approx(3.0, abs=1e-6)  # MB by 1,000 designs
    assert error < 1e-6
    rng = load_test.np.random.default_rng(0)
    noisy = [dataclasses.replace(look, rss_mb=look.rss_mb + rng.normal(0, 5)) for look in looks]
    slope, error = load_test.fit_slope(load_test.select_points(noisy, designs=2000))
    assert abs(slope - 3.0) < 4 * error < 20


def test_load_test_cuts_off_a_line_that_a_kill_tore(load_test, tmp_path):
    path = tmp_path / "memory.csv"
    path.write_text(
        "process,seconds,cpu_seconds,designs,length,rss_mb,peak_mb\n"
        "1,3.0,2.5,7,80.5,300.0,310.0\n1,6.0,5."
    )
    assert load_test.read_looks(path) == [load_test.Look(1, 3.0, 2.5, 7, 80.5, 300.0, 310.0)]
    assert path.read_bytes().endswith(b"310.0\n")


def helix(length):
    return build_backbone(np.full(length, -62.0), -42.0)


@pytest.fixture
def write_helices(tmp_path):
    """Return a function that writes a run of ideal helices, and of designs without a file."""

    def write(num=3, without=()):
        folder = tmp_path / "run"
        folder.mkdir()
        lines = []
        for index in range(num):
            file = f"design_{index:04d}.pdb"
            write_backbone(folder / file, Backbone.from_coordinates(helix(40)))
            lines.append({"index": index, "file": file, "length": 40})
        for change in without:
            lines.append({"index": len(lines), "file": None, "length": 40, **change})
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / "manifest.jsonl").write_text(text)
        return folder

    return write


def test_the_panel_knows_helices_for_what_they_are(load_script, write_helices, tmp_path, capsys):
    script = load_script("panel")
    # One more was no protein at all, and one was kept out by the user: the first counts.
    folder = write_helices(3, without=[{}, {"rejected": ["clashing"]}])
    out = ["--aligner", "biotite", "--out", str(tmp_path / "out")]
    assert script.main([str(folder), *out]) == 0
    (found,) = json.loads((tmp_path / "out" / "panel.json").read_text())
    figures = {row["quantity"]: (row["figure"], row["holds"]) for row in found["targets"]}
    assert figures["unbroken"] == (0.75, False)
    assert figures["all_helix"] == (0.75, False)
    assert figures["links"] == (1.0, True)
    assert figures["n_ca_c_sd"][0] < 0.1  # ideal angles, but for the digits of the file
    assert figures["strand"] == (0.0, False)
    assert figures["clusters_per_design"] == (pytest.approx(1 / 3, abs=1e-4), False)
    assert figures["nearest_known_tm"] == (None, None)
    assert found["notes"] == [
        "1 design was rejected by the filter (clashing)",
        "design 3 came out without finite coordinates",
    ]
    table = capsys.readouterr().out
    assert (tmp_path / "out" / "panel.md").read_text() in table
    assert "run: 4 designs" in table
    assert {line.count("|") for line in table.splitlines()} == {4}  # no cell splits another
    held = sum(holds is True for _, holds in figures.values())
    assert f"| targets that hold |  | {held} of {len(script.TARGETS) - 2} |" in table


def test_the_panel_compares_with_known_structures(load_script, write_helices, tmp_path, capsys):
    script = load_script("panel")
    folder = write_helices(2)
    aligned = ["--aligner", "biotite", "--novelty-num", "1"]
    assert script.main([str(folder), "--reference", str(folder), *aligned]) == 0
    (line,) = [row for row in capsys.readouterr().out.splitlines() if "chain, largest" in row]
    assert "**1.000 no**" in line  # each of them is known
    assert script.main([str(tmp_path)]) == 2
    assert "holds no manifest.jsonl" in capsys.readouterr().err


def test_targets_are_as_wide_as_they_say(load_script):
    targets = {target.name: target for target in load_script("panel").TARGETS}
    assert str(targets["n_ca_c"]) == "109.9–111.9"
    assert str(targets["n_ca_c_sd"]) == "≤ 4.5"
    for name, good, bad in (("links", 0.99, 0.989), ("clashes", 0.5, 0.51), ("n_ca_c", 110, 112)):
        assert targets[name].holds(good) is True
        assert targets[name].holds(bad) is False
    assert targets["links"].holds(float("nan")) is None


def test_the_temperature_curve_goes_on_where_it_was(load_script, tiny_weights, tmp_path, capsys):
    script = load_script("temperature")
    tiny = ["--weights", str(tiny_weights), "--device", "cpu", "--length", "30", "--num", "2"]
    knobs = ["--temperatures", "0.5", "1", "--step-scale", "1", "--step-scales", "1", "1.1"]
    arguments = [*tiny, *knobs, "--steps", "2", "--out", str(tmp_path)]
    assert script.main(arguments) == 0
    table = capsys.readouterr().out
    assert table == (tmp_path / "temperature.md").read_text()
    rows = json.loads((tmp_path / "temperature.json").read_text())
    cells = [(row["temperature"], row["step_scale"]) for row in rows]
    assert cells == [(0.5, 1), (1, 1), (1, 1.1)]  # what both knobs have in common is made once
    manifests = sorted(tmp_path.glob("*/manifest.jsonl"))
    assert [path.parent.name for path in manifests] == ["t0.5_s1", "t1_s1", "t1_s1.1"]
    assert all(len(path.read_text().splitlines()) == 2 for path in manifests)
    before = [path.stat().st_mtime_ns for path in manifests]
    assert script.main(arguments) == 0
    assert [path.stat().st_mtime_ns for path in manifests] == before
    assert script.main([*arguments, "--seed", "1"]) == 2
    assert "other settings" in capsys.readouterr().err


def test_conditioners_are_compared_from_the_same_noise(load_script, tiny_weights, tmp_path, capsys):
    script = load_script("conditioner_effects")
    partner = Backbone.from_coordinates(build_backbone([-62.0] * 20, -42.0))
    write_backbone(tmp_path / "partner.pdb", partner)
    arguments = ["--weights", str(tiny_weights), "--device", "cpu", "--length", "30", "--num", "2"]
    arguments += ["--steps", "2", "--partner", str(tmp_path / "partner.pdb"), "--hotspots", "A8"]
    assert script.main(arguments) == 0
    head, rule, free, *held = capsys.readouterr().out.splitlines()
    assert {line.count("|") for line in (head, rule, free, *held)} == {head.count("|")}
    names = [line.split("|")[1].split()[0] for line in held]
    assert names == ["Rg", "Rg", "Rg", "contacts", "rod", "disc", "partner", "contacts"]
    # What is measured of designs without a condition is the same, whatever is asked for.
    assert len({line.split("|")[2] for line in held[:3]}) == 1


def test_what_the_noise_hides_is_measured(
    load_script, tiny_model, tiny_weights, capsys, monkeypatch
):
    script = load_script("mean_size")
    arguments = ["--weights", str(tiny_weights), "--device", "cpu", "--length", "30", "--num", "2"]
    assert script.main([*arguments, "--steps", "2", "--ratios", "0.1", "4"]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == ["0.1", "4"]
    assert rows[1].split("|")[3].strip() == "50.0%"  # the law at k = c
    # Of Gaussian data of standard deviation c the posterior mean is known, and so is all else.
    c, k = 4.0, 3.0
    alpha = tiny_model.sde.alpha(tiny_model.sde.time_of_noise_ratio(torch.tensor(k).double()))
    denoise = lambda x_t, t: x_t / float(alpha) * c**2 / (c**2 + k**2)  # noqa: E731
    monkeypatch.setattr(BackboneModel, "denoiser", lambda model, mask: denoise)
    normal = torch.randn(64, 30, 3, 3, generator=torch.Generator().manual_seed(0))
    clean = c * tiny_model.subspace(torch.ones(64, 30, dtype=torch.bool)).project(normal)
    hidden, error = script.measure(tiny_model, clean, k, seed=1)
    deviation = (2 / clean.numel()) ** 0.5
    assert abs(hidden - k**2 / (k**2 + c**2)) < 5 * deviation
    # The centre of the 90 atoms is no part of the data.
    assert abs(error / (k**2 * c**2 / (k**2 + c**2)) - 1) < 5 * deviation + 1 / 90


def make_walks(lengths, seed):
    rng = np.random.default_rng(seed)
    steps = torch.tensor(rng.normal(size=(sum(lengths), 3, 3)), dtype=torch.float32)
    return BackboneDataset(
        steps.reshape(-1, 3).cumsum(0).reshape(-1, 3, 3),
        torch.cat([torch.arange(n, dtype=torch.int32) for n in lengths]),
        torch.cat([1 + torch.arange(n) // 5 % 3 for n in lengths]).byte(),
        torch.cat([1 + torch.arange(n) % 20 for n in lengths]).byte(),
        torch.tensor([0, *np.cumsum(lengths)]),
        torch.arange(len(lengths)),
        tuple(f"walk{seed}_{k}" for k in range(len(lengths))),
    )


def test_memorisation_compares_like_with_like(load_script):
    script = load_script("memorisation")
    held_out, training = make_walks([40, 50, 60, 41], 0), make_walks([60, 90, 41, 52, 40, 90], 1)
    chosen, partners = script.choose_pairs(held_out, training, 4)
    assert len(set(partners)) == len(set(chosen)) == 4
    # A residue more weighs less than another structure, so that lengths are near, not equal.
    assert held_out.lengths[chosen].tolist() == [40, 41, 50, 60]
    assert max(training.lengths[partners].tolist()) <= 60


def test_memorisation_sees_what_a_network_knows_by_heart(load_script, tiny_model, monkeypatch):
    script = load_script("memorisation")
    data = make_walks([40, 44, 41], 0)
    arguments = (tiny_model, data, [0, 1, 2], [0.1, 4.0])
    one, three = (script.measure_deviations(*arguments, seed=0, batch_size=size) for size in (1, 3))
    # The noise of a chain is its own; what is left is rounding.
    assert np.abs(one - three).max() < 1e-3
    # A network that knows nothing leaves the noise, of which three coordinates make an atom's.

    def return_noisy(batch, *_):
        noisy = batch.clean + batch.noise_ratio[:, None, None, None] * batch.noise
        return SimpleNamespace(final=noisy)

    monkeypatch.setattr(script.NoisyBatch, "denoise", return_noisy)
    left = script.measure_deviations(*arguments, seed=0, batch_size=2)
    atoms = 3 * data.lengths[:, None].numpy()
    sigma = np.array([0.1, 4.0]) * np.sqrt(3)
    # The root of a mean of squares of 3 n standard normal numbers.
    assert (np.abs(left / sigma - 1) < 5 / np.sqrt(6 * atoms)).all()
    monkeypatch.setattr(
        script.NoisyBatch, "denoise", lambda batch, *_: SimpleNamespace(final=batch.clean)
    )
    assert script.measure_deviations(*arguments, seed=0, batch_size=2).max() == 0


def test_memorisation_prints_its_tables(
    load_script, tiny_weights, write_helices, tmp_path, monkeypatch, capsys
):
    script = load_script("memorisation")
    parts = make_walks([30, 31], 1), make_walks([31, 30], 0)
    monkeypatch.setattr(script, "load_dataset", lambda *_: parts)
    run = write_helices(2)
    monkeypatch.setattr(script, "load_references", lambda *_, **__: [Reference("known", helix(40))])
    common = ["anything", "--weights", str(tiny_weights), "--device", "cpu", "--levels", "1", "4"]
    more = ["--designs", str(run), "--out", str(tmp_path / "found.json"), "--quiet"]
    assert script.main([*common, *more]) == 0
    table = capsys.readouterr().out
    assert "| design_0000.pdb | known | 1.000 |" in table
    found = json.loads((tmp_path / "found.json").read_text())
    assert [len(row["rmsd"]) for row in found["held_out"] + found["seen"]] == [2] * 4
    gap = np.mean([a["rmsd"][0] for a in found["held_out"]]) - np.mean(
        [b["rmsd"][0] for b in found["seen"]]
    )
    assert f"| {gap:+.3f} ±" in table


def test_fragments_are_found_however_they_lie_but_not_in_a_mirror(load_script):
    rng = np.random.default_rng(0)
    script = load_script("fragments")
    walks = [torch.from_numpy(rng.normal(size=(n, 3)).cumsum(0) * 2).float() for n in (12, 30)]
    library = script.cut([walks], 9)
    assert len(library) == 4 + 22
    rotation = torch.linalg.qr(torch.from_numpy(rng.normal(size=(3, 3))).float())[0]
    rotation *= torch.linalg.det(rotation)
    turned = script.cut([[walks[1] @ rotation + 7.0]], 9)
    assert script.find_nearest(turned, library).max() < 0.01
    expected = [
        min(superimpose(one.numpy(), other.numpy()).rmsd for other in library) for one in -turned
    ]
    assert min(expected) > 0.3
    found = script.find_nearest(-turned, library)
    np.testing.assert_allclose(found.numpy(), expected, atol=0.01)


def test_fragments_end_at_breaks_and_those_of_d_proteins_are_mirrored(load_script, tmp_path):
    script = load_script("fragments")
    phi, psi = np.random.default_rng(0).uniform(-120, -40, (2, 30))
    chain = Backbone.from_coordinates(build_backbone(phi, psi))
    x = chain.coordinates.copy()
    x[18:] += 30.0  # what lies between is missing
    broken = chain.with_coordinates(x)
    lines = []
    for number, (hand, sign, backbone) in enumerate([("L", 1, broken), ("D", -1, chain)]):
        file = f"design_{number:04d}.pdb"
        turned = backbone.with_coordinates(backbone.coordinates * np.array([sign, 1, 1]))
        write_backbone(tmp_path / file, turned)
        lines.append({"index": number, "file": file, "handedness": hand, "quality": {}})
    (tmp_path / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "run.json").write_text("{}")
    two, whole = script.read_traces(tmp_path)
    assert [len(piece) for piece in two] == [18, 12]
    assert len(script.cut([two], 9)) == 10 + 4
    found = script.find_nearest(script.cut([two], 9), script.cut([whole], 9))
    assert found.max() < 0.02
    with pytest.raises(script.InputError, match="no unbroken chain of 25"):
        script.cut([two], 25)


def test_fragments_compares_designs_with_held_out_chains_of_their_length(
    load_script, write_helices, tmp_path, monkeypatch, capsys
):
    script = load_script("fragments")
    run = write_helices(2)
    parts = make_walks([60, 61], 1), make_walks([39, 40, 41, 90], 0)
    monkeypatch.setattr(script, "load_dataset", lambda *_: parts)
    arguments = ["anything", str(run), "--lengths", "9", "--out", str(tmp_path / "found.json")]
    assert script.main(arguments) == 0
    (row,) = json.loads((tmp_path / "found.json").read_text())
    # Natural chains here are walks as the library's are, and the designs are helices.
    assert 0 < row["natural"] < row["designed"]
    assert f"{row['designed']:.3f} ±" in capsys.readouterr().out
    monkeypatch.setattr(script, "load_dataset", lambda *_: (parts[0], make_walks([90], 0)))
    assert script.main(arguments) == 2
    assert "holds out no chain" in capsys.readouterr().err


def test_chains_are_measured_by_themselves_and_against_others(load_script):
    """Two strands of ten residues, 5 Å apart: each residue touches those across within 8 Å."""
    interface = load_script("interface")
    strand = np.zeros((10, 3))
    strand[:, 0] = 3.5 * np.arange(10)
    beside = strand + np.array([0.0, 5.0, 0.0])
    found = interface.measure_chain(strand, beside[:6])
    across = [sum(abs(i - j) <= 1 for j in range(6)) for i in range(10)]
    assert found["contacts across"] == pytest.approx(np.mean(across))
    assert found["interface"] == pytest.approx(0.7)
    assert found["contacts within"] == 0
    radius = 3.5 * np.sqrt((10**2 - 1) / 12)
    assert found["Rg of the chain"] == pytest.approx(radius / (2.2 * 10**0.38))


@pytest.mark.filterwarnings("ignore:designs")
def test_binders_and_assemblies_are_measured(tiny_weights, tmp_path, capsys, load_script):
    helix = Backbone.from_coordinates(build_backbone(np.full(40, -60.0), -45.0), name="helix")
    write_backbone(tmp_path / "helix.pdb", helix)
    few = ["--num", "1", "--weights", str(tiny_weights)]
    binders, assemblies = load_script("binders"), load_script("assemblies")
    assert assemblies.main(["C2x30", *few]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[2].startswith("| C2 × 30 | tiny |")
    target = f"{tmp_path / 'helix.pdb'}=A18"
    assert binders.main([target, "--length", "30", *few]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| helix")]
    assert [row.split(" | ")[1] for row in rows] == ["docked", "seen"]
    beside = helix.coordinates + np.float32([0.0, 0.0, 12.0])
    pair = Backbone.from_coordinates(
        np.concatenate([helix.coordinates, beside]),
        chain_id=np.repeat(["A", "B"], 40),
        residue_number=np.tile(np.arange(1, 41), 2),
    )
    write_backbone(tmp_path / "pair.pdb", pair)
    file = str(tmp_path / "pair.pdb")
    assert binders.main(["--motif", file, "10/B10-20/10", "31", f"{file}:A", *few]) == 0
    rows = capsys.readouterr().out.splitlines()[2:4]
    assert [row.split(" | ")[1] for row in rows] == ["held", "seen"]


def test_losses_on_cut_chains_are_told_by_noise(monkeypatch, tiny_weights, capsys, load_script):
    script = load_script("held_out_cuts")
    seen = []

    class Counted:
        def __init__(self, chains, levels, scale, *, cut, revealed):
            seen.append((chains, levels.mean, cut, revealed))

        def measure(self, network):
            bands = {f"held_out_{low:g}-{high:g}": low for low, high in pairwise(NOISE_EDGES)}
            return {**bands, "held_out": 0.125}

    monkeypatch.setattr(script, "load_dataset", lambda path, lengths: (None, (path, lengths)))
    monkeypatch.setattr(script, "HeldOutLoss", Counted)
    assert script.main(["chains", "--weights", str(tiny_weights), "--lengths", "50", "90"]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    values = " | ".join(f"{edge:.4f}" for edge in NOISE_EDGES[:-1])
    assert rows[0] == f"| both made | tiny | {values} | 0.1250 |"
    assert rows[1].startswith("| one revealed | tiny |")
    assert seen == [(("chains", (50, 90)), 0.1, True, revealed) for revealed in (False, True)]

import csv
import json
from pathlib import Path

import pytest

from protdiff.checkpoint import read_header
from protdiff.errors import InputError
from protdiff.network import NetworkConfig
from protdiff.training import TrainingConfig, list_presets, load_config
from protdiff.training.schedule import get_learning_rate
from protdiff.weights import find_weights

DOCS = Path(__file__).parents[2] / "docs"


def test_file_is_read_and_options_replace_its_values(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(
        'data = "a"\nout = "b"\nlengths = [40, 80]\nema = 1\nsteps = 2e4\n[network]\nlayers = 4\n'
    )
    config = load_config(path, out="c", steps=None)
    assert (config.data, config.out, config.lengths) == ("a", "c", (40, 80))
    assert config.network.layers == 4
    assert repr((config.steps, config.ema)) == "(20000, 1.0)"
    assert config.minutes == TrainingConfig(data="", out="").minutes
    assert TrainingConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('data = "a"\nout = "b"\nlerning_rate = 1', "did you mean 'learning_rate'"),
        ('data = "a"\nout = "b"\n[network]\nlayer = 4', r"\[network\]: unknown key 'layer'"),
        ('data = "a"', "out must be given"),
        ("", "data and out must be given"),
        ('data = "a"\nout = "b"\nsteps = "many"', "steps = 'many'; expected a whole number"),
        ('data = "a"\nout = "b"\nsteps = true', "steps = True; expected a whole number"),
        (
            'data = "a"\nout = "b"\n[network]\nlayers = 3',
            r"run\.toml: layers = 3; expected an even number",
        ),
        (
            'data = "a"\nout = "b"\n[network]\nlayers = 2.5',
            r"\[network\]: layers = 2\.5; expected a",
        ),
        ('data = "a"\nout = "b"\nnetwork = 4', "network = 4; expected a table"),
        (
            'data = "a"\nout = "b"\nlengths = [40]',
            r"lengths = \[40\]; expected \[a whole number, a",
        ),
        ('data = "a"\nout = "b"\nlengths = [40, 1e20]', "lengths: expected a number of at most 1e"),
        ('data = "a"\nout = "b"\n[noise]\nmean = 1e20', r"\[noise\] mean: expected a number of at"),
        ('data = "a"\nout = "b"\n[noise]\ndeviation = 0', "deviation = 0.0, .* expected above 0"),
        (
            'data = "a"\nout = "b"\n[noise]\nuniform_share = 3',
            "share = 3.0; expected .* 0 to",
        ),
        ('data = "a"\nout = "b"\n[noise]\nlog_range = [5.1, -6.2]', r"\[smallest, largest\]"),
        ('data = "a"\nout = "b"\nseed = 10000000000000', "seed = 10000000000000; expected at most"),
        ('data = "a"\nout = "b"\n[network]\nlmax = 3', "lmax = 3; expected 1 or 2"),
        ('data = "a"\nout = "b"\n[network]\nneighbours = -1', "neighbours = -1; expected a size"),
        ('data = "a"\nout = "b"\npanel_length = 4', "panel_length = 4; expected 30 to 512"),
        ('data = "a"\nout = "b"\npanel_length = 600', "panel_length = 600; expected 30 to 512"),
        ("data = ", "is no TOML file"),
        ("steps = 0x" + "f" * 5000, "is no TOML file"),
    ],
)
def test_mistakes_are_named(tmp_path, text, message):
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_config(path)


def test_what_python_gives_is_taken_as_a_file_would_have_it():
    config = TrainingConfig(Path("a"), Path("b"), lengths=[40, 80], network={"layers": 4}, ema=1)
    assert (config.data, config.out, config.lengths) == ("a", "b", (40, 80))
    assert (config.network, config.network.scalars) == (NetworkConfig(layers=4), 128)
    assert TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": "many"}, "steps = 'many'; expected a whole number"),
        ({"steps": "9"}, "steps = '9'; expected a whole number"),
        ({"learning_rate": None}, "learning_rate = None; expected a number"),
        ({"lengths": [40]}, "lengths = "),
        ({"lengths": 40}, "lengths = 40; expected"),
        ({"network": 4}, "network = 4; expected a table"),
        ({"network": {"layer": 4}}, r"\[network\]: unknown key 'layer'; did you mean 'layers'"),
        ({"network": NetworkConfig(layers="4")}, r"\[network\]: layers = '4'; expected a whole"),
        ({"compile": "no"}, "compile = 'no'; expected true or false"),
    ],
)
def test_what_python_gives_is_checked_as_a_file_is(values, message):
    with pytest.raises(InputError, match=message):
        TrainingConfig("a", "b", **values)


def test_a_panel_of_no_designs_may_have_any_length():
    assert TrainingConfig("a", "b", panel_designs=0, panel_length=4).panel_length == 4


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        load_config(tmp_path / "none.toml")


def test_presets_are_runs_that_lack_their_data_alone():
    for name in list_presets():
        with pytest.raises(InputError, match=f"preset {name}: data must be given"):
            load_config(preset=name)
        assert load_config(preset=name, data="d").out.startswith("runs/")


def test_a_file_wins_over_a_preset_key_by_key(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('data = "a"\nthreads = 1\n[network]\nlayers = 4\n')
    config = load_config(path, preset="cpu", out="c")
    plain = load_config(preset="cpu", data="a")
    assert (config.out, config.threads, config.network.layers) == ("c", 1, 4)
    assert (plain.threads, plain.network.layers) == (2, 6)
    assert config.lengths == plain.lengths == (40, 80)


def test_presets_are_refused_by_near_miss():
    with pytest.raises(InputError, match=r"'speedrum', did you mean 'speedrun'\? There are base"):
        load_config(preset="speedrum")
    with pytest.raises(InputError, match=r"give --config FILE\.toml or --preset NAME"):
        load_config()


BASE_RUNS = {
    "base": "protdiff-base-log.csv",
    "base-2": "protdiff-base-log-2.csv",
    "base-3": "protdiff-base-log-3.csv",
}
LONG_RUNS = {
    "long": "protdiff-long-log.csv",
    "long-2": "protdiff-long-log-2.csv",
    "long-3": "protdiff-long-log-3.csv",
    "long-4": "protdiff-long-log-4.csv",
}
LAST_RUNS = {"base-4": "protdiff-base-log-4.csv", "base-5": "protdiff-base-log-5.csv"}
"""protdiff-base went on from what protdiff-long had made of its third part."""


@pytest.mark.parametrize(
    ("weights", "runs"),
    [
        ("protdiff-base", BASE_RUNS | LONG_RUNS | LAST_RUNS),
        ("protdiff-long", BASE_RUNS | LONG_RUNS),
        ("protdiff-complex", BASE_RUNS | LONG_RUNS | {"complex": "protdiff-complex-log.csv"}),
    ],
)
def test_the_presets_of_the_released_weights_are_what_was_run(weights, runs):
    check_card(read_header(find_weights(weights))["metadata"], runs)


def test_the_preset_of_the_released_expert_is_what_was_run():
    header = read_header(find_weights("protdiff-base"))
    card = header["metadata"]["expert"]
    check_card(card, {"base-expert": "protdiff-base-expert-log.csv"})
    assert card["below"] == header["expert"]["below"]


def check_card(card, runs):
    steps = samples = 0
    for preset, log in runs.items():
        config = load_config(preset=preset, data="prepared.safetensors")
        with (DOCS / "models" / log).open(newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows:  # six digits in the log
            rate = get_learning_rate(config, int(row["step"]))
            assert float(row["learning_rate"]) == pytest.approx(rate, rel=1e-5)
        steps += int(rows[-1]["step"])
        samples += int(rows[-1]["samples"])
    assert (steps, samples) == (card["steps"], card["samples"])
    assert config.secondary_structure == card["secondary_structure"]
    assert list(config.lengths) == card["lengths"]
    assert config.cut == card.get("cut", 0.0)

import inspect
import json

import pytest

from protdiff.cli.likelihood import likelihood as likelihood_command
from protdiff.evaluation.likelihood import LikelihoodSettings

# A flow that is short and loosely solved: these tests are about the command.
FAST = ("--rtol", 0.5, "--atol", 0.5, "--noise-floor", 10, "--probes", 2)
KEYS = ["file", "log_likelihood_nats", "nats_per_residue", "standard_error", "evaluations"]


@pytest.fixture
def likelihood(run, tiny_weights):
    """Return a function that runs the command with the tiny model."""
    return lambda *arguments: run("likelihood", "--weights", tiny_weights, *arguments)


def test_json_is_an_object_a_line(likelihood, helix_file):
    arguments = (helix_file, "--residues", "A1-30", "--json", *FAST)
    result = likelihood(*arguments)
    assert result.exit_code == 0, result.output
    (line,) = result.stdout.splitlines()
    found = json.loads(line)
    assert list(found) == KEYS
    assert found["file"] == str(helix_file)
    assert found["standard_error"] > 0
    assert found["evaluations"] > 5
    assert found["nats_per_residue"] == pytest.approx(found["log_likelihood_nats"] / 30, abs=1e-3)
    assert likelihood(*arguments).stdout == result.stdout
    assert likelihood(*arguments, "--seed", 1).stdout != result.stdout


def test_people_get_a_table(likelihood, helix_file):
    result = likelihood(helix_file, *FAST)
    assert result.exit_code == 0, result.output
    assert "log p (nats)" in result.stdout
    assert "helix.pdb" in result.stdout
    assert " 40 " in result.stdout


def test_what_a_run_lacks_is_said(likelihood, helix_file, tmp_path):
    (tmp_path / "manifest.jsonl").write_text('{"index": 0, "file": null}\n{')
    result = likelihood(helix_file, tmp_path, "--json", *FAST)
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 1
    assert result.stderr.splitlines()[-3:] == [
        f"the manifest in {tmp_path} names no structure",
        "manifest.jsonl: 1 damaged line passed over",
        "design 0 came out without finite coordinates",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--residues", "A1-20"), "has 20 residues; the network knows 30 to 512"),
        (("--chain", "B"), "no chain B"),
        (("--rtol", "nan"), "rtol is nan"),
        (("--noise-floor", 0), "noise_floor is 0"),
        (("--device", "abacus"), "abacus"),
    ],
)
def test_input_that_cannot_be_used_is_one_line(likelihood, helix_file, arguments, message):
    result = likelihood(helix_file, *arguments)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_files_are_all_read_before_the_first_is_judged(likelihood, helix_file, tmp_path):
    garbage = tmp_path / "garbage.pdb"
    garbage.write_text("not a structure")
    for bad in (garbage, tmp_path / "nowhere.pdb"):
        result = likelihood(helix_file, bad, "--json")
        assert result.exit_code == 2
        assert result.stdout == ""
        assert bad.name in result.stderr
        assert "Traceback" not in result.stderr


def test_weights_that_are_not_there_and_too_few_probes(run, likelihood, helix_file):
    result = run("likelihood", helix_file, "--weights", "nowhere.safetensors")
    assert result.exit_code == 2
    assert "nowhere.safetensors" in result.stderr
    assert likelihood(helix_file, "--probes", 1).exit_code == 2


def test_the_command_and_python_take_the_same_defaults():
    own = LikelihoodSettings()
    defaults = inspect.signature(likelihood_command).parameters
    for name in ("probes", "seed", "rtol", "atol", "noise_floor"):
        assert defaults[name].default == getattr(own, name), name

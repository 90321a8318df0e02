import json

import pytest

from protdiff.design.run_folder import MANIFEST
from protdiff.structure import read_backbone


@pytest.fixture
def generate(run, tiny_weights, tmp_path):
    """Return a function that generates with the tiny weights into ``tmp_path/out``."""

    def generate(*arguments):
        return run(
            *(
                "generate",
                "--weights",
                tiny_weights,
                "--steps",
                3,
                "--length",
                40,
                "--step-scale",
                1,
            ),
            *("--out", tmp_path / "out", *arguments),
        )

    return generate


def test_designs_a_manifest_and_a_table(generate, tmp_path):
    result = generate("--num", 2)
    assert result.exit_code == 0, result.output
    lines = (tmp_path / "out" / MANIFEST).read_text().splitlines()
    assert len(lines) == 2
    for line in map(json.loads, lines):
        assert len(read_backbone(tmp_path / "out" / line["file"])) == 40
        assert line["file"] in result.stdout
    assert "2 designs, 0 without a fault" in result.stdout


def test_the_same_command_continues(generate, tmp_path):
    generate("--num", 1)
    first = (tmp_path / "out" / "design_0000.pdb").stat().st_mtime_ns
    result = generate("--num", 3)
    assert result.exit_code == 0
    assert "holds 1 of 3 designs" in result.stderr
    assert (tmp_path / "out" / "design_0000.pdb").stat().st_mtime_ns == first
    assert len((tmp_path / "out" / MANIFEST).read_text().splitlines()) == 3


def test_another_run_in_the_folder_is_refused_and_overwritten_on_request(generate, tmp_path):
    generate("--num", 1)
    refused = generate("--num", 1, "--seed", 1)
    assert refused.exit_code == 2
    assert "other settings (seed 0, now 1)" in refused.stderr
    assert generate("--num", 1, "--seed", 1, "--overwrite").exit_code == 0
    assert json.loads((tmp_path / "out" / MANIFEST).read_text())["seed"] == 1


def test_json_is_the_manifest(generate, tmp_path):
    result = generate("--num", 2, "--json")
    lines = (tmp_path / "out" / MANIFEST).read_text().splitlines()
    assert json.loads(result.stdout) == [json.loads(line) for line in lines]


def test_quiet_prints_nothing(generate):
    result = generate("--num", 1, "--quiet")
    assert (result.exit_code, result.output) == (0, "")


def test_options_reach_the_manifest(generate, tmp_path):
    options = ("--num", 1, "--sampler", "ddim", "--temperature", 0.5, "--handedness", "D")
    result = generate(*options, "--format", "cif", "--trajectory", "--length", "40-41")
    assert result.exit_code == 0, result.output
    line = json.loads((tmp_path / "out" / MANIFEST).read_text())
    assert (line["sampler"], line["temperature"], line["handedness"]) == ("ddim", 0.5, "D")
    assert line["file"].endswith(".cif")
    assert len(list((tmp_path / "out" / "trajectories").iterdir())) == 2


def test_an_interrupt_says_what_is_there(generate, monkeypatch):
    from protdiff.design import run

    make = run.make_record

    def interrupt(designer, task, design, file):
        if design.index == 1:
            raise KeyboardInterrupt
        return make(designer, task, design, file)

    monkeypatch.setattr(run, "make_record", interrupt)
    result = generate("--num", 3, "--batch-size", 1)
    assert result.exit_code == 130
    assert "interrupted; 1 of 3 designs are in" in result.stderr
    assert "Traceback" not in result.output
    monkeypatch.undo()
    assert generate("--num", 3).exit_code == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--length", "abc"], "got 'abc'"),
        (["--length", "128-60"], "before it begins"),
        (["--length", "4"], "the network makes 30 to 512"),
        (["--sampler", "heum"], "did you mean 'heun'"),
        (["--grid", "x"], "no time grid"),
        (["--step-scale", "-1"], "step scale is -1.0"),
        (["--device", "gpu"], "device 'gpu' is not there"),
        (["--weights", "nothing"], "there are no weights 'nothing'. Give the path"),
        (["--weights", "protdif-base"], "'protdif-base', did you mean 'protdiff-base'? Give"),
        (["--residue-name", "GLYCINE"], "three letters"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(generate, tmp_path, options, message):
    result = generate(*options)
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("protdiff: error: ")
    assert message in line
    assert not (tmp_path / "out").exists()


def test_weights_that_are_none_are_refused(generate, tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(b"\x00" * 100)
    result = generate("--weights", tmp_path / "bad.safetensors")
    assert result.exit_code == 2
    assert "bad.safetensors" in result.stderr


def test_a_filter_says_how_many_were_drawn(generate, tmp_path):
    result = generate("--num", 2, "--filter", "rg>0", "--filter", "strand<=1, length>1")
    assert result.exit_code == 0, result.output
    assert f"2 of 2 drawn pass, in {tmp_path / 'out'}" in result.stdout
    # What a filter kept would not be what was kept without it.
    assert "other settings (filter" in generate("--num", 2).stderr


def test_a_filter_that_nothing_meets_ends(generate, tmp_path):
    result = generate("--num", 1, "--filter", "pass", "--max-draws", 3, "--json")
    assert result.exit_code == 1
    records = json.loads(result.stdout)
    assert [record["file"] for record in records] == [None] * 3
    assert all(record["rejected"] == record["quality"]["failed"] for record in records)
    assert "0 of 3 drawn pass, and 1 are wanted; --max-draws allows no more" in result.stderr
    more = generate("--num", 1, "--filter", "pass", "--max-draws", 4, "--json")
    assert len(json.loads(more.stdout)) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--filter", "strnd>0"), "did you mean 'strand'"),
        (("--filter", "pass", "--max-draws", 1), "1 draws cannot give 2 designs"),
        (("--max-draws", 9), "goes with --filter"),
    ],
)
def test_a_filter_that_cannot_be_is_refused_before_all_else(generate, tmp_path, options, message):
    result = generate("--num", 2, *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "out").exists()

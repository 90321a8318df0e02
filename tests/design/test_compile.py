"""Compiled sampling, from the options to the manifest."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import protdiff
from protdiff.campaign import Campaign, load_campaign, run_campaign
from protdiff.cli.main import app
from protdiff.design.run_folder import MANIFEST, SETTINGS


@pytest.fixture
def compiled(monkeypatch):
    """Return the functions that were compiled; that is, called as they are."""
    functions = []

    def compile(function, **options):
        functions.append(function)
        return function

    monkeypatch.setattr(torch, "compile", compile)
    monkeypatch.setattr("protdiff.network.compiled.check_compiler", lambda device: None)
    return functions


def read_lines(folder):
    return [json.loads(line) for line in (folder / MANIFEST).read_text().splitlines()]


@pytest.fixture
def run(tiny_weights, tmp_path):
    def run(command, *options):
        common = ("--weights", tiny_weights, "--device", "cpu", "--steps", 3, "--step-scale", 1)
        arguments = (*command, *common, "--out", tmp_path / "out", *options)
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run


def test_load_compiles_and_designs_are_the_same(compiled, tiny_weights):
    sets = []
    for compile in (False, True):
        model = protdiff.load(tiny_weights, "cpu", compile=compile)
        sets.append(model.generate(length=(40, 42), num=3, seed=1, steps=3, batch_size=1 + compile))
    assert len(compiled) == 1
    for plain, other in zip(*sets, strict=True):
        assert np.abs(plain.coordinates - other.coordinates).max() < 1e-2
    assert [record.get("compiled") for record in sets[0].to_records()] == [None] * 3
    assert [record.get("compiled") for record in sets[1].to_records()] == [True] * 3


def test_a_folder_goes_on_compiled_and_each_line_says_how_it_was_made(compiled, run, tmp_path):
    command = ("generate", "--length", 40)
    assert run(command, "--num", 1).exit_code == 0
    settings = (tmp_path / "out" / SETTINGS).read_bytes()
    assert compiled == []
    result = run(command, "--num", 2, "--compile")
    assert result.exit_code == 0, result.output
    assert len(compiled) == 1
    assert [line.get("compiled") for line in read_lines(tmp_path / "out")] == [None, True]
    assert (tmp_path / "out" / SETTINGS).read_bytes() == settings
    assert run(command, "--num", 3).exit_code == 0
    assert [line.get("compiled") for line in read_lines(tmp_path / "out")] == [None, True, None]


def test_scaffold_compiles(compiled, run, tmp_path):
    motif = tmp_path / "helix.pdb"
    chain = protdiff.structure.build_backbone(np.full(40, -57.0), -47.0)
    protdiff.write_backbone(motif, protdiff.Backbone.from_coordinates(chain))
    command = ("scaffold", motif, "--contig", "15/A5-14/15", "--num", 1)
    result = run(command, "--compile")
    assert result.exit_code == 0, result.output
    assert len(compiled) == 1
    assert read_lines(tmp_path / "out")[0]["compiled"]


def test_without_a_compiler_nothing_is_written(run, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    result = run(("generate", "--length", 40), "--compile")
    assert result.exit_code == 2
    assert "there is no no-such-compiler" in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


def test_a_campaign_compiles(compiled, tiny_weights, tmp_path):
    values = {
        "weights": str(tiny_weights),
        "device": "cpu",
        "out": str(tmp_path / "out"),
        "compile": True,
        "sampling": {"steps": 2},
        "job": [{"name": "a", "num": 1, "length": 40}],
    }
    assert run_campaign(Campaign.from_dict(values)).complete
    assert len(compiled) == 1
    (tmp_path / "c.toml").write_text('[[job]]\nname = "a"\nnum = 1\nlength = 40\n')
    assert not load_campaign(tmp_path / "c.toml").compile
    assert load_campaign(tmp_path / "c.toml", compile=True).compile

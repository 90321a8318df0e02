import dataclasses
import json

import gemmi
import numpy as np
import pytest
import torch

from protdiff.conditioning import Contacts, PartialDiffusion, Symmetry
from protdiff.design import (
    Designer,
    Generation,
    OutputSettings,
    SamplingSettings,
    run_designs,
)
from protdiff.design.run_folder import MANIFEST
from protdiff.errors import InputError
from protdiff.structure import Backbone, build_backbone, read_backbone, read_models

TASK = Generation((40, 42), 3, SamplingSettings(steps=3, step_scale=1.0))
KEYS = (
    *("file", "index", "seed", "length", "sampler", "steps", "grid"),
    *("temperature", "step_scale", "autoguidance", "restarts", "handedness"),
    *("weights", "weights_sha256", "protdiff_version", "seconds", "asked", "quality"),
)


def read_lines(folder):
    return [json.loads(line) for line in (folder / MANIFEST).read_text().splitlines()]


def read_all(folder):
    return {
        path.name: read_backbone(path).coordinates for path in sorted(folder.glob("design_*.*"))
    }


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        assert np.abs(first[name] - second[name]).max() <= 1.01e-3, name


@pytest.fixture(scope="module")
def whole(designer, tmp_path_factory):
    """Return the folder of a run of five designs that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    run_designs(designer, TASK, folder, 5)
    return folder


def test_the_manifest_has_a_line_with_the_agreed_keys_for_each_design(whole):
    lines = read_lines(whole)
    assert sorted(line["index"] for line in lines) == [0, 1, 2, 3, 4]
    for line in lines:
        assert tuple(line) == KEYS
        assert (whole / line["file"]).is_file()
        assert (line["seed"], line["sampler"], line["steps"]) == (3, SamplingSettings().sampler, 3)
        assert (line["weights"], line["weights_sha256"]) == ("tiny", "0" * 64)
        assert line["length"] == len(read_backbone(whole / line["file"])) in (40, 41, 42)
        assert line["quality"]["length"] == line["length"]
        assert "passes" in line["quality"]


def test_the_files_hold_the_designs(designer, whole):
    for design in designer.make(TASK, range(5)):
        written = read_backbone(whole / f"design_{design.index:04d}.pdb")
        assert np.abs(written.coordinates - design.backbone.coordinates).max() <= 1e-3
        assert set(written.residue_name) == {"GLY"}


@pytest.mark.parametrize("stop_after", [0, 1, 3])
def test_a_stopped_run_is_continued_and_ends_the_same(designer, whole, tmp_path, stop_after):
    seen = []

    def stop(record):
        seen.append(record)
        if len(seen) > stop_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_designs(designer, TASK, tmp_path, 5, batch_size=1, on_design=stop)
    assert len(read_lines(tmp_path)) == stop_after + 1
    result = run_designs(designer, TASK, tmp_path, 5, batch_size=2)
    assert result.made == 4 - stop_after
    assert [record["index"] for record in result.records] == [0, 1, 2, 3, 4]
    assert sorted(line["index"] for line in read_lines(tmp_path)) == [0, 1, 2, 3, 4]
    assert_same(read_all(tmp_path), read_all(whole))


def test_a_structure_without_its_line_is_made_again(designer, whole, tmp_path):
    run_designs(designer, TASK, tmp_path, 2, batch_size=1)
    lines = (tmp_path / MANIFEST).read_text().splitlines(keepends=True)
    (tmp_path / MANIFEST).write_text(lines[0] + lines[1][:30])
    result = run_designs(designer, TASK, tmp_path, 5)
    assert (result.made, result.damaged) == (4, 1)
    assert_same(read_all(tmp_path), read_all(whole))


def test_a_finished_run_makes_nothing(designer, whole):
    before = {path: path.stat().st_mtime_ns for path in whole.iterdir()}
    assert run_designs(designer, TASK, whole, 5).made == 0
    assert {path: path.stat().st_mtime_ns for path in whole.iterdir()} == before


def test_more_designs_are_added_to_a_run(designer, whole, tmp_path):
    run_designs(designer, TASK, tmp_path, 2)
    assert run_designs(designer, TASK, tmp_path, 5).made == 3
    assert_same(read_all(tmp_path), read_all(whole))


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 4},
        {"length": 40},
        {"settings": SamplingSettings(steps=4, step_scale=1.0)},
        {"settings": SamplingSettings(steps=3, step_scale=1.1)},
        {"settings": SamplingSettings(steps=3, step_scale=1.0, autoguidance=2.0)},
    ],
)
def test_a_run_with_other_settings_is_refused(designer, whole, change):
    before = read_lines(whole)
    with pytest.raises(InputError, match="other settings"):
        run_designs(designer, dataclasses.replace(TASK, **change), whole, 5)
    with pytest.raises(InputError, match="format"):
        run_designs(designer, TASK, whole, 5, output=OutputSettings(format="cif"))
    other = Designer(dataclasses.replace(designer.model, sha256="1" * 64))
    with pytest.raises(InputError, match="weights_sha256"):
        run_designs(other, TASK, whole, 5)
    assert read_lines(whole) == before


def test_an_interrupt_before_the_first_design_binds_nobody(designer, tmp_path):
    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_designs(designer, TASK, tmp_path, 1, on_start=interrupt)
    other = dataclasses.replace(TASK, seed=9)
    run_designs(designer, other, tmp_path, 1)
    assert json.loads((tmp_path / "run.json").read_text())["seed"] == 9
    with pytest.raises(InputError, match="seed 9, now 3"):
        run_designs(designer, TASK, tmp_path, 1)


@pytest.mark.parametrize(
    ("names", "first", "message"),
    [("AA", 1, "the chain id AA"), ("A", 9990, "residue numbers from 9990 to 10029")],
)
def test_what_pdb_cannot_name_is_refused_before_anything_is_written(
    designer, tmp_path, names, first, message
):
    start = Backbone.from_coordinates(
        build_backbone(np.full(40, -60.0), -45.0),
        chain_id=np.full(40, names),
        residue_number=np.arange(40) + first,
    )
    task = dataclasses.replace(TASK, length=None, conditioners=(PartialDiffusion(start),))
    with pytest.raises(InputError, match=f"{message}.*; write mmCIF instead"):
        run_designs(designer, task, tmp_path / "out", 1)
    assert not (tmp_path / "out").exists()
    run_designs(designer, task, tmp_path / "out", 1, output=OutputSettings(format="cif"))
    assert read_backbone(tmp_path / "out" / "design_0000.cif").labels == start.labels


def test_a_ring_of_many_chains_is_refused_as_pdb(designer, tmp_path):
    task = dataclasses.replace(TASK, length=4, conditioners=(Symmetry("C27"),))
    with pytest.raises(InputError, match="the chain id AA"):
        run_designs(designer, task, tmp_path / "out", 1)
    contacts = dataclasses.replace(task, conditioners=(*task.conditioners, Contacts("A1-AB2")))
    with pytest.raises(InputError, match="no chain AB"):
        run_designs(designer, contacts, tmp_path / "out", 1)


def test_numbers_of_numpy_are_taken(designer, tmp_path):
    settings = SamplingSettings(
        steps=np.int64(3), step_scale=np.float32(1), temperature=np.float32(0.5)
    )
    task = Generation(np.int64(40), np.int64(3), settings)
    run_designs(designer, task, tmp_path / "numpy", np.int64(1))
    plain = Generation(40, 3, SamplingSettings(steps=3, step_scale=1.0, temperature=0.5))
    run_designs(designer, plain, tmp_path / "plain", [np.int64(0)])
    ours, theirs = (tmp_path / name / "design_0000.pdb" for name in ("numpy", "plain"))
    assert ours.read_bytes() == theirs.read_bytes()
    run = {name: (tmp_path / name / "run.json").read_text() for name in ("numpy", "plain")}
    assert run["numpy"] == run["plain"]


def test_overwriting_starts_again(designer, tmp_path):
    run_designs(designer, TASK, tmp_path, 3)
    other = dataclasses.replace(TASK, seed=9)
    assert run_designs(designer, other, tmp_path, 2, overwrite=True).made == 2
    assert {line["seed"] for line in read_lines(tmp_path)} == {9}
    assert len(read_all(tmp_path)) == 2


def test_mmcif_and_trajectories_are_written(designer, tmp_path):
    output = OutputSettings(format="cif", trajectory=True, residue_name="ALA", cbeta=True)
    run_designs(designer, TASK, tmp_path, 1, output=output)
    structure = gemmi.read_structure(str(tmp_path / "design_0000.cif"))
    residues = structure[0][0]
    assert {residue.name for residue in residues} == {"ALA"}
    assert {atom.name for atom in residues[0]} == {"N", "CA", "C", "O", "CB"}
    for kind in ("noisy", "denoised"):
        models = read_models(tmp_path / "trajectories" / f"design_0000_{kind}.cif")
        assert len(models) == 4  # three steps and the final denoising
    last = models[-1].coordinates
    design = read_backbone(tmp_path / "design_0000.cif").coordinates
    assert np.abs(last - design).max() <= 1e-3


def test_steps_follow_the_length_of_each_design(designer, tmp_path):
    task = Generation((120, 200), 0, SamplingSettings(step_scale=1.0, excluded_volume=False))
    records = run_designs(designer, task, tmp_path, 3, output=OutputSettings(trajectory=True)).kept
    assert len({record["steps"] for record in records}) > 1
    assert json.loads((tmp_path / "run.json").read_text())["steps"] is None
    for record in records:
        assert record["steps"] == task.settings.get_steps(record["length"])
        name = record["file"].replace(".pdb", "_noisy.pdb")
        assert len(read_models(tmp_path / "trajectories" / name)) == record["steps"] + 1


def test_a_long_trajectory_is_thinned_to_its_ends(designer, tmp_path, monkeypatch):
    monkeypatch.setattr("protdiff.design.run.MOST_FRAMES", 4)
    task = Generation(40, 0, SamplingSettings(steps=10, step_scale=1.0))
    design = next(designer.make(task, [0], frames=True))
    run_designs(designer, task, tmp_path, 1, output=OutputSettings(trajectory=True))
    models = read_models(tmp_path / "trajectories" / "design_0000_noisy.pdb")
    assert len(models) == 4
    for model, frame in ((models[0], 0), (models[-1], -1)):
        assert np.abs(model.coordinates[:, :3] - design.frames.noisy[frame]).max() <= 1e-3


def test_a_wild_step_on_the_way_does_not_stop_a_run(designer, tmp_path, monkeypatch):
    from protdiff.design import engine

    take = engine._take_frames

    def take_wild(*args):
        frames = take(*args)
        frames.noisy[1, 3] = 1e6
        frames.denoised[2, 5] = np.nan
        return frames

    monkeypatch.setattr(engine, "_take_frames", take_wild)
    run_designs(designer, TASK, tmp_path, 1, output=OutputSettings(trajectory=True))
    assert len(read_lines(tmp_path)) == 1
    assert len(read_models(tmp_path / "trajectories" / "design_0000_noisy.pdb")) == 4


def test_a_design_that_is_not_finite_is_flagged_and_has_no_file(designer, tmp_path):
    network = designer.model.network

    class Broken(torch.nn.Module):
        config = network.config

        def __init__(self):
            super().__init__()
            self.inner = network

        def forward(self, *args):
            return [torch.full_like(estimate, torch.nan) for estimate in self.inner(*args)]

    broken = Designer(dataclasses.replace(designer.model, network=Broken()))
    output = OutputSettings(trajectory=True)
    run_designs(broken, TASK, tmp_path, 2, output=output)
    lines = read_lines(tmp_path)
    assert [line["file"] for line in lines] == [None, None]
    assert all(line["quality"]["failed"] == ["non_finite"] for line in lines)
    assert read_all(tmp_path) == {}
    assert run_designs(broken, TASK, tmp_path, 2, output=output).made == 0


@pytest.mark.parametrize(
    ("task", "num", "output", "message"),
    [
        (TASK, 0, {}, "number of designs is 0"),
        (TASK, -1, {}, "number of designs is -1"),
        (TASK, 2.0, {}, "number of designs is 2.0"),
        (TASK, [0, 1.0], {}, "index of a design is 1.0"),
        (TASK, [0, -1], {}, "give each once, from 0 on"),
        (TASK, [0, 1, 0], {}, "give each once, from 0 on"),
        (Generation(5), 1, {}, "the network makes"),
        (TASK, 1, {"format": "xyz"}, "give pdb or cif"),
        (TASK, 1, {"residue_name": "../x"}, "three letters"),
    ],
)
def test_wrong_input_writes_nothing(designer, tmp_path, task, num, output, message):
    with pytest.raises(InputError, match=message):
        run_designs(designer, task, tmp_path / "out", num, output=OutputSettings(**output))
    assert not (tmp_path / "out").exists()

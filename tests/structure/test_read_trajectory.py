"""Reading all models at once is reading them one by one, whatever the file."""

import numpy as np
import pytest

from protdiff.errors import InputError
from protdiff.structure import (
    Backbone,
    build_backbone,
    read,
    read_models,
    read_trajectory,
    write_trajectory,
)


@pytest.fixture(scope="module")
def frames():
    """Return three states of two chains of 5 and 7 residues."""
    rng = np.random.default_rng(0)
    first = Backbone.from_coordinates(
        build_backbone(np.full(12, -60.0), -45.0),
        chain_id=["A"] * 5 + ["B"] * 7,
        residue_number=[*range(1, 6), *range(1, 8)],
    )
    noise = rng.standard_normal(first.coordinates.shape)
    return [first.with_coordinates(first.coordinates + s * noise) for s in (0.0, 1.0, 20.0)]


def read_one_by_one(path):
    return np.stack([model.coordinates for model in read_models(path)])


@pytest.mark.parametrize("name", ["t.pdb", "t.cif", "t.pdb.gz"])
def test_the_quick_way_and_the_slow_one_agree(tmp_path, frames, name, monkeypatch):
    path = tmp_path / name
    write_trajectory(path, frames)
    expected = read_one_by_one(path)
    calls = []
    slow = read._StructureFile.read_backbone
    monkeypatch.setattr(
        read._StructureFile, "read_backbone", lambda *a: calls.append(a[1]) or slow(*a)
    )
    assert np.array_equal(read_trajectory(path), expected)
    assert calls == [1]


@pytest.mark.parametrize("cbeta", [True, False])
def test_other_orders_and_atoms_are_read_one_by_one(tmp_path, frames, cbeta):
    path = tmp_path / "t.pdb"
    named = [frame.with_names(["ALA"] * 12) for frame in frames]
    write_trajectory(path, named, cbeta=cbeta)
    if not cbeta:
        # O before C: as many atoms, in another order.
        lines = path.read_text().splitlines()
        for k in range(len(lines) - 1):
            if lines[k][12:16] == " C  " and lines[k + 1][12:16] == " O  ":
                lines[k], lines[k + 1] = lines[k + 1], lines[k]
        path.write_text("\n".join(lines) + "\n")
    got = read_trajectory(path)
    assert np.array_equal(got, read_one_by_one(path))
    np.testing.assert_allclose(got[0], frames[0].coordinates, atol=6e-4)


def test_models_of_different_residues_are_refused(tmp_path, frames):
    path = tmp_path / "t.pdb"
    write_trajectory(path, frames)
    lines = path.read_text().splitlines()
    last = max(k for k, line in enumerate(lines) if line.startswith("MODEL"))
    gone = [k for k, line in enumerate(lines) if k > last and line[21:26] == "B   7"]
    assert len(gone) in (4, 5)  # with TER
    path.write_text("\n".join(line for k, line in enumerate(lines) if k not in gone) + "\n")
    with pytest.raises(InputError, match="differ in their number of residues"):
        read_trajectory(path)


def test_a_later_model_that_is_no_number_is_refused(tmp_path, frames):
    path = tmp_path / "t.pdb"
    write_trajectory(path, frames)
    head, model, tail = path.read_text().rpartition("MODEL")
    spoilt = [
        line[:30] + "     nan" + line[38:] if line[12:16] == " CA " else line
        for line in tail.splitlines()
    ]
    path.write_text(head + model + "\n".join(spoilt) + "\n")
    with pytest.raises(InputError, match="not a number"):
        read_trajectory(path)

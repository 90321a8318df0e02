import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from protdiff.errors import InputError
from protdiff.structure import (
    CHAIN_JUMP,
    Backbone,
    build_backbone,
    parse_selection,
    select_residues,
)


def test_three_atoms_get_an_oxygen(helix):
    made = Backbone.from_coordinates(helix.coordinates[:, :3])
    # The last O has no link; all are where the builder put them.
    np.testing.assert_allclose(made.coordinates, helix.coordinates, atol=1e-3)
    assert made.coordinates.dtype == np.float32
    assert made.chains == ("A",)
    assert made.residue_number.tolist() == list(range(1, 25))
    assert set(made.residue_name) == {"GLY"}
    assert not made.motif_mask.any()


def test_a_new_chain_jumps(helix):
    made = Backbone.from_coordinates(helix.coordinates, chain_id=["A"] * 10 + ["B"] * 14)
    assert np.diff(made.residue_index).tolist() == [1] * 9 + [CHAIN_JUMP] + [1] * 13
    assert made.segment_starts == [0, 10]
    assert len(made.select_chain("B")) == 14
    with pytest.raises(InputError, match="no protein chain C; its protein chains are A, B"):
        made.select_chain("C")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coordinates": np.zeros((5, 2, 3))}, r"\(residue, 3, 3\).*got \(5, 2, 3\)"),
        ({"coordinates": np.zeros((0, 4, 3))}, "got"),
        ({"residue_index": [0, 1, 2, 3]}, r"shape \(5,\); got \(4,\)"),
        ({"residue_index": [0, 1, 1, 2, 3]}, "rise"),
        ({"chain_id": ["A", "B"]}, r"chain_id.*\(2,\)"),
        ({"residue_number": [1, 2]}, "residue_number"),
        ({"motif_mask": [True]}, "motif_mask"),
    ],
)
def test_bad_fields_are_refused(options, message):
    x = options.pop("coordinates", np.zeros((5, 4, 3)))
    with pytest.raises(InputError, match=message):
        Backbone.from_coordinates(x, **options)


def test_selecting_keeps_what_lies_between(helix):
    part = helix.select([2, 3, 4, 9, 10])
    assert part.residue_index.tolist() == [0, 1, 2, 7, 8]
    assert part.labels == ["A3", "A4", "A5", "A10", "A11"]
    np.testing.assert_array_equal(part.coordinates, helix.coordinates[[2, 3, 4, 9, 10]])
    mask = np.zeros(24, dtype=bool)
    mask[:3] = True
    assert helix.select(mask).labels == ["A1", "A2", "A3"]
    # In another order, each step back is a jump to another piece.
    assert helix.select([10, 11, 2, 3]).residue_index.tolist() == [
        0,
        1,
        CHAIN_JUMP + 1,
        CHAIN_JUMP + 2,
    ]
    with pytest.raises(InputError, match="leaves no residue"):
        helix.select(np.zeros(24, dtype=bool))


def test_describing(helix):
    assert repr(helix) == "Backbone 'helix': 24 residues, A1-24"
    assert repr(helix.select([0])) == "Backbone 'helix': 1 residue, A1"
    many = helix.select(np.arange(0, 24, 2))
    assert repr(many).endswith("A9, ... (12 segments)")
    assert helix.sequence == "AGLE" * 6
    assert helix.with_names("HOH").sequence == "X" * 24


def test_arrays_and_back(helix):
    array = np.asarray(helix)
    assert array.shape == (24, 4, 3)
    assert array.dtype == np.float32
    assert np.array(helix, dtype=float).dtype == np.float64
    copy = np.array(helix)
    copy += 1
    assert not np.shares_memory(copy, helix.coordinates)
    moved = helix.with_coordinates(copy[:, :3])
    np.testing.assert_allclose(moved.coordinates, helix.coordinates + 1, atol=1e-3)
    assert moved.labels == helix.labels


def test_atom_arrays_and_back(helix):
    mask = np.arange(24) < 5
    given = Backbone.from_coordinates(
        helix.coordinates,
        residue_name=helix.residue_name,
        chain_id=["X"] * 24,
        residue_number=np.arange(24) - 3,
        insertion_code=["", "A"] * 12,
        motif_mask=mask,
    )
    atoms = given.to_atom_array()
    assert len(atoms) == 96
    assert (atoms.b_factor == np.repeat(np.where(mask, 100.0, 0.0), 4)).all()
    back = Backbone.from_atom_array(atoms, name="back")
    np.testing.assert_array_equal(back.coordinates, given.coordinates)
    assert back.labels == given.labels
    assert (back.residue_name == given.residue_name).all()
    assert (back.residue_index == given.residue_index).all()
    beta = given.to_atom_array(cbeta=True)
    assert (beta.atom_name == "CB").sum() == 18  # all but the six glycines
    assert "GLY" not in beta.res_name[beta.atom_name == "CB"]


def test_non_finite_backbones_exist_and_say_so(helix):
    x = helix.coordinates.copy()
    x[3, 1, 0] = np.inf
    assert not helix.with_coordinates(x).is_finite
    assert helix.is_finite


def test_importing_needs_no_biotite():
    code = (
        "import sys; sys.modules['biotite'] = None\n"
        "import numpy as np, protdiff.structure as s\n"
        "from protdiff.errors import DependencyError\n"
        "b = s.Backbone.from_coordinates(s.build_backbone(np.full(5, -60.0), -45.0))\n"
        "s.sample_motif(b, '3/A2-4/3', np.random.default_rng(0))\n"
        "try: b.to_atom_array()\n"
        "except DependencyError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "pip install biotite" in done.stdout


def test_importing_touches_no_foreign_package():
    code = (
        "import sys, protdiff.structure\n"
        "print([m for m in ('biotite', 'e3nn', 'safetensors') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_builder_broadcasts():
    assert build_backbone(-60.0, -45.0).shape == (1, 4, 3)


def test_residues_are_called_as_selections_read_them(helix):
    one = Backbone.from_coordinates(
        helix.coordinates,
        chain_id=["1"] * 8 + ["F-2"] * 8 + ["a"] * 8,
        insertion_code=[""] * 23 + ["B"],
    )
    assert one.labels[0] == "1:1"
    assert one.labels[8] == "F-2:9"
    assert one.labels[-1] == "a24B"
    for place in (0, 8, 23):
        assert select_residues(one, parse_selection(one.label(place))).tolist() == [place]


@pytest.mark.parametrize(
    "change",
    [
        {"coordinates": 0.01},
        {"residue_number": 1},
        {"residue_index": [0] * 12 + [3] * 12},
        {"chain_id": "B"},
        {"residue_name": "ALA"},
        {"insertion_code": "A"},
    ],
)
def test_the_digest_tells_structures_apart(helix, change):
    ((field, value),) = change.items()
    changed = np.array(getattr(helix, field))
    changed = changed + np.array(value) if changed.dtype.kind in "if" else np.full(24, value)
    assert dataclasses.replace(helix, name="other").digest == helix.digest
    assert dataclasses.replace(helix, **{field: changed}).digest != helix.digest

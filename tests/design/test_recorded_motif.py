import re

import numpy as np
import pytest

from protdiff.design.recorded_motif import read_motif
from protdiff.errors import InputError
from protdiff.structure import Backbone, build_backbone

PAIRS = [{"from": "A163", "to": 5}, {"from": "H52B", "to": 9}]


@pytest.fixture(scope="module")
def design() -> Backbone:
    """A design of two chains, numbered through from 1, whose file lost its first two residues."""
    return Backbone.from_coordinates(
        build_backbone(np.full(10, -57.0), -47.0),
        residue_number=np.arange(3, 13),
        chain_id=["A"] * 4 + ["B"] * 6,
    )


def test_residues_go_by_their_numbers_and_not_by_their_places(design):
    motif = read_motif({"motif_map": PAIRS, "redesignable": [9]}, design)
    assert design.residue_number[motif.motif_mask].tolist() == [5, 9]
    assert design.residue_number[motif.redesignable_mask].tolist() == [9]


@pytest.mark.parametrize("line", [{}, {"motif_map": []}, {"redesignable": [4]}])
def test_a_line_without_a_motif_gives_nothing(design, line):
    motif = read_motif(line, design)
    assert not motif.motif_mask.any()
    assert not motif.redesignable_mask.any()


@pytest.mark.parametrize("lacking", [-1, 0, 2, 10**9, 10**400])
def test_residues_that_the_file_lacks_are_passed_over(design, lacking):
    pairs = [*PAIRS, {"from": "A1", "to": lacking}]
    motif = read_motif({"motif_map": pairs, "redesignable": [lacking, 5]}, design)
    assert design.residue_number[motif.motif_mask].tolist() == [5, 9]
    assert design.residue_number[motif.redesignable_mask].tolist() == [5]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("motif_map", value) for value in (7, None, "A163", {"from": "A1", "to": 5}, ["A163"])),
        *(("motif_map", [*PAIRS, pair]) for pair in ({}, {"from": "A1"}, {"to": 6})),
        *(("motif_map", [*PAIRS, {"from": "A1", "to": to}]) for to in ("6", 6.0, True, None, [6])),
        ("motif_map", [{"from": 163, "to": 5}]),
        *(("redesignable", value) for value in (5, None, "5", ["5"], [5.0], [True], [[5]])),
    ],
)
def test_a_damaged_line_is_refused_by_file_and_design(design, key, value):
    record = {"index": 3, "motif_map": PAIRS, key: value}
    said = re.escape(f"run/manifest.jsonl: the {key} of design 3 is ")
    with pytest.raises(InputError, match=said) as caught:
        read_motif(record, design, manifest="run/manifest.jsonl")
    assert len(str(caught.value)) < 250

"""Some chains of a file, named behind a colon."""

import numpy as np
import pytest

from protdiff.errors import InputError
from protdiff.structure import Backbone, build_backbone, write_backbone
from protdiff.structure.part import read_chains


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    helix = build_backbone(np.full(12, -60.0), -45.0)
    backbone = Backbone.from_coordinates(
        np.concatenate([helix + 12.0 * number for number in range(3)]),
        chain_id=np.repeat(["A", "B", "C"], 12),
    )
    path = tmp_path_factory.mktemp("part") / "three.pdb"
    write_backbone(path, backbone)
    return path


@pytest.mark.parametrize(
    ("chains", "expected"), [("", "ABC"), (":A", "A"), (":C,A", "AC"), (": B , C", "BC")]
)
def test_chains_are_those_named_in_the_order_of_the_file(path, chains, expected):
    backbone = read_chains(f"{path}{chains}")
    assert "".join(backbone.chains) == expected
    assert len(backbone) == 12 * len(expected)
    assert backbone.name == "three"


def test_a_file_whose_name_holds_a_colon_is_meant(path):
    twin = path.with_name("three.pdb:A.pdb")
    twin.write_bytes(path.read_bytes())
    assert len(read_chains(twin)) == 36


@pytest.mark.parametrize("text", ["{path}:D", "{path}:", "{path}:A;B", "nowhere.pdb:A", "nowhere"])
def test_what_is_not_there_is_refused(path, text):
    with pytest.raises(InputError, match=r"has no protein chain|nowhere"):
        read_chains(text.format(path=path))

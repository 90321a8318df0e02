import json
import math
from pathlib import Path

import pytest

from protdiff.campaign import Campaign
from protdiff.design import Designer
from protdiff.design.run_folder import MANIFEST

BASE = {
    "seed": 7,
    "chunk": 4,
    "sampling": {"steps": 2, "excluded_volume": False},
    "job": [
        {"name": "mixed", "num": 6, "length": "30-33"},
        {"name": "cool", "num": 5, "length": 31, "temperature": 0.5},
    ],
}


@pytest.fixture(scope="session")
def designer(tiny_model) -> Designer:
    """Return a designer with the tiny untrained model."""
    return Designer(tiny_model)


@pytest.fixture
def make(tiny_weights, tmp_path):
    """Return a function that makes a campaign of the tiny model: BASE with changes."""

    def make(folder="out", **changes):
        values = {**BASE, "weights": str(tiny_weights), "device": "cpu", **changes}
        return Campaign.from_dict({**values, "out": str(tmp_path / folder)})

    return make


def read_lines(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def read_designs(out):
    """Return all that a campaign is, but for when it was made: files to the bit, and lines."""
    out = Path(out)
    found = {}
    for chunk in sorted(out.glob("*/chunk-*")):
        lines = read_lines(chunk / MANIFEST)
        indices = [line["index"] for line in lines]
        assert len(set(indices)) == len(indices), f"{chunk} has a design twice"
        for line in lines:
            assert math.isfinite(line.pop("seconds"))
            file = line["file"]
            data = None if file is None else (chunk / file).read_bytes()
            found[chunk.parent.name, line["index"]] = (chunk.name, line, data)
        files = {path.name for path in chunk.iterdir()} - {MANIFEST, "run.json"}
        assert files == {line["file"] for line in lines} - {None}, chunk
    return found

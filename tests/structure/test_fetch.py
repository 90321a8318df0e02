"""Fetching without a network: the data bank's client is replaced, all else is ours."""

import io

import pytest

from protdiff.errors import InputError, ProtdiffError
from protdiff.structure import fetch_structures, read_backbone
from protdiff.structure.fetch import parse_entry_id


@pytest.fixture
def bank(monkeypatch, helix, pdb_lines):
    """Stand in for the data bank; it records what was asked and sends what ``bank.content`` is."""
    import biotite.database.rcsb as rcsb

    class Bank:
        def __init__(self):
            self.asked = []
            self.content = "\n".join(pdb_lines(helix)) + "\nEND\n"
            self.error = None

        def fetch(self, entry, kind):
            self.asked.append((entry, kind))
            if self.error is not None:
                raise self.error
            return io.StringIO(self.content)

    stand_in = Bank()
    monkeypatch.setattr(rcsb, "fetch", stand_in.fetch)
    return stand_in


def test_entries_come_whole_and_once(bank, tmp_path):
    seen = []
    files = fetch_structures(
        "1AKI, 3ixt 1aki", tmp_path / "new", format="pdb", progress=seen.append
    )
    assert [file.name for file in files] == ["1aki.pdb", "3ixt.pdb"]
    assert bank.asked == [("1aki", "pdb"), ("3ixt", "pdb")]
    assert seen == ["1aki", "3ixt"]
    assert len(read_backbone(files[0])) == 24
    before = files[0].stat().st_mtime_ns
    fetch_structures(["1aki"], tmp_path / "new", format="pdb")
    assert files[0].stat().st_mtime_ns == before
    assert len(bank.asked) == 2
    fetch_structures(["1aki"], tmp_path / "new", format="pdb", overwrite=True)
    assert len(bank.asked) == 3


@pytest.mark.parametrize(
    "bad", ["", "../x", "1ak", "1akii", "aaki", "1ak/", "1ak\n2", "pdb_1aki", "1a i", "..", "/etc"]
)
def test_ids_are_checked_before_anything_is_asked(bank, tmp_path, bad):
    with pytest.raises(InputError, match="is no PDB id"):
        fetch_structures(["1aki", bad], tmp_path)
    assert not bank.asked
    assert not list(tmp_path.iterdir())


def test_new_ids_are_ids():
    assert parse_entry_id(" PDB_00001ABC ") == "pdb_00001abc"


def test_an_unknown_entry_format_or_network(bank, tmp_path):
    import requests
    from biotite.database import RequestError

    with pytest.raises(InputError, match="expected bcif, cif or pdb"):
        fetch_structures("1aki", tmp_path, format="xyz")
    bank.error = RequestError("PDB ID 9zzz is invalid")
    with pytest.raises(InputError, match="has no entry 9zzz as pdb; large entries"):
        fetch_structures("9zzz", tmp_path, format="pdb")
    bank.error = requests.ConnectionError("Max retries exceeded with url: ...")
    with pytest.raises(ProtdiffError, match="cannot reach the Protein Data Bank to fetch 1aki"):
        fetch_structures("1aki", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_damaged_download_leaves_nothing(bank, tmp_path):
    bank.content = bank.content[:300]
    with pytest.raises(ProtdiffError, match="sent for 1aki is damaged; fetch it again"):
        fetch_structures("1aki", tmp_path, format="pdb")
    assert not list(tmp_path.iterdir())

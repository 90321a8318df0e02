"""``protdiff`` on a stdout that does not know every letter."""

import io
import json
import os
import sys

import pytest

from protdiff.cli.main import main


@pytest.fixture
def run_main(monkeypatch):
    """Return a function that runs a command with a stdout of an encoding, and returns its bytes."""

    def run_main(encoding, *arguments):
        stdout = io.TextIOWrapper(io.BytesIO(), encoding)
        monkeypatch.setattr(sys, "stdout", stdout)
        monkeypatch.setattr(sys, "argv", ["protdiff", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        stdout.flush()
        return ended.value.code, stdout.buffer.getvalue()

    return run_main


@pytest.fixture
def odd_file(helix_file, tmp_path):
    """Return a structure whose name is no UTF-8."""
    path = tmp_path / os.fsdecode(b"prot\xe9ine.pdb")
    try:
        path.write_bytes(helix_file.read_bytes())
    except OSError:
        pytest.skip("this file system has names of UTF-8 only")
    return path


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_stdout_cannot_show_is_replaced(run_main, odd_file, encoding):
    code, printed = run_main(encoding, "evaluate", odd_file)
    assert code in (0, None)
    assert b"prot?ine.pdb" in printed
    assert b"nature" in printed


def test_json_is_ascii_and_tells_every_name(run_main, odd_file, tmp_path):
    table = tmp_path / "table.csv"
    code, printed = run_main("utf-8", "evaluate", odd_file, "--json", "--csv", table)
    assert code in (0, None)
    assert json.loads(printed.decode("ascii"))["designs"][0]["file"] == str(odd_file)
    assert r"prot\udce9ine.pdb" in table.read_text(encoding="utf-8")


def test_prepare_takes_names_that_are_no_text(run_main, odd_file, tmp_path):
    out = tmp_path / "prepared.safetensors"
    code, printed = run_main(
        *("utf-8", "prepare", odd_file, "--all-shapes", "--held-out", 0, "--json", "--out", out)
    )
    assert code in (0, None)
    assert json.loads(printed)["kept"] == 1

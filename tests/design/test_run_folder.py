import json
import os
import subprocess
import sys

import pytest

from protdiff.design.run_folder import (
    MANIFEST,
    SETTINGS,
    RunFolder,
    check_folder,
    is_unused,
    read_manifest,
)
from protdiff.errors import InputError

RUN = {"seed": 0, "length": 40, "sampler": "ddim", "weights_sha256": "0"}


def record(index, **extra):
    return {"file": f"design_{index:04d}.pdb", "index": index, **extra}


def fill(path, indices, settings=RUN):
    with RunFolder.open(path, settings) as run:
        for index in indices:
            (path / f"design_{index:04d}.pdb").write_text("ATOM")
            run.add(record(index))


def test_what_is_missing_is_known_after_reopening(tmp_path):
    fill(tmp_path, [0, 2])
    with RunFolder.open(tmp_path, RUN) as run:
        assert run.find_missing(range(4)) == [1, 3]
        assert [entry["index"] for entry in run.records] == [0, 2]


def test_a_manifest_that_cannot_be_read_is_said(tmp_path):
    (tmp_path / MANIFEST).mkdir()
    with pytest.raises(InputError, match=f"cannot read .*{MANIFEST}"):
        read_manifest(tmp_path / MANIFEST)


@pytest.mark.parametrize("cut", [1, 5, 20, 39])
def test_a_torn_last_line_is_made_again(tmp_path, cut):
    fill(tmp_path, [0, 1])
    data = (tmp_path / MANIFEST).read_bytes()
    (tmp_path / MANIFEST).write_bytes(data[:-cut])
    with RunFolder.open(tmp_path, RUN) as run:
        # Without its newline alone the line is whole, and nothing may be glued to it.
        assert run.find_missing(range(2)) == ([] if cut == 1 else [1])
        run.add(record(5))
    lines = (tmp_path / MANIFEST).read_text().splitlines()
    assert [json.loads(line)["index"] for line in lines] == ([0, 1, 5] if cut == 1 else [0, 5])


@pytest.mark.parametrize(
    "line",
    [
        b"\x00\xff\xfe",
        b"[]",
        b"null",
        b'{"index": 1}',
        b'{"index": 1, "file": null, "rg": NaN}',
        b'{"index": 1, "file": null, "name": "\\ud800"}',
        b'{"index": "1", "file": "design_0001.pdb"}',
        b'{"index": true, "file": "design_0001.pdb"}',
        b'{"index": -1, "file": "design_0001.pdb"}',
        b'{"index": 1, "file": "../design_0001.pdb"}',
        b'{"index": 1, "file": "/etc/passwd"}',
        b'{"index": 1, "file": ".."}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_line_is_passed_over_and_counted(tmp_path, line):
    fill(tmp_path, [0, 2])
    first, last = (tmp_path / MANIFEST).read_bytes().splitlines()
    (tmp_path / MANIFEST).write_bytes(b"\n".join([first, line, last, b""]))
    manifest = read_manifest(tmp_path / MANIFEST)
    assert sorted(manifest.records) == [0, 2]
    assert manifest.damaged == 1
    with RunFolder.open(tmp_path, RUN) as run:
        assert run.damaged == 1
        assert run.find_missing(range(3)) == [1]
    assert read_manifest(tmp_path / MANIFEST).damaged == 0


@pytest.mark.parametrize("damage", ["remove", "empty"])
def test_a_design_whose_file_is_gone_is_missing(tmp_path, damage):
    fill(tmp_path, [0, 1])
    if damage == "remove":
        (tmp_path / "design_0000.pdb").unlink()
    else:
        (tmp_path / "design_0000.pdb").write_text("")
    with RunFolder.open(tmp_path, RUN) as run:
        assert run.find_missing(range(2)) == [0]


def test_a_design_without_a_file_is_done(tmp_path):
    with RunFolder.open(tmp_path, RUN) as run:
        run.add({"file": None, "index": 0})
    with RunFolder.open(tmp_path, RUN) as run:
        assert run.find_missing(range(1)) == []


def test_another_run_is_refused_and_left_alone(tmp_path):
    fill(tmp_path, [0])
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with (
        pytest.raises(InputError, match=r"length 40, now 50.*--overwrite"),
        RunFolder.open(tmp_path, RUN | {"length": 50}),
    ):
        pass
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_without_designs_takes_other_settings(tmp_path):
    fill(tmp_path, [])
    (tmp_path / MANIFEST).touch()  # as a full disk leaves it
    (tmp_path / "notes.txt").write_text("mine")
    other = RUN | {"length": 50}
    assert check_folder(tmp_path, other) == {}
    assert json.loads((tmp_path / SETTINGS).read_text()) == RUN  # it was only looked at
    fill(tmp_path, [0], other)
    assert json.loads((tmp_path / SETTINGS).read_text()) == other
    assert {path.name for path in tmp_path.iterdir()} == {
        *(SETTINGS, MANIFEST),
        *("design_0000.pdb", "notes.txt"),
    }


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (MANIFEST, '{"index": 0, "file": null}\n'),
        (MANIFEST, '{"index": 0, "file": "design_0000.pdb"}\n'),  # whose file was moved
        (MANIFEST, '{"index": 0, "fi'),
        ("design_0003.cif", "data_"),
        ("trajectories/design_0000_noisy.pdb", "MODEL"),
        (SETTINGS, '{"seed": 0, "length": 40, "optimizer": "adam"}'),  # of another program
    ],
)
def test_a_folder_with_anything_of_others_does_not(tmp_path, file, text):
    fill(tmp_path, [])
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(text)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    other = RUN | {"length": 50}
    with pytest.raises(InputError, match="other settings"):
        check_folder(tmp_path, other)
    with pytest.raises(InputError, match="other settings"), RunFolder.open(tmp_path, other):
        pass
    assert {path: path.read_bytes() for path in before} == before


def test_a_folder_is_unused_until_a_design_is_begun(tmp_path):
    assert is_unused(tmp_path / "none")
    fill(tmp_path, [])
    assert is_unused(tmp_path)
    with RunFolder.open(tmp_path, RUN):
        assert not is_unused(tmp_path)
        with pytest.raises(InputError, match="another protdiff"):
            RunFolder.open(tmp_path, RUN | {"length": 50}).__enter__()
    fill(tmp_path, [0])
    assert not is_unused(tmp_path)


def test_overwriting_removes_designs_and_nothing_else(tmp_path):
    fill(tmp_path, [0, 1])
    (tmp_path / "trajectories").mkdir()
    (tmp_path / "trajectories" / "design_0000_noisy.pdb").write_text("ATOM")
    (tmp_path / "thesis.pdb").write_text("mine")
    with RunFolder.open(tmp_path, RUN | {"length": 50}, overwrite=True) as run:
        assert run.find_missing(range(2)) == [0, 1]
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {SETTINGS, "thesis.pdb"}
    assert json.loads((tmp_path / SETTINGS).read_text())["length"] == 50


def test_what_cannot_be_removed_is_left_without_its_line(tmp_path):
    """The manifest goes first: a line without its file would be a design that is not there."""
    fill(tmp_path, [0])
    (tmp_path / "design_0001.pdb").mkdir()
    with (
        pytest.raises(InputError, match=r"cannot remove .*design_0001\.pdb"),
        RunFolder.open(tmp_path, RUN, overwrite=True),
    ):
        pass
    assert not (tmp_path / MANIFEST).exists()


def test_what_a_killed_run_had_begun_to_write_is_removed(tmp_path):
    fill(tmp_path, [0])
    begun = (".design_0001-a1b2c3d4.pdb", ".manifest-x_1.jsonl", ".run-abc.json")
    others = (".design_0001.pdb", ".notes-abc.json", ".nfs0001")
    for name in (*begun, *others):
        (tmp_path / name).write_text("half")
    with RunFolder.open(tmp_path, RUN) as run:
        assert not any((tmp_path / name).exists() for name in begun)
        assert run.find_missing(range(1)) == []
    assert all((tmp_path / name).exists() for name in others)


def test_designs_of_unknown_origin_are_refused(tmp_path):
    (tmp_path / "design_0000.pdb").write_text("somebody's")
    with pytest.raises(InputError, match=r"no run\.json"), RunFolder.open(tmp_path, RUN):
        pass
    assert (tmp_path / "design_0000.pdb").read_text() == "somebody's"


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00"])
def test_damaged_settings_are_refused(tmp_path, text):
    fill(tmp_path, [0])
    (tmp_path / SETTINGS).write_text(text)
    with pytest.raises(InputError, match="is damaged"), RunFolder.open(tmp_path, RUN):
        pass


def test_a_folder_in_use_is_refused(tmp_path):
    pytest.importorskip("fcntl")
    code = (
        "import sys\n"
        "from protdiff.design.run_folder import RunFolder\n"
        f"with RunFolder.open({str(tmp_path)!r}, {RUN!r}):\n"
        "    print('open', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(InputError, match="another protdiff is writing"):
            RunFolder.open(tmp_path, RUN).__enter__()
        other.kill()
        other.wait()
    with RunFolder.open(tmp_path, RUN) as run:  # the lock has died with its holder
        assert run.find_missing(range(1)) == [0]


def test_a_file_in_the_folder_s_place_is_refused(tmp_path):
    (tmp_path / "designs").write_text("")
    with (
        pytest.raises(InputError, match="cannot write to"),
        RunFolder.open(tmp_path / "designs", RUN),
    ):
        pass
    with pytest.raises(InputError, match="cannot write to"):
        check_folder(tmp_path / "designs", RUN)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_a_full_disk_is_said_in_one_line(tmp_path):
    fill(tmp_path, [0])
    with RunFolder.open(tmp_path, RUN) as run:
        (tmp_path / MANIFEST).unlink()
        (tmp_path / MANIFEST).symlink_to("/dev/full")
        with pytest.raises(InputError, match="No space left"):
            run.add(record(1))
        assert run.find_missing(range(2)) == [1]

import json
import os
from pathlib import Path

import pytest

from protdiff.design.listing import explain_gaps, list_structures
from protdiff.design.run_folder import MANIFEST, TRAJECTORIES
from protdiff.errors import InputError
from protdiff.structure import find_structure_files


def make_run(folder, *, num=2, **extra):
    """Write a run of empty files, with trajectories and a stray file."""
    (folder / TRAJECTORIES).mkdir(parents=True)
    (folder / "stray.pdb").touch()
    lines = []
    for index in range(num):
        file = f"design_{index:04d}.pdb"
        (folder / file).touch()
        for kind in ("noisy", "denoised"):
            (folder / TRAJECTORIES / f"design_{index:04d}_{kind}.pdb").touch()
        lines.append({"index": index, "file": file, **extra})
    write_manifest(folder, lines)
    return folder


def write_manifest(folder, lines):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).write_text("".join(json.dumps(line) + "\n" for line in lines))


def name(listing, folder):
    return [one.path.relative_to(folder).as_posix() for one in listing.structures]


def test_a_run_is_what_its_manifest_names_however_deep_it_lies(tmp_path):
    make_run(tmp_path / "deep" / "job" / "chunk-0000", handedness="D")
    make_run(tmp_path / "b", num=1)
    (tmp_path / "deep" / "loose.pdb").touch()
    listing = list_structures([tmp_path])
    assert name(listing, tmp_path) == [
        "b/design_0000.pdb",
        "deep/job/chunk-0000/design_0000.pdb",
        "deep/job/chunk-0000/design_0001.pdb",
        "deep/loose.pdb",
    ]
    assert [one.handedness for one in listing.structures] == ["L", "D", "D", "L"]
    assert [one.record.get("index") for one in listing.structures] == [0, 0, 1, None]
    assert [run.folder.name for run in listing.runs] == ["b", "chunk-0000"]


def test_trajectories_that_are_asked_for_by_name_are_structures(tmp_path):
    folder = make_run(tmp_path / "run", num=1) / TRAJECTORIES
    assert len(list_structures([folder]).structures) == 2
    assert len(find_structure_files(folder)) == 2


def test_structure_files_are_found_without_the_trajectories_of_runs(tmp_path):
    make_run(tmp_path / "runs" / "a", num=1)
    (tmp_path / TRAJECTORIES).mkdir()
    (tmp_path / TRAJECTORIES / "mine.pdb").touch()
    found = [file.name for file in find_structure_files(tmp_path)]
    assert found == ["design_0000.pdb", "stray.pdb", "mine.pdb"]


def test_a_file_given_twice_counts_once_and_keeps_its_record(tmp_path, monkeypatch):
    run = make_run(tmp_path / "run", handedness="D")
    link = tmp_path / "link"
    link.symlink_to(run)
    monkeypatch.chdir(tmp_path)
    alone = run / "design_0001.pdb"
    for given in ([run, run], [run, alone], [alone, Path("run"), link], [tmp_path, run]):
        listing = list_structures(given)
        assert sorted(one.path.name for one in listing.structures) == [
            "design_0000.pdb",
            "design_0001.pdb",
        ]
        assert {one.handedness for one in listing.structures} == {"D"}
        assert len(listing.runs) == 1
    assert not list_structures([alone]).structures[0].record


def test_a_run_without_structures_is_passed_over_beside_others(tmp_path):
    make_run(tmp_path / "a")
    write_manifest(tmp_path / "b", [])
    (tmp_path / "c").mkdir()
    assert len(list_structures([tmp_path]).structures) == 2
    listing = list_structures([tmp_path / name for name in "bac"])
    assert len(listing.structures) == 2
    assert listing.explain() == [
        f"the manifest in {tmp_path / 'b'} names no structure",
        f"the folder {tmp_path / 'c'} holds no structure file and no run",
    ]
    with pytest.raises(InputError, match=r"b names no structure; the folder .* no run; gen"):
        list_structures([tmp_path / "b", tmp_path / "c"])
    with pytest.raises(InputError, match="there is no file or folder"):
        list_structures([tmp_path / "a", tmp_path / "nowhere"])


def test_links_are_followed_and_may_lead_back(tmp_path):
    make_run(tmp_path / "elsewhere" / "run", num=1)
    (tmp_path / "elsewhere" / "loose.pdb").touch()
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(folder)
    assert name(list_structures([folder]), folder) == [
        "link/loose.pdb",
        "link/run/design_0000.pdb",
    ]


def test_a_folder_is_called_by_its_own_name_rather_than_by_a_link(tmp_path):
    make_run(tmp_path / "run", num=1)
    (tmp_path / "latest").symlink_to(tmp_path / "run")
    assert name(list_structures([tmp_path]), tmp_path) == ["run/design_0000.pdb"]


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="has no users")
def test_a_folder_that_cannot_be_read_is_not_passed_over(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o755)
    Path("loose.pdb").touch()
    Path("locked").mkdir(mode=0)
    own = os.geteuid()
    os.seteuid(own or 65534)  # root may read everything
    try:
        with pytest.raises(InputError, match=r"cannot read .*locked: Permission denied"):
            list_structures([Path()])
    finally:
        os.seteuid(own)
        Path("locked").chmod(0o755)


def test_what_is_missing_from_the_structures_is_explained(tmp_path):
    make_run(tmp_path, num=1)
    with (tmp_path / MANIFEST).open("a") as file:
        file.write('{"index": 1, "file": null}\n{"index": 2, "fi')
    listing = list_structures([tmp_path])
    assert listing.explain() == [
        f"{MANIFEST}: 1 damaged line passed over",
        "design 1 came out without finite coordinates",
    ]
    assert [record["index"] for record in listing.runs[0].blown_up] == [1]


def test_what_a_filter_rejected_is_one_sentence_over_all_runs(tmp_path):
    for run in ("a", "b"):
        write_manifest(
            tmp_path / run,
            [
                {"index": 0, "file": None, "rejected": ["strand"], "quality": {"finite": True}},
                {"index": 1, "file": None, "rejected": ["clashing", "strand"]},
                {"index": 2, "file": None, "rejected": ["x"], "quality": {"finite": False}},
            ],
        )
        (tmp_path / run / "design_0003.pdb").touch()
        with (tmp_path / run / MANIFEST).open("a") as file:
            file.write('{"index": 3, "file": "design_0003.pdb"}\n')
    listing = list_structures([tmp_path / "a"])
    assert explain_gaps(listing.runs) == [
        "2 designs were rejected by the filter (strand, clashing)",
        "design 2 came out without finite coordinates",
    ]
    first, *others = explain_gaps(list_structures([tmp_path]).runs)
    assert first == "4 designs were rejected by the filter (strand, clashing)"
    assert others == [
        f"{tmp_path / run}: design 2 came out without finite coordinates" for run in ("a", "b")
    ]


def test_where_all_were_rejected_that_is_said(tmp_path):
    write_manifest(tmp_path, [{"index": 0, "file": None, "rejected": ["strand"]}])
    with pytest.raises(InputError, match=r"\(1 design was rejected by the filter \(strand\)\)"):
        list_structures([tmp_path])

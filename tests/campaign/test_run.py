import dataclasses
import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import protdiff
from protdiff.campaign import read_status, run_campaign
from protdiff.campaign.schedule import Schedule
from protdiff.campaign.tasks import derive_job_seed, make_task
from protdiff.design import run_designs
from protdiff.design import run_folder as run_folder_module
from protdiff.design.run_folder import MANIFEST
from protdiff.errors import InputError
from protdiff.structure import Backbone, read_backbone, write_backbone

NUM = 11


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_all_designs_are_made_and_listed(read_designs, whole):
    designs = read_designs(whole)
    assert len(designs) == NUM
    lines = read_lines(whole / "campaign.jsonl")
    assert sorted((line["job"], line["index"]) for line in lines) == sorted(designs)
    for line in lines:
        assert len(read_backbone(whole / line["file"])) == line["length"]
        assert line["temperature"] == (0.5 if line["job"] == "cool" else 1.0)


def test_a_job_is_what_a_run_with_its_seed_makes(read_designs, designer, make, whole, tmp_path):
    campaign = make()
    task = make_task(campaign, campaign.jobs[1])
    assert task.seed == derive_job_seed(7, "cool")
    run_designs(designer, task, tmp_path / "run", 5)
    for (job, index), (chunk, _, _) in read_designs(whole).items():
        if job == "cool":
            name = f"design_{index:04d}.pdb"
            one, two = (read_backbone(p / name) for p in (whole / job / chunk, tmp_path / "run"))
            assert np.abs(one.coordinates - two.coordinates).max() <= 1.01e-3


def test_a_finished_campaign_makes_nothing(designer, make, whole, tmp_path):
    shutil.copytree(whole, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("design_*")}
    status = run_campaign(make(), designer)
    assert (status.made_now, status.complete) == (0, True)
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("count", [2, 3])
def test_shards_in_any_order_make_the_same(read_designs, designer, make, whole, count):
    made = []
    for place in reversed(range(count)):
        status = run_campaign(make(), designer, shard=(place, count))
        made.append(status.made_now)
    assert status.complete
    assert sum(made) == NUM > max(made)
    assert read_designs(make().path) == read_designs(whole)
    assert read_lines(make().path / "campaign.jsonl")[0].keys() >= {"job", "file"}


class Crash(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("seed", range(3))
def test_a_crash_at_any_write_loses_and_repeats_nothing(
    read_designs, designer, make, whole, monkeypatch, seed
):
    """Die before or after a file is put in its place, and in the midst of a manifest's line."""
    rng = np.random.default_rng(seed)
    replace, sync = Path.replace, os.fsync
    left = 0

    def pass_by():
        nonlocal left
        left -= 1
        if left < 0:
            raise Crash

    def replace_or_die(self, target):
        pass_by()
        moved = replace(self, target)
        pass_by()
        return moved

    def sync_or_die(handle):
        size = os.fstat(handle).st_size
        for cut in (int(rng.integers(1, 800)), 1):
            try:
                pass_by()
            except Crash:
                os.ftruncate(handle, max(size - cut, 0))
                raise
        sync(handle)
        pass_by()

    monkeypatch.setattr(Path, "replace", replace_or_die)
    monkeypatch.setattr(run_folder_module.os, "fsync", sync_or_die)
    campaign, finished, crashes = make(batch_size=2), {}, 0
    while True:
        left = int(rng.integers(2, 12))
        try:
            status = run_campaign(campaign, designer)
        except Crash:
            crashes += 1
        else:
            break
        now = find_finished(campaign)
        assert finished.items() <= now.items()
        finished = now
    assert crashes >= 4
    assert status.complete
    assert {k: v[1:] for k, v in read_designs(campaign.path).items()}.keys() == set(
        read_designs(whole)
    )
    undisturbed = make("undisturbed", batch_size=2)
    left = 10**9
    run_campaign(undisturbed, designer)
    assert read_designs(campaign.path) == read_designs(undisturbed.path)


def find_finished(campaign):
    """Return the finished designs, each with what would change if it was made again."""
    found = {}
    for chunk in campaign.path.glob("*/chunk-*"):
        for index, record in run_folder_module.read_finished(chunk).records.items():
            stat = (chunk / record["file"]).stat()
            found[chunk, index] = (stat.st_ino, stat.st_mtime_ns, record["seconds"])
    return found


def test_what_a_killed_process_had_half_written_is_removed(designer, make, whole, tmp_path):
    shutil.copytree(whole, tmp_path / "out")
    chunk = next((tmp_path / "out").glob("cool/chunk-*"))
    ours = [".design_0001-abcd_123.pdb", ".manifest-abcdefgh.jsonl", ".run-a2cdefgh.json"]
    for name in [*ours, ".mine", ".design_notes.pdb"]:
        (chunk / name).write_text("half")
    (chunk / MANIFEST).write_bytes((chunk / MANIFEST).read_bytes()[:-3])
    assert run_campaign(make(), designer).made_now == 1
    assert {path.name for path in chunk.glob(".*")} == {".mine", ".design_notes.pdb"}


def test_damage_is_counted_and_made_good(read_designs, designer, make, whole, tmp_path):
    shutil.copytree(whole, tmp_path / "out")
    chunk = tmp_path / "out" / "mixed" / "chunk-0000"
    lines = (chunk / MANIFEST).read_bytes().splitlines(keepends=True)
    (chunk / MANIFEST).write_bytes(b"\x00\xff{]\n" + b"".join(lines[1:]))
    gone = next((tmp_path / "out" / "cool").rglob("design_0002.pdb"))
    gone.unlink()
    state = read_status(make())
    assert (state.complete, state.damaged) == (False, 1)
    status = run_campaign(make(), designer)
    assert (status.made_now, status.complete, status.damaged) == (2, True, 1)
    assert read_designs(tmp_path / "out") == read_designs(whole)


def test_more_designs_and_jobs_are_added(designer, make):
    campaign = make()
    few = [dataclasses.replace(campaign.jobs[1], num=2)]
    run_campaign(dataclasses.replace(campaign, jobs=tuple(few)), designer)
    before = find_finished(campaign)
    status = run_campaign(campaign, designer)
    assert (status.made_now, status.complete) == (NUM - 2, True)
    assert before.items() <= find_finished(campaign).items()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 8}, r"seed 7, now 8"),
        ({"chunk": 5}, r"chunk 4, now 5"),
        ({"format": "cif"}, r'format "pdb", now "cif"'),
        ({"sampling": {"steps": 3}}, r"job 'mixed': steps 2, now 3"),
        ({"filter": {"strand": ">0"}}, r"job 'mixed': filter"),
        ({"job": [{"name": "mixed", "num": 6, "length": "30-34"}]}, r"length \[30, 33\].*'cool'"),
    ],
)
def test_another_campaign_is_refused_by_name(
    read_designs, designer, make, whole, tmp_path, changes, message
):
    shutil.copytree(whole, tmp_path / "out")
    with pytest.raises(InputError, match=message):
        run_campaign(make(**changes), designer)
    assert read_designs(tmp_path / "out") == read_designs(whole)
    other = type(designer)(dataclasses.replace(designer.model, sha256="1" * 64))
    with pytest.raises(InputError, match="weights_sha256"):
        run_campaign(make(), other)


def test_a_campaign_without_designs_takes_other_settings(designer, make, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("protdiff.design.run.make_batches", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_campaign(make(), designer)
    record = make().path / "campaign.json"
    before = record.read_bytes()
    other = make(seed=8, job=[{"name": "mixed", "num": 1, "length": 30}])
    at_it_again = run_folder_module._lock(make().path / "mixed" / "chunk-0000")
    with at_it_again, pytest.raises(InputError, match="seed 7, now 8"):
        run_campaign(other, designer)
    assert record.read_bytes() == before
    assert run_campaign(other, designer).complete
    with pytest.raises(InputError, match="seed 8, now 7"):
        run_campaign(make(), designer)


def test_a_campaign_of_an_earlier_version_goes_on(designer, make, whole, tmp_path):
    """Its record says once what the weights of all jobs are."""
    shutil.copytree(whole, tmp_path / "out")
    path = tmp_path / "out" / "campaign.json"
    record = json.loads(path.read_text())
    (sha256,) = {job.pop("weights_sha256") for job in record["jobs"].values()}
    path.write_text(json.dumps(record | {"weights_sha256": "1" * 64}))
    with pytest.raises(InputError, match="job 'mixed': weights_sha256 \"111"):
        run_campaign(make(), designer)
    path.write_text(json.dumps(record | {"weights_sha256": sha256}))
    assert run_campaign(make(), designer).made_now == 0


def test_each_job_takes_weights_that_know_its_chains(make, tmp_path):
    jobs = [
        {"name": "short", "num": 1, "length": "30-40"},
        {"name": "ring", "num": 1, "length": 40, "symmetry": "C4"},
        {"name": "long", "num": 1, "length": 130},
    ]
    campaign = make(weights=None, job=jobs, sampling={"steps": 1, "excluded_volume": False})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert run_campaign(campaign).complete
    lines = read_lines(tmp_path / "out" / "campaign.jsonl")
    names = {line["job"]: line["weights"] for line in lines}
    assert names == {"short": "protdiff-base", "ring": "protdiff-complex", "long": "protdiff-long"}


def test_overwriting_starts_again_and_removes_only_ours(
    read_designs, designer, make, whole, tmp_path
):
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    (out / "mixed" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="shard"):
        run_campaign(make(seed=8), designer, overwrite=True, shard=(0, 2))
    job = [{"name": "cool", "num": 1, "length": 31}]
    assert run_campaign(make(seed=8, job=job), designer, overwrite=True).made_now == 1
    assert list(read_designs(out)) == [("cool", 0)]
    assert [path.name for path in (out / "mixed").iterdir()] == ["notes.txt"]


def test_a_chunk_that_another_process_makes_is_passed_over(designer, make):
    pytest.importorskip("fcntl")
    campaign = make()
    chunk = campaign.path / "cool" / "chunk-0000"
    code = (
        "import sys\nfrom protdiff.design.run_folder import RunFolder, _lock\n"
        f"import pathlib; path = pathlib.Path({str(chunk)!r}); path.mkdir(parents=True)\n"
        "with _lock(path):\n    print('open', flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        status = run_campaign(campaign, designer)
        assert (status.busy, status.complete, status.made_now) == (1, False, NUM - 4)
        other.kill()
        other.wait()
    assert run_campaign(campaign, designer).made_now == 4


# The tiny model's designs are no proteins: these limits part them, and mean nothing else.
TORSIONS = {"phi_positive": ">=0.5"}


def test_rejected_designs_leave_a_line_and_no_file(read_designs, designer, make, whole):
    campaign = make(filter=TORSIONS)
    status = run_campaign(campaign, designer)
    everything, designs = read_designs(whole), read_designs(campaign.path)
    assert designs.keys() == everything.keys()
    for key, (_, line, data) in designs.items():
        passes = line["quality"]["phi_positive"] >= 0.5
        assert (data is not None) == passes
        assert line.get("rejected", []) == ([] if passes else ["phi_positive"])
        assert line["quality"] == everything[key][1]["quality"]
        if passes:
            assert data == everything[key][2]
    kept = sum(job.kept for job in status.jobs)
    assert 0 < kept < NUM
    assert sum(job.rejected for job in status.jobs) == NUM - kept
    assert len(read_lines(campaign.path / "campaign.jsonl")) == kept
    assert run_campaign(campaign, designer).made_now == 0


def test_a_job_goes_on_until_enough_pass_whoever_makes_it(read_designs, designer, make):
    job = [{"name": "a", "num": 6, "length": "30-32"}]
    asked = {**TORSIONS, "until_passing": True}
    one = make("one", job=job, filter=asked)
    status = run_campaign(one, designer)
    assert status.complete
    assert status.jobs[0].kept >= 6 > status.jobs[0].kept - status.jobs[0].made // 2
    listed = read_lines(one.path / "campaign.jsonl")
    passing = sorted(k for (_, k), (_, _, data) in read_designs(one.path).items() if data)
    assert [line["index"] for line in listed] == passing[:6]
    # Two shards need a round each way, as the first waits for what the second finds.
    two = make("two", job=job, filter=asked)
    for attempt in range(20):
        state = run_campaign(two, designer, shard=(attempt % 2, 2))
        if state.complete:
            break
    assert state.complete
    assert read_designs(two.path) == read_designs(one.path)
    assert [line["index"] for line in read_lines(two.path / "campaign.jsonl")] == passing[:6]


def test_a_job_that_never_passes_ends(designer, make):
    job = [{"name": "a", "num": 2, "length": 30}]
    asked = {"clashes": "<0", "until_passing": True, "max_attempts": 9}
    status = run_campaign(make(job=job, filter=asked), designer)
    assert (status.complete, status.made_now, status.jobs[0].short) == (True, 9, 2)


def test_what_is_wrong_shows_before_anything_is_made(designer, make, tmp_path, helix_file):
    good = {"name": "good", "num": 1, "length": 30}
    motif = {"name": "bad", "num": 1, "motif": str(helix_file), "contig": "5/A1-99/5"}
    many = tmp_path / "many.cif"
    helix = read_backbone(helix_file)
    write_backbone(
        many, Backbone.from_coordinates(helix.coordinates, chain_id=np.full(len(helix), "AA"))
    )
    for bad, message in (
        ({"name": "bad", "num": 1, "length": 20}, "job bad: designs of 20 residues"),
        (motif, "job bad: "),
        ({**motif, "motif": "nowhere.pdb"}, "job bad: .*nowhere.pdb"),
        ({**good, "name": "bad", "contacts": "A5-B9"}, "job bad: .* has no chain B"),
        ({"name": "bad", "num": 1, "start": str(many)}, "job bad: .* the chain id AA"),
    ):
        with pytest.raises(InputError, match=message):
            run_campaign(make(job=[good, bad]), designer)
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match="cannot write to"):
        run_campaign(make(job=[good]), designer)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["many.cif", "out"]


def test_a_motif_is_scaffolded(read_designs, designer, make, helix_file):
    job = {"name": "site", "num": 3, "motif": str(helix_file), "contig": "8-12/A5-20/8-12"}
    campaign = make(job=[{**job, "total_length": "34-38", "method": "guidance"}])
    assert run_campaign(campaign, designer).complete
    for _, line, _ in read_designs(campaign.path).values():
        assert line["motif_rmsd"] <= 0.01
        assert 34 <= line["length"] <= 38


def test_a_motif_is_scaffolded_in_every_chain(read_designs, designer, make, helix_file):
    job = {"name": "ring", "num": 1, "motif": str(helix_file), "contig": "8/A5-14/8"}
    campaign = make(job=[{**job, "symmetry": "C2"}])
    assert run_campaign(campaign, designer).complete
    ((_, line, _),) = read_designs(campaign.path).values()
    assert line["length"] == 52
    assert [pair["to"] for pair in line["motif_map"]] == [*range(9, 19), *range(35, 45)]
    assert line["motif_rmsd"] <= 0.01


def test_a_motif_may_be_of_several_files(read_designs, designer, make, helix_file, tmp_path):
    other = tmp_path / "other.pdb"
    other.write_bytes(helix_file.read_bytes())
    contig = f"8/{helix_file.stem}.A5-12/8/other.A2-9/8"
    files = [str(helix_file), str(other)]
    campaign = make(job=[{"name": "sites", "num": 1, "motif": files, "contig": contig}])
    assert run_campaign(campaign, designer).complete
    ((_, line, _),) = read_designs(campaign.path).values()
    assert len(line["group_rmsds"]) == 2
    assert line["motif_map"][-1] == {"from": "other.A9", "to": 32}


def test_a_job_is_read_as_the_run_that_it_is(whole, tmp_path):
    """Its chunks together, by index; a campaign is several runs."""
    folder = whole / "mixed"
    designs = protdiff.read_designs(folder)
    chunks = [protdiff.read_designs(chunk) for chunk in sorted(folder.glob("chunk-*"))]
    assert [design.index for design in designs.designs] == list(range(len(designs)))
    assert len(designs) == sum(map(len, chunks))
    assert designs.drawn == sum(chunk.drawn for chunk in chunks)
    designs.write_protein_mpnn(tmp_path / "mpnn")
    names = json.loads((tmp_path / "mpnn" / "chain_ids.jsonl").read_text())
    assert list(names) == [backbone.name for backbone in designs]
    with pytest.raises(InputError, match="of a campaign that of a job"):
        protdiff.read_designs(whole)
    for name in "ab":
        shutil.copytree(folder / "chunk-0000", tmp_path / "two" / name)
    with pytest.raises(InputError, match="several runs"):
        protdiff.read_designs(tmp_path / "two")


def test_the_groups_of_a_motif_keep_their_shape_alone(read_designs, designer, make, helix_file):
    job = {"name": "pair", "num": 1, "motif": str(helix_file), "contig": "8/A5-12/8/A20-27/8"}
    campaign = make(job=[{**job, "groups": "A5-12;A20-27"}, {**job, "name": "one"}])
    assert run_campaign(campaign, designer).complete
    found = read_designs(campaign.path)
    assert len(found["pair", 0][1]["group_rmsds"]) == 2
    assert len(found["one", 0][1]["group_rmsds"]) == 1


def test_the_place_of_a_motif_may_be_found(read_designs, designer, make, helix_file):
    job = {"name": "free", "num": 2, "motif": str(helix_file), "unindexed": "A5-10,A20-25"}
    campaign = make(job=[{**job, "total_length": 40}])
    assert run_campaign(campaign, designer).complete
    for _, line, _ in read_designs(campaign.path).values():
        assert line["length"] == 40
        assert sorted(pair["from"] for pair in line["motif_map"]) == sorted(
            f"A{number}" for number in [*range(5, 11), *range(20, 26)]
        )


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs to mount")
def test_a_full_disk_is_reported_and_survived(read_designs, designer, make, whole, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(out)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs to mount")
    try:
        for _ in range(2):
            with pytest.raises(InputError, match=r"No space left on device.*are kept"):
                run_campaign(make(), designer)
        finished = find_finished(make())
        assert 0 < len(finished) < NUM
        subprocess.run(["mount", "-o", "remount,size=8m", str(out)], check=True)
        assert run_campaign(make(), designer).made_now == NUM - len(finished)
        assert finished.items() <= find_finished(make()).items()
        assert read_designs(out) == read_designs(whole)
    finally:
        subprocess.run(["umount", str(out)], check=True)


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs to mount")
def test_a_folder_that_cannot_be_written_is_reported(designer, make, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "none", str(out)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs to mount")
    try:
        with pytest.raises(InputError, match=r"cannot write.*Read-only file system"):
            run_campaign(make(), designer)
    finally:
        subprocess.run(["umount", str(out)], check=True)


def test_counting_needs_no_whole_manifests_in_memory(make, designer, whole, tmp_path):
    """A chunk leaves five numbers behind, and the records of no design."""
    shutil.copytree(whole, tmp_path / "out")
    campaign = make()
    tasks = {job.name: make_task(campaign, job) for job in campaign.jobs}
    schedule = Schedule(campaign, tasks)
    assert schedule.take() == []
    for tally in schedule._tallies.values():
        assert all(isinstance(value, int | float) for value in dataclasses.astuple(tally))

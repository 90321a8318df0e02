"""What reads whole folders: evaluation, the report, sets of designs, campaigns; and sequences."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import typer
from hypothesis import strategies as st

from hostile.harness import Target
from hostile.mutations import json_values, mutated, mutated_json
from protdiff.campaign.config import Campaign, Job, JobFilter, load_campaign
from protdiff.campaign.status import read_status
from protdiff.campaign.tasks import RECORD, make_tasks, open_record
from protdiff.cli.failure import CONDITION_MET
from protdiff.cli.main import app
from protdiff.design import read_designs
from protdiff.design.run_folder import MANIFEST, SETTINGS, TRAJECTORIES
from protdiff.design.settings import SamplingSettings
from protdiff.errors import InputError
from protdiff.evaluation import measure_quality
from protdiff.report import ReportSettings, gather_designs, page, write_report
from protdiff.structure import (
    Backbone,
    build_backbone,
    read_protein_mpnn,
    thread_sequence,
    write_backbone,
)
from protdiff.training.log import TrainingLog

__all__ = ["make_folder_targets", "run_command"]

_SCRIPT = b"</script><script>alert(1)</script><img src=x onerror=alert(1)>"


def run_command(*arguments: str) -> str:
    """Run a command line in this process and return what it printed.

    Raises
    ------
    InputError
        It was refused.
    AssertionError
        It failed in another way; the text is what it said.
    """
    command = typer.main.get_command(app)
    printed, said = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(said):
            code = command.main(list(arguments), prog_name="protdiff", standalone_mode=False)
    except Exception as error:
        # typer words these itself; anything else is a fault.
        if not callable(getattr(error, "format_message", None)):
            raise
        raise InputError(error.format_message()) from error
    if code not in (None, 0, CONDITION_MET):
        assert code == 2, said.getvalue()
        raise InputError("refused by the command")
    return printed.getvalue()


def make_folder_targets(folder: Path) -> list[Target]:
    """Return the targets; ``folder`` is for their sound files."""
    helix = Backbone.from_coordinates(build_backbone(np.full(14, -62.0), -43.0))
    write_backbone(folder / "design.pdb", helix)
    pdb = (folder / "design.pdb").read_bytes()
    folders = _draw_folders(pdb, helix)
    return [
        Target("evaluate", st.tuples(folders, _draw_options()), _evaluate, 1),
        Target("read-designs", folders, _read_designs, 1),
        Target("report-designs", folders, _collect, 1),
        Target("report-page", folders, _write_page_without_plots, 0.5),
        Target("report-plots", folders, _write_page, 0.01),  # seconds each
        *_campaign_targets(folder),
        Target("sequences", mutated(_make_fasta(helix)), _make_sequence_reader(helix), 2),
        Target("training-log", mutated([b"step,loss\n10,0.5\n20,0.25\n"]), _read_log),
    ]


Folder = dict[str, bytes]


def _draw_folders(pdb: bytes, helix: Backbone) -> st.SearchStrategy[Folder]:
    """Draw run folders, by relative path; most of one is sound, so that all of it gets read."""
    quality = measure_quality(helix.coordinates[:, :3], helix.residue_index).to_dict()
    record = {
        **{"file": "design_0000.pdb", "index": 0, "length": 14, "handedness": "L"},
        **{"quality": quality, "motif_map": [{"from": "A1", "to": 1}], "redesignable": [2]},
        **{"seconds": 1.0, "method": "guidance", "motif_rmsd": 0.5, "name": "x"},
    }
    settings = {"task": "generate", "length": 14, "seed": 0, "weights": "tiny", "steps": 2}
    frames = b"".join(b"MODEL     %4d\n%sENDMDL\n" % (k, pdb.split(b"END")[0]) for k in (1, 2))
    sound_line, sound_run = json.dumps(record).encode(), json.dumps(settings).encode()

    def sometimes(sound: bytes, spoilt: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
        return st.integers(0, 2).flatmap(lambda k: spoilt if k == 0 else st.just(sound))

    lines = st.one_of(
        mutated_json(record).map(json.dumps).map(str.encode),
        mutated_json(record).map(json.dumps).map(str.encode),
        mutated([sound_line]),
        st.just(sound_line.replace(b'"guidance"', json.dumps(_SCRIPT.decode()).encode())),
    )
    runs = st.one_of(
        mutated([sound_run]),
        mutated_json(settings).map(json.dumps).map(str.encode),
        st.builds(lambda key: json.dumps({key: key}).encode(), st.just(_SCRIPT.decode())),
    )
    structures = mutated([pdb, pdb.replace(b"ALA", b"<b>")])

    def build(
        line: bytes, run: bytes, structure: bytes, noisy: bytes, extra: tuple[str, ...]
    ) -> Folder:
        files = {
            MANIFEST: line + b"\n" + sound_line.replace(b"0000", b"0001", 1) + b"\n",
            SETTINGS: run,
            "design_0000.pdb": structure,
            "design_0001.pdb": pdb,
            f"{TRAJECTORIES}/design_0000_noisy.pdb": noisy,
            f"{TRAJECTORIES}/design_0000_denoised.pdb": frames,
        }
        return {name: data for name, data in files.items() if name not in extra}

    absent = st.sampled_from(((),) * 6 + ((MANIFEST,), (SETTINGS,), ("design_0000.pdb",)))
    return st.builds(
        build,
        sometimes(sound_line, lines),
        sometimes(sound_run, runs),
        sometimes(pdb, structures),
        sometimes(frames, mutated([frames])),
        absent,
    )


def _write(files: Folder, place: Path) -> Path:
    folder = place / "run"
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def _draw_options() -> st.SearchStrategy[tuple[str, ...]]:
    return st.sampled_from(
        (
            *((), (), ("--json",), ("--diversity",), ("--no-diversity", "--json")),
            ("--handedness", "D"),
            ("--fail-on", "clashes>0"),
            ("--fail-on", "helix<nan"),
            ("--novelty", "run"),
        )
    )


def _evaluate(value: tuple[Folder, tuple[str, ...]], place: Path) -> None:
    folder = _write(value[0], place)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    options = [str(folder) if option == "run" else option for option in value[1]]
    written = run_command(
        "evaluate", str(folder), *options, "--csv", str(place / "out.csv"), "--debug"
    )
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    if "--json" in options:
        json.loads(written, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def _read_designs(files: Folder, place: Path) -> None:
    folder = _write(files, place)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        designs = read_designs(folder)
    assert repr(designs)
    assert _SCRIPT.decode() not in designs._repr_html_()
    designs.to_records()
    designs.write(place / "again")
    assert len(read_designs(place / "again")) == sum(q.finite for q in designs.qualities)
    designs.write_protein_mpnn(place / "mpnn")


def _collect(files: Folder, place: Path) -> None:
    collection = gather_designs(_write(files, place))
    assert all(np.isfinite(design.backbone.coordinates).all() for design in collection.designs)


def _write_page(files: Folder, place: Path) -> None:
    folder = _write(files, place)
    written = write_report(folder, ReportSettings(out=place / "page.html"))
    text = written.page.read_text(encoding="utf-8")
    assert "<script>alert(1)" not in text
    assert "<img src=x" not in text
    # What the page tells its own program is JSON still.
    data = text.split('id="data">')[1].split("</script>")[0]
    json.loads(data, parse_constant=_refuse_constant)


def _write_page_without_plots(files: Folder, place: Path) -> None:
    with mock.patch.object(page, "_render_plots", return_value=defaultdict(str)):
        _write_page(files, place)


def _campaign_targets(folder: Path) -> list[Target]:
    jobs = [entry.name for entry in dataclasses.fields(Job)]
    top = [entry.name for entry in dataclasses.fields(Campaign)]
    inner = [entry.name for entry in dataclasses.fields(SamplingSettings)]
    asked = [entry.name for entry in dataclasses.fields(JobFilter)]
    values = st.one_of(
        json_values().map(_to_toml),
        st.sampled_from(("1979-05-27", "2026-99-99", "1e400", "nan", "9" * 5000, "[" * 3000)),
        st.sampled_from(('"60-100"', "[60, 100]", '">=0.2"', '"../x"', '"dpm++2m"', "true")),
        st.integers(-5, 200).map(str),
    )

    def table(heading: str, keys: Sequence[str]) -> st.SearchStrategy[str]:
        line = st.builds("{} = {}\n".format, st.sampled_from((*keys, "x", '"a b"')), values)
        return st.lists(line, max_size=2).map(lambda lines: heading + "".join(lines))

    sound = {
        **{"seed": 1, "chunk": 4, "sampling": {"steps": 5}, "filter": {"strand": ">=0.2"}},
        "job": [{"name": "a", "num": 2, "length": "40-50"}, {"name": "b", "num": 1, "length": 40}],
    }
    job = '[[job]]\nname = "a"\nnum = 2\nlength = 40\n'
    drawn = st.builds(
        lambda *parts: "".join(parts).encode("utf-8", "surrogatepass"),
        table("", top),
        st.just("") | table("[sampling]\n", inner),
        st.just("") | table("[filter]\n", [*asked, "strand", "passing"]),
        table(job, jobs) | table("[[job]]\n", [*jobs, *inner]),
    )

    def open_campaign(config: Any, out: Path) -> None:
        if isinstance(config, bytes):
            (out.parent / "c.toml").write_bytes(config)
            campaign = load_campaign(out.parent / "c.toml", out=str(out))
        else:
            campaign = Campaign.from_dict({**config, "out": str(out)})
        tasks = make_tasks(campaign)
        for name, task in tasks.items():
            assert (out / name).resolve().parent == out.resolve()
            task.plan(0)
        open_record(campaign, tasks, dict.fromkeys(tasks, "0" * 64))
        read_status(campaign, gather=True)

    open_campaign(sound, folder / "campaign")
    record = (folder / "campaign" / RECORD).read_bytes()
    records = st.one_of(
        mutated_json(json.loads(record)).map(json.dumps).map(str.encode), mutated([record])
    )

    def read(value: tuple[Any, bytes], place: Path) -> None:
        out = place / "out"
        out.mkdir()
        if value[1]:
            (out / RECORD).write_bytes(value[1])
        open_campaign(value[0], out)

    configs = mutated_json(sound).filter(lambda value: isinstance(value, dict)) | drawn
    return [
        Target("campaign", st.tuples(configs, st.sampled_from((record, b""))), read, 2),
        Target("campaign-record", st.tuples(st.just(sound), records), read),
    ]


def _to_toml(value: Any) -> str:
    return "{}" if value is None else json.dumps(value, ensure_ascii=False)


def _make_fasta(helix: Backbone) -> list[bytes]:
    own = "/".join("G" * int((helix.chain_id == chain).sum()) for chain in helix.chains)
    entry = f">T=0.1, sample=1, score=0.8, global_score=0.9, seq_recovery=0.3\n{own}\n"
    head = f">design_0000, score=1.1, global_score=1.1, designed_chains=['A']\n{own}\n"
    return [(head + entry * 2).encode(), (head + entry + head.replace("0000", "0001")).encode()]


def _make_sequence_reader(helix: Backbone) -> Callable[[bytes, Path], None]:
    def read(data: bytes, place: Path) -> None:
        (place / "seqs").mkdir()
        (place / "seqs" / "x.fa").write_bytes(data)
        for name, sequences in read_protein_mpnn(place).items():
            assert isinstance(name, str)
            for sequence in sequences:
                thread_sequence(helix, sequence)

    return read


def _read_log(data: bytes, place: Path) -> None:
    (place / "log.csv").write_bytes(data)
    log = TrainingLog(place / "log.csv", ("step", "loss"), 15)
    log.append({"step": 16, "loss": 0.1})
    lines = (place / "log.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "step,loss"
    assert lines[-1] == "16,0.1"

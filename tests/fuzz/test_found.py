"""What the fuzz has found, an input for each fault, which was a traceback, a hang or worse."""

import gzip
import json
import re
import struct

import numpy as np
import pytest

from protdiff.campaign.config import load_campaign
from protdiff.campaign.tasks import RECORD, _word, read_record
from protdiff.checkpoint import load_checkpoint, save_checkpoint
from protdiff.cli.designs import print_records
from protdiff.cli.display import summarise_records
from protdiff.cli.failure import _one_line
from protdiff.design.run_folder import read_manifest
from protdiff.errors import CheckpointError, InputError
from protdiff.files import check_plain_name
from protdiff.structure import (
    Backbone,
    ContigError,
    build_backbone,
    content,
    parse_contig,
    parse_length,
    read_backbone,
    write_backbone,
)
from protdiff.structure.points import read_points
from protdiff.structure.problem import read_motifbench_problems
from protdiff.structure.selection import parse_selection
from protdiff.toml import read_toml
from protdiff.training.config import load_config
from protdiff.training.dataset import load_dataset
from protdiff.training.log import TrainingLog
from protdiff.training.prepare import prepare_dataset
from protdiff.training.state import read_progress


@pytest.fixture(scope="module")
def helix():
    """Return a helix of 14 residues."""
    return Backbone.from_coordinates(build_backbone(np.full(14, -60.0), -45.0))


def edit_header(data, change):
    """Return a safetensors file with another header."""
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    change(header)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + size :]


# Numbers: no digits but 0-9, and not thousands of them.


@pytest.mark.parametrize("text", ["²", "٣", "5-²", "9" * 5000, "1-" + "9" * 5000, "1" * 10])
def test_lengths(text):
    with pytest.raises(InputError) as caught:
        parse_length(text)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("text", ["A²", "A٣-٤", "A" + "9" * 5000, "A1-" + "9" * 5000])
def test_selections(text):
    with pytest.raises(InputError):
        parse_selection(text)


@pytest.mark.parametrize(
    "text",
    [
        *("²", "٣-٤", "9" * 5000, "10-" + "9" * 5000, "A1-99999999", "A1-5/10001"),
        "9000/A1-5/9000",  # each may be, all together may not
        "/".join(["1"] * 201),
    ],
)
def test_contigs_that_would_take_for_ever(text):
    with pytest.raises(InputError):
        parse_contig(text)


def test_a_long_name_is_not_told_whole():
    with pytest.raises(ContigError) as caught:
        parse_contig("9" * 15_000 + "x.y.1:2-3x.y.1:2-3")
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("place", [0, 5_000, 9_990])
def test_a_long_contig_is_shown_around_its_fault(place):
    text = "1/" * (place // 2) + "x!" + "/1" * ((10_000 - place) // 2)
    error = ContigError(text, len("1/" * (place // 2)), "expected residues")
    assert len(str(error)) < 300
    contig, mark = error.pointer.split("\n")
    assert contig[mark.index("^")] == "x"


# Structure files.


def test_a_bomb_is_not_unpacked_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(content, "_LARGEST_FILE", 1 << 16)
    (tmp_path / "x.pdb.gz").write_bytes(gzip.compress(b"ATOM  " + b" " * (1 << 22)))
    with pytest.raises(InputError, match="more than any structure"):
        read_backbone(tmp_path / "x.pdb.gz")


def test_endless_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(content, "_MOST_LINES", 1000)
    (tmp_path / "x.pdb").write_bytes(b"\n" * 1001)
    with pytest.raises(InputError, match="1000 lines"):
        read_backbone(tmp_path / "x.pdb")


@pytest.mark.parametrize("spoil", ["number", "place"])
def test_a_gap_of_millions_is_no_gap(tmp_path, helix, spoil):
    coordinates = helix.coordinates.copy()
    if spoil == "number":
        number = [*range(1, 8), *range(2_000_000_001, 2_000_000_008)]
        coordinates[7:] += 100
    else:  # numbers that fall say nothing, so places count
        number = [*range(8, 15), *range(1, 8)]
        coordinates[7:] += 5e6
    far = Backbone.from_coordinates(coordinates, residue_number=number)
    write_backbone(tmp_path / "x.cif", far)
    found = read_backbone(tmp_path / "x.cif")
    assert np.diff(found.residue_index).max() == 9_999


def test_a_chain_cannot_begin_a_record(tmp_path, helix):
    label = "A1\nATOM    999  CA  TRP B   9       0.000   0.000   0.000"
    write_backbone(tmp_path / "x.pdb", helix, motif_map=[{"from": label, "to": 1}])
    lines = (tmp_path / "x.pdb").read_text().splitlines()
    assert not [line for line in lines if line.startswith("ATOM    999")]
    assert len(read_backbone(tmp_path / "x.pdb")) == 14


@pytest.mark.parametrize(
    "table",
    [
        b'pdb_id,motif_residues,redesign_idcs,length\n"' + b"x" * 200_000,  # no end of a field
        b'"' + b"x" * 200_000,  # within the heading
        b"pdb_id,motif_residues,redesign_idcs,length\n1abc\n",  # columns that are not there
        b"",
    ],
)
def test_problems(tmp_path, table):
    (tmp_path / "problems.csv").write_bytes(table)
    with pytest.raises(InputError):
        read_motifbench_problems(tmp_path / "problems.csv")


# TOML.


@pytest.mark.parametrize(
    "text", ["x = 2026-99-99", "x = " + "9" * 5000, "x = " + "[" * 5000, "x = \udcff"]
)
@pytest.mark.parametrize("reader", [read_toml, load_config, load_campaign])
def test_toml_that_is_none(tmp_path, reader, text):
    (tmp_path / "x.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=r"x\.toml is no TOML file"):
        reader(tmp_path / "x.toml")


@pytest.mark.parametrize(
    "line",
    [
        *("steps = inf", "steps = nan", "steps = 1e400", f"steps = 1{'0' * 400}", "minutes = nan"),
        *(
            "seed = -1",
            "threads = -2",
            "warmup_steps = -1",
            "panel_designs = -5",
            "decay_steps = -1",
        ),
        *("[network]\nlayers = 0", "[network]\nscalars = 1000000", "[network]\nhidden = -1"),
        *("[network]\nscale = nan", "[network]\nscale = 0", "[noise]\nfloor = inf"),
    ],
)
def test_numbers_of_training_beyond_bounds(tmp_path, line):
    (tmp_path / "run.toml").write_text(f'data = "d"\nout = "o"\n{line}\n')
    with pytest.raises(InputError):
        load_config(tmp_path / "run.toml")


# Run folders.

GOOD = {"file": "design_0000.pdb", "index": 0, "length": 8}


@pytest.mark.parametrize(
    "quality",
    [{}, None, [], "x", {"failed": None}, {"failed": 3, "passes": 1}, {"failed": [None, {}]}],
)
def test_a_table_of_lines_without_numbers(capsys, quality):
    for record in ({**GOOD, "quality": quality}, GOOD, {"file": None, "index": 3}):
        print_records([record])
        assert summarise_records([record]) == "1 design, 0 without a fault"
    assert "not measured" in capsys.readouterr().out


@pytest.mark.parametrize(
    "line",
    [
        *(b"{" * 20_000, b"[" * 20_000, b'{"index": 0}', b"null", b"3", b'"x"', b"\xff\xfe"),
        *(json.dumps({**GOOD, "rg": float("nan")}).encode(), b'{"index": 0, "file": "\\ud800"}'),
        *(json.dumps({**GOOD, "index": index}).encode() for index in (True, 1.0, -1, None, "0")),
        *(
            json.dumps({**GOOD, "file": file}).encode()
            for file in (
                "../design_0000.pdb",
                "/etc/passwd",
                "run.json",
                "design_0000.pdb\0",
                3,
                [],
            )
        ),
    ],
)
def test_lines_of_a_manifest_that_were_never_ours(tmp_path, line):
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(json.dumps({**GOOD, "index": 7}).encode() + b"\n" + line + b"\n")
    found = read_manifest(path)
    assert (list(found.records), found.damaged) == ([7], 1)


def test_a_message_does_not_command_the_terminal():
    assert _one_line("a\x1b[2Jb\nc\u202ed\0") == "a\N{REPLACEMENT CHARACTER}[2Jb c" + (
        "\N{REPLACEMENT CHARACTER}d\N{REPLACEMENT CHARACTER}"
    )


# Tables of structures.

COLUMNS = "id\tfile\tcluster30\tcluster40"


@pytest.mark.parametrize(
    ("identifier", "length"),
    [
        *((name, "14") for name in ("../x", "/etc/passwd", "..", ".", "a\\b", "a\x1bb", "x" * 300)),
        *(("1abc", length) for length in ("²", "9" * 5000)),
    ],
)
def test_tables_beside_structures(tmp_path, helix, identifier, length):
    write_backbone(tmp_path / "src" / "x.pdb", helix)
    rows = [f"{COLUMNS}\tlength", f"{identifier}\tx.pdb\t1\t1\t{length}"]
    (tmp_path / "src" / "manifest.tsv").write_text("\n".join(rows) + "\n")
    out = tmp_path / "out.safetensors"
    settings = {"min_length": 5, "compact": False, "held_out_fraction": 0.0, "workers": 1}
    if identifier == "1abc":  # the length is only a hint
        prepare_dataset(tmp_path / "src", out, **settings)
        assert load_dataset(out)[0].ids == ("1abc",)
        return
    with pytest.raises(InputError, match="the id in line 2 of the manifest"):
        prepare_dataset(tmp_path / "src", out, **settings)
    assert not out.exists()


@pytest.mark.parametrize("file", ["a\0b", "x" * 3000])
def test_a_table_that_names_what_cannot_be_a_file(tmp_path, helix, file):
    write_backbone(tmp_path / "src" / "x.pdb", helix)
    (tmp_path / "src" / "manifest.tsv").write_text(f"{COLUMNS}\n1abc\t{file}\t1\t1\n")
    with pytest.raises(InputError):
        prepare_dataset(tmp_path / "src", tmp_path / "out.safetensors", workers=1)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\nb", "a\0b", "x" * 201])
def test_names_that_would_lead_elsewhere(name):
    with pytest.raises(InputError, match="the id is"):
        check_plain_name(name, "the id")


# Tensors.


def test_a_prepared_file_whose_parts_do_not_fit(tmp_path, helix):
    write_backbone(tmp_path / "x.pdb", helix)
    sound = tmp_path / "sound.safetensors"
    prepare_dataset(
        [tmp_path / "x.pdb"], sound, min_length=5, compact=False, held_out_fraction=0.0, workers=1
    )
    load_dataset(sound)

    def spoil(**metadata):
        return lambda header: header["__metadata__"].update(metadata)

    def drop(name):
        # What was there is called something else, so that the file itself stays whole.
        return lambda header: header.update({"other": header.pop(name)})

    def recast(name, kind):
        return lambda header: header[name].update(dtype=kind)

    changes = [
        *(spoil(ids=text) for text in ("[" * 5000, "", "null", "3", "[3]", "[]", '["a", "b"]')),
        *(drop(name) for name in ("offsets", "coordinates", "residue_index", "held_out")),
        *(recast(name, "F32") for name in ("residue_index",)),
        *(recast(name, "I32") for name in ("coordinates",)),
        lambda header: header["__metadata__"].pop("ids"),
        lambda header: header["coordinates"].update(shape=[14 * 9]),
    ]
    for number, change in enumerate(changes):
        path = tmp_path / f"{number}.safetensors"
        path.write_bytes(edit_header(sound.read_bytes(), change))
        with pytest.raises(InputError, match=re.escape(str(path))):
            load_dataset(path)


def test_a_checkpoint_that_lies_of_itself(tmp_path, tiny_weights, tiny_model):
    save_checkpoint(tmp_path / "sound.safetensors", tiny_model)
    sound = tiny_weights.read_bytes()

    def edit(change):
        def edit_ours(header):
            ours = json.loads(header["__metadata__"]["protdiff"])
            change(ours)
            header["__metadata__"]["protdiff"] = json.dumps(ours)

        return edit_ours

    sizes = ("layers", "scalars", "hidden", "pair_width", "noise_width", "points")
    changes = [
        # Taken at its word, such a header asks for more memory than there is.
        *(edit(lambda ours, n=name: ours["network"].update({n: 10**6})) for name in sizes),
        *(edit(lambda ours, v=value: ours["network"].update(scale=v)) for value in (0, "x", None)),
        *(edit(lambda ours, v=value: ours.update(metadata=v)) for value in (None, [], "x")),
        *(
            edit(lambda ours, v=value: ours.update(metadata={"lengths": v}))
            for value in ([], [1], [2, 1], ["a", "b"], [0, 5], None)
        ),
        edit(lambda ours: ours.pop("network")),
        edit(lambda ours: ours.pop("sde")),
        edit(lambda ours: ours.update(version=99)),
        lambda header: header["__metadata__"].update(protdiff="[" * 5000),
        lambda header: header["__metadata__"].update(protdiff="3"),
        lambda header: next(v for k, v in header.items() if k != "__metadata__").update(
            dtype="I32"
        ),
    ]
    for number, change in enumerate(changes):
        path = tmp_path / f"{number}.safetensors"
        path.write_bytes(edit_header(sound, change))
        with pytest.raises(CheckpointError) as caught:
            load_checkpoint(path)
        assert str(path) in str(caught.value)
        assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "ours",
    [
        *(None, 3, [], {}, {"format": "protdiff-training-state"}),
        *(
            {"format": "protdiff-training-state", "version": 2, "config": {}, "progress": progress}
            for progress in (None, {}, {"step": 1}, {"step": "1", "samples": 0, "seconds": 0.0})
        ),
    ],
)
def test_a_training_state_that_does_not_say_how_far_it_was(tmp_path, ours):
    header = {"__metadata__": {"protdiff": json.dumps(ours)}}
    text = json.dumps(header).encode()
    (tmp_path / "state.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    with pytest.raises(CheckpointError):
        read_progress(tmp_path / "state.safetensors")


# Clouds of points.


@pytest.mark.parametrize(
    "array", [np.ones((12, 3)) + 1j, np.ones((12, 3), "M8[s]"), np.full((12, 3), "1")]
)
def test_a_cloud_of_other_things_than_real_numbers(tmp_path, array):
    np.save(tmp_path / "cloud.npy", array, allow_pickle=False)
    with pytest.raises(InputError, match="no real numbers"):
        read_points(tmp_path / "cloud.npy")


@pytest.mark.parametrize(
    "worst",
    [np.finfo(np.longdouble).max, np.array([0x7FA00000], np.uint32).view(np.float32)[0]],
    ids=["large", "signalling"],
)
def test_a_cloud_that_float64_cannot_hold(tmp_path, worst):
    cloud = np.random.default_rng(0).normal(size=(12, 3)).astype(worst.dtype)
    cloud.reshape(-1)[:1] = np.array([worst])
    np.save(tmp_path / "cloud.npy", cloud)
    with pytest.raises(InputError, match="no finite number"):
        read_points(tmp_path / "cloud.npy")


def test_a_cloud_whose_header_is_cut_off(tmp_path):
    np.save(tmp_path / "cloud.npy", np.ones((12, 3)))
    data = (tmp_path / "cloud.npy").read_bytes()
    (tmp_path / "cloud.npy").write_bytes(data.replace(b"}", b"\0", 1))
    with pytest.raises(InputError, match="holds no cloud of points"):
        read_points(tmp_path / "cloud.npy")


def test_an_archive_of_arrays_is_no_cloud(tmp_path):
    with (tmp_path / "cloud.npy").open("wb") as file:
        np.savez(file, np.ones((12, 3)))
    with pytest.raises(InputError, match="holds no cloud of points"):
        read_points(tmp_path / "cloud.npy")


# Campaigns and logs.


@pytest.mark.parametrize("length", [10**30, (2, 10**5000), (10**9, 2)])
def test_lengths_that_no_generator_draws(length):
    with pytest.raises(InputError, match="nine digits"):
        parse_length(length)


@pytest.mark.parametrize("jobs", [{"a": 3}, {"a": [1]}, {"a": None}, [], 3, None])
def test_a_campaign_whose_record_is_spoilt(tmp_path, jobs):
    (tmp_path / RECORD).write_text(json.dumps({"seed": 0, "jobs": jobs}))
    with pytest.raises(InputError, match="is damaged"):
        read_record(tmp_path)


def test_differences_of_campaigns_are_told_in_short():
    text = _word("weights", "x" * 3000, "y")
    assert len(text) < 300
    assert text.endswith('..., now "y"')


@pytest.mark.parametrize("spoilt", [b"\xff\xfe,1\n", b'"' + b"x" * 200_000, b"\0\n", b'3,"\n'])
def test_a_log_that_is_spoilt_keeps_what_can_be_read(tmp_path, spoilt):
    (tmp_path / "log.csv").write_bytes(b"step,loss\n10,0.5\n" + spoilt)
    TrainingLog(tmp_path / "log.csv", ("step", "loss"), 15).append({"step": 16, "loss": 0.25})
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert lines[:2] == ["step,loss", "10,0.5"]
    assert lines[-1] == "16,0.25"

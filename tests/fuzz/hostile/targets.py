"""Everything of protdiff that reads what somebody else wrote."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tempfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import torch
from biotite.structure.io import pdbx
from hypothesis import strategies as st

from hostile.folders import make_folder_targets, run_command
from hostile.harness import Target
from hostile.mutations import json_values, make_pickle, mutated, mutated_json, texts
from protdiff.checkpoint import load_checkpoint, save_checkpoint
from protdiff.cli.designs import print_records
from protdiff.conditioning import Partner
from protdiff.design.lengths import parse_lengths
from protdiff.design.run_folder import RunFolder, check_folder, read_manifest
from protdiff.errors import InputError
from protdiff.evaluation import measure_quality
from protdiff.model import BackboneModel
from protdiff.network import NetworkConfig, ScoreNetwork
from protdiff.structure import (
    Backbone,
    build_backbone,
    explain_contig,
    parse_contig,
    parse_length,
    read_models,
    write_backbone,
)
from protdiff.structure.contact import parse_contacts
from protdiff.structure.fetch import parse_entry_id
from protdiff.structure.groups import group_segments
from protdiff.structure.motif import sample_motif
from protdiff.structure.point_group import parse_point_group
from protdiff.structure.points import fill_shape, read_points
from protdiff.structure.problem import read_genie2_problem, read_motifbench_problems
from protdiff.structure.selection import parse_selection, select_residues
from protdiff.structure.size import parse_radius
from protdiff.training.config import TrainingConfig, load_config
from protdiff.training.dataset import load_dataset
from protdiff.training.optimizer import MuonWithAdamW
from protdiff.training.prepare import prepare_dataset
from protdiff.training.state import Progress, load_state, save_state

__all__ = ["make_targets"]

TINY = NetworkConfig(
    layers=2, scalars=8, vectors=2, hidden=8, heads=2, head_width=4, points=2, pair_width=4,
    noise_width=4,
)  # fmt: skip


def make_targets(folder: Path) -> list[Target]:
    """Return all targets; ``folder`` is for their sound files."""
    rng = np.random.default_rng(0)
    phi, psi = rng.normal(-65, 8, 14), rng.normal(-42, 8, 14)
    helix = Backbone.from_coordinates(
        build_backbone(phi, psi),
        chain_id=["A"] * 8 + ["B"] * 6,
        residue_index=[*range(8), *range(208, 214)],
        residue_number=[*range(-2, 4), 3, 4, *range(1, 7)],
        insertion_code=[""] * 5 + ["", "A", ""] + [""] * 6,
        residue_name=["ALA", "GLY", "MSE"] * 4 + ["TRP", "UNK"],
    )
    pickles = [make_pickle(folder.parent), _zip_of_pickle(folder)]
    files = _make_structures(folder, helix)
    return [
        *_structure_targets(files, pickles, helix),
        *_text_targets(helix),
        _points_target(),
        _condition_words_target(helix),
        *_config_targets(),
        *_table_targets(folder, files["pdb"]),
        _run_target(),
        *make_folder_targets(folder),
        *_tensor_targets(folder, pickles),
    ]


def _make_structures(folder: Path, helix: Backbone) -> dict[str, bytes]:
    for kind in ("pdb", "cif"):
        write_backbone(folder / f"sound.{kind}", helix, motif_map=[{"from": "A1", "to": 2}])
    binary = pdbx.BinaryCIFFile()
    pdbx.set_structure(binary, helix.to_atom_array())
    stream = io.BytesIO()
    pdbx.compress(binary).write(stream)
    files = {kind: (folder / f"sound.{kind}").read_bytes() for kind in ("pdb", "cif")}
    files["bcif"] = stream.getvalue()
    deposition = b"HEADER    X\nSEQRES   1 A   14  ALA\n" + files["pdb"]
    files["deposition"] = deposition.replace(b"END", b"MASTER\nEND")
    return files


def _structure_targets(
    files: dict[str, bytes], pickles: Sequence[bytes], helix: Backbone
) -> list[Target]:
    def read(name: str) -> Callable[[bytes, Path], None]:
        def run(data: bytes, place: Path) -> None:
            path = place / name
            path.write_bytes(data)
            for backbone in read_models(path)[:3]:
                measure_quality(backbone.coordinates[:, :3], backbone.residue_index)
                for kind in ("pdb", "cif"):
                    written = place / "out" / f"{backbone.name[:50]}.{kind}"
                    labels = [{"from": label, "to": 1} for label in backbone.labels[:3]]
                    write_backbone(written, backbone, overwrite=True, motif_map=labels)

        return run

    noise = st.binary(max_size=200)
    texts_of_both = [files["pdb"], files["cif"], files["deposition"]]
    packed = [gzip.compress(data, mtime=0) for data in (*texts_of_both, files["bcif"])]
    bombs = [gzip.compress(b"ATOM  " + bytes([byte]) * (40 << 20)) for byte in b"\n 0"]
    named = ("x.pdb", "x.cif", "x.bcif", "x.pdb.gz")
    anything = st.tuples(noise | st.sampled_from(pickles), st.sampled_from(named))
    return [
        Target("pdb", mutated([files["pdb"], files["deposition"]]), read("x.pdb"), 3),
        Target("cif", mutated([files["cif"]]), read("x.cif"), 3),
        Target("bcif", mutated([files["bcif"]]), read("x.bcif"), 2),
        Target("bcif-values", _lying_bcif(files["bcif"]), read("x.bcif"), 2),
        Target("mixed", mutated([*texts_of_both, files["bcif"], *pickles]), read("x.ent"), 1),
        Target("gzip", mutated(packed) | mutated(texts_of_both).map(gzip.compress), read("x.gz")),
        Target("bomb", st.sampled_from(bombs), read("x.pdb.gz"), 0.05),
        Target("bytes", anything, lambda pair, place: read(pair[1])(pair[0], place)),
    ]


def _lying_bcif(sound: bytes) -> st.SearchStrategy[bytes]:
    """Spoil values within a BinaryCIF file, whose bytes stay sound MessagePack."""

    def pack(value: Any) -> bytes:
        try:
            return bytes(msgpack.packb(value))
        except (ValueError, OverflowError):  # MessagePack has no such numbers and texts
            return sound

    return mutated_json(msgpack.unpackb(sound)).map(pack)


def _text_targets(helix: Backbone) -> list[Target]:
    words = (
        *("10", "0", "5-10", "A", "B", "A1-3", "A-2-1", "A3A", "A3A-4", "B2", "AA1-2", "1:2-3"),
        *("A1-3#1", "B2#b", "#", "x.A1-3", "x.y.1:2-3", "2.A1", "."),
        *("/", ",", ";", "/0 ", ";/;", "-", "--", ":", " ", "[", "]", "'", "٣", "²", "Ⅷ"),
        *("9" * 20, "9" * 5000, "A1-99999999", "10000", "1-10000", "0-10000/" * 40, "A" * 200),
    )

    def read_contig(text: str, place: Path) -> None:
        contig = parse_contig(text)
        explain_contig(contig)
        explain_contig(contig, helix)
        if all(segment.length is not None for segment in contig.motif_segments):
            contig.sample_layout(np.random.default_rng(0), contig.length_span)
        motif = sample_motif(helix, contig, np.random.default_rng(0))
        motif.apply(np.zeros((motif.length, 3, 3), np.float32) + np.arange(3)[:, None])

    def read_names(text: str, place: Path) -> None:
        refusals = 0
        readers: tuple[Callable[[str], object], ...] = (
            parse_length,
            parse_entry_id,
            lambda text: select_residues(helix, parse_selection(text)),
        )
        for reader in readers:
            try:
                reader(text)
            except InputError:
                refusals += 1
        if refusals == len(readers):
            raise InputError("neither a length nor an id nor a selection")

    ids = ("1aki", "pdb_00001aki", "../", "..", "/", "\\", "\0", "1AKI\n", "100")
    return [
        Target("contig", texts(words), read_contig, 3),
        Target("names", texts((*words, *ids), most=4), read_names, 2),
    ]


def _points_target() -> Target:
    """Clouds of points and meshes; the name says how to read them, and may lie."""
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
    cloud = np.concatenate([corners, corners / 3 + 0.3])
    rows = [" ".join(f"{value:.3f}" for value in point) for point in cloud.tolist()]
    ply = "ply\nformat ascii 1.0\nelement vertex 16\n" + "".join(
        f"property float {axis}\n" for axis in "xyz"
    )
    arrays = (
        cloud,
        cloud.astype(">f4"),
        cloud.astype(np.longdouble),
        cloud + 1j,
        cloud.astype("U"),
    )
    archive = io.BytesIO()
    np.savez(archive, cloud)
    sound = {
        ".xyz": ["16\nx\n" + "".join(f"C {row}\n" for row in rows)],
        ".csv": ["x,y,z\n" + "\n".join(row.replace(" ", ",") for row in rows)],
        ".obj": ["\n".join(f"v {row}" for row in rows) + "\nf 1 2 3\n"],
        ".ply": [ply + "end_header\n" + "\n".join(rows) + "\n"],
    }
    files = {suffix: [text.encode() for text in found] for suffix, found in sound.items()}
    files[".npy"] = [*map(_save_array, arrays), archive.getvalue()]
    everything = [data for found in files.values() for data in found]
    inputs = st.sampled_from(sorted(files)).flatmap(
        lambda suffix: st.tuples(
            st.just(suffix),
            mutated(files[suffix]) | mutated(files[suffix]) | st.sampled_from(everything),
        )
    )

    def read(pair: tuple[str, bytes], place: Path) -> None:
        path = place / f"cloud{pair[0]}"
        path.write_bytes(pair[1])
        filled = fill_shape(read_points(path), count=50)
        assert np.isfinite(filled.points).all()
        assert filled.volume > 0

    return Target("points", inputs, read, 2)


def _save_array(array: np.ndarray[Any, Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def _condition_words_target(helix: Backbone) -> Target:
    """What users ask of designs in words: contacts, hot spots, symmetry, sizes, lengths, groups."""
    contig = parse_contig("5/A1-3/5/B1-2/5").resolve(helix)
    words = (
        *("C2", "D3", "c60", "C61", "D0", "C1", "T", "x1.1", "×", "x", "14.5", "Å", "0", "1e3"),
        *("12-40", "12-40:7.5", "A5-B9", "1-2:3.8", ":", ":1e9", "5-5", "0-3", "-1"),
        *("A1-3", "B1-2", "A1-3;B1-2", "A1", ";", ",", "#", "x.A1"),
        *("64:2", "60-80:3", "natural", "natural/40-50", "/", "128-40", ":0", ":0.0", "."),
        *(" ", "\n", "٣", "²", "Ⅷ", "9" * 9, "9" * 20, "9" * 5000, "A" * 200),
    )

    def read(text: str, place: Path) -> None:
        refusals = 0
        readers: tuple[Callable[[str], object], ...] = (
            lambda text: [contact.check(100) for contact in parse_contacts(text)],
            lambda text: Partner(helix, text).describe(),
            lambda text: parse_point_group(text).rotations,
            lambda text: parse_radius(text).check(100),
            lambda text: json.dumps(
                [parse_lengths(text).draw(np.random.default_rng(0)), parse_lengths(text).describe()]
            ),
            lambda text: group_segments(contig, helix, text),
        )
        for reader in readers:
            try:
                reader(text)
            except InputError:
                refusals += 1
        if refusals == len(readers):
            raise InputError("none of the words that ask something of designs")

    return Target("condition-words", texts(words, most=4), read, 2)


def _config_targets() -> list[Target]:
    known = asdict(TrainingConfig("data", "out"))
    tables = {name: tuple(known.pop(name)) for name in ("network", "noise")}
    keys = st.sampled_from((*known, "stesp", "'../x'", '"a b"', "a.b", "network", "lengths.a"))
    values = st.one_of(
        json_values().map(_to_toml),
        st.sampled_from(("1979-05-27", "0x1F", "1e400", "nan", "-inf", "9" * 5000, "[" * 3000)),
        st.integers(-5, 200).map(str),
        st.floats(0, 2).map(repr),
        st.sampled_from(('"cpu"', '"bfloat16"', "[40, 128]", "true", "''", '"../../x"')),
    )
    line = st.builds("{} = {}\n".format, keys, values)
    table = st.sampled_from(tuple(tables)).flatmap(
        lambda name: st.lists(
            st.builds("{} = {}\n".format, st.sampled_from((*tables[name], "x")), values), max_size=3
        ).map(lambda lines: f"[{name}]\n" + "".join(lines))
    )
    whole = st.builds(
        lambda head, lines, tail: (head + "".join(lines) + "".join(tail)).encode(
            "utf-8", "surrogatepass"
        ),
        st.sampled_from(('data = "d"\nout = "o"\n', 'data = "d"\n', "")),
        st.lists(line, max_size=2),
        st.lists(table, max_size=2),
    )
    sound = b'data = "d"\nout = "o"\nsteps = 5\nlengths = [40, 50]\n[network]\nlayers = 4\n'

    def read_training(data: bytes, place: Path) -> None:
        (place / "run.toml").write_bytes(data)
        config = load_config(place / "run.toml")
        TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict())))

    option = st.sampled_from(
        ("seed", "num", "total-length", "total_length", "json", "debug", "nun", "config", "verbose")
    )
    options = st.lists(st.builds("{} = {}\n".format, option, values), max_size=3).map("".join)
    titled = st.builds(
        lambda top, name, inner: f"{top}{name}{inner}".encode("utf-8", "surrogatepass"),
        options,
        st.sampled_from(("", "[contig]\n", "[train]\n", "[x]\n", "[contig.x]\n")),
        options,
    )

    def read_options(data: bytes, place: Path) -> None:
        (place / "c.toml").write_bytes(data)
        run_command("contig", "5-9/A1-5", "--quiet", "--config", str(place / "c.toml"))

    return [
        Target("training-toml", whole | mutated([sound]), read_training, 3),
        Target("options-toml", titled | mutated([b"seed = 1\n[contig]\nnum = 2\n"]), read_options),
    ]


def _to_toml(value: Any) -> str:
    return "{}" if value is None else json.dumps(value, ensure_ascii=False)


def _table_targets(folder: Path, pdb: bytes) -> list[Target]:
    words = (
        *("1abc", "x.pdb", "../x.pdb", "/etc/passwd", "..", ".", "", "a\0b", "7", "9" * 5000),
        *("x" * 3000, "..\\x", "a/b", "\t", '"', "\r", "²", "1", "0"),
    )
    row = st.lists(st.sampled_from(words), max_size=6).map("\t".join)
    header = "id\tfile\tcluster30\tcluster40\trecommended\tlength\n"
    sound = header + "1abc\tx.pdb\t1\t1\t1\t14\n2abc\ty.pdb\t2\t2\t1\t14\n"
    tables = st.lists(row, max_size=4).map(lambda rows: (header + "\n".join(rows)).encode())

    def prepare(data: bytes, place: Path) -> None:
        (place / "src").mkdir()
        for name in ("x.pdb", "y.pdb"):
            (place / "src" / name).write_bytes(pdb)
        (place / "src" / "manifest.tsv").write_bytes(data)
        out = place / "out.safetensors"
        prepare_dataset(
            place / "src", out, min_length=5, compact=False, held_out_fraction=0.0, workers=1
        )
        for name in load_dataset(out)[0].ids:
            assert not set(name) & set("/\\")
            assert name not in (".", "..")

    genie = (
        b"REMARK 999 NAME   1ABC\nREMARK 999 PDB    1ABC\nREMARK 999 INPUT      5  20\n"
        b"REMARK 999 INPUT  A   1   3 A\nREMARK 999 MINIMUM TOTAL LENGTH      20\n"
        b"REMARK 999 MAXIMUM TOTAL LENGTH      30\n"
    )
    bench = b"pdb_id,motif_residues,redesign_idcs,length\n1abc,A1-3;A5,A1,75\n2abc,B2,,100\n"

    def read_problems(data: bytes, place: Path) -> None:
        path = place / "problem"
        path.write_bytes(data)
        if data[:6] == b"REMARK":
            problems = [read_genie2_problem(path)]
        else:
            problems = read_motifbench_problems(path)
        for problem in problems:
            problem.contig.sample_layout(np.random.default_rng(0), problem.total_length)

    return [
        Target("prepare-manifest", tables | mutated([sound.encode()]), prepare),
        Target("problem", mutated([genie, bench]), read_problems, 2),
    ]


def _run_target() -> Target:
    settings = {"task": "generate", "length": 40, "seed": 0, "weights": "tiny"}
    quality = asdict(measure_quality(build_backbone(np.full(8, -60.0), -45.0)[:, :3]))
    record = {"file": "design_0000.pdb", "index": 0, "length": 8, "quality": quality}
    record["quality"] = measure_quality(build_backbone(np.full(8, -60.0), -45.0)[:, :3]).to_dict()
    lines = [json.dumps(record), json.dumps({**record, "index": 1, "file": None})]
    sound_manifest, sound_run = "\n".join(lines).encode() + b"\n", json.dumps(settings).encode()
    spoilt = st.lists(mutated_json(record).map(_dump), max_size=3).map(b"\n".join)
    manifests = mutated([sound_manifest]) | spoilt.map(lambda data: data + b"\n")
    runs = st.just(sound_run) | mutated([sound_run]) | mutated_json(settings).map(_dump)

    def read(pair: tuple[bytes, bytes], place: Path) -> None:
        folder = place / "run"
        folder.mkdir()
        (folder / "design_0000.pdb").write_bytes(b"ATOM")
        (folder / "manifest.jsonl").write_bytes(pair[0])
        (folder / "run.json").write_bytes(pair[1])
        for index, found in read_manifest(folder / "manifest.jsonl").records.items():
            assert found["file"] is None or (folder / found["file"]).parent == folder
            assert index >= 0
        check_folder(folder, settings)
        with RunFolder.open(folder, settings) as run:
            run.add({**record, "index": 7})
            print_records(run.records)
            assert 7 in [found["index"] for found in run.records]
        again = read_manifest(folder / "manifest.jsonl")
        assert again.damaged == 0
        assert 7 in again.records

    return Target("run-folder", st.tuples(manifests, runs), read, 3)


def _dump(value: Any) -> bytes:
    return json.dumps(value).encode()


def _tensor_targets(folder: Path, pickles: Sequence[bytes]) -> list[Target]:
    torch.manual_seed(0)
    network, average = ScoreNetwork(TINY), ScoreNetwork(TINY)
    save_checkpoint(folder / "w.safetensors", BackboneModel(network))
    optimizer = MuonWithAdamW(network, 1e-3, 0.01)
    config = TrainingConfig("data", "out", network=TINY).to_dict()
    save_state(folder / "s.safetensors", network, average, optimizer, Progress(), config)
    for name in ("x", "y"):
        (folder / f"{name}.pdb").write_bytes((folder / "sound.pdb").read_bytes())
    prepare_dataset(
        [folder / "x.pdb", folder / "y.pdb"],
        folder / "p.safetensors",
        min_length=5,
        compact=False,
        held_out_fraction=0.0,
        workers=1,
    )

    def load(name: str, reader: Callable[[Path], object]) -> Target:
        sound = (folder / name).read_bytes()

        def run(data: bytes, place: Path) -> None:
            (place / name).write_bytes(data)
            reader(place / name)

        inputs = st.one_of(_lying_tensors(sound), _lying_tensors(sound), mutated([sound, *pickles]))
        return Target(Path(name).stem, inputs, run)

    def read_state(path: Path) -> None:
        load_state(path, network, average, optimizer)

    def read_weights(path: Path) -> None:
        model = load_checkpoint(path)
        assert model.trained_lengths[0] >= 1
        model.sde.alpha(torch.tensor(0.5))

    names = {"w": "checkpoint", "s": "training-state", "p": "prepared"}
    targets = [
        load("w.safetensors", read_weights),
        load("s.safetensors", read_state),
        load("p.safetensors", load_dataset),
    ]
    return [
        Target(names[target.name], target.inputs, target.run, 1.0 + (target.name == "p"))
        for target in targets
    ]


def _lying_tensors(sound: bytes) -> st.SearchStrategy[bytes]:
    """Spoil the header of a safetensors file, or our header within its metadata, as JSON."""
    (size,) = struct.unpack("<Q", sound[:8])
    header, payload = json.loads(sound[8 : 8 + size]), sound[8 + size :]
    ours = header["__metadata__"]
    inner = next((name for name in ("protdiff", "ids") if name in ours), None)

    def pack(outer: Any, data: bytes, length: int | None) -> bytes:
        text = json.dumps(outer).encode()
        claimed = len(text) if length is None else length
        return struct.pack("<Q", claimed % 2**64) + text + data

    outers = mutated_json(header)
    if inner is not None:
        deep = st.sampled_from(("[" * 5000, '{"a":' * 5000, "", "null", "NaN"))
        spoilt = mutated_json(json.loads(ours[inner])).map(json.dumps) | deep
        with_inner = spoilt.map(
            lambda text: {**header, "__metadata__": {**ours, inner: text}}  # same tensors
        )
        outers = st.one_of(outers, with_inner, with_inner)
    lengths = st.sampled_from((None,) * 12 + (0, 1, size - 1, size + 1, 2**63, 2**64 - 1, 10**9))
    garbled = st.sampled_from((payload,) * 8 + (b"", payload[:-1], payload * 2, b"\xff" * 64))
    return st.builds(pack, outers, garbled, lengths)


def _zip_of_pickle(folder: Path) -> bytes:
    """Return what torch.save writes, with a pickle inside that plants a file."""
    with tempfile.TemporaryFile() as file:
        torch.save({"weight": torch.zeros(2)}, file)
        file.seek(0)
        data = file.read()
    return data + make_pickle(folder.parent) + zlib.compress(b"x")

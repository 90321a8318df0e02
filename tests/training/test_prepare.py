import json

import numpy as np
import pytest
import torch
from safetensors import safe_open

from protdiff.errors import InputError
from protdiff.structure import Backbone, build_backbone, write_backbone
from protdiff.training.dataset import load_dataset
from protdiff.training.objective import NoisyBatch
from protdiff.training.prepare import PreparationReport, prepare_dataset

AMINO_ACIDS = ["ALA", "GLU", "LEU", "LYS", "SER", "THR", "VAL", "ILE"]


# The torsions of three turns that fold four helices of 48 residues into a compact bundle.
TURNS = {
    11: ((-77, -112, -95, -146), (112, 19, 0, 141)),
    26: ((-98, -107, -61, -151), (106, 29, -3, 102)),
    41: ((-120, -124, -56, -138), (68, -35, -6, 146)),
}


def make_globule(seed):
    rng = np.random.default_rng(seed)
    phi, psi = np.full(48, -62.0), np.full(48, -42.0)
    for start, (turn_phi, turn_psi) in TURNS.items():
        phi[start : start + 4] = turn_phi
        psi[start : start + 4] = turn_psi
    x = build_backbone(phi, psi) + 0.01 * rng.standard_normal((48, 4, 3))
    return Backbone.from_coordinates(x, residue_name=rng.choice(AMINO_ACIDS, 48))


@pytest.fixture(scope="module")
def globules():
    return [make_globule(seed) for seed in range(8)]


@pytest.fixture
def folder(tmp_path, globules):
    """Eight sound chains and one of each fault."""
    path = tmp_path / "in"
    for i, globule in enumerate(globules):
        write_backbone(path / "sub" / f"good{i}.{'pdb' if i % 2 else 'cif.gz'}", globule)
    first = globules[0]
    x = first.coordinates
    bent = x.copy()
    bent[20, 2] += 0.5 * (x[20, 2] - x[20, 1]) / 1.525
    faults = {
        "short": first.select(slice(0, 39)),
        "broken": first.select([*range(20), *range(22, 48)]),
        "mirrored": first.with_coordinates(x * np.float32([1, 1, -1])),
        "long_helix": Backbone.from_coordinates(
            build_backbone(np.full(60, -62.0), -42.0), residue_name="ALA"
        ),
        "bent": first.with_coordinates(bent),
    }
    for name, backbone in faults.items():
        write_backbone(path / f"{name}.pdb", backbone)
    (path / "noise.pdb").write_bytes(b"no structure")
    return path


def read(path):
    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
        return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118


def test_the_file_is_as_promised(folder, globules, tmp_path):
    out = tmp_path / "new" / "data.safetensors"
    report = prepare_dataset(folder, out, held_out_fraction=0.3)
    data, metadata = read(out)
    assert metadata["format"] == "protdiff-dataset"
    assert metadata["version"] == "3"
    ids = json.loads(metadata["ids"])
    assert ids == [f"good{i}" for i in range(8)]
    kinds = {name: (array.dtype.str[1:], array.shape) for name, array in data.items()}
    assert kinds == {
        "coordinates": ("f4", (384, 3, 3)),
        "residue_index": ("i4", (384,)),
        "offsets": ("i8", (9,)),
        "cluster30": ("i8", (8,)),
        "cluster40": ("i8", (8,)),
        "held_out": ("u1", (8,)),
        "secondary": ("u1", (384,)),
        "residue_type": ("u1", (384,)),
    }
    for k, globule in enumerate(globules):
        piece = slice(data["offsets"][k], data["offsets"][k + 1])
        np.testing.assert_allclose(
            data["coordinates"][piece], globule.coordinates[:, :3], atol=6e-4
        )
        assert data["residue_index"][piece].tolist() == list(range(48))
    assert np.isin(data["secondary"], [1, 2, 3]).all()
    assert (data["secondary"] == 2).mean() > 0.3
    assert (data["secondary"] == 3).mean() < 0.1
    kept = json.loads(metadata["report"])
    assert kept["kept"] == report.kept == 8
    assert kept["held_out"] == report.held_out == int(data["held_out"].sum())


def test_what_is_dropped_is_counted_and_named(folder, tmp_path):
    report = prepare_dataset(folder, tmp_path / "data.safetensors")
    # The mirror image fails at its hand, and the bent one at a bond.
    assert report.dropped == {
        "too short": 1,
        "chain breaks": 1,
        "left-handed torsions": 1,
        "not compact: radius of gyration": 1,
        "distorted bonds": 1,
        "unreadable file": 1,
    }
    assert report.examples["unreadable file"] == ["noise"]
    assert (report.files, report.chains, report.kept) == (14, 13, 8)
    text = str(report)
    assert text.startswith("8 chains kept of 14 files: 384 residues, 8 clusters")
    assert "1 dropped, chain breaks (as broken)" in text


def test_the_gate_can_be_opened(folder, tmp_path):
    report = prepare_dataset(
        folder,
        tmp_path / "a.safetensors",
        min_length=30,
        max_length=50,
        max_breaks=1,
        compact=False,
    )
    assert report.kept == 10
    assert report.dropped["too long"] == 1
    data, _ = read(tmp_path / "a.safetensors")
    assert np.diff(data["residue_index"]).max() == 3  # the break, kept as a jump


def test_what_is_across_a_break_is_not_trained_as_bonded(folder, tmp_path):
    """The network sees the residues' own numbers, in training and in the held-out loss."""
    prepare_dataset(
        folder / "broken.pdb", tmp_path / "a.safetensors", max_breaks=1, held_out_fraction=0.0
    )
    dataset, _ = load_dataset(tmp_path / "a.safetensors")
    numbers = [*range(20), *range(22, 48)]
    seen = []

    def network(noisy, ratio, residue_index, *others):
        seen.append(residue_index.tolist())
        return [noisy, noisy]

    batch = dataset.collate([0], 48)
    noisy = NoisyBatch.add_noise(batch, torch.zeros(1, 48, 3, 3), torch.ones(1), 8.0)
    noisy.denoise(network, None)
    assert seen == [[[*numbers, 0, 0]]]


def write_manifest(folder, rows, columns=("id", "file", "recommended", "cluster30", "cluster40")):
    lines = ["\t".join(columns), *("\t".join(map(str, row)) for row in rows)]
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")


def test_clusters_are_split_whole(folder, tmp_path):
    files = sorted((folder / "sub").iterdir())
    rows = [
        (f"chain{i}", f"sub/{file.name}", int(i != 7), i // 2, 10 + i)
        for i, file in enumerate(files)
    ]
    write_manifest(folder, rows)
    seen = set()
    for fraction in (0.2, 0.5, 0.8):
        out = tmp_path / f"{fraction}.safetensors"
        try:
            report = prepare_dataset(folder, out, held_out_fraction=fraction)
        except InputError as error:
            assert "held out" in str(error)  # noqa: PT017
            continue
        data, metadata = read(out)
        assert json.loads(metadata["ids"]) == [f"chain{i}" for i in range(7)]
        assert data["cluster30"].tolist() == [0, 0, 1, 1, 2, 2, 3]
        assert data["cluster40"].tolist() == list(range(10, 17))
        held = {int(c) for c, h in zip(data["cluster30"], data["held_out"], strict=True) if h}
        kept = {int(c) for c, h in zip(data["cluster30"], data["held_out"], strict=True) if not h}
        assert not held & kept
        # What a small fraction holds out, a larger one does too.
        assert seen <= held
        seen = held
        assert report.dropped["not in the manifest"] == 6
        assert report.dropped["not recommended by the manifest"] == 1
    everything = prepare_dataset(folder, tmp_path / "all.safetensors", recommended_only=False)
    assert everything.kept == 8


def test_what_the_manifest_says_of_lengths_is_not_read_again(folder, tmp_path):
    """Its numbers are believed, in a dry run too, and files without one are measured."""
    names = [f"sub/good{i}.{'pdb' if i % 2 else 'cif.gz'}" for i in range(8)]
    lengths = (39, 40, 48, 256, 257, "", "x", 12345)
    rows = [
        (f"chain{i}", name, i, i, length)
        for i, (name, length) in enumerate(zip(names, lengths, strict=True))
    ]
    write_manifest(folder, rows, ("id", "file", "cluster30", "cluster40", "length"))
    for dry_run in (True, False):
        out = tmp_path / "out.safetensors"
        report = prepare_dataset(folder, out, dry_run=dry_run, held_out_fraction=0.0)
        assert report.dropped == {"not in the manifest": 6, "too short": 1, "too long": 2}
        assert report.examples["too short"] == ["chain0"]
        assert report.examples["too long"] == ["chain4", "chain7"]
        assert out.exists() is not dry_run
    assert json.loads(read(out)[1]["ids"]) == ["chain1", "chain2", "chain3", "chain5", "chain6"]


def test_the_split_depends_on_nothing_but_the_cluster(folder, tmp_path):
    whole = prepare_dataset(folder, tmp_path / "a.safetensors", held_out_fraction=0.5)
    data, metadata = read(tmp_path / "a.safetensors")
    held = dict(zip(json.loads(metadata["ids"]), data["held_out"].tolist(), strict=True))
    assert 0 < whole.held_out < 8
    for name in ("good1", "good2", "good5"):
        next((folder / "sub").glob(f"{name}.*")).unlink()
    prepare_dataset(folder, tmp_path / "b.safetensors", held_out_fraction=0.5)
    data, metadata = read(tmp_path / "b.safetensors")
    rest = dict(zip(json.loads(metadata["ids"]), data["held_out"].tolist(), strict=True))
    assert len(rest) == 5
    assert rest.items() <= held.items()


@pytest.mark.statistical
def test_an_earlier_split_is_repeated(folder, tmp_path):
    """Chains of the table keep their part, their relatives follow, new clusters go by the hash."""
    manifest = tmp_path / "manifest.tsv"
    files = [f"sub/good{k}.{'pdb' if k % 2 else 'cif.gz'}" for k in range(8)]
    rows = [f"good{k}\t{folder / files[k]}\t{k // 2}\t{k}" for k in range(8)]
    manifest.write_text("id\tfile\tcluster30\tcluster40\n" + "\n".join(rows) + "\n")
    split = tmp_path / "split.tsv"
    split.write_text("id\tsplit\ngood0\theld-out\ngood2\ttrain\nelsewhere\ttrain\n")
    out = tmp_path / "split.safetensors"
    prepare_dataset(
        folder, out, manifest=manifest, split=split, held_out_fraction=0.0, max_breaks=1
    )
    data, metadata = read(out)
    parts = dict(zip(json.loads(metadata["ids"]), data["held_out"].tolist(), strict=True))
    assert parts == {f"good{k}": int(k < 2) for k in range(8)}
    split.write_text("id\tsplit\ngood0\ttest\n")
    with pytest.raises(InputError, match="line 2 of the split"):
        prepare_dataset(folder, out, manifest=manifest, split=split, overwrite=True)


def test_the_held_out_share_is_what_was_asked():
    from protdiff.training.split import _is_held_out

    count = sum(_is_held_out(str(i), 0.1) for i in range(4000))
    # Five standard deviations of a binomial.
    assert abs(count - 400) < 5 * np.sqrt(4000 * 0.1 * 0.9)


def test_chains_of_a_file_are_chains_of_their_own(globules, tmp_path):
    a, b = globules[:2]
    complex_ = Backbone.from_coordinates(
        np.concatenate([a.coordinates, b.coordinates + 60, a.coordinates + 120]),
        chain_id=["A"] * 48 + ["B"] * 48 + ["C"] * 48,
        residue_name=np.concatenate([a.residue_name, b.residue_name, a.residue_name]),
    )
    write_backbone(tmp_path / "1abc.cif", complex_)
    report = prepare_dataset(tmp_path / "1abc.cif", tmp_path / "a.safetensors", held_out_fraction=0)
    assert (report.chains, report.kept, report.clusters) == (3, 3, 2)
    data, metadata = read(tmp_path / "a.safetensors")
    assert json.loads(metadata["ids"]) == ["1abc_A", "1abc_B", "1abc_C"]
    # Copies of one sequence are one cluster, so that none is held out from the other.
    assert data["cluster30"][0] == data["cluster30"][2] != data["cluster30"][1]


def test_files_of_one_name_are_told_apart_by_their_folders(globules, tmp_path):
    runs = tmp_path / "runs"
    for i in range(3):
        write_backbone(runs / f"run{i}" / "design_0000.pdb", globules[i])
    write_backbone(runs / "copies" / "design_0000.cif", globules[0])
    write_backbone(runs / "run0" / "other.pdb", globules[3])
    for i in range(2):
        write_backbone(runs / f"run{i}" / "twice.pdb", globules[4])
    report = prepare_dataset(runs, tmp_path / "a.safetensors", held_out_fraction=0)
    ids = json.loads(read(tmp_path / "a.safetensors")[1]["ids"])
    assert ids == [
        "copies/design_0000.cif",
        "other",
        "run1/design_0000.pdb",
        "run2/design_0000.pdb",
        "twice",
    ]
    assert report.dropped == {"same name and coordinates as another chain": 2}


@pytest.mark.slow
def test_processes_change_nothing(globules, tmp_path):
    for i in range(70):
        write_backbone(tmp_path / "in" / f"c{i:02d}.pdb", globules[i % 8])
    steps = []
    options = {"held_out_fraction": 0.3}
    prepare_dataset(tmp_path / "in", tmp_path / "one", workers=1, **options)
    prepare_dataset(
        tmp_path / "in",
        tmp_path / "two",
        workers=2,
        progress=lambda *step: steps.append(step),
        **options,
    )
    (one, one_names), (two, two_names) = read(tmp_path / "one"), read(tmp_path / "two")
    assert one_names == two_names
    for name, array in one.items():
        np.testing.assert_array_equal(array, two[name])
    assert steps == [(i, 70) for i in range(71)]


def test_bad_input_is_refused_before_the_work(folder, tmp_path, monkeypatch):
    out = tmp_path / "a.safetensors"
    out.write_text("mine")
    monkeypatch.setattr("protdiff.training.prepare._process", None)
    for options, message in (
        ({}, "exists already"),
        ({"held_out_fraction": 1.0}, "held-out fraction"),
        ({"workers": 0}, "workers"),
        ({"min_length": 50, "max_length": 40}, "hold no chain"),
        ({"overwrite": True, "manifest": tmp_path / "no.tsv"}, "cannot read the manifest"),
    ):
        with pytest.raises(InputError, match=message):
            prepare_dataset(folder, out, **options)
    with pytest.raises(InputError, match="there is no file or folder"):
        prepare_dataset(tmp_path / "absent", tmp_path / "b")
    write_manifest(folder, [("a", "sub/good0.cif.gz")], ("id", "file"))
    with pytest.raises(InputError, match="no column cluster30, cluster40; expected a tab"):
        prepare_dataset(folder, tmp_path / "b")
    write_manifest(folder, [("a", "sub/good0.cif.gz", 1, "", 5)])
    with pytest.raises(InputError, match=r"line 2 of the manifest .* is incomplete"):
        prepare_dataset(folder, tmp_path / "b")
    assert out.read_text() == "mine"


def test_nothing_left_is_an_error_with_the_reasons(folder, tmp_path):
    with pytest.raises(InputError, match=r"no chain of 14 files is left .*12 too short"):
        prepare_dataset(folder, tmp_path / "a", min_length=55, max_length=56)
    assert not (tmp_path / "a").exists()


def test_the_shared_manifest(tmp_path):
    import os
    from pathlib import Path

    shared = Path(os.environ.get("PROTDIFF_SHARED") or Path(__file__).parents[3] / "shared")
    manifest = shared / "structures" / "manifest.tsv"
    if not manifest.is_file():
        pytest.skip("the shared structures are not here")
    folders = sorted(path for path in manifest.parent.iterdir() if path.is_dir())
    report = prepare_dataset(
        folders[::100], tmp_path / "a", manifest=manifest, max_length=256, workers=1
    )
    assert report.kept > 0
    # The manifest's own measures of compactness are ours.
    assert not any(reason.startswith("not compact") for reason in report.dropped)


def test_a_report_reads_well():
    report = PreparationReport(files=2)
    for name in "abcdefg":
        report.drop("too short", name)
    assert report.examples == {"too short": ["a", "b", "c", "d", "e"]}
    assert report.dropped == {"too short": 7}

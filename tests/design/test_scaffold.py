import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protdiff.design import Generation, OutputSettings, SamplingSettings, Scaffolding, run_designs
from protdiff.design.sample import make_denoiser
from protdiff.design.samplers import METHODS
from protdiff.errors import InputError
from protdiff.structure import (
    parse_contig,
    read_backbone,
    superimpose,
)

FAST = SamplingSettings(steps=3, step_scale=1.0)


@pytest.fixture
def unconditional(monkeypatch):
    """Let the sampler know nothing of the motif: what is tested here is all around it."""

    def make_parts(model, mask, *, settings, **_):
        return SimpleNamespace(project=lambda: make_denoiser(model, mask, settings))

    monkeypatch.setattr("protdiff.design.scaffold.make_motif_parts", make_parts)


def make_task(source, contig="5-15/A110-119/5-15/A131-135/5-15", **options):
    options = {"settings": FAST, "total_length": (40, 50)} | options
    return Scaffolding(source, parse_contig(contig), **options)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32), index=st.integers(0, 1000))
def test_layouts_hold_to_the_contig_and_depend_on_seed_and_index_only(source, seed, index):
    task = make_task(source, seed=seed)
    plan = task.plan(index)
    assert task.length_range == (40, 50)
    assert 40 <= plan.length <= 50
    assert len(plan.motif.motif_positions) == 15
    assert str(task.plan(index).motif.layout) == str(plan.motif.layout)


def test_layouts_differ_between_designs(source):
    task = make_task(source)
    assert len({str(task.plan(index).motif.layout) for index in range(50)}) > 25


def test_autoguidance_reaches_what_is_designed_around_a_motif(designer, source):
    plain, guided = (
        designer.scaffold(
            source, "10/A110-119/15", num=1, steps=3, step_scale=1.0, autoguidance=weight
        )[0]
        for weight in (1.0, 2.0)
    )
    assert np.abs(guided.coordinates - plain.coordinates)[~plain.motif_mask].max() > 1e-2
    assert guided.motif_mask.tolist() == plain.motif_mask.tolist()


def test_the_motif_is_exact_and_mapped(designer, source, unconditional, tmp_path):
    run_designs(designer, make_task(source), tmp_path, 3)
    lines = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert len(lines) == 3
    labels = [*(f"A{n}" for n in range(110, 120)), *(f"A{n}" for n in range(131, 136))]
    given_places = [source.labels.index(label) for label in labels]
    for line in lines:
        design = read_backbone(tmp_path / line["file"])
        assert len(design) == line["length"]
        assert [pair["from"] for pair in line["motif_map"]] == labels
        places = np.array([pair["to"] for pair in line["motif_map"]]) - 1
        # N, CA, C of all motif residues, as one rigid body; PDB files have three decimals.
        motion = superimpose(design.coordinates[places, :3], source.coordinates[given_places, :3])
        assert motion.rmsd < 2e-3
        assert line["motif_rmsd"] == pytest.approx(motion.rmsd, abs=2e-3)
        # An untrained network that knows nothing of the motif is far off, and that is not hidden.
        assert line["quality"]["motif_rmsd_sampled"] > 1.0
        assert (design.residue_name[places] == source.residue_name[given_places]).all()
        assert set(np.delete(design.residue_name, places)) == {"GLY"}
        assert line["contig"] == "5-15/A110-119/5-15/A131-135/5-15"


def test_groups_are_set_each_by_itself_and_told(designer, source, unconditional):
    task = make_task(source, groups="A110-119;A131-135")
    design = next(designer.make(task, [0]))
    assert len(design.extra["group_rmsds"]) == 2
    assert design.extra["motif_rmsd"] == max(design.extra["group_rmsds"]) < 2e-3
    assert parse_contig(design.extra["layout"]).resolve(source).motif_segments[0].group == "1"
    one = make_task(source).plan(0).motif
    assert one.measure_rmsd(design.backbone.coordinates) > 1.0
    assert task.describe() != make_task(source).describe()


def test_the_designed_part_is_the_sampler_s(designer, source, unconditional):
    task = make_task(source, hold="soft", total_length=45)
    design = next(designer.make(task, [0]))
    plan = task.plan(0)
    free = Generation(plan.length, task.seed, task.settings)  # with the restart of a scaffold
    sampled = next(designer.make(free, [0])).backbone
    kept = ~plan.motif.motif_mask
    pair = design.backbone.coordinates[kept, :3], sampled.coordinates[kept, :3]
    assert superimpose(*pair).rmsd < 1e-4  # it is written in the frame of the motif


def test_trajectories_stand_where_the_design_does(designer, source, unconditional):
    moved = source.with_coordinates(source.coordinates + 100.0)
    task = make_task(moved, hold="soft", total_length=45)
    design = next(designer.make(task, [0], frames=True))
    last = design.frames.denoised[-1]
    assert np.abs(last - design.backbone.coordinates[:, :3]).max() < 2e-3
    assert design.frames.noisy.shape == design.frames.denoised.shape


def test_a_run_goes_on_with_the_residues_it_began_with_only(designer, source, tmp_path):
    task = make_task(source)
    run_designs(designer, task, tmp_path, 1)
    for change in ({"residue_number": source.residue_number + 1}, {"residue_name": "CYS"}):
        names = {field: np.broadcast_to(value, len(source)) for field, value in change.items()}
        other = make_task(dataclasses.replace(source, **names))
        with pytest.raises(InputError, match="motif_sha256"):
            run_designs(designer, other, tmp_path, 2)


@pytest.mark.parametrize("total_length", [45, None])
def test_a_scaffold_does_not_depend_on_its_batch(designer, source, unconditional, total_length):
    task = make_task(source, total_length=total_length)
    together = {design.index: design for design in designer.make(task, range(3))}
    for index in (2, 0):
        alone = next(designer.make(task, [index], batch_size=1))
        other = together[index].backbone.coordinates
        assert np.abs(alone.backbone.coordinates - other).max() < 1e-3


def test_other_names_for_designed_residues(designer, source, unconditional, tmp_path):
    output = OutputSettings(residue_name="ALA", format="cif")
    run_designs(designer, make_task(source), tmp_path, 1, output=output)
    design = read_backbone(tmp_path / "design_0000.cif")
    assert set(design.residue_name) <= {"ALA", "LEU", "TRP"}
    assert (design.residue_name == "ALA").sum() >= 25


def test_another_motif_is_another_run(designer, source, unconditional, tmp_path):
    run_designs(designer, make_task(source), tmp_path, 1)
    moved = source.with_coordinates(source.coordinates + 1.0)
    for task in (
        make_task(moved),
        make_task(source, total_length=45),
        make_task(source, method="replacement"),
        make_task(source, "5-15/A110-119/20"),
    ):
        with pytest.raises(InputError, match="other settings"):
            run_designs(designer, task, tmp_path, 1)


@pytest.mark.parametrize(
    ("contig", "options", "message"),
    [
        ("10/A150-170/10", {}, "A170"),
        ("10/B1-5/10", {}, "no protein chain B"),
        ("10/A110-119/10", {"total_length": 100}, "cannot have a total length of 100"),
        ("40-50", {}, "names no residue"),
        ("10/A110-119/30", {"method": "hope"}, "no scaffolding method"),
        ("10/A110-119/30", {"settings": SamplingSettings(handedness="D")}, "L-protein"),
        ("10/A110-119/30", {"redesignable": "B5"}, "B"),
        ("10/A110-119/30", {"groups": "A110-112"}, "divide the segment"),
        ("10/A110-119/30/A119-121", {}, "A119 is used twice"),
    ],
)
def test_what_cannot_be_built_is_refused_before_sampling(source, contig, options, message):
    with pytest.raises(InputError, match=message):
        make_task(source, contig, **options)


def test_a_motif_does_not_run_over_a_chain_break(source):
    broken = source.select(np.delete(np.arange(60), [12, 13]))  # A113 and A114
    with pytest.raises(InputError, match="A110-119 of source runs over a chain break"):
        make_task(broken, "10/A110-119/30")


def test_too_long_a_design_is_refused_before_anything_is_written(designer, source, tmp_path):
    task = make_task(source, "0-9/A110-119/500-600", total_length=None)
    with pytest.raises(InputError, match="510 to 619 residues are asked for; the network makes"):
        run_designs(designer, task, tmp_path / "out", 1)
    assert not (tmp_path / "out").exists()


def test_too_short_a_design_is_refused_before_anything_is_written(designer, source, tmp_path):
    task = make_task(source, "0-9/A110-119/0-9", total_length=None)
    with pytest.raises(InputError, match="10 to 28 residues are asked for"):
        run_designs(designer, task, tmp_path / "out", 1)
    assert not (tmp_path / "out").exists()


def test_the_python_interface_takes_a_file_or_a_backbone(designer, source, unconditional, tmp_path):
    from protdiff.structure import write_backbone

    write_backbone(tmp_path / "motif.cif", source)
    contig = "10-20/A110-119/10-20"
    options = {"num": 2, "total_length": 40, "steps": 2}
    (first, second) = designer.scaffold(source, contig, **options)
    (from_file, _) = designer.scaffold(tmp_path / "motif.cif", parse_contig(contig), **options)
    assert len(first) == len(second) == 40
    assert first.motif_mask.sum() == 10
    # A file is rounded to 0.001 Å, and to the frame of so small a motif an untrained model's design
    # is a long lever.
    size = np.abs(first.coordinates).max()
    assert np.abs(first.coordinates - from_file.coordinates).max() < 5e-4 * size


def test_motifs_of_several_files_are_bodies_of_their_own(designer, source, tmp_path):
    other = source.select(slice(5, 40), name="other")
    (design,) = designer.scaffold(
        [source, other], "5-10/source.A110-119/8/other.A131-135/5-10", total_length=40, steps=2
    ).designs
    assert len(design.extra["group_rmsds"]) == 2
    assert design.extra["motif_rmsd"] < 2e-3
    labels = [pair["from"] for pair in design.extra["motif_map"]]
    assert labels[0] == "source.A110"
    assert labels[-1] == "other.A135"
    # Their first pose to each other, which was that of one structure, is not kept.
    one = make_task(source, "5/A110-119/8/A131-135/12", total_length=40).plan(0).motif
    places = design.backbone.motif_mask.argmax()
    shifted = np.roll(design.backbone.coordinates, 5 - places, axis=0)
    assert one.measure_rmsd(shifted) > 1.0


@pytest.mark.parametrize("method", METHODS)
def test_every_method_holds_the_motif_while_sampling(designer, source, method):
    task = make_task(source, total_length=40, method=method)
    both = {design.index: design for design in designer.make(task, range(2))}
    # The last denoised mean has the motif projected in, whatever the network knows of proteins.
    assert all(design.extra["quality"]["motif_rmsd_sampled"] < 1e-3 for design in both.values())
    alone = next(designer.make(task, [1])).backbone
    assert np.abs(alone.coordinates - both[1].backbone.coordinates).max() < 1e-3


def test_numbers_of_numpy_are_taken_and_others_refused(source):
    lengths = np.int64(40), np.int64(50)
    task = make_task(
        source, seed=np.int64(3), total_length=lengths, particles=np.int64(4), method="twisted-smc"
    )
    plain = make_task(source, seed=3, particles=4, method="twisted-smc")
    assert json.dumps([task.seed, task.describe()]) == json.dumps([3, plain.describe()])
    for change in ({"seed": None}, {"seed": 3.0}, {"particles": 4.0}, {"total_length": 40.7}):
        with pytest.raises(InputError, match="give a whole number"):
            make_task(source, **change)

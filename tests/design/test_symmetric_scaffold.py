"""Scaffolds of several chains: each holds the motif, and a point group makes all of one."""

import json
from dataclasses import replace

import numpy as np
import pytest

from protdiff.conditioning import (
    Conditioner,
    PartialDiffusion,
    SecondaryStructure,
    Symmetry,
    UserPotential,
)
from protdiff.design import SamplingSettings, Scaffolding, run_designs
from protdiff.design.motif_bench import write_motif_bench
from protdiff.design.reading import read_designs
from protdiff.design.samplers import METHODS
from protdiff.design.setting_in import set_motif_in
from protdiff.design.symmetric_scaffold import repeat_layout
from protdiff.errors import InputError
from protdiff.evaluation.clashes import count_clashes
from protdiff.structure import Backbone, Motif, build_backbone, parse_contig, superimpose
from protdiff.structure.point_group import parse_point_group

SETTINGS = SamplingSettings(steps=4, step_scale=1.0)
CONTIG = "4-8/A110-119/4-8/A131-133/4-8"
CROSSING = 2.7  # Å from the axis to each helix
LABELS = [*(f"A{n}" for n in range(110, 120)), *(f"A{n}" for n in range(131, 134))]


def make_task(source, group="C3", contig=CONTIG, conditioners=(), **options):
    options = {"settings": SETTINGS, "total_length": 30} | options
    asked = (Symmetry(group), *conditioners)
    return Scaffolding(source, parse_contig(contig), conditioners=asked, **options)


def find_places(design):
    """Give the places of the motif in each chain, by the map of the manifest."""
    places = np.array([pair["to"] for pair in design.extra["motif_map"]]) - 1
    return places.reshape(len(design.backbone.chains), -1)


@pytest.mark.parametrize("method", [method for method in METHODS if method != "twisted-smc"])
@pytest.mark.parametrize(("group", "hold"), [("C3", "hard"), ("D2", "hard"), ("C2", "soft")])
def test_every_chain_is_an_image_of_the_first(
    designer, source, group, hold, method, measure_asymmetry
):
    task = make_task(source, group, method=method, hold=hold)
    design = next(designer.make(task, [0]))
    order = parse_point_group(group).order
    assert len(design.backbone) == 30 * order
    assert "".join(design.backbone.chains) == "ABCD"[:order]
    assert design.backbone.segment_starts == list(range(0, 30 * order, 30))
    assert measure_asymmetry(design.backbone.coordinates, group) < 1e-4
    assert len(design.extra["group_rmsds"]) == order
    assert (design.extra["motif_rmsd"] < 0.01) == (hold == "hard")


@pytest.mark.parametrize("group", ["C3", "D2"])
def test_every_chain_holds_the_input_s_motif_and_not_its_mirror_image(designer, source, group):
    design = next(designer.make(make_task(source, group), [0]))
    given = source.coordinates[[source.labels.index(label) for label in LABELS], :3]
    for places in find_places(design):
        found = design.backbone.coordinates[places, :3]
        assert superimpose(found, given).rmsd < 0.01
        assert superimpose(found, given * [1, 1, -1]).rmsd > 0.5
        assert np.array_equal(
            design.backbone.residue_name[places],
            source.residue_name[[source.labels.index(label) for label in LABELS]],
        )


@pytest.mark.parametrize("method", ["amortized-guidance", "replacement", "repaint"])
@pytest.mark.parametrize("sampler", ["sde-dpm++2m", "heun"])
def test_sampling_itself_keeps_the_symmetry(
    designer, source, monkeypatch, sampler, method, measure_asymmetry
):
    # Before the last copying, and with groups, whose poses to each other are found.
    task = make_task(
        source,
        "D2",
        method=method,
        settings=replace(SETTINGS, sampler=sampler),
        groups="A110-119;A131-133",
    )
    monkeypatch.setattr(
        "protdiff.design.scaffold.finish_scaffold",
        lambda plan, motif, sampled, *_, **__: (motif.apply(sampled), {}),
    )
    sampled = next(designer.make(task, [0])).backbone.coordinates[:, :3]
    assert np.abs(sampled).max() > 3.0
    assert measure_asymmetry(sampled, "D2") < 1e-3


def test_a_design_does_not_depend_on_its_batch(designer, source):
    task = make_task(source)
    together = {design.index: design.backbone for design in designer.make(task, range(3))}
    for index in (2, 0):
        alone = next(designer.make(task, [index], batch_size=1)).backbone
        assert np.abs(alone.coordinates - together[index].coordinates).max() < 1e-3
    assert superimpose(together[0].coordinates, together[1].coordinates).rmsd > 0.5


def test_the_chain_is_that_of_the_contig(source):
    task = make_task(source, total_length=(25, 30))  # in 25 a linker would not reach
    alone = replace(task, conditioners=())
    for index in range(5):
        plan, chain = task.plan(index), alone.plan(index)
        assert plan.length == 3 * chain.length
        places = chain.motif.motif_positions + chain.length * np.arange(3)[:, None]
        assert plan.motif.motif_positions.tolist() == places.ravel().tolist()
    assert task.length_range == (78, 90)
    assert list(task.lengths) == [78, 81, 84, 87, 90]
    assert task.describe()["total_length"] == [25, 30]


def test_groups_of_each_chain_are_bodies_of_their_own(source):
    motif = make_task(source, groups="A110-119;A131-133").plan(0).motif
    assert motif.groups.tolist() == [
        number + 2 * copy for copy in range(3) for number in [1] * 10 + [2] * 3
    ]
    assert make_task(source).plan(0).motif.groups.tolist() == [1] * 13 + [2] * 13 + [3] * 13


def test_secondary_structure_is_that_of_each_chain(source):
    states = "12H6L12E"  # nothing is asked of loops
    plan = make_task(source, conditioners=[SecondaryStructure(states)]).plan(0)
    assert plan.secondary.states == ("H" * 12 + "-" * 6 + "E" * 12) * 3


def test_other_conditions_hold_beside_it(designer, source, measure_asymmetry):
    def spread(x):
        return -(x - x.mean(dim=(1, 2), keepdim=True)).square().mean(dim=(1, 2, 3)) / 10

    def make(*conditioners):
        task = make_task(source, "C2", conditioners=conditioners)
        return next(designer.make(task, [0])).backbone.coordinates

    asked = make(UserPotential(spread))
    assert measure_asymmetry(asked, "C2") < 1e-4
    assert np.abs(asked - make()).max() > 0.1


def test_neighbouring_chains_make_room_for_each_other(source, measure_asymmetry):
    """Designed residues give way to the image of their own chain, and the image follows."""
    group = parse_point_group("C2")
    helix = Backbone.from_coordinates(build_backbone(np.full(24, -60.0), -45.0), name="helix")
    chain = helix.coordinates[:, :3] - helix.coordinates[:, :3].mean(axis=(0, 1))
    axes = np.linalg.svd(chain[:, 1])[2]  # the first is along the helix
    axes[2] *= np.linalg.det(axes)
    # Two helices that cross where both are designed, in each other's way by tenths of an Å.
    upright, tilt = chain @ axes.T[:, [1, 2, 0]], np.radians(25.0)
    turn = [[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]]
    near = group.assemble(upright @ turn + [CROSSING, 0.0, 0.0])
    layout = parse_contig("A1-7/10/A18-24").resolve(helix).sample_layout(np.random.default_rng(0))
    motif = Motif.from_layout(helix, repeat_layout(layout, 2))

    def finish(coordinates):
        return set_motif_in(motif, coordinates, hold="hard", name="pair", place=group.rebuild)

    assert count_clashes(motif.apply(near).coordinates, motif.residue_index) > 0
    backbone, notes = finish(near)
    assert count_clashes(backbone.coordinates, motif.residue_index) == 0
    assert measure_asymmetry(backbone.coordinates, "C2") < 1e-4
    assert notes["motif_rmsd"] < 0.01
    assert notes["quality"]["relaxed_by"] > 0.01
    further = np.array([5.0, 0.0, 0.0])
    apart, notes = finish(group.assemble(near[:24] + further))
    assert notes["quality"]["relaxed_by"] == 0.0  # where nothing is in the way, nothing moves
    assert measure_asymmetry(apart.coordinates, "C2") < 1e-4


def test_manifest_files_and_programs_know_every_chain(designer, source, tmp_path):
    task = make_task(source, redesignable="A112-114")
    run_designs(designer, task, tmp_path / "run", 1)
    line = json.loads((tmp_path / "run" / "manifest.jsonl").read_text())
    assert line["length"] == 90
    assert [pair["from"] for pair in line["motif_map"]] == LABELS * 3
    places = np.array([pair["to"] for pair in line["motif_map"]]).reshape(3, -1)
    assert (places - places[0] == 30 * np.arange(3)[:, None]).all()
    assert np.array(line["redesignable"]).reshape(3, -1).tolist() == places[:, 2:5].tolist()
    assert len(parse_contig(line["layout"]).chains) == 3
    remarks = [
        row.split()[3:]
        for row in (tmp_path / "run" / line["file"]).read_text().splitlines()
        if row.startswith("REMARK 999 MOTIF A")
    ]
    expected = [[pair["from"], "->", str(pair["to"])] for pair in line["motif_map"]]
    assert remarks == expected

    designs = read_designs(tmp_path / "run")
    assert np.flatnonzero(designs[0].motif_mask).tolist() == (places.ravel() - 1).tolist()
    designs.write_protein_mpnn(tmp_path / "mpnn")
    (fixed,) = (
        json.loads(text)
        for text in (tmp_path / "mpnn" / "fixed_positions.jsonl").read_text().splitlines()
    )
    kept = np.delete(places[0], [2, 3, 4]).tolist()
    assert fixed["design_0000"] == {"A": kept, "B": kept, "C": kept}

    tied = json.loads((tmp_path / "mpnn" / "tied_positions.jsonl").read_text())
    assert tied["design_0000"] == [{chain: [n] for chain in "ABC"} for n in range(1, 31)]

    with pytest.raises(InputError, match="MotifBench takes scaffolds of one chain"):
        write_motif_bench(tmp_path / "bench", {"01_1LDB": designs})
    assert not (tmp_path / "bench").exists()


def test_another_symmetry_is_another_run(designer, source, tmp_path):
    run_designs(designer, make_task(source), tmp_path, 1)
    with pytest.raises(InputError, match=r"C3.*now.*C2"):
        run_designs(designer, make_task(source, "C2"), tmp_path, 1)


class Placing(Conditioner):
    """Says where a design stands."""

    def describe(self):
        return {"kind": "placing"}

    def place(self, coordinates):
        return coordinates + 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"contig": "10/A110-119/0 20"}, "C3 makes copies of one chain, and the contig"),
        ({"method": "twisted-smc"}, "twisted-smc weighs likelihoods, and the symmetry C3 is none"),
        ({"conditioners": [Symmetry("C2")]}, "C3 and C2 are asked for; give one"),
        ({"conditioners": [Placing()]}, "placing says where designs start or stand"),
        ({"total_length": 90}, "cannot have a total length of 90"),
        ({"conditioners": [SecondaryStructure("90H")]}, "names 90 residues and the design has 30"),
    ],
)
def test_what_cannot_be_symmetric_is_refused_before_sampling(source, options, message):
    with pytest.raises(InputError, match=message):
        make_task(source, **options)


def test_more_is_refused_before_anything_is_written(designer, source, tmp_path):
    with pytest.raises(InputError, match="partial diffusion says where"):
        make_task(source, conditioners=[PartialDiffusion(source)])
    with pytest.raises(InputError, match="540 residues are asked for; the network makes 30 to 512"):
        run_designs(designer, make_task(source, "C18"), tmp_path / "out", 1)
    with pytest.raises(InputError, match="found in one chain, and a symmetry makes several"):
        designer.scaffold(
            source, unindexed="A110-119", total_length=40, conditioners=[Symmetry("C2")]
        )
    assert not (tmp_path / "out").exists()


def test_the_python_interface_takes_it(designer, source):
    designs = designer.scaffold(
        source, CONTIG, 2, total_length=30, conditioners=[Symmetry("C2")], steps=3
    )
    assert [len(design) for design in designs] == [60, 60]
    assert all(design.motif_mask.sum() == 26 for design in designs)

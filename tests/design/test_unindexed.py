"""Motifs whose place is found: exact, mapped, the same whatever is made beside them."""

import json

import numpy as np
import pytest
import torch

from protdiff.conditioning import UnindexedMotif
from protdiff.design import SamplingSettings, run_designs
from protdiff.design.unindexed import UnindexedScaffolding
from protdiff.diffusion import FunctionDenoiser, LinearVPSDE
from protdiff.errors import InputError
from protdiff.structure import (
    Backbone,
    build_backbone,
    parse_contig,
    read_backbone,
    superimpose,
)

FAST = SamplingSettings(steps=4, step_scale=1.0)


@pytest.fixture(scope="module")
def source():
    torsions = np.random.default_rng(0).uniform((-140, -60), (-50, 150), (60, 2)).T
    return Backbone.from_coordinates(
        build_backbone(*torsions), residue_number=np.arange(101, 161), name="source"
    )


def make_task(source, segments="A140-144,A110-112", **options):
    options = {"length": 40, "settings": FAST} | options
    return UnindexedScaffolding(source, parse_contig(segments), **options)


def test_the_place_is_settled_once_and_when_the_noise_is_small():
    sde, shown = LinearVPSDE(), []

    def settle(estimate):
        shown.append(estimate)
        return FunctionDenoiser(sde, lambda x_t, t: torch.full_like(x_t, 2.0))

    free = FunctionDenoiser(sde, lambda x_t, t: torch.ones_like(x_t))
    denoiser = UnindexedMotif(free, settle, scale=8.0, noise_limit=8.0)
    x = torch.zeros(1, 4, 3, 3)
    times = torch.linspace(0.05, 1.0, 400, dtype=torch.float64)
    above = times[sde.noise_ratio(times) > 1.0][0]
    below = times[sde.noise_ratio(times) <= 1.0][-1]
    assert (denoiser(x, above) == 1).all()
    assert not shown
    assert (denoiser(x, below) == 2).all()
    assert (denoiser(x, above) == 2).all()  # it is settled
    assert len(shown) == 1
    assert (shown[0] == 1).all()
    late = UnindexedMotif(free, settle, scale=8.0, noise_limit=0.0)
    assert (late.finish(x, below) == 2).all()


def test_the_motif_is_exact_wherever_it_is(designer, source, tmp_path):
    run_designs(designer, make_task(source, redesignable="A111"), tmp_path, 4)
    lines = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    labels = {*(f"A{n}" for n in range(140, 145)), *(f"A{n}" for n in range(110, 113))}
    for line in lines:
        assert {pair["from"] for pair in line["motif_map"]} == labels
        design = read_backbone(tmp_path / line["file"])
        places = [pair["to"] - 1 for pair in line["motif_map"]]
        given = [source.labels.index(pair["from"]) for pair in line["motif_map"]]
        motion = superimpose(design.coordinates[places, :3], source.coordinates[given, :3])
        assert motion.rmsd < 2e-3
        assert line["motif_rmsd"] < 2e-3
        assert line["quality"]["motif_rmsd_sampled"] < 1e-3  # it was held while sampling
        layout = parse_contig(line["layout"]).resolve(source)
        assert layout.length_span == (40, 40)
        (free,) = line["redesignable"]
        assert {"from": "A111", "to": free} in line["motif_map"]
    assert len({line["layout"] for line in lines}) > 1


def test_a_place_does_not_depend_on_the_batch(designer, source):
    task = make_task(source)
    together = {design.index: design for design in designer.make(task, range(3))}
    alone = next(designer.make(task, [2], batch_size=1))
    assert alone.extra["layout"] == together[2].extra["layout"]
    difference = alone.backbone.coordinates - together[2].backbone.coordinates
    assert np.abs(difference).max() < 2e-3


def test_groups_are_posed_each_by_itself(designer, source):
    (design,) = designer.scaffold(
        source, unindexed="A140-144#1,A110-112#2", total_length=40, steps=4
    ).designs
    assert len(design.extra["group_rmsds"]) == 2
    assert design.extra["motif_rmsd"] < 2e-3


def test_a_design_that_is_not_finite_is_finished_too(source):
    task = make_task(source)
    _, extra = task.finish(task.plan(0), np.full((40, 3, 3), np.nan, np.float32))
    assert extra["motif_rmsd"] is None


@pytest.mark.parametrize(
    ("segments", "options", "message"),
    [
        ("A140-144,A170", {}, "A170"),
        ("A140-144,A143-150", {}, "used twice"),
        ("10/A140-144", {}, "an unindexed motif is a list"),
        ("A140-144,A105-135", {"length": (30, 60)}, "may have no room"),
        ("A140-144", {"settings": SamplingSettings(sampler="dormand-prince")}, "goes back"),
        ("A140-144", {"method": "hope"}, "no scaffolding method"),
        ("A140-144", {"redesignable": "B5"}, "no protein chain B"),
        ("A140-144", {"spacing": -1}, "spacing is -1"),
        ("A140-144", {"groups": "A140"}, "divide the segment"),
    ],
)
def test_what_cannot_be_built_is_refused_before_sampling(source, segments, options, message):
    with pytest.raises(InputError, match=message):
        make_task(source, segments, **options)


def test_the_python_interface_wants_one_of_both(designer, source):
    for options in ({}, {"contig": "10/A110-112/20", "unindexed": "A110-112"}):
        with pytest.raises(InputError, match="either a contig"):
            designer.scaffold(source, **options)
    with pytest.raises(InputError, match="needs a total_length"):
        designer.scaffold(source, unindexed="A110-112")


def test_numbers_of_numpy_are_taken_and_others_refused(source):
    task = make_task(source, seed=np.int64(3), length=np.int64(40), spacing=np.int64(3))
    plain = make_task(source, seed=3, length=40, spacing=3)
    assert json.dumps([task.seed, task.describe()]) == json.dumps([3, plain.describe()])
    for change in ({"seed": None}, {"seed": 3.0}, {"spacing": 3.0}, {"length": 40.7}):
        with pytest.raises(InputError, match="give a whole number"):
            make_task(source, **change)


def test_the_order_and_the_end_go_to_the_network_in_use():
    sde = LinearVPSDE()

    class Looking(FunctionDenoiser):
        def __init__(self, value):
            super().__init__(sde, lambda x_t, t: torch.full_like(x_t, value))
            self.value, self.orders = value, []

        def reorder(self, indices):
            self.orders.append(indices)

        def finish(self, x_t, t):
            return torch.full_like(x_t, -self.value)

    free, settled = Looking(1.0), Looking(2.0)
    denoiser = UnindexedMotif(free, lambda estimate: settled, scale=8.0)
    x, order = torch.zeros(2, 4, 3, 3), torch.tensor([1, 0])
    denoiser.reorder(order)
    assert (len(free.orders), len(settled.orders)) == (1, 0)
    t = sde.time_of_noise_ratio(torch.tensor([1.01, 0.99], dtype=torch.float64))
    assert (denoiser(x, t) == 1).all()  # one of them has too much noise
    assert (denoiser(x, t[1:]) == 2).all()
    denoiser.reorder(order)
    assert settled.orders == [order]
    assert (denoiser.finish(x, t[1:]) == -2).all()

"""Binders made beside a target that the network sees."""

import json
from contextlib import nullcontext

import numpy as np
import pytest

from protdiff.chains import CHAIN_JUMP
from protdiff.conditioning import Contacts, Partner, RadiusOfGyration, SecondaryStructure, Symmetry
from protdiff.design import SamplingSettings
from protdiff.design.beside_target import (
    FEWEST_SHOWN,
    MOST_SHOWN,
    ask_beside,
    is_to_see,
    keep_target,
)
from protdiff.design.binding import Binding, make_generation
from protdiff.design.generate import Generation
from protdiff.design.plan import plan_designs
from protdiff.design.run import run_designs
from protdiff.errors import InputError
from protdiff.evaluation.secondary_structure import assign_secondary_structure
from protdiff.structure import Backbone, superimpose

FAST = {"steps": 3, "step_scale": 1.0}
FAR = np.array([30.0, -55.0, 410.0])


@pytest.fixture(scope="module")
def target(four_helices):
    """Two chains of two helices, with a gap in each, far from the origin."""
    numbers = np.r_[1:21, 27:47]
    return Backbone.from_coordinates(
        four_helices + FAR,
        residue_index=np.r_[numbers, numbers + 300] - 1,
        chain_id=np.repeat(["A", "B"], 40),
        residue_number=np.r_[numbers, numbers],
        name="bundle",
    )


@pytest.fixture(scope="module")
def partner(target):
    return Partner(target, "A3,A14")


@pytest.fixture(scope="module")
def task(partner):
    return Binding((24, 26), 0, SamplingSettings(**FAST), (partner,))


def test_the_target_stands_after_the_design_in_chains_of_its_own(task, target):
    plan = task.plan(0)
    assert plan.made == plan.size == plan.length - 80
    assert 24 <= plan.size <= 26
    index = plan.chains.residue_index
    assert np.array_equal(plan.motif.residue_index, index)
    steps = np.diff(index)
    breaks = np.flatnonzero(steps > 1)
    ends = plan.size - 1 + np.array([0, 20, 40, 60])
    assert np.array_equal(breaks, ends)
    assert steps[breaks].tolist() == [CHAIN_JUMP, 7, CHAIN_JUMP, 7]
    assert np.array_equal(plan.motif.source.coordinates, target.coordinates)
    assert set(plan.motif.groups) == {1}
    assert task.length_range == (24 + 80, 26 + 80)
    assert list(task.lengths) == [24, 25, 26]


def test_a_design_stands_to_the_target_as_it_was_sampled(task, target):
    plan = task.plan(0)
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    design = rng.normal(scale=8.0, size=(plan.size, 3, 3)) + FAR + [0, 25, 0]
    complex_ = np.concatenate([design, target.coordinates[:, :3]])
    sampled = ((complex_ - complex_.mean(axis=(0, 1))) @ turn.T).astype(np.float32)
    backbone, told = task.finish(plan, sampled)
    assert len(backbone) == plan.size
    np.testing.assert_allclose(backbone.coordinates[:, :3], design, atol=2e-3)
    assert set(backbone.chain_id) == {"A"}
    assert backbone.residue_number.tolist() == list(range(1, plan.size + 1))
    assert told["steps"] == 3
    assert not task.finish(plan, np.full_like(sampled, np.nan))[0].is_finite


def test_the_network_sees_the_target(designer, task, target, monkeypatch):
    """It is told the target's shape, and not what else is sampled."""
    seen = []
    forward = type(designer.model.network).forward

    def spy(self, *arguments, **named):
        seen.append(arguments)
        return forward(self, *arguments, **named)

    monkeypatch.setattr(type(designer.model.network), "forward", spy)
    next(designer.make(task, [0]))
    plan = task.plan(0)
    group, positions = seen[0][6:8]
    given = group[0] > 0
    assert given.nonzero()[:, 0].tolist() == plan.motif.motif_positions.tolist()
    shown = positions[0, given].numpy() * designer.model.scale
    assert superimpose(shown, target.coordinates[:, :3]).rmsd < 1e-3


def test_designs_are_those_of_their_numbers_alone(designer, task):
    together = {one.index: one for one in designer.make(task, range(4))}
    alone = next(designer.make(task, [2], batch_size=1))
    found = together[2].backbone.coordinates
    np.testing.assert_allclose(alone.backbone.coordinates, found, atol=2e-3)
    assert {len(one.backbone) for one in together.values()} <= {24, 25, 26}
    for design in together.values():
        assert 0 <= design.extra["hotspots_touched"] <= 1
        assert design.quality.partner_gap >= 0


def test_frames_are_those_of_the_design_and_end_in_it(designer, task):
    (design,) = designer.make(task, [1], frames=True)
    last = design.frames.denoised[-1]
    assert last.shape == design.backbone.coordinates[:, :3].shape
    np.testing.assert_allclose(last, design.backbone.coordinates[:, :3], atol=2e-3)


def test_a_large_target_is_shown_around_its_hot_spots(target):
    grid = [target.coordinates + np.array([0, 25.0 * k, 0]) for k in range(4)]
    large = Backbone.from_coordinates(
        np.concatenate(grid),
        residue_index=np.concatenate([target.residue_index + 1000 * k for k in range(4)]),
        chain_id=np.repeat(list("ABCDEFGH"), 40),
        residue_number=np.tile(target.residue_number, 4),
        name="large",
    )
    task = Binding(30, conditioners=(Partner(large, "A3,A14"),))
    shown = task.target.shown
    assert FEWEST_SHOWN < len(shown) <= MOST_SHOWN
    assert {2, 13} <= set(shown.tolist())
    assert task.plan(0).length == 30 + len(shown)
    told = task.describe()["conditioners"][0]
    assert told["kind"] == "partner"
    assert told["shown"].startswith("A1-20,A27-46,B1-20")
    longest = Binding(480, conditioners=(Partner(large, "A3"),))
    assert longest.length_range[1] <= 512
    with pytest.raises(InputError, match="leaves 12 for the target; give a shorter length"):
        Binding(500, conditioners=(Partner(large, "A3"),))


def test_what_is_asked_of_the_design_is_asked_of_it_alone(partner, target):
    conditions = (partner, SecondaryStructure("helix=0.2,strand=0.4"), Contacts("3-20"))
    task = Binding(40, conditioners=conditions)
    plan = task.plan(0)
    assert plan.secondary.to_dict() == {"helix": 0.2, "strand": 0.4}
    states = assign_secondary_structure(target.coordinates)
    helix, strand = ((states == state).mean() for state in "HE")
    assert helix > 0.5
    assert strand < 0.1
    told = ask_beside(plan, task.target)
    assert told.helix == pytest.approx((40 * 0.2 + 80 * helix) / 120)
    assert told.strand == pytest.approx((40 * 0.4 + 80 * strand) / 120)
    named = Binding(40, conditioners=(partner, SecondaryStructure("20H20E")))
    assert ask_beside(named.plan(0), named.target).states == "H" * 20 + "E" * 20
    with pytest.raises(InputError, match="names 20 residues and the design has 40"):
        Binding(40, conditioners=(partner, SecondaryStructure("20H")))


@pytest.mark.parametrize(
    ("others", "settings"),
    [
        ((Symmetry("C2"),), {}),
        ((RadiusOfGyration("x1.1"),), {}),
        ((), {"handedness": "D"}),
    ],
    ids=["symmetry", "size", "hand"],
)
def test_beside_what_is_asked_of_everything_the_target_is_docked(partner, others, settings):
    settings = SamplingSettings(**settings)
    task = make_generation(40, 0, settings, (partner, *others))
    assert type(task) is Generation
    assert task.describe()["conditioners"][0] == partner.describe()
    with pytest.raises(InputError, match="can only be docked"):
        Binding(40, 0, settings, (partner, *others))


def test_a_target_is_docked_on_request_and_shown_without_it(target, partner):
    docked = Partner(target, "A3", docked=True)
    assert type(make_generation(40, 0, SamplingSettings(), (docked,))) is Generation
    assert type(make_generation(40, 0, SamplingSettings(), (partner,))) is Binding
    assert type(make_generation(40, 0, SamplingSettings())) is Generation
    two = make_generation(40, 0, SamplingSettings(), (partner, Partner(target, "B3")))
    assert type(two) is Generation
    with pytest.raises(InputError, match="a target and its hot spots go together"):
        make_generation(40, 0, SamplingSettings(), (Partner(target),))


def test_the_python_interface_and_runs_make_the_same_binders(designer, partner, target, tmp_path):
    made = designer.generate(24, num=2, conditioners=partner, **FAST)
    record = made.to_records()[0]
    assert record["steps"] == 3
    assert record["length"] == 24
    task = make_generation(24, 0, SamplingSettings(**FAST), (partner,))
    result = run_designs(designer, task, tmp_path / "run", 2)
    assert [line["length"] for line in result.records] == [24, 24]
    assert result.records[0]["hotspots_touched"] == record["hotspots_touched"]
    assert result.records[0]["quality"]["partner_gap"] == record["partner_gap"]
    asked = json.loads((tmp_path / "run" / "run.json").read_text())
    assert asked["conditioners"][0]["shown"] == "A1-20,A27-46,B1-20,B27-46"
    plan = plan_designs(designer, task, tmp_path / "run", 3)
    assert plan.lengths == {2: 24}


@pytest.mark.parametrize(
    ("name", "seen"),
    [("protdiff-base", False), ("protdiff-complex", True), ("mine", True), (None, True)],
)
def test_weights_for_single_chains_see_no_target(partner, name, seen):
    """Those of the package; what others know is for their owners to say."""
    settings = SamplingSettings(**FAST)
    for asked in ((partner,), (SecondaryStructure("any"), partner)):
        with nullcontext() if seen else pytest.warns(UserWarning, match="take protdiff-complex"):
            kept = keep_target(name, settings, asked)
        assert is_to_see(settings, kept) == seen
        assert not partner.docked
    docked = (partner, RadiusOfGyration("x1.1"))
    assert keep_target(name, settings, docked) == list(docked)

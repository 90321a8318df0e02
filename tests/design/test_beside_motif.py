"""Scaffolds beside a target, and from a structure: what comes, and what is refused before."""

import numpy as np
import pytest

from protdiff.chains import CHAIN_JUMP
from protdiff.conditioning import Contacts, PartialDiffusion, Partner, UserPotential
from protdiff.design import SamplingSettings, Scaffolding
from protdiff.design.engine import check_task, choose_task_weights, make_batches
from protdiff.design.unindexed import UnindexedScaffolding
from protdiff.errors import InputError
from protdiff.structure import Backbone, build_backbone, parse_contig, superimpose

FAST = {"steps": 6, "step_scale": 1.0}
CONTIG = "12/B3-12/18"


@pytest.fixture(scope="module")
def source():
    """Two helices of 20 residues, A and B, 10 Å apart and far from the origin."""
    helix = build_backbone(np.full(20, -60.0), -45.0)
    helix = helix - helix.mean(axis=(0, 1))
    helix = helix @ np.linalg.svd(helix[:, 1])[2].T
    return Backbone.from_coordinates(
        np.concatenate([helix, helix + np.array([0.0, 0.0, 10.0])]) + 200.0,
        chain_id=np.repeat(["A", "B"], 20),
        residue_number=np.tile(np.arange(1, 21), 2),
        residue_index=np.r_[0:20, 300:320],
        name="pair",
    )


@pytest.fixture(scope="module")
def partner(source):
    return Partner(source.select_chain("A"), "A5,A12")


@pytest.fixture(scope="module")
def start(source):
    """A helix that holds the motif, bent elsewhere."""
    torsions = np.full((2, 40), -60.0)
    torsions[1] = -45.0
    torsions[:, [10, 26]] = -90.0, 120.0
    bent = build_backbone(*torsions)
    given = source.select_chain("B").coordinates[2:12]
    moved = superimpose(bent[12:22, :3], given[:, :3]).apply(bent)
    moved[12:22] = given
    return Backbone.from_coordinates(moved, name="start")


def scaffold(source, *conditioners, contig=CONTIG, total_length=None, **options):
    settings = SamplingSettings(**{**FAST, **options.pop("settings", {})})
    return Scaffolding(
        source,
        parse_contig(contig),
        0,
        settings,
        total_length=total_length,
        conditioners=conditioners,
        **options,
    )


@pytest.mark.parametrize(
    ("method", "sampler"),
    [
        ("amortized-guidance", "sde-dpm++2m"),
        ("amortized", "heun"),
        ("replacement", "euler-maruyama"),
        ("repaint", "sde-dpm++2m"),
        ("twisted-smc", "sde-dpm++2m"),
    ],
)
def test_designs_stand_in_the_complex(designer, source, partner, method, sampler):
    options = {"method": method, "particles": 2} if method == "twisted-smc" else {"method": method}
    task = scaffold(source, partner, settings={"sampler": sampler}, **options)
    given = source.select_chain("B").coordinates[2:12, :3]
    target = partner.structure.coordinates.reshape(-1, 3)
    for design in designer.make(task, range(2)):
        found = design.backbone.coordinates
        assert np.abs(found[12:22, :3] - given).max() < 0.02
        gap = np.linalg.norm(found.reshape(-1, 1, 3) - target, axis=-1).min()
        assert design.quality.partner_gap == pytest.approx(gap, abs=0.01)
        assert 0 <= design.extra["hotspots_touched"] <= 1


def test_the_network_sees_the_target_in_one_body_with_the_motif(source, partner):
    task = scaffold(source, partner)
    plan = task.plan(0)
    target = partner.structure
    assert (plan.size, plan.length) == (40, 60)
    assert task.length_range == (60, 60)
    assert list(task.lengths) == [40]
    assert task.chains == 2
    assert choose_task_weights(task) == "protdiff-complex"
    assert plan.motif.motif_positions.tolist() == list(range(12, 22))
    assert plan.given.motif_positions.tolist() == [*range(12, 22), *range(40, 60)]
    assert set(plan.given.groups) == {1}
    assert np.array_equal(plan.given.source.coordinates[10:], target.coordinates)
    assert np.diff(plan.chains.residue_index).max() == CHAIN_JUMP
    assert plan.chains.chain_index.tolist() == [0] * 40 + [1] * 20
    assert "shown" in task.describe()["conditioners"][0]


def test_of_several_bodies_the_first_stands_to_the_target(designer, source, partner):
    contig = "8/B12-16#second/8/B3-6#first/6"
    task = scaffold(source, partner, contig=contig)
    plan = task.plan(0)
    assert plan.given.groups.tolist() == [1] * 5 + [2] * 4 + [1] * 20
    (design,) = designer.make(task, [0])
    given = source.select_chain("B").coordinates[11:16, :3]
    assert np.abs(design.backbone.coordinates[8:13, :3] - given).max() < 0.02


def test_the_manifest_tells_of_the_steps_that_were_taken(designer, source, partner):
    """A design of 120 residues beside a target of 20 takes those of 140."""
    settings = SamplingSettings(step_scale=1.0)
    task = Scaffolding(source, parse_contig("50/B3-12/60"), 0, settings, conditioners=[partner])
    plan = task.plan(0)
    assert settings.get_steps(plan.length) > settings.get_steps(plan.size)
    told = task.finish(plan, np.zeros((plan.length, 3, 3), np.float32) * np.nan)[1]
    assert told["steps"] == settings.get_steps(plan.length)
    assert task.describe()["method"] == "amortized"


@pytest.mark.parametrize(("length", "room"), [(300, 84), (380, 24), (480, 24)])
def test_a_target_stays_within_its_room(source, length, room):
    near = source.select_chain("A").coordinates
    crowd = Backbone.from_coordinates(
        np.concatenate([near + np.array([0.0, 25.0 * k, 0.0]) for k in range(8)]),
        chain_id=np.repeat(list("ABCDEFGH"), 20),
        residue_number=np.tile(np.arange(1, 21), 8),
        name="crowd",
    )
    task = scaffold(source, Partner(crowd), contig=f"{length - 30}/B3-12/20")
    assert room - 5 < len(task.target.shown) <= room


def test_frames_are_those_of_the_design_and_end_in_it(designer, source, partner):
    (design,) = designer.make(scaffold(source, partner, hold="soft"), [0], frames=True)
    last, found = design.frames.denoised[-1], design.backbone.coordinates[:, :3]
    assert last.shape == found.shape == (40, 3, 3)
    np.testing.assert_allclose(last, found, atol=2e-3)


def test_hot_spots_that_the_motif_touches_are_not_asked_for(source):
    target = source.select_chain("A")
    gaps = np.linalg.norm(
        target.coordinates[:, None, 1] - source.select_chain("B").coordinates[2:12, 1], axis=-1
    ).min(axis=1)
    near, far = int(gaps.argmin()), int(gaps.argmax())
    reach = float(gaps[near]) + 0.1
    spots = [target.label(place) for place in (near, far)]
    shown = scaffold(source, Partner(target, spots, distance=reach)).target
    assert shown.left.tolist() == [far]
    assert scaffold(source, Partner(target)).target.left.tolist() == []


def test_of_a_large_target_what_the_motif_touches_is_shown(source):
    near = source.select_chain("A")
    crowd = [near.coordinates + np.array([0.0, 25.0 * k, 0.0]) for k in range(8)]
    large = Backbone.from_coordinates(
        np.concatenate(crowd), chain_id=np.repeat(list("ABCDEFGH"), 20), name="crowd"
    )
    task = scaffold(source, Partner(large))
    assert len(task.target.shown) <= 128
    assert task.target.shown[:20].tolist() == list(range(20))
    assert task.plan(0).length == 40 + len(task.target.shown)


@pytest.mark.filterwarnings("ignore:the network sees")
@pytest.mark.parametrize(
    "options",
    [{"method": "guidance"}, {"method": "repaint"}, {"contig": "12/B3-12/470"}, {"docked": True}],
)
def test_where_it_cannot_be_shown_the_motif_holds_the_target(source, options):
    target = Partner(source.select_chain("A"), "A5", docked=options.pop("docked", False))
    task = scaffold(source, target, **options)
    assert task.target is None
    assert task.chains == 1
    assert task.plan(0).made is None
    beside = scaffold(source, Partner(target.structure), UserPotential(lambda x: x[:, 0, 0, 0]))
    assert beside.target is None


def test_that_there_is_no_room_for_a_target_is_said(source, partner):
    with pytest.warns(UserWarning, match="designs of 492 leave 20 for the target"):
        scaffold(source, partner, contig="12/B3-12/470")


def test_the_target_matters_and_its_pose_alone_does_not(designer, source):
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))

    def make(complex_, *conditioners):
        settings = {"steps": 10, "excluded_volume": False}
        return next(designer.make(scaffold(complex_, *conditioners, settings=settings), [0]))

    moved = source.with_coordinates(((source.coordinates - 200) @ turn.T).astype(np.float32))
    free = make(source)
    first, second = (make(one, Partner(one.select_chain("A"))) for one in (source, moved))
    assert "hotspots_touched" not in first.extra
    back = (second.backbone.coordinates @ turn + 200) - first.backbone.coordinates
    assert np.abs(back).max() < 0.5  # float32, through ten steps
    assert np.abs(free.backbone.coordinates - first.backbone.coordinates).max() > 1.0


def test_with_others_at_once(designer, source, partner):
    def far(x):
        return -(x[:, 0, 1] - x[:, -1, 1]).norm(dim=-1) / 10

    contig, options = "8-12/B3-12/10-20", {"groups": None, "total_length": 35}
    for sampler in ("sde-dpm++2m", "heun"):
        task = scaffold(
            source,
            partner,
            UserPotential(far),
            contig=contig,
            settings={"sampler": sampler},
            **options,
        )
        for design in designer.make(task, range(2)):
            assert design.extra["motif_rmsd"] < 0.01
            assert np.isfinite(design.backbone.coordinates).all()


@pytest.mark.parametrize("method", ["amortized-guidance", "repaint", "twisted-smc"])
def test_without_noise_the_structure_comes_back_with_its_motif(designer, source, start, method):
    settings = {"steps": 60, "excluded_volume": False}
    task = scaffold(source, PartialDiffusion(start, 1e-6), settings=settings, method=method)
    design = next(designer.make(task, [0]))
    assert design.extra["motif_rmsd"] < 0.01
    assert design.extra["rmsd_to_start"] < 0.5  # residues beside the motif are relaxed
    given = source.select_chain("B").coordinates[2:12, :3]
    assert np.abs(design.backbone.coordinates[12:22, :3] - given).max() < 0.02


def test_a_motif_that_the_structure_lacks_is_written_in(designer, source):
    straight = Backbone.from_coordinates(build_backbone(np.full(40, -120.0), 130.0), name="strand")
    task = scaffold(source, PartialDiffusion(straight, 0.3))
    design = next(designer.make(task, [0]))
    assert design.extra["motif_rmsd"] < 0.01


def test_more_noise_leads_further_from_the_start(designer, source, start):
    found = []
    for noise in (0.1, 0.5, 1.0):
        task = scaffold(source, PartialDiffusion(start, noise), settings={"steps": 10})
        found.append(next(designer.make(task, [0])).extra["rmsd_to_start"])
    assert found == sorted(found)


def test_a_target_and_a_start_at_once(designer, source, partner, start):
    task = scaffold(source, partner, PartialDiffusion(start, 0.3))
    (design,) = designer.make(task, [0])
    assert design.extra["motif_rmsd"] < 0.01
    assert "rmsd_to_start" in design.extra
    assert design.quality.partner_gap > 0


@pytest.mark.parametrize(
    ("contig", "total_length", "message"),
    [
        ("12/B3-12/17", None, "start, where the designs start, has 40 residues, .* has 39"),
        ("12-12/B3-12/10-20", None, "of 40 residues in one layout, .* several, of 32 to 42"),
        ("10-20/B3-12/10-20", 40, "allows several, of 40; write one down, such as"),
        ("12/B3-12/0 18", None, "the layout has a chain break after residue 22 and start has none"),
    ],
)
def test_layouts_that_a_start_does_not_have_are_refused(
    source, start, contig, total_length, message
):
    with pytest.raises(InputError, match=message):
        scaffold(source, PartialDiffusion(start), contig=contig, total_length=total_length)
    scaffold(source, PartialDiffusion(start), contig="12-22/B3-12/18-20", total_length=40)


def test_a_target_in_the_place_of_the_motif_is_refused(source):
    with pytest.raises(InputError, match="stand in one place"):
        scaffold(source, Partner(source))


def test_unindexed_motifs_go_with_neither(source, partner, start):
    for one in (partner, PartialDiffusion(start)):
        with pytest.raises(InputError, match="give a contig"):
            UnindexedScaffolding(source, parse_contig("B3-12"), 40, conditioners=(one,))


@pytest.mark.parametrize(
    ("contact", "message"),
    [("A15-B20", None), ("A40-B20", "chain A has 29 res"), ("A15-B30", "chain B has 29 res")],
)
def test_a_contact_is_of_residues_that_every_design_has(tiny_model, source, contact, message):
    """Of 99 residues either chain may be the longer one, and the other has 29 then."""
    task = scaffold(source, Contacts(contact), contig="10-60/B3-12/0 10-70", total_length=99)
    assert [int((c.chain_index == 0).sum()) for c in task.shortest_chains] == [29, 70]
    if message is None:
        check_task(tiny_model, task)
    else:
        with pytest.raises(InputError, match=message):
            check_task(tiny_model, task)


def test_a_batch_holds_as_many_states_as_designs_are_asked_for(tiny_model, source):
    task = scaffold(source, method="twisted-smc", particles=3)
    sizes = [len(made) for made in make_batches(tiny_model, task, range(3), batch_size=7)]
    assert sizes == [2, 1]

"""A partner that the motif holds: its place, the laws of its likelihood, room made for it."""

import dataclasses

import numpy as np
import pytest
import torch

from protdiff.conditioning import Partner, PosedMotif
from protdiff.conditioning.motif_frame import MotifFrame
from protdiff.diffusion.guidance import ProjectedMean
from protdiff.errors import InputError
from protdiff.structure import Backbone, Motif, build_backbone, parse_contig, sample_motif

FIRST, COUNT = 12, 10  # where the motif is in the designs
FAR = np.array([30.0, -55.0, 410.0])


def make_helix(count):
    helix = build_backbone(np.full(count, -60.0), -45.0)
    helix = helix - helix.mean(axis=(0, 1))
    return helix @ np.linalg.svd(helix[:, 1])[2].T  # along x


@pytest.fixture(scope="module")
def complex_():
    """Four helices, chain A, and beside them a fifth, chain B, of which the motif is."""
    bundle = [make_helix(20) + np.array([0, 10 * (k % 2), 10 * (k // 2)]) for k in range(4)]
    beside = make_helix(COUNT) + np.array([0, -9, 5])
    return Backbone.from_coordinates(
        np.concatenate([*bundle, beside]) + FAR,
        residue_index=np.r_[np.arange(80), 300 + np.arange(COUNT)],
        chain_id=np.repeat(["A", "B"], [80, COUNT]),
        residue_number=np.r_[1:81, 1 : COUNT + 1],
        name="complex",
    )


def hold(scene, given, group=None):
    """Show a scene in which all designs hold the atoms given, ``(residue, 3, 3)`` in Å."""
    places = slice(FIRST, FIRST + len(given))
    mask = torch.zeros_like(scene.residue_mask)
    mask[:, places] = True
    atoms = torch.from_numpy(np.asarray(given, np.float64))
    centre = atoms.mean(dim=(0, 1))
    positions = torch.zeros(*mask.shape, 3, 3, dtype=torch.float64)
    positions[:, places] = (atoms - centre) / scene.scale
    if group is not None:
        mask = mask.long()
        mask[:, places] = torch.tensor(group)
    posed = PosedMotif(mask > 0, positions, scene.model.subspace(scene.residue_mask), group=mask)
    origin = centre.expand(len(mask), 1, -1)
    return dataclasses.replace(scene, motif=MotifFrame(posed, origin, scene.scale))


@pytest.fixture(scope="module")
def given(complex_):
    return complex_.select_chain("B").coordinates[:, :3]


@pytest.fixture(scope="module")
def partner(complex_):
    # Hot spots on the side of the motif, at both ends of the helices.
    return Partner(complex_.select_chain("A"), ["A3", "A58"])


def test_the_frame_is_where_the_motif_is(laws, tiny_model, complex_, given):
    """A design that is the complex itself, turned and moved, has the partner where it was."""
    scene = hold(laws.make_scene(tiny_model, [40, 40]), given)
    turns = torch.stack([laws.random_rotation(seed) for seed in (1, 2)])
    shift = torch.randn(2, 1, 3, generator=torch.Generator().manual_seed(0)).double()
    clean = torch.randn(2, 40, 3, 3, generator=torch.Generator().manual_seed(1)).double()
    atoms = torch.from_numpy(given.astype(float) - FAR) / scene.scale
    clean[:, FIRST : FIRST + COUNT] = (atoms.flatten(0, 1) @ turns.mT + shift).reshape(
        2, COUNT, 3, 3
    )
    pose = scene.motif.find_pose(clean)
    points = torch.from_numpy(complex_.coordinates[:80, 1].astype(float))
    expected = ((points - torch.from_numpy(FAR)) @ turns.mT) + shift * scene.scale
    assert torch.allclose(pose.apply(points), expected, atol=1e-3)  # files hold float32
    assert torch.allclose(pose.invert(expected)[1], points, atol=1e-3)


def test_laws(laws, tiny_model, partner, given):
    lengths = [40, 32]
    walks = laws.make_walks(lengths, step=0.35)

    def make_term(scene):
        return partner.make_term(hold(scene, given))

    term = make_term(laws.make_scene(tiny_model, lengths))
    assert (laws.evaluate(term, walks, 0.5) < 0).all()
    laws.hold_pose(term, walks, tolerance=1e-6)
    laws.hold_batch(make_term, tiny_model, lengths, walks)
    laws.hold_silence(term, walks)


def test_gradient_is_that_of_finite_differences_in_the_frame(
    laws, tiny_model, partner, given, monkeypatch
):
    walks = laws.make_walks([40, 32], step=0.35)
    term = partner.make_term(hold(laws.make_scene(tiny_model, [40, 32]), given))
    found = {}
    find_pose = MotifFrame.find_pose

    def remember(self, clean):
        key = round(float(clean.abs().max()), 1)  # one pose a noise level
        return found.setdefault(key, find_pose(self, clean))

    monkeypatch.setattr(MotifFrame, "find_pose", remember)
    laws.hold_gradient(term, walks)


def test_where_the_complex_is_changes_nothing(laws, tiny_model, complex_, partner, given):
    """Input and target, moved together, ask the same; the target moved alone does not."""
    walks = laws.make_walks([40], step=0.35)
    scene = laws.make_scene(tiny_model, [40])
    turn = laws.random_rotation(5).numpy()

    def move(atoms):
        return (atoms - FAR) @ turn.T + 7.0

    moved = complex_.with_coordinates(move(complex_.coordinates).astype(np.float32))
    other = Partner(moved.select_chain("A"), ["A3", "A58"])
    plain, together, alone = (
        laws.evaluate(one.make_term(hold(scene, atoms)), walks)
        for one, atoms in ((partner, given), (other, move(given)), (other, given))
    )
    assert torch.allclose(plain, together, rtol=1e-3)  # coordinates are float32
    assert not torch.allclose(plain, alone, rtol=0.5)


def place_in_complex(scene, complex_, given):
    """Make a design that holds the motif and stands in the partner, in model units."""
    inside = complex_.coordinates[:40, :3].astype(float) + 1.0
    inside[FIRST : FIRST + COUNT] = given
    clean = torch.from_numpy((inside - FAR) / scene.scale)[None]
    return clean - clean.mean(dim=(1, 2), keepdim=True)


def test_the_gradient_moves_designed_residues_out_and_no_others(
    laws, tiny_model, complex_, partner, given
):
    scene = hold(laws.make_scene(tiny_model, [40]), given)
    term = partner.make_term(scene)
    clean = place_in_complex(scene, complex_, given)
    before = laws.evaluate(term, clean, 0.05)
    for _ in range(30):
        clean = clean.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(laws.evaluate(term, clean, 0.05).sum(), clean)
        assert not gradient[:, FIRST : FIRST + COUNT].any()
        assert not gradient[:, :, [0, 2]].any()  # all that is asked is asked of CA
        clean = clean + (partner.tolerance / scene.scale) ** 2 * gradient
    assert laws.evaluate(term, clean, 0.05) > 0.01 * before
    placed = scene.motif.find_pose(clean).invert(clean[:, :, 1].detach() * scene.scale)
    placed = placed[0].numpy()
    gap = np.linalg.norm(placed[:, None] - complex_.coordinates[None, :80, 1], axis=-1)
    designed = np.r_[0:FIRST, FIRST + COUNT : 40]
    assert gap[designed].min() > partner.clearance


def test_without_hot_spots_only_room_is_asked_for(laws, tiny_model, complex_, given):
    scene = hold(laws.make_scene(tiny_model, [40]), given)
    bare = Partner(complex_.select_chain("A"))
    term = bare.make_term(scene)
    clean = place_in_complex(scene, complex_, given)
    assert laws.evaluate(term, clean, 0.05) < 0
    away = clean.clone()
    away[:, :FIRST] += 60.0
    away[:, FIRST + COUNT :] += 60.0
    assert laws.evaluate(term, away, 0.05) == 0
    pulled = Partner(complex_.select_chain("A"), "A53").make_term(scene)
    assert laws.evaluate(pulled, away, 0.05) < 0


def test_of_several_groups_the_first_carries_the_partner(laws, tiny_model, partner, given):
    scene = laws.make_scene(tiny_model, [40])
    group = [2] * 4 + [1] * (COUNT - 4)
    term = partner.make_term(hold(scene, given, group))
    walks = laws.make_walks([40], step=0.35).requires_grad_()
    (gradient,) = torch.autograd.grad(laws.evaluate(term, walks, 0.5).sum(), walks)
    assert not gradient[:, FIRST + 4 : FIRST + COUNT].any()
    # The second stands where it is sampled, and has to keep out as designed residues do.
    clean = walks.detach().clone()
    frame = term.term.frame
    target = torch.from_numpy(partner.structure.coordinates[20:24, 1].astype(float))
    clean[0, FIRST : FIRST + 4, 1] = frame.find_pose(clean).apply(target)[0] / scene.scale
    clean = clean.requires_grad_()
    (gradient,) = torch.autograd.grad(laws.evaluate(term, clean, 0.05).sum(), clean)
    assert gradient[:, FIRST : FIRST + 4].any()


def test_samples_of_a_chain_make_room(laws, tiny_model, partner, given):
    """The prior is a polymer that holds the motif; its denoiser is exact."""
    scene = hold(laws.make_scene(tiny_model, [40] * 4), given.astype(float))
    posed = PosedMotif(
        scene.motif.motif.motif_mask,
        scene.motif.motif.positions.float(),
        scene.motif.motif.subspace,
    )
    scene = dataclasses.replace(scene, motif=dataclasses.replace(scene.motif, motif=posed))
    polymers = laws.make_polymers(scene)
    guided = polymers.guide(partner)
    docking = guided.log_likelihood.term

    def measure(denoiser):
        made = polymers.sample(ProjectedMean(denoiser, posed))
        pose = scene.motif.find_pose(made)
        pose = dataclasses.replace(pose, origin=pose.origin - docking.centre)
        depth, excess = docking.measure(pose.invert(made[:, :, 1] * scene.scale))
        return float((depth > 1.0).sum()), float(excess.mean())

    free, held = measure(polymers.free), measure(guided)
    assert free[0] > 10
    assert held[0] < 0.2 * free[0]
    assert held[1] < free[1]


def test_a_motif_in_the_partner_s_place_is_refused(complex_, partner):
    def take(contig):
        rng = np.random.default_rng(0)
        return sample_motif(complex_, parse_contig(contig), rng)

    partner.check_motif(take("5/B2-9/5"))
    with pytest.raises(InputError, match=r"A5 and residue A5 of the target complex .* one complex"):
        partner.check_motif(take("5/A5-9/5"))
    partner.check_motif(take("5/B2-4#1/9/A5-9#2/5"))  # the second group stands where it likes
    far = take("5/B2-9/5")
    source = far.source.with_coordinates(far.source.coordinates + 1000.0)
    with pytest.raises(InputError, match="900 Å from the origin"):
        partner.check_motif(Motif(source, far.layout, far.redesignable_mask))


def test_without_a_motif_there_must_be_hot_spots(complex_, partner):
    partner.check_motif(None)
    bare = Partner(complex_.select_chain("A"))
    with pytest.raises(InputError, match="go together"):
        bare.check_motif(None)
    assert bare.describe()["hotspots"] == []


def pose_two_groups(laws, tiny_model, generator, **options):
    """Return what is given of 40 residues, (1, 40, 3, 3), and the motif of two bodies in it."""
    scene = laws.make_scene(tiny_model, [40])
    group = torch.zeros(1, 40, dtype=torch.int64)
    group[:, 5:15], group[:, 20:28] = 1, 2
    given = torch.randn(1, 40, 3, 3, generator=generator, dtype=torch.float64)
    subspace = tiny_model.subspace(scene.residue_mask)
    return given, PosedMotif(group > 0, given, subspace, group=group, **options)


def test_the_frame_of_several_groups_is_that_of_the_first(laws, tiny_model):
    generator = torch.Generator().manual_seed(0)
    given, posed = pose_two_groups(laws, tiny_model, generator)
    origin = torch.tensor([[[30.0, -55.0, 41.0]]], dtype=torch.float64)
    frame = MotifFrame(posed, origin, tiny_model.scale)
    turn, other = laws.random_rotation(1), laws.random_rotation(2)
    clean = torch.randn(1, 40, 3, 3, generator=generator, dtype=torch.float64)
    clean[:, 5:15] = given[:, 5:15] @ turn.mT + 0.7
    clean[:, 20:28] = given[:, 20:28] @ other.mT - 3.0
    points = torch.randn(9, 3, generator=generator, dtype=torch.float64) * 10
    expected = points @ turn.mT + 0.7 * tiny_model.scale
    found = frame.find_pose(clean).apply(points + origin[0])
    torch.testing.assert_close(found[0], expected, rtol=0, atol=1e-6)


def test_poses_of_groups_that_are_moved_apart_carry_the_frame(laws, tiny_model):
    generator = torch.Generator().manual_seed(0)
    given, posed = pose_two_groups(laws, tiny_model, generator, clearance=1.5)
    frame = MotifFrame(posed, torch.zeros(1, 1, 3, dtype=torch.float64), tiny_model.scale)
    clean = torch.randn(1, 40, 3, 3, generator=generator, dtype=torch.float64)
    placed = frame.find_pose(clean).apply(given[0, 5:15].flatten(0, 1) * tiny_model.scale)
    expected = posed.pose(clean)[0, 5:15].flatten(0, 1) * tiny_model.scale
    torch.testing.assert_close(placed[0], expected, rtol=0, atol=1e-6)

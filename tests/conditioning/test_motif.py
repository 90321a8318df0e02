"""Motifs of free pose: alignment, projection, guidance; laws and a case with a known answer."""

import numpy as np
import pytest
import torch

from protdiff.conditioning import MotifTerm, PosedMotif, make_motif_conditions
from protdiff.conditioning.superposition import align_to
from protdiff.diffusion import (
    ExponentialSDE,
    FunctionDenoiser,
    HeunODE,
    KarrasGrid,
    LinearVPSDE,
    PerSampleNoise,
    ProjectedNoise,
)
from protdiff.diffusion.guidance import Estimate, Guided, ProjectedMean
from protdiff.diffusion.sampler import draw_prior
from protdiff.errors import InputError
from protdiff.model import make_residue_mask
from protdiff.motif_methods import METHODS
from protdiff.structure import Backbone, sample_motif, superimpose
from protdiff.structure.geometry import build_backbone, measure_dihedral


def random_rotation(seed):
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(seed)))
    return turn * torch.linalg.det(turn).sign()


@pytest.fixture
def source():
    torsions = np.full(30, -60.0), np.full(30, -45.0), np.full(30, 180.0)
    return Backbone.from_coordinates(build_backbone(*torsions) + 40.0, name="helix")


@pytest.fixture
def motif(source):
    return sample_motif(source, "12/A5-16/12", np.random.default_rng(0))


@pytest.fixture
def posed(tiny_model):
    mask = make_residue_mask([36])
    motif_mask = torch.zeros(1, 36, dtype=torch.bool)
    motif_mask[:, 12:24] = True
    positions = torch.randn(1, 36, 3, 3, generator=torch.Generator().manual_seed(2))
    return PosedMotif(motif_mask, positions, tiny_model.subspace(mask))


def test_the_pose_has_the_precision_of_the_backbone(posed):
    clean = torch.randn(1, 36, 3, 3, generator=torch.Generator().manual_seed(3))
    exact = posed(clean.double())
    assert exact.dtype == torch.float64
    assert (exact - posed(clean)).abs().max() < 1e-5


def test_alignment_is_kabschs():
    """Against the structure wing's superposition, point by point."""
    generator = torch.Generator().manual_seed(1)
    moving, fixed = (torch.randn(4, 30, 3, generator=generator) for _ in range(2))
    mask = torch.zeros(4, 30, dtype=torch.bool)
    mask[:, 3:20] = True
    aligned = align_to(moving, fixed, mask)
    for k in range(4):
        motion = superimpose(moving[k, 3:20].numpy(), fixed[k, 3:20].numpy())
        expected = motion.apply(moving[k, 3:20].numpy())
        assert np.abs(aligned[k, 3:20].numpy() - expected).max() < 1e-4


def test_alignment_never_reflects():
    cloud = torch.randn(1, 12, 3, generator=torch.Generator().manual_seed(1))
    mask = torch.ones(1, 12, dtype=torch.bool)
    aligned = align_to(-cloud, cloud, mask)
    assert (aligned - cloud).norm() > 1.0
    restored = align_to(cloud @ random_rotation(4).mT + 3.0, cloud, mask)
    assert (restored - cloud).abs().max() < 1e-4


def test_projection_writes_the_motif_and_keeps_the_rest(posed):
    clean = posed.subspace.project(
        torch.randn(1, 36, 3, 3, generator=torch.Generator().manual_seed(3))
    )
    written = posed(clean)
    inner = torch.cdist(written[0, 12:24].reshape(-1, 3), written[0, 12:24].reshape(-1, 3))
    given = posed.positions[0, 12:24].reshape(-1, 3)
    assert (inner - torch.cdist(given, given)).abs().max() < 1e-3
    far = (written - clean)[:, [0, 1, 2, 3, 33, 34, 35]]
    assert far.std(dim=(1, 2)).max() < 1e-5  # moved with the centre, as one
    assert torch.allclose(posed(written), written, atol=1e-4)  # a projection


def test_joints_keep_their_geometry(posed):
    """The residue next to the motif moves as one body with the residue that it is joined to."""
    clean = posed.subspace.project(
        torch.randn(1, 36, 3, 3, generator=torch.Generator().manual_seed(3))
    )
    before, after = clean[0].numpy(), posed(clean)[0].numpy()
    for omega in (
        lambda x: measure_dihedral(x[11, 1], x[11, 2], x[12, 0], x[12, 1]),
        lambda x: measure_dihedral(x[23, 1], x[23, 2], x[24, 0], x[24, 1]),
    ):
        assert abs(omega(after) - omega(before)) < 1e-2
    for near, far in (
        ((11, 2), (12, 0)),
        ((11, 1), (12, 0)),
        ((23, 2), (24, 0)),
        ((23, 2), (24, 1)),
    ):
        kept = [np.linalg.norm(x[near] - x[far]) for x in (before, after)]
        assert abs(kept[0] - kept[1]) < 1e-4
    inner = [torch.cdist(x[0, 24], x[0, 24]) for x in (clean, posed(clean))]
    assert (inner[0] - inner[1]).abs().max() < 1e-4


def test_residues_follow_less_with_their_distance(posed, monkeypatch):
    """Where the motif moves without turning, each residue moves by its share of that."""
    clean = torch.randn(1, 36, 3, 3, generator=torch.Generator().manual_seed(3))
    away = torch.tensor([0.5, -0.2, 0.1])
    monkeypatch.setattr(posed, "pose", lambda clean: clean + away)
    followed = (posed(clean) - clean).mean(dim=2)[0]
    shift = followed[35]  # of the centre
    for residue, share in ((24, 1.0), (25, 7 / 8), (28, 4 / 8), (31, 1 / 8), (32, 0.0), (9, 6 / 8)):
        assert torch.allclose(followed[residue] - shift, share * away, atol=1e-5)


def test_nothing_follows_over_a_chain_break(tiny_model):
    mask = torch.zeros(1, 36, dtype=torch.bool)
    mask[:, 12:24] = True
    index = torch.arange(36)[None].clone()
    index[:, 24:] += 200
    posed = PosedMotif(
        mask, torch.zeros(1, 36, 3, 3), tiny_model.subspace(mask | True), residue_index=index
    )
    assert (posed.share[:, 0, 24:] == 0).all()
    assert posed.share[1, 0, 11] == 1
    assert posed.leader[1, 0, 11] == 12
    assert (posed.share.sum(dim=0) <= 1).all()


def test_groups_have_poses_of_their_own(posed):
    """Where one group of a fitting motif is moved as a body, its pose goes with it."""
    group = torch.zeros(1, 36, dtype=torch.int64)
    group[:, 12:18], group[:, 18:24] = 1, 2
    apart = PosedMotif(group > 0, posed.positions, posed.subspace, group=group)
    clean = posed.positions.clone()
    clean[:, 18:24] = clean[:, 18:24] @ random_rotation(6).mT + 4.0
    assert (apart.pose(clean) - clean)[:, 12:24].abs().max() < 1e-4
    assert (posed.pose(clean) - clean)[:, 12:24].abs().max() > 0.5
    # One number of groups for an element, another for the next.
    groups = torch.cat([group, (group > 0).long()])
    both = PosedMotif(groups > 0, posed.positions.repeat(2, 1, 1, 1), posed.subspace, group=groups)
    poses = both.pose(clean.repeat(2, 1, 1, 1))
    assert torch.allclose(poses[:1, 12:24], apart.pose(clean)[:, 12:24], atol=1e-5)
    assert torch.allclose(poses[1:, 12:24], posed.pose(clean)[:, 12:24], atol=1e-5)


def test_groups_in_one_place_are_moved_apart_as_bodies(posed):
    group = torch.zeros(1, 36, dtype=torch.int64)
    group[:, 12:16], group[:, 20:24] = 1, 2
    near, apart = (
        PosedMotif(group > 0, posed.positions, posed.subspace, group=group, clearance=clearance)
        for clearance in (0.0, 1.5)
    )
    clean = torch.randn(1, 36, 3, 3, generator=torch.Generator().manual_seed(3))
    first, second = near.pose(clean), apart.pose(clean)
    moved = (second - first)[0]
    for body in (moved[12:16], moved[20:24]):
        assert body.flatten(0, 1).std(dim=0).max() < 1e-5  # as one
        assert body.norm(dim=-1).min() > 0.01

    def get_nearest(pose):
        return torch.cdist(pose[0, 12:16, 1], pose[0, 20:24, 1]).min()

    assert get_nearest(second) > get_nearest(first)
    turn = random_rotation(5)
    assert (apart.pose(clean @ turn.mT) - second @ turn.mT)[:, group[0] > 0].abs().max() < 1e-4
    # One body is in nobody's way.
    one = PosedMotif(group > 0, posed.positions, posed.subspace, clearance=1.5)
    assert torch.equal(
        one.pose(clean), PosedMotif(group > 0, posed.positions, posed.subspace).pose(clean)
    )


def test_projection_turns_with_the_backbone(posed):
    clean = torch.randn(1, 36, 3, 3, generator=torch.Generator().manual_seed(3))
    turn = random_rotation(5)
    assert (posed(clean @ turn.mT) - posed(clean) @ turn.mT).abs().max() < 1e-4


def test_term_is_zero_for_the_motif_itself_and_its_gradient_points_there(posed):
    sde = LinearVPSDE()
    t = torch.tensor(0.3, dtype=torch.float64)
    term = MotifTerm(posed)
    clean = torch.randn(1, 36, 3, 3, generator=torch.Generator().manual_seed(3))
    held = posed(clean)
    assert float(term(Estimate(held, t, held, sde))) == pytest.approx(0.0, abs=1e-6)
    away = clean.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(term(Estimate(clean, t, away, sde)).sum(), away)
    nearer = clean + 1e-3 * gradient / gradient.norm()
    assert term(Estimate(clean, t, nearer, sde)) > term(Estimate(clean, t, clean, sde))
    assert (gradient[:, :12] == 0).all()


def test_guided_gaussian_is_drawn_to_the_motif(posed):
    """White Gaussian data: D = c_skip y in closed form, so guidance alone must place the motif."""
    sde = LinearVPSDE()

    def denoise(x_t, t):
        alpha, sigma = sde.alpha(t).to(x_t), sde.sigma(t).to(x_t)
        return posed.subspace.project(x_t * alpha / (alpha**2 + sigma**2))

    guided = Guided(FunctionDenoiser(sde, denoise), MotifTerm(posed))
    noise = ProjectedNoise(PerSampleNoise([torch.Generator().manual_seed(0)]), posed.subspace)
    start = draw_prior(sde, noise, torch.zeros(1, 36, 3, 3))
    sampled = ExponentialSDE()(guided, start, KarrasGrid()(sde, 100), noise=noise)
    distance = (posed.pose(sampled) - sampled)[:, 12:24].square().mean().sqrt()
    assert distance < 0.05  # the tolerance is .02; unguided it is about 1
    rest = sampled[:, :12].square().mean().sqrt()
    assert 0.7 < rest < 1.3


@pytest.mark.parametrize("method", METHODS)
def test_every_method_holds_each_group(tiny_model, source, method):
    motif = sample_motif(source, "12/A20-25#2/6/A1-6#1/6", np.random.default_rng(0))
    mask = make_residue_mask([36])
    denoiser = make_motif_conditions(tiny_model, mask, [motif], method=method).project()
    noise = ProjectedNoise(
        PerSampleNoise([torch.Generator().manual_seed(0)]), tiny_model.subspace(mask)
    )
    start = draw_prior(tiny_model.sde, noise, torch.zeros(1, 36, 3, 3))
    sampled = ExponentialSDE()(denoiser, start, KarrasGrid()(tiny_model.sde, 4), noise=noise)
    design = tiny_model.to_angstrom(sampled).numpy()[0]
    assert motif.measure_rmsd(design) < 1e-3
    one = sample_motif(source, "12/A20-25/6/A1-6/6", np.random.default_rng(0))
    assert one.measure_rmsd(design) > 1.0  # an untrained network puts them anywhere


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sampler", [ExponentialSDE(), HeunODE()])
def test_every_method_keeps_the_motif_with_every_sampler(tiny_model, motif, method, sampler):
    mask = make_residue_mask([36, 36])
    denoiser = make_motif_conditions(tiny_model, mask, [motif, motif], method=method).project()
    noise = ProjectedNoise(
        PerSampleNoise([torch.Generator().manual_seed(k) for k in range(2)]),
        tiny_model.subspace(mask),
    )
    start = draw_prior(tiny_model.sde, noise, torch.zeros(2, 36, 3, 3))
    sampled = sampler(denoiser, start, KarrasGrid()(tiny_model.sde, 4), noise=noise)
    for design in tiny_model.to_angstrom(sampled).numpy():
        assert motif.measure_rmsd(design) < 1e-3
    assert (sampled[0] - sampled[1]).abs().max() > 0.1


@pytest.mark.parametrize("method", METHODS)
def test_conditioned_denoiser_turns_with_its_input(tiny_model, motif, method):
    mask = make_residue_mask([36])
    noise = PerSampleNoise([torch.Generator().manual_seed(0)])
    x_t = tiny_model.subspace(mask).project(noise(torch.zeros(1, 36, 3, 3)))
    turn, t = random_rotation(7), torch.tensor(0.3)
    plain, turned = (
        make_motif_conditions(tiny_model, mask, [motif], method=method).project()(x, t)
        for x in (x_t, x_t @ turn.mT)
    )
    assert (turned - plain @ turn.mT).abs().max() < 1e-3 * plain.abs().max()


def test_wrong_arguments_are_refused(tiny_model, motif):
    mask = make_residue_mask([36])
    with pytest.raises(InputError, match="no method 'magic'"):
        make_motif_conditions(tiny_model, mask, [motif], method="magic")
    with pytest.raises(InputError, match="2 motifs for a batch of 1"):
        make_motif_conditions(tiny_model, mask, [motif, motif])


def test_oracle_of_a_native_gives_the_native(tiny_model, source, motif):
    """A denoiser that always returns the native brings it back through the projection."""
    mask = make_residue_mask([36])
    native = torch.randn(1, 36, 3, 3, generator=torch.Generator().manual_seed(8))
    given = torch.tensor(motif.source.coordinates[:, :3]) / tiny_model.scale
    native[0, 12:24] = given - given.mean(dim=(0, 1))
    subspace = tiny_model.subspace(mask)
    native = subspace.project(native)
    posed = PosedMotif(torch.tensor(motif.motif_mask)[None], native, subspace)
    oracle = ProjectedMean(FunctionDenoiser(LinearVPSDE(), lambda x_t, t: native), posed)
    noise = ProjectedNoise(PerSampleNoise([torch.Generator().manual_seed(0)]), subspace)
    start = draw_prior(oracle.sde, noise, native)
    sampled = ExponentialSDE()(oracle, start, KarrasGrid()(oracle.sde, 20), noise=noise)
    assert (sampled - native).abs().max() * tiny_model.scale < 0.01

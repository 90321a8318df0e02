"""A partner: docking, laws, hot spots reached without a clash, and what cannot be."""

import numpy as np
import pytest
import torch

from protdiff.conditioning import Partner
from protdiff.conditioning.docking import Docking
from protdiff.errors import InputError
from protdiff.structure import Backbone, build_backbone, superimpose, write_backbone


def make_helix(count):
    torsions = np.full(count, -60.0), np.full(count, -45.0), np.full(count, 180.0)
    return build_backbone(*torsions)


@pytest.fixture(scope="module")
def partner():
    """Four helices side by side, each of twenty residues."""
    helix = make_helix(20)
    helix = helix - helix.mean(axis=(0, 1))
    axis = np.linalg.svd(helix[:, 1])[2]
    helix = helix @ axis.T  # along x
    bundle = [helix + np.array([0.0, 10.0 * (k % 2), 10.0 * (k // 2)]) for k in range(4)]
    return Backbone.from_coordinates(
        np.concatenate(bundle) + 30.0, residue_index=np.arange(80), name="bundle"
    )


def pick_hot(partner, count=3):
    """Name residues of the first helix that look away from the others."""
    alpha = partner.coordinates[:20, 1]
    order = np.argsort(alpha[:, 1] + alpha[:, 2])
    return [partner.label(int(place)) for place in np.sort(order[:count])]


@pytest.fixture(scope="module")
def conditioner(partner):
    return Partner(partner, pick_hot(partner))


def test_a_partner_may_be_a_file(partner, conditioner, tmp_path):
    path = tmp_path / f"{partner.name}.cif"
    write_backbone(path, partner)
    asked = Partner(path, pick_hot(partner)).describe()
    assert asked["hotspots"] == conditioner.describe()["hotspots"]
    assert asked["structure"] == partner.name


def test_docking_finds_the_hole_for_a_knob(laws):
    """A wall with a knob, and a block with a hole in one of its six sides."""
    wall = torch.cartesian_prod(torch.arange(-3, 4), torch.arange(-3, 4), torch.zeros(1).long())
    layers = [3.0 * wall - torch.tensor([0.0, 0.0, depth]) for depth in (0.0, 3.0, 6.0)]
    wall = torch.cat([*layers, torch.tensor([[0.0, 0.0, 5.0]])]).double()
    block = torch.cartesian_prod(*[torch.arange(-2, 3).double()] * 3)
    hole = (block[:, 0] >= 1) & (block[:, 1:].abs() <= 1).all(dim=1)
    full, holed = 3.0 * block, 3.0 * block[~hole]
    hot = torch.tensor([10, 22, 26, 38])  # around the knob, 6 Å off
    docking = Docking(wall, hot, distance=6.0, clearance=4.0)
    wrong = []
    for shape in (holed, full):
        design = shape[None] @ laws.random_rotation(1).mT
        mask = torch.ones(1, len(shape), dtype=torch.bool)
        pose = docking.find_pose(design, mask)
        depth, excess, _ = docking.measure(design, mask, pose)
        wrong.append(float(depth.square().sum() + excess.square().sum()))
        turn = pose.rotation[0]
        assert torch.allclose(turn @ turn.mT, torch.eye(3).double(), atol=1e-9)
        assert torch.linalg.det(turn) > 0
        assert torch.allclose(pose.invert(pose.apply(wall))[0], wall, atol=1e-9)
    assert wrong[0] < 0.05
    assert wrong[1] > 0.5


def make_crowded(partner):
    """Ask for three faces at once: something is left to ask of designs at the best pose."""
    alpha = partner.coordinates[:, 1]
    further = [
        partner.label(20 * k + int(np.argmax(alpha[20 * k : 20 * k + 20, k]))) for k in (1, 2)
    ]
    return Partner(partner, [*pick_hot(partner, 5), *further])


def test_laws(laws, tiny_model, partner):
    lengths = [40, 32]
    walks = laws.make_walks(lengths, step=0.45)
    make_term = make_crowded(partner).make_term
    term = make_term(laws.make_scene(tiny_model, lengths))
    assert (laws.evaluate(term, walks, 0.5) < 0).all()
    laws.hold_pose(term, walks, tolerance=1e-6)
    laws.hold_batch(make_term, tiny_model, lengths, walks)
    laws.hold_silence(term, walks)


def test_gradient_is_that_of_finite_differences_at_the_pose(laws, tiny_model, partner, monkeypatch):
    walks = laws.make_walks([40, 32], step=0.45)
    term = make_crowded(partner).make_term(laws.make_scene(tiny_model, [40, 32]))
    found = {}
    find_pose = Docking.find_pose

    def remember(self, design, mask):
        key = round(float(design.abs().max()), 1)  # one pose a noise level
        return found.setdefault(key, find_pose(self, design, mask))

    monkeypatch.setattr(Docking, "find_pose", remember)
    laws.hold_gradient(term, walks)


def test_pose_of_the_partner_changes_nothing(laws, tiny_model, partner):
    walks = laws.make_walks([40], step=0.45)
    scene = laws.make_scene(tiny_model, [40])
    turned = (partner.coordinates - 30.0) @ laws.random_rotation(5).numpy().T - 12.0
    moved = partner.with_coordinates(turned.astype(np.float32))
    hot = make_crowded(partner).describe()["hotspots"]
    plain, other = (
        laws.evaluate(Partner(one, hot).make_term(scene), walks) for one in (partner, moved)
    )
    assert torch.allclose(plain, other, rtol=1e-3)  # coordinates are float32


def test_placing_depends_on_the_shape_of_the_design_alone(laws, conditioner):
    design = make_helix(30)[:, :3]
    placed = conditioner.place(design)
    assert placed.dtype == np.float32
    inner = np.linalg.norm(placed[:, None, 1] - placed[None, :, 1], axis=-1)
    given = np.linalg.norm(design[:, None, 1] - design[None, :, 1], axis=-1)
    assert np.abs(inner - given).max() < 1e-3
    again = conditioner.place(design @ laws.random_rotation(4).numpy().T + 7.0)
    assert np.abs(again - placed).max() < 1e-2
    assert conditioner.measure_contacts(placed).all()
    gap = np.linalg.norm(placed[:, None, 1] - conditioner.structure.coordinates[:, 1], axis=-1)
    assert gap.min() >= conditioner.clearance


@pytest.mark.parametrize(("count", "hot"), [(1, "A1"), (2, "A1,A2"), (3, "A1-3")])
def test_a_partner_without_a_side_is_placed_without_strain(partner, count, hot):
    """Its hot spots are all there is of it, so nothing says which way they look."""
    small = Partner(partner.select(slice(0, count)), hot)
    design = make_helix(30)[:, :3].astype(np.float32)
    placed = small.place(design)
    assert superimpose(placed, design).rmsd < 1e-3
    assert small.measure_contacts(placed).all()


def test_samples_of_a_chain_bind(laws, tiny_model, partner):
    """The prior is a polymer, its denoiser exact: guidance alone must make room for the partner."""
    conditioner = make_crowded(partner)
    polymers = laws.make_polymers(laws.make_scene(tiny_model, [40] * 4))

    def touch(denoiser):
        made = polymers.sample(denoiser) * tiny_model.scale
        placed = [conditioner.place(x) for x in made.numpy()]
        return np.mean([conditioner.measure_contacts(x).mean() for x in placed])

    free, held = touch(polymers.free), touch(polymers.guide(conditioner))
    assert held > free + 0.1


def test_what_cannot_be_is_refused(partner):
    with pytest.raises(InputError, match="no residue A99"):
        Partner(partner, "A3,A99")
    with pytest.raises(InputError, match="clearance"):
        Partner(partner, "A3", distance=5.0, clearance=6.0)
    ball = np.random.default_rng(0).uniform(-1, 1, (4000, 3))
    ball = 16 * ball[np.linalg.norm(ball, axis=1) < 1]
    ball = np.concatenate([np.zeros((1, 3)), ball])
    dense = Backbone.from_coordinates(
        ball[:, None] + make_helix(3)[1] - make_helix(3)[1, 1],
        residue_index=2 * np.arange(len(ball)),
        residue_number=np.arange(1, len(ball) + 1),
        name="ball",
    )
    with pytest.raises(InputError, match="hot spot A1 of ball is buried"):
        Partner(dense, "A1")


def test_description_follows_the_partner(partner, conditioner):
    described = conditioner.describe()
    assert described["hotspots"] == pick_hot(partner)
    moved = Partner(partner.with_coordinates(partner.coordinates + 1), pick_hot(partner))
    assert moved.describe()["sha256"] != described["sha256"]

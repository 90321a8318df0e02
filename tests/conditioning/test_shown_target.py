"""A target that the network is shown: where it asks a design to be, and what to touch."""

import numpy as np
import pytest
import torch

from protdiff.conditioning import Partner, PosedMotif
from protdiff.conditioning.conditioner import Scene
from protdiff.conditioning.motif_frame import MotifFrame
from protdiff.conditioning.shown_target import ShownTarget
from protdiff.diffusion import LinearVPSDE
from protdiff.diffusion.guidance import Estimate
from protdiff.errors import InputError
from protdiff.model import make_residue_mask
from protdiff.structure import Backbone
from protdiff.structure.size import expect_radius

SIZE = 6  # residues of the design
FAR = np.array([30.0, -55.0, 410.0])
SDE = LinearVPSDE()


@pytest.fixture(scope="module")
def target(four_helices):
    """Four helices along x, of 20 residues each, far from the origin."""
    index = np.arange(80) + np.repeat(np.arange(4), 20) * 10
    return Backbone.from_coordinates(
        four_helices + FAR, residue_index=index, residue_number=index + 1, name="bundle"
    )


@pytest.fixture(scope="module")
def partner(target):
    return Partner(target, "A3,A14")  # on the first helix


class Beside:
    """A design beside a target, as it is sampled: turned, and small in model units."""

    def __init__(self, model, target, shown, seed=0):
        self.scale, self.given = model.scale, target.coordinates[shown, :3].astype(float)
        count = SIZE + len(self.given)
        self.mask = make_residue_mask([count])
        index = torch.arange(count)[None]
        self.centre = self.given.mean(axis=(0, 1))
        positions = torch.zeros(1, count, 3, 3, dtype=torch.float64)
        positions[0, SIZE:] = torch.from_numpy(self.given - self.centre) / self.scale
        posed = PosedMotif(index >= SIZE, positions, model.subspace(self.mask))
        origin = torch.from_numpy(self.centre).expand(1, 1, 3)
        frame = MotifFrame(posed, origin, model.scale)
        self.scene = Scene(model, self.mask, index, torch.zeros_like(index), frame)
        turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
        self.turn = turn * np.sign(np.linalg.det(turn))

    def evaluate(self, term, place, noise, spread=9.0):
        """Return the value, and the gradient per Å in the frame of the target, of a rod there."""
        rod = np.zeros((SIZE, 3, 3)) + place
        rod[..., 0] += np.linspace(-spread, spread, SIZE)[:, None]
        atoms = np.concatenate([rod, self.given])
        clean = torch.from_numpy((atoms - self.centre) @ self.turn.T)[None] / self.scale
        clean.requires_grad_()
        t = SDE.time_of_noise_ratio(torch.tensor(noise / self.scale, dtype=torch.float64))
        estimate = Estimate(clean, t, clean, SDE)
        value = term(estimate)
        (gradient,) = torch.autograd.grad(value.sum(), clean)
        variance = float(estimate.isotropic_variance())
        return float(value.detach()), gradient[0].numpy() @ self.turn, variance


@pytest.fixture(scope="module")
def hot(target):
    return target.coordinates[[2, 13], 1].astype(float).mean(axis=0)


def test_hot_spots_out_of_reach_draw_what_is_nearest(tiny_model, partner, target, hot):
    shown = ShownTarget(partner, 200)
    beside = Beside(tiny_model, target, shown.shown)
    term = shown.make_term(beside.scene)
    value, gradient, _ = beside.evaluate(term, hot + np.array([0.0, -4.5, -3.5]), 2.0)
    assert value == 0.0
    assert (gradient == 0).all()
    value, gradient, _ = beside.evaluate(term, hot + np.array([0.0, -20.0, -16.0]), 2.0)
    assert value < -1.0
    assert (gradient[:SIZE, 1, 1:].sum(axis=0) > 0).all()  # towards the hot spots
    assert (gradient[SIZE:] == 0).all()  # the target stays
    with pytest.raises(RuntimeError, match="does not require grad"):  # nothing is asked
        beside.evaluate(term, hot + np.array([0.0, -20.0, -16.0]), 0.4)


def test_what_the_network_does_not_see_keeps_its_place(tiny_model, partner, target):
    """Nothing but the network keeps a design out of what it is shown."""
    shown = ShownTarget(partner, 24)
    assert not np.isin(np.arange(65, 75), shown.shown).any()
    beside = Beside(tiny_model, target, shown.shown)
    term = shown.make_term(beside.scene)
    last = target.coordinates[60:, 1].astype(float).mean(axis=0) + np.array([0.0, 1.0, 0.0])
    inside, push, _ = beside.evaluate(term, last, 2.0)
    shifted, _, _ = beside.evaluate(term, last + np.array([0.0, 1.0, 0.0]), 2.0)
    assert inside < shifted
    assert push[:SIZE, 1, 1].sum() > 0  # out, on the nearer side
    whole = ShownTarget(partner, 200)
    beside = Beside(tiny_model, target, whole.shown)
    seen, _, _ = beside.evaluate(whole.make_term(beside.scene), last, 2.0)
    assert inside < seen


def test_the_middle_is_led_to_where_a_globule_touches_the_hot_spots(
    tiny_model, partner, target, hot
):
    """It moves as a body, as far as the variance of one atom and the tolerance say."""
    shown = ShownTarget(partner, 200)
    beside = Beside(tiny_model, target, shown.shown)
    term = shown.make_term(beside.scene)
    radius = 1.15 * expect_radius(SIZE)
    place, noise = hot + np.array([4.0, -30.0, 10.0]), 50.0
    value, gradient, variance = beside.evaluate(term, place, noise)
    assert value < -1.0
    assert np.allclose(gradient[:SIZE], gradient[0, 0])
    assert (gradient[SIZE:] == 0).all()
    scale = beside.scale
    moved = place + scale * variance * gradient[0, 0]
    share = variance / (variance + (2.0 / scale) ** 2)
    wanted = place + (moved - place) / share
    assert np.linalg.norm(wanted - hot) == pytest.approx(radius, abs=1e-3)
    outward = wanted - target.coordinates[:, 1].mean(axis=0)
    assert (outward[1:] < -5.0).all()  # the corner of the first helix
    at_place, gradient, _ = beside.evaluate(term, wanted, noise)
    assert at_place == pytest.approx(0.0, abs=1e-4)


def test_a_target_without_hot_spots_is_refused(target):
    with pytest.raises(InputError, match="a target and its hot spots go together"):
        ShownTarget(Partner(target), 50)

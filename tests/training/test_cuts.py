"""Chains cut in two: which residues stay, where they stand, and which chains can be cut."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from protdiff.chains import CHAIN_JUMP
from protdiff.errors import InputError
from protdiff.structure import build_backbone
from protdiff.training.begin import make_batches
from protdiff.training.cuts import SHORTEST, Cuts, draw_cuts, draw_partners
from protdiff.training.dataset import BackboneDataset, load_dataset
from protdiff.training.draws import draw_step
from protdiff.training.held_out import HeldOutLoss
from protdiff.training.sampling import NoiseLevels

SIDE = 45  # residues of each half of a dumbbell


def make_globule(count, seed):
    """Fill a ball of a globule's density with residues, in no order."""
    rng = np.random.default_rng(seed)
    inside = rng.normal(size=(count, 1, 3))
    inside /= np.linalg.norm(inside, axis=-1, keepdims=True)
    radius = (count * 134 * 3 / (4 * np.pi)) ** (1 / 3)
    centre = inside * radius * rng.uniform(size=(count, 1, 1)) ** (1 / 3)
    return centre + rng.normal(scale=0.8, size=(count, 3, 3)), radius


def make_dumbbell(seed=0):
    """Two globules that touch, joined by eight residues: two domains of one chain."""
    (first, radius), (second, _) = (make_globule(SIDE, seed + k) for k in (0, 1))
    away = np.array([2 * radius + 1.0, 0.0, 0.0])
    bridge = np.linspace([0.0, radius + 6.0, 0.0], away + np.array([0.0, radius + 6.0, 0.0]), 8)
    bridge = bridge[:, None] + np.zeros((8, 3, 3))
    return torch.tensor(np.concatenate([first, bridge, second + away]), dtype=torch.float32)


@pytest.fixture(scope="module")
def dumbbell():
    return make_dumbbell()


def cut(chains, share=1.0, seed=0):
    return draw_cuts(chains, share, torch.Generator().manual_seed(seed))


def test_two_domains_are_cut_between_them(dumbbell):
    cuts = cut([dumbbell] * 40)
    found = cuts.gap > 0
    assert found.float().mean() > 0.7
    assert ((cuts.place - (SIDE + 4)).abs()[found] <= 20).all()
    assert (cuts.place[found] >= SHORTEST).all()
    assert (cuts.gap[found] >= 3).all()
    assert 0.2 < cuts.swapped[found].float().mean() < 0.8


def test_chains_that_make_no_two_proteins_stay_whole(dumbbell):
    entwined = torch.tensor(make_globule(90, 2)[0], dtype=torch.float32)
    helix = torch.tensor(build_backbone(np.full(90, -60.0), -45.0)[:, :3], dtype=torch.float32)
    short = dumbbell[: 2 * SHORTEST]
    cuts = cut([entwined, helix, short] * 10)
    assert (cuts.gap == 0).all()
    assert torch.equal(cuts.place, torch.tensor([90, 90, 2 * SHORTEST] * 10))


def test_the_share_that_is_asked_for_is_cut(dumbbell):
    all_, half, none = (cut([dumbbell] * 200, share).gap > 0 for share in (1.0, 0.5, 0.0))
    assert 0.35 < half.sum() / all_.sum() < 0.65
    assert not none.any()


@pytest.mark.parametrize("swapped", [False, True])
def test_pieces_stand_in_either_order_as_two_chains(prepared, swapped):
    dataset = load_dataset(prepared)[0]
    length = int(dataset.lengths[3])
    cuts = Cuts(torch.tensor([15, length]), torch.tensor([4, 0]), torch.tensor([swapped, False]))
    batch = dataset.collate([3, 3], 64, cuts)
    before, after = torch.arange(15), torch.arange(19, length)
    first, second = (after, before) if swapped else (before, after)
    order = torch.cat([first, second])
    assert batch.residue_mask.sum(dim=1).tolist() == [length - 4, length]
    given = dataset.get(3)[order]
    given = given - given.mean(dim=(0, 1))
    torch.testing.assert_close(batch.positions[0, : length - 4], given, atol=1e-4, rtol=0)
    assert (batch.positions[0, length - 4 :] == 0).all()
    index = batch.residue_index[0, : length - 4]
    steps = index.diff()
    jumps = (steps >= CHAIN_JUMP).nonzero()[:, 0]
    assert jumps.tolist() == [len(first) - 1]
    assert (steps[steps < CHAIN_JUMP] == 1).all()
    whole = dataset.collate([3], 64)
    assert torch.equal(batch.secondary[0, : length - 4], whole.secondary[0, order])
    for name in ("positions", "residue_index", "secondary", "residue_type"):
        of_whole = getattr(whole, name)[0]
        torch.testing.assert_close(getattr(batch, name)[1], of_whole, atol=1e-4, rtol=0)


def test_a_whole_piece_is_revealed_as_a_target():
    groups = torch.zeros(400, 30, dtype=torch.int64)
    groups[:, 2:4] = 2
    first = torch.tensor([12, 28]).repeat(200)
    lengths = torch.full((400,), 28)
    found = draw_partners(groups, first, lengths, torch.Generator().manual_seed(0))
    assert torch.equal(found[1::2], groups[1::2])  # those that are one piece
    place = torch.arange(30)
    sides = [(place < 12).long(), ((place >= 12) & (place < 28)).long()]
    kinds = [(found[0::2] == side).all(dim=1).float().mean() for side in sides]
    kept = (found[0::2] == groups[0::2]).all(dim=1).float().mean()
    assert min(kinds) > 0.25
    assert max(kinds) < 0.5
    assert 0.15 < kept < 0.35
    assert sum(kinds) + kept == pytest.approx(1.0)


def test_steps_draw_the_same_whether_chains_can_be_cut_or_not(config, prepared):
    """A run that cuts nothing is the run that it was before there were cuts."""
    dataset = load_dataset(prepared, config.lengths)[0]
    batches = make_batches(config, dataset, 1)
    for step in range(6):
        plain = draw_step(config, batches, step)
        cutting = draw_step(replace(config, cut=1.0), batches, step)
        assert plain.cuts is None
        assert torch.equal(plain.noise, cutting.noise)
        assert torch.equal(plain.chains, cutting.chains)
        again = draw_step(replace(config, cut=1.0), batches, step)
        assert torch.equal(again.cuts.place, cutting.cuts.place)
        assert cutting.coordinates == int((plain.lengths - cutting.cuts.gap).sum()) * 9
        rows = cutting.get_rows(0, 1)
        batch = cutting.make_batch(dataset, rows, config)
        assert batch.coordinates.sum() == cutting.coordinates


@pytest.fixture(scope="module")
def dumbbells():
    chains = [make_dumbbell(seed) for seed in range(0, 60, 2)]
    length = len(chains[0])
    return BackboneDataset(
        torch.cat([chain - chain.mean(dim=(0, 1)) for chain in chains]),
        torch.arange(length, dtype=torch.int32).repeat(len(chains)),
        torch.ones(length * len(chains), dtype=torch.uint8),
        torch.ones(length * len(chains), dtype=torch.uint8),
        torch.arange(len(chains) + 1) * length,
        torch.arange(len(chains)),
        tuple(f"dumbbell{k}" for k in range(len(chains))),
    )


@pytest.mark.parametrize("revealed", [False, True])
def test_the_held_out_loss_can_be_that_of_chains_cut_in_two(dumbbells, tiny_model, revealed):
    loss = HeldOutLoss(dumbbells, NoiseLevels(), 8.0, cut=True, revealed=revealed)
    for batch in loss.batches:
        steps = batch.residue_index.diff(dim=1)
        assert ((steps >= CHAIN_JUMP).sum(dim=1) == 1).all()
        first = (steps >= CHAIN_JUMP).int().argmax(dim=1) + 1
        if revealed:
            assert torch.equal(batch.motif_group.sum(dim=1), first)
            assert (batch.motif_group[:, 0] == 1).all()
        else:
            assert batch.motif_group is None
    again = HeldOutLoss(dumbbells, NoiseLevels(), 8.0, cut=True, revealed=revealed)
    network = tiny_model.network
    assert loss.measure(network) == pytest.approx(again.measure(network), nan_ok=True)


def test_held_out_chains_that_cannot_be_cut_are_refused(dumbbells):
    places = torch.arange(len(dumbbells.coordinates)) % int(dumbbells.lengths[0])
    rods = replace(dumbbells, coordinates=dumbbells.coordinates + 3.5 * places[:, None, None])
    with pytest.raises(InputError, match="none of the held-out chains can be cut"):
        HeldOutLoss(rods, NoiseLevels(), 8.0, cut=True)

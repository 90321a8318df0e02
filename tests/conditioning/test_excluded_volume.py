"""Overlaps are relieved, nothing else is touched, and the push turns with the structure."""

import numpy as np
import pytest
import torch

from protdiff.conditioning import ExcludedVolume, relieve_overlaps
from protdiff.conditioning.excluded_volume import CLOSEST_APPROACH, place_carbonyl_oxygen
from protdiff.diffusion import FunctionDenoiser, LinearVPSDE
from protdiff.evaluation.clashes import _clash_distances, count_clashes
from protdiff.model import make_residue_mask
from protdiff.structure.geometry import build_backbone


def make_helix(count):
    torsions = np.full(count, -60.0), np.full(count, -45.0), np.full(count, 180.0)
    return torch.tensor(build_backbone(*torsions), dtype=torch.float32)


@pytest.fixture
def crossing():
    """Two helices in one chain's numbering, some 4 Å too near to each other."""
    helix = make_helix(20)
    centred = helix - helix.mean(dim=(0, 1))
    turned = centred[..., [1, 2, 0]]
    normal = torch.linalg.cross(centred[-1, 1] - centred[0, 1], turned[-1, 1] - turned[0, 1])
    return torch.cat([centred, turned + 5.0 * normal / normal.norm()])[None, :, :3]


def clashes(positions):
    atoms = torch.cat([positions, place_carbonyl_oxygen(positions)[:, :, None]], dim=2)[0]
    return count_clashes(atoms.numpy(), np.arange(len(atoms)))


def relax(positions, rounds=30, **masks):
    mask = make_residue_mask([positions.shape[1]])
    for _ in range(rounds):
        positions = relieve_overlaps(positions, mask, masks.get("movable", mask))
    return positions


def test_limits_are_those_of_the_judge():
    assert np.allclose(CLOSEST_APPROACH, _clash_distances())


def test_oxygen_is_where_the_peptide_plane_puts_it():
    helix = make_helix(12)
    placed = place_carbonyl_oxygen(helix[None, :, :3])[0]
    assert (placed - helix[:, 3]).norm(dim=-1)[:-1].max() < 0.1


def test_overlaps_are_relieved(crossing):
    assert clashes(crossing) > 20
    assert clashes(relax(crossing)) == 0


def test_sound_structures_are_left_alone():
    helix = make_helix(30)[None, :, :3]
    assert torch.allclose(relax(helix), helix, atol=1e-4)


def test_given_residues_do_not_move(crossing):
    movable = torch.ones(1, 40, dtype=torch.bool)
    movable[:, :20] = False
    relaxed = relax(crossing, 100, movable=movable)
    assert torch.equal(relaxed[:, :20], crossing[:, :20])
    assert clashes(relaxed) == 0


def test_push_turns_with_the_structure(crossing):
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)))
    for sign in (1.0, -1.0):
        moved = relax(crossing @ (sign * turn).mT, 3)
        assert (moved - relax(crossing, 3) @ (sign * turn).mT).abs().max() < 1e-3


def test_padding_does_not_push(crossing):
    mask = make_residue_mask([40, 40])
    mask[:, 20:] = False  # the second helix is padding
    both = crossing.repeat(2, 1, 1, 1)
    moved = relieve_overlaps(both, mask, mask)
    assert torch.allclose(moved[:, :20], both[:, :20])


def test_each_design_has_the_noise_of_its_own_time(tiny_model, crossing):
    mask = make_residue_mask([40, 40])
    clean = (crossing / tiny_model.scale).repeat(2, 1, 1, 1)
    sde = LinearVPSDE()
    denoiser = ExcludedVolume(
        FunctionDenoiser(sde, lambda x_t, t: clean),
        mask,
        tiny_model.subspace(mask),
        scale=tiny_model.scale,
    )
    times = sde.time_of_noise_ratio(torch.tensor([0.1, 2.0]).double())
    found = denoiser(clean, times)
    for row, t in enumerate(times):
        assert torch.equal(found[row], denoiser(clean, t)[row])
    assert not torch.equal(found[0], found[1])


def test_only_small_noise_is_relieved(tiny_model, crossing):
    mask = make_residue_mask([40])
    clean = crossing / tiny_model.scale
    clean = clean - clean.mean(dim=(1, 2), keepdim=True)
    sde = LinearVPSDE()
    oracle = FunctionDenoiser(sde, lambda x_t, t: clean)
    denoiser = ExcludedVolume(
        oracle, mask, tiny_model.subspace(mask), scale=tiny_model.scale, noise_limit=2.0
    )
    for noise, moves in ((1.9, True), (2.1, False)):
        t = sde.time_of_noise_ratio(torch.tensor(noise / tiny_model.scale).double())
        assert bool((denoiser(clean, t) != clean).any()) is moves
    small = sde.time_of_noise_ratio(torch.tensor(0.01).double())
    assert denoiser(clean, small).mean(dim=(1, 2)).abs().max() < 1e-5
    assert torch.equal(denoiser.finish(clean, small), clean)

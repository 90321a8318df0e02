"""Partial diffusion: the forward kernel, the steps that are left, and the way back."""

import numpy as np
import pytest
import torch

from protdiff.conditioning import PartialDiffusion, Scene, Symmetry
from protdiff.design import Generation, SamplingSettings, run_designs
from protdiff.diffusion import GaussianNoise, KarrasGrid, LinearVPSDE, ProjectedNoise
from protdiff.errors import InputError
from protdiff.model import make_residue_mask
from protdiff.structure import Backbone, build_backbone, superimpose
from protdiff.structure.point_group import parse_point_group

FAST = {"step_scale": 1.0}


@pytest.fixture(scope="module")
def start():
    """Return two helices of 20 residues, chains B and D, the second with a gap, far from 0."""
    helix = build_backbone(np.full(20, -60.0), -45.0)
    number = np.r_[5:25, 1:11, 21:30, 29]
    return Backbone.from_coordinates(
        np.concatenate([helix, helix + np.array([0.0, 12.0, 3.0])]) + 500.0,
        chain_id=np.repeat(["B", "D"], 20),
        residue_index=np.r_[0:20, 300:310, 320:330],
        residue_number=number,
        insertion_code=np.r_[[""] * 39, ["A"]],
        name="start",
    )


@pytest.fixture(scope="module")
def ring(start):
    """Return two helices that a half turn about z carries into each other."""
    helix = start.coordinates[:20] - start.coordinates[0, 0] + np.array([7.0, 3.0, 0.0])
    return Backbone.from_coordinates(
        parse_point_group("C2").assemble(helix), chain_id=np.repeat(["A", "B"], 20), name="ring"
    )


def begin(model, start, noise, batch, steps=20):
    mask = make_residue_mask([40] * batch)
    index = torch.from_numpy(start.residue_index).expand(batch, -1)
    scene = Scene(model, mask, index, torch.zeros_like(index))
    sde = LinearVPSDE()
    drawn = ProjectedNoise(GaussianNoise(torch.Generator().manual_seed(0)), model.subspace(mask))
    times = KarrasGrid()(sde, steps)
    x_t, left = PartialDiffusion(start, noise).begin(sde, times, drawn, scene)
    return sde, times, x_t, left


@pytest.mark.parametrize(("noise", "left"), [(0.001, 1), (0.4, 8), (0.5, 10), (1.0, 20)])
def test_a_share_of_the_steps_is_left(tiny_model, start, noise, left):
    _, times, _, found = begin(tiny_model, start, noise, 1)
    assert torch.equal(found, times[20 - left :])


def test_the_start_has_the_law_of_the_forward_kernel(tiny_model, start):
    batch = 1000
    sde, _, x_t, times = begin(tiny_model, start, 0.4, batch)
    alpha, sigma = float(sde.alpha(times[0])), float(sde.sigma(times[0]))
    atoms = start.coordinates[:, :3].astype(float)
    clean = torch.from_numpy(atoms - atoms.mean(axis=(0, 1))) / tiny_model.scale
    deviation = (x_t - alpha * clean) / sigma
    assert deviation.mean(dim=0).abs().max() < 5 / batch**0.5
    # Less the three directions of the centre.
    expected = 1 - 1 / 120
    assert abs(float(deviation.square().mean()) - expected) < 5 * (2 / deviation.numel()) ** 0.5
    assert x_t.mean(dim=(1, 2)).abs().max() < 1e-5


@pytest.mark.parametrize("sampler", ["sde-dpm++2m", "heun", "dormand-prince"])
def test_without_noise_the_structure_comes_back(start, designer, sampler):
    conditioners = [PartialDiffusion(start, 1e-6)]
    settings = {"steps": 60, "sampler": sampler, "excluded_volume": False}
    (design,) = designer.generate(conditioners=conditioners, **settings, **FAST)
    assert superimpose(design.coordinates[:, :3], start.coordinates[:, :3]).rmsd < 0.3


def test_more_noise_leads_further(designer, start, tmp_path):
    found = []
    for noise in (0.1, 0.5, 1.0):
        task = Generation(
            None, 0, SamplingSettings(steps=10, **FAST), (PartialDiffusion(start, noise),)
        )
        (record,) = run_designs(designer, task, tmp_path / str(noise), 1).records
        found.append(record["rmsd_to_start"])
    assert found == sorted(found)
    assert found[0] < 3 < found[-1]


def test_the_chains_are_those_of_the_structure(designer, start):
    designs = designer.generate(num=2, conditioners=[PartialDiffusion(start, 0.2)], steps=5, **FAST)
    for design in designs:
        assert (design.residue_index == start.residue_index).all()
        assert design.labels == start.labels
        assert not design.motif_mask.any()
    records = designs.to_records()
    for design, record in zip(designs, records, strict=True):
        motion = superimpose(design.coordinates[:, :3], start.coordinates[:, :3])
        assert record["rmsd_to_start"] == pytest.approx(motion.rmsd, abs=1e-3)
    assert records[0]["rmsd_to_start"] != records[1]["rmsd_to_start"]


def test_a_design_does_not_depend_on_its_batch(designer, start):
    task = Generation(None, 3, SamplingSettings(steps=5, **FAST), (PartialDiffusion(start),))
    together = list(designer.make(task, range(3)))
    alone = next(designer.make(task, [2]))
    assert np.abs(alone.backbone.coordinates - together[2].backbone.coordinates).max() < 1e-3


def test_where_it_starts_does_not_turn_or_move_the_run(designer, start):
    moved = start.with_coordinates(start.coordinates - 480.0)
    first, second = (
        designer.generate(conditioners=[PartialDiffusion(one, 0.3)], steps=5, **FAST)[0]
        for one in (start, moved)
    )
    assert np.abs(first.coordinates - second.coordinates).max() < 2e-2  # float32 at 500 Å


def test_what_cannot_be_a_start_is_refused(designer, start, tmp_path):
    for noise in (0.0, -1.0, 1.1, float("nan")):
        with pytest.raises(InputError, match="above 0, up to 1"):
            PartialDiffusion(start, noise)
    with pytest.raises(InputError, match="has 40 residues, and designs of 60 are asked for"):
        designer.generate(60, conditioners=[PartialDiffusion(start)])
    one_chain = Backbone.from_coordinates(start.coordinates)
    with pytest.raises(InputError, match="the design has a chain break after residue 20"):
        designer.generate(conditioners=[PartialDiffusion(one_chain), Symmetry("C2")])
    with pytest.raises(InputError, match="start in one place"):
        designer.generate(conditioners=[PartialDiffusion(start), PartialDiffusion(start)], steps=2)
    with pytest.raises(InputError):
        PartialDiffusion(tmp_path / "nothing.pdb")


def test_a_symmetric_start_says_how_long_its_chains_are(ring):
    conditions = (Symmetry("C2"), PartialDiffusion(ring, 0.3))
    assert Generation(None, 0, SamplingSettings(), conditions).chain_lengths.span == (20, 20)
    with pytest.raises(InputError, match="has 40 residues, which do not make 3 equal chains"):
        Generation(None, 0, SamplingSettings(), (Symmetry("C3"), PartialDiffusion(ring)))


def test_a_symmetric_start_may_stand_anywhere(designer, start, ring):
    turn = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    for placed in (ring, ring.with_coordinates(ring.coordinates @ turn + 60.0)):
        conditioners = [PartialDiffusion(placed, 1e-6), Symmetry("C2")]
        (made,) = designer.generate(conditioners=conditioners, steps=200, **FAST)
        assert superimpose(made.coordinates[:, :3], ring.coordinates[:, :3]).rmsd < 1.0
    with pytest.raises(InputError, match=r"start, where the designs start, is [0-9.]+ Å"):
        designer.generate(conditioners=[PartialDiffusion(start), Symmetry("C2")])

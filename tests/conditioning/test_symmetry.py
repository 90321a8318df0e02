"""Symmetry: groups, the subspace, its noise, and designs whose chains are each other's images."""

import numpy as np
import pytest
import torch

from protdiff.conditioning import Conditions, ExcludedVolume, Scene, SecondaryStructure, Symmetry
from protdiff.design import Designer, Generation, SamplingSettings, run_designs
from protdiff.diffusion import FunctionDenoiser, GaussianNoise, LinearVPSDE, SymmetricSubspace
from protdiff.errors import InputError
from protdiff.structure import read_backbone, rmsd
from protdiff.structure.chain_layout import ChainLayout
from protdiff.structure.point_group import parse_point_group

GROUPS = ("C2", "C3", "C5", "D2", "D3")
FAST = {"steps": 4, "step_scale": 1.0}


def make_scene(model, group, length=12, batch=2):
    chains = ChainLayout.of_one_chain(length).repeat(parse_point_group(group).order)
    rows = [torch.from_numpy(row) for row in (chains.residue_index, chains.chain_index)]
    index, chain = (row.expand(batch, -1) for row in rows)
    return Scene(model, torch.ones(batch, len(chains), dtype=torch.bool), index, chain)


@pytest.mark.parametrize("group", GROUPS)
def test_the_elements_are_a_group_of_proper_rotations(group):
    rotations = parse_point_group(group).rotations
    assert len(rotations) == parse_point_group(group).order
    assert np.allclose(rotations[0], np.eye(3))
    assert np.allclose(np.linalg.det(rotations), 1.0)
    assert np.allclose(rotations @ rotations.transpose(0, 2, 1), np.eye(3))
    products = np.einsum("aij,bjk->abik", rotations, rotations)
    distance = np.abs(products[:, :, None] - rotations).max(axis=(-1, -2))
    # Each product is one element, and each element appears once a row.
    assert ((distance < 1e-12).sum(axis=-1) == 1).all()
    assert (np.sort(distance.argmin(axis=-1)) == np.arange(len(rotations))).all()


@pytest.mark.parametrize("group", GROUPS)
def test_the_projection_is_orthogonal_and_makes_symmetric(group, measure_asymmetry):
    rotations = torch.from_numpy(parse_point_group(group).rotations)
    shape = (2, 4 * len(rotations), 3, 3)
    subspace = SymmetricSubspace(rotations, shape)
    x, y = torch.randn(2, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    once = subspace.project(x)
    assert (subspace.project(once) - once).abs().max() < 1e-12
    assert abs(float((once * y).sum() - (x * subspace.project(y)).sum())) < 1e-10
    assert once.mean(dim=(1, 2)).abs().max() < 1e-12
    assert measure_asymmetry(once[0], group) < 1e-12
    # The trace of a projection is its dimension.
    unit = torch.eye(shape[1] * 9, dtype=torch.float64).reshape(-1, *shape[1:])
    trace = (subspace.project(unit) * unit).sum()
    assert subspace.dimension.tolist() == [round(float(trace))] * 2


@pytest.mark.parametrize("group", GROUPS)
def test_noise_is_symmetric_and_of_unit_variance(tiny_model, group, measure_asymmetry):
    scene = make_scene(tiny_model, group, batch=400)
    noise = Symmetry(group).make_noise(GaussianNoise(torch.Generator().manual_seed(1)), scene)
    drawn = noise(torch.zeros(400, scene.residue_mask.shape[1], 3, 3))
    assert max(measure_asymmetry(one, group) for one in drawn[:5]) < 1e-5
    first = drawn[:, :12].flatten(1)
    # Without the translation along the axis, which a ring does not have.
    kept = 1 - (1 / 36 / 3 if group.startswith("C") else 0)
    error = 5 * (2 / first.numel()) ** 0.5
    assert abs(float(first.square().mean()) - kept) < error
    correlation = (first.T @ first / len(first)).fill_diagonal_(0)
    assert correlation.abs().max() < 5.5 * len(first) ** -0.5 + 1 / 36


@pytest.mark.parametrize("group", ["C2", "C3", "D2"])
@pytest.mark.parametrize("sampler", ["sde-dpm++2m", "heun"])
def test_designs_are_symmetric(designer, group, sampler, measure_asymmetry):
    order = parse_point_group(group).order
    designs = designer.generate(20, 2, conditioners=[Symmetry(group)], sampler=sampler, **FAST)
    for backbone in designs:
        assert len(backbone) == 20 * order
        assert "".join(backbone.chains) == "ABCDEF"[:order]
        assert backbone.segment_starts == list(range(0, 20 * order, 20))
        assert backbone.residue_number.tolist() == [*range(1, 21)] * order
        assert np.abs(backbone.coordinates).max() > 1.0
        assert measure_asymmetry(backbone.coordinates[:, :3], group) < 1e-4


def test_files_are_symmetric_and_the_run_goes_on(designer, tmp_path):
    task = Generation((14, 16), 0, SamplingSettings(**FAST), (Symmetry("C3"),))
    assert task.length_range == (42, 48)
    assert set(task.lengths) == {42, 45, 48}
    run_designs(designer, task, tmp_path, 2)
    result = run_designs(designer, task, tmp_path, 3)
    assert result.made == 1
    for record in result.records:
        backbone = read_backbone(tmp_path / record["file"])
        assert backbone.chains == ("A", "B", "C")
        first, *others = (backbone.select_chain(name).coordinates[:, :3] for name in "ABC")
        for rotation, chain in zip(parse_point_group("C3").rotations[1:], others, strict=True):
            assert rmsd(chain, first @ rotation.T) < 1e-3  # files have three decimals
    other = Generation((14, 16), 0, SamplingSettings(**FAST), (Symmetry("C4"),))
    with pytest.raises(InputError, match=r"C3.*now.*C4"):
        run_designs(designer, other, tmp_path, 3)


def test_a_design_does_not_depend_on_its_batch(designer):
    both = designer.generate(20, 2, conditioners=[Symmetry("C2")], batch_size=2, **FAST)
    one_by_one = designer.generate(20, 2, conditioners=[Symmetry("C2")], batch_size=1, **FAST)
    for first, second in zip(both, one_by_one, strict=True):
        assert np.abs(first.coordinates - second.coordinates).max() < 1e-3


@pytest.mark.parametrize("group", ["C2", "C3", "D2"])
def test_excluded_volume_keeps_the_symmetry(tiny_model, group, measure_asymmetry):
    scene = make_scene(tiny_model, group)
    subspace = Symmetry(group).make_subspace(scene)
    # Overlapping everywhere, over the ends of chains too.
    generator = torch.Generator().manual_seed(0)
    clean = subspace.project(torch.randn(2, scene.residue_mask.shape[1], 3, 3, generator=generator))
    clean = clean * 5.0 / tiny_model.scale

    def relieve(residue_index):
        moved = ExcludedVolume(
            FunctionDenoiser(LinearVPSDE(), lambda x_t, t: clean),
            scene.residue_mask,
            tiny_model.subspace(scene.residue_mask),
            scale=tiny_model.scale,
            residue_index=residue_index,
        )(clean, torch.tensor(1e-4))
        assert (moved - clean).abs().max() * tiny_model.scale > 0.1
        return measure_asymmetry(moved[0] * tiny_model.scale, group)

    assert relieve(scene.residue_index) < 1e-4
    assert relieve(None) > 1e-3  # the last of a chain would then be held to the first of the next


def test_secondary_structure_is_that_of_each_chain(tiny_model):
    symmetry, wanted = Symmetry("C2"), SecondaryStructure("10H10E")
    plan = Generation(20, conditioners=(symmetry, wanted)).plan(0)
    assert plan.secondary.states == ("H" * 10 + "E" * 10) * 2
    with pytest.raises(InputError, match="names 20 residues and the design has 40"):
        Generation(40, conditioners=(symmetry, wanted))


def test_what_cannot_be_symmetric_is_refused(designer, tiny_model):
    for text in ("C1", "D1", "T", "C", "C3x", "", "C9999", "Cs"):
        with pytest.raises(InputError, match="there is no symmetry"):
            Symmetry(text)
    with pytest.raises(InputError, match="600 residues are asked for; the network makes 30 to 512"):
        designer.generate(200, conditioners=[Symmetry("C3")])
    with pytest.raises(InputError, match="100 residues do not divide by 3"):
        Symmetry("C3").check(100)
    with pytest.raises(InputError, match="has 2 chains already"):
        designer.generate(20, conditioners=[Symmetry("C2"), Symmetry("C3")])
    scene = make_scene(tiny_model, "C3")
    with pytest.raises(InputError, match="this design has others"):
        Conditions(scene, [Symmetry("C2")]).wrap(FunctionDenoiser(LinearVPSDE(), lambda x, t: x))


def test_it_is_the_network_that_is_averaged(designer: Designer):
    """What is left of the noise goes: the estimate is the network's own, projected."""
    model = designer.model
    scene = make_scene(model, "C2", length=20, batch=1)
    symmetry = Symmetry("C2")
    start = symmetry.make_subspace(scene).project(
        torch.randn(1, 40, 3, 3, generator=torch.Generator().manual_seed(0))
    )
    plain = model.denoiser(
        scene.residue_mask, residue_index=scene.residue_index, self_condition=False
    )
    t = torch.tensor(0.3)
    wrapped = symmetry.wrap(plain, scene)(start, t)
    turned = plain(start, t).unflatten(1, (2, 20)).flip(1).flatten(1, 2)
    turned = turned * torch.tensor([-1.0, -1.0, 1.0])
    average = (plain(start, t) + turned) / 2
    assert (wrapped - average).abs().max() < 1e-5

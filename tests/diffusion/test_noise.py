import pytest
import torch

from protdiff.diffusion import (
    CentredSubspace,
    CorrelatedNoise,
    FullSpace,
    GaussianNoise,
    Noise,
    PerSampleNoise,
    PolymerMap,
    ProjectedNoise,
    ScaledNoise,
)
from protdiff.errors import InputError


def seeds(*numbers):
    return [torch.Generator().manual_seed(number) for number in numbers]


def make_mask(*lengths):
    return torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


def test_noise_follows_the_tensor():
    for dtype in (torch.float32, torch.float64):
        like = torch.zeros(3, 4, dtype=dtype)
        assert GaussianNoise(*seeds(0))(like).dtype == dtype
        assert PerSampleNoise(seeds(0, 1, 2))(like).dtype == dtype


def test_an_element_does_not_depend_on_its_batch_or_padding():
    batch = PerSampleNoise(seeds(7, 8), lengths=[5, 3])
    alone = PerSampleNoise(seeds(8), lengths=[3])
    for _ in range(3):
        together = batch(torch.zeros(2, 5, 3, 3))[1]
        single = alone(torch.zeros(1, 3, 3, 3))[0]
        assert torch.equal(together[:3], single)
        assert not together[3:].any()


def test_too_few_generators_are_refused():
    with pytest.raises(InputError, match="generator"):
        PerSampleNoise(seeds(0))(torch.zeros(2, 3))
    with pytest.raises(InputError, match="length"):
        PerSampleNoise(seeds(0), lengths=[1, 2])


class Remembering(Noise):
    """Noise that remembers which element of the batch is which."""

    def __init__(self):
        self.names = torch.arange(3)

    def __call__(self, like):
        return torch.zeros_like(like)

    def reorder(self, indices):
        self.names = self.names[indices]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda noise: ScaledNoise(noise, 0.5),
        lambda noise: ProjectedNoise(noise, CentredSubspace(make_mask(4, 4, 4))),
        lambda noise: CorrelatedNoise(noise, PolymerMap(4, 0.5)),
    ],
)
def test_every_noise_hands_reordering_on(wrap):
    inner = Remembering()
    wrap(inner).reorder(torch.tensor([2, 0, 0]))
    assert inner.names.tolist() == [2, 0, 0]


def test_projection_is_one():
    subspace = CentredSubspace(make_mask(4, 6))
    x, y = torch.randn(2, 2, 6, 3, 3, generator=torch.Generator().manual_seed(0)).double()
    once = subspace.project(x)
    torch.testing.assert_close(subspace.project(once), once)
    torch.testing.assert_close((once * y).sum(), (x * subspace.project(y)).sum())
    torch.testing.assert_close(once.sum((1, 2)), torch.zeros(2, 3).double())
    assert not once[0, 4:].any()


def test_what_stands_on_padding_does_not_matter():
    subspace = CentredSubspace(make_mask(4, 6))
    x = torch.randn(2, 6, 3, 3)
    expected = subspace.project(x)
    for value in (1e30, float("inf"), float("nan")):
        x[0, 4:] = value
        assert torch.equal(subspace.project(x), expected)


@pytest.mark.parametrize("atoms", [1, 3])
def test_dimension_is_the_trace_of_the_projection(atoms):
    mask = make_mask(2, 4)
    subspace, size = CentredSubspace(mask, atoms=atoms), 4 * atoms * 3
    basis = torch.eye(size).reshape(size, 1, 4, atoms, 3).expand(size, 2, 4, atoms, 3)
    projected = torch.stack([subspace.project(vector) for vector in basis])
    trace = torch.einsum("ibj,ij->b", projected.flatten(2), torch.eye(size))
    torch.testing.assert_close(trace, subspace.dimension.float())
    assert FullSpace((3, 4, 5)).dimension.tolist() == [20, 20, 20]


def test_clouds_of_one_atom_need_no_atom_axis():
    subspace = CentredSubspace(make_mask(3), atoms=1)
    x = torch.randn(1, 3, 3)
    torch.testing.assert_close(subspace.project(x), subspace.project(x[:, :, None])[:, :, 0])


@pytest.mark.parametrize("shape", [(1, 3, 3), (1, 3, 4, 3), (1, 4, 3, 3)])
def test_clouds_of_other_atoms_are_refused(shape):
    """Their mean would be taken over a number of atoms that they do not have."""
    with pytest.raises(InputError, match="3 residues of 3 atoms"):
        CentredSubspace(make_mask(3)).project(torch.ones(shape))


def test_an_integer_mask_is_refused():
    with pytest.raises(InputError, match="bool"):
        CentredSubspace(torch.ones(2, 3))


@pytest.mark.statistical
def test_projected_noise_has_the_projection_as_covariance():
    subspace = CentredSubspace(make_mask(3).expand(20_000, 3), atoms=1)
    noise = ProjectedNoise(ScaledNoise(GaussianNoise(*seeds(3)), 2.0), subspace)
    draws = noise(torch.zeros(20_000, 3, 3))[:, :, 0]
    expected = 4 * (torch.eye(3) - 1 / 3)
    # Four standard errors of a covariance, whose entries are at most 4 · 2/3.
    torch.testing.assert_close(draws.T.cov(), expected, rtol=0, atol=4 * 2.7 * (2 / 20_000) ** 0.5)


def test_numbers_are_events_of_size_one():
    def draw(like):
        noise = PerSampleNoise([torch.Generator().manual_seed(seed) for seed in (3, 4)])
        return noise(like)

    assert torch.equal(draw(torch.zeros(2)), draw(torch.zeros(2, 1))[:, 0])

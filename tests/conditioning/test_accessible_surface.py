"""The surface beside a structure: depths of balls, and the way out from anywhere."""

import pytest
import torch

from protdiff.conditioning.accessible_surface import AccessibleSurface

RADIUS = 6.0


@pytest.fixture(scope="module")
def globule():
    """Points 3.8 Å apart in a ball of 13 Å."""
    axis = torch.arange(-3, 4, dtype=torch.float64)
    grid = 3.8 * torch.cartesian_prod(axis, axis, axis)
    return grid[grid.norm(dim=1) < 13.0]


def test_depth_in_one_ball_is_that_of_its_samples(laws):
    centre = torch.tensor([[3.0, -2.0, 40.0]], dtype=torch.float64)
    surface = AccessibleSurface(centre, RADIUS)
    assert torch.allclose(surface.normals.norm(dim=1), torch.ones(200).double())
    for distance in (0.5, 3.0, 5.99):
        x = centre + distance * laws.random_rotation(int(10 * distance))[0]
        # A sample is no further than 0.8 Å from any place on the sphere: 6 (1 - cos(0.8 / 6)).
        assert 0.0 <= surface.measure_depth(x).item() - (RADIUS - distance) < 0.06
    assert surface.measure_depth(centre + torch.tensor([0.0, 0.0, 6.01])).item() == 0.0


def test_depth_in_a_globule_is_the_way_out(globule):
    surface = AccessibleSurface(globule, RADIUS)
    generator = torch.Generator().manual_seed(0)
    x = 9.0 * torch.randn(500, 3, generator=generator, dtype=torch.float64)
    depth = surface.measure_depth(x)
    nearest = torch.cdist(x, globule).amin(dim=1)
    assert ((depth > 0) == (nearest < RADIUS)).all()
    # Never less than what the nearest point asks, nor much more than the way to the nearest exit.
    assert (depth >= RADIUS - nearest - 1e-9).all()
    exits = torch.cdist(x, surface.samples).amin(dim=1)
    assert (depth <= torch.maximum(exits, RADIUS - nearest) + 1e-9).all()
    # In the middle the exit is further off than any point is.
    assert surface.measure_depth(torch.zeros(1, 3).double()).item() > 13.0


def test_following_the_gradient_leads_out_of_a_globule(globule):
    surface = AccessibleSurface(globule, RADIUS)
    generator = torch.Generator().manual_seed(1)
    x = 3.0 * torch.randn(100, 3, generator=generator, dtype=torch.float64)
    assert (surface.measure_depth(x) > 3).all()
    for _ in range(20):
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(surface.measure_depth(x).square().sum() / 2, x)
        x = x - gradient
    assert surface.measure_depth(x).max() < 0.1


def test_depth_keeps_shape_and_precision(globule):
    surface = AccessibleSurface(globule, RADIUS)
    x = 8.0 * torch.randn(4, 7, 3, generator=torch.Generator().manual_seed(2))
    depth = surface.measure_depth(x)
    assert depth.shape == (4, 7)
    assert depth.dtype == torch.float32
    assert torch.allclose(depth.double(), surface.measure_depth(x.double()), atol=1e-4)
    assert not surface.measure_depth(x + 100.0).any()

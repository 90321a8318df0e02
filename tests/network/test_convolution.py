"""The convolution along the chain: equivariant, local, and what the harmonics add."""

import pytest
import torch
from e3nn import o3

from protdiff.network.convolution import ChainConvolution

EXACT = 1e-9


@pytest.fixture(autouse=True)
def in_double_precision():
    """Of e3nn's constants as well, which are rounded where a module is made."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def make(lmax, reach=2):
    torch.manual_seed(0)
    return ChainConvolution(6, 4, reach, lmax, scale=8.0, channels=5)


def draw(count=9):
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randn(1, count, size, generator=generator, dtype=torch.float64) for size in (6, 12, 3)
    ]


def run(module, scalars, vectors, places, index=None, mask=None):
    count = places.shape[1]
    index = torch.arange(count)[None] if index is None else index
    mask = torch.ones(1, count, dtype=torch.bool) if mask is None else mask
    return module(scalars, vectors, places, index, mask)


@pytest.mark.parametrize("parity", [1, -1])
@pytest.mark.parametrize("lmax", [1, 2])
def test_it_turns_with_its_input(lmax, parity):
    module, (scalars, vectors, places) = make(lmax), draw()
    angles = torch.tensor([0.4, 1.3, -2.0], dtype=torch.float64)
    turn = parity * o3.angles_to_matrix(*angles)
    turns = torch.block_diag(*[turn] * 4)
    plain = run(module, scalars, vectors, places)
    turned = run(module, scalars, vectors @ turns.mT, places @ turn.mT + 3.0)
    assert (turned[0] - plain[0]).abs().max() < EXACT
    assert (turned[1] - plain[1] @ turns.mT).abs().max() < EXACT
    assert plain[0].abs().max() > 0.01 < plain[1].abs().max()


@pytest.mark.parametrize("changed", ["scalars", "vectors", "places"])
def test_only_neighbours_are_seen(changed):
    module, inputs = make(2), dict(zip(("scalars", "vectors", "places"), draw(), strict=True))
    plain = torch.cat(run(module, **inputs), dim=-1)
    inputs[changed] = inputs[changed].clone()
    inputs[changed][:, 4] += 1.0
    seen = (torch.cat(run(module, **inputs), dim=-1) - plain).abs().amax(-1)[0] > EXACT
    # A residue's own features are no message to it; its place is where its neighbours stand.
    own = changed == "places"
    assert seen.tolist() == [False, False, True, True, own, True, True, False, False]


def test_nobody_is_a_neighbour_over_a_break_or_in_the_padding():
    module, inputs = make(1), draw()
    index = torch.tensor([[0, 1, 2, 10, 11, 12, 13, 14, 15]])
    mask = torch.arange(9)[None] < 8
    plain = torch.cat(run(module, *inputs, index, mask), dim=-1)
    pieces = [
        torch.cat(run(module, *(each[:, part] for each in inputs)), dim=-1)
        for part in (slice(0, 3), slice(3, 8))
    ]
    expected = torch.cat([*pieces, torch.zeros_like(plain[:, :1])], dim=1)
    bias = plain[:, 8:]  # of nobody
    assert (plain[:, :8] - expected[:, :8]).abs().max() < EXACT
    assert bias.abs().max() < EXACT
    # Places that are numbered on as the reach would have it, but stand elsewhere in the arrays.
    jump = torch.tensor([[0, 1, 2, 3, 4, 5, 6, 8, 9]])
    parts = [slice(0, 7), slice(7, 9)]
    split = torch.cat(run(make(1, 1), *inputs, jump), dim=-1)
    for part in parts:
        alone = torch.cat(run(make(1, 1), *(each[:, part] for each in inputs)), dim=-1)
        assert (split[:, part] - alone).abs().max() < EXACT


def test_degree_two_adds_one_path():
    assert make(2).product.weight_numel == make(1).product.weight_numel + 5

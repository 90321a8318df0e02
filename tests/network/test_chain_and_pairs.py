"""What the network reads off a structure: displacements along the chain, invariants of pairs."""

import pytest
import torch

from protdiff.chains import CHAIN_JUMP
from protdiff.network import get_preconditioning, pair_block
from protdiff.network.chain import (
    ChainGeometry,
    get_chain_links,
    get_chain_numbers,
    get_chain_vectors,
)
from protdiff.network.embedding import ChainEmbedding
from protdiff.network.pair import RADIAL_BASES, get_pair_features
from protdiff.network.pair_block import list_blocks


def test_chain_vectors_are_displacements(inputs):
    index = torch.arange(24)[None]
    mask = torch.ones(3, 24, dtype=torch.bool)
    vectors = get_chain_vectors(inputs.noisy, get_chain_links(index, mask))
    x = inputs.noisy
    assert torch.equal(vectors[:, 4, 2], x[:, 5, 0] - x[:, 4, 2])  # C to the next N
    assert torch.equal(vectors[:, 4, 3], x[:, 3, 2] - x[:, 4, 0])  # N to the last C
    assert torch.equal(vectors[:, 4, 10], x[:, 0, 1] - x[:, 4, 1])  # CA to CA four before
    assert (vectors[:, -1, 2] == 0).all()
    assert (vectors[:, 0, 3] == 0).all()


def test_chain_vectors_stop_at_breaks_and_padding(inputs):
    links = get_chain_links(inputs.residue_index, inputs.residue_mask)
    vectors = get_chain_vectors(inputs.noisy, links)
    assert (vectors[2, 8, 2] == 0).all()  # the break is after residue 8 of the third chain
    assert (vectors[2, 7, 6] == 0).all()
    assert (vectors[2, 7, 2] != 0).any()
    assert (vectors[1, 16, 2] == 0).all()  # the second chain has 17 residues


def test_chains_shorter_than_the_window_have_no_far_neighbours():
    links = get_chain_links(torch.arange(3)[None], torch.ones(1, 3, dtype=torch.bool))
    vectors = get_chain_vectors(torch.randn(1, 3, 3, 3), links)
    assert vectors.shape == (1, 3, 11, 3)
    assert (vectors[:, :, 8:] == 0).all()


def test_pair_features_are_the_formulas(inputs):
    scale = 8.0
    features = get_pair_features(0.3 * inputs.noisy, inputs.handedness, scale)
    x = 0.3 * inputs.noisy[1] * scale  # near enough for the radial bases
    i, j = 3, 11
    displacement = x[j, 1] - x[i, 1]
    distance = displacement.norm()
    first, second = x[:, 0] - x[:, 1], x[:, 2] - x[:, 1]
    third = inputs.handedness[1] * torch.linalg.cross(first, second)
    direction = displacement / (distance + 1)
    found = features[1, :, i, j]
    spacing = 20 / (RADIAL_BASES - 1)
    for k in range(RADIAL_BASES):
        expected = float((-(((distance - 2 - k * spacing) / spacing) ** 2)).exp())
        assert found[k] == pytest.approx(expected, abs=1e-6)
    for k, (vectors, soften) in enumerate(((first, 0.3), (second, 0.3), (third, 0.5))):
        unit = vectors / (vectors.square().sum(-1, keepdim=True) + soften**2).sqrt()
        assert found[RADIAL_BASES + k] == pytest.approx(float(direction @ unit[i]), abs=1e-9)
        assert found[RADIAL_BASES + 3 + k] == pytest.approx(float(direction @ unit[j]), abs=1e-9)
        assert found[RADIAL_BASES + 6 + 4 * k] == pytest.approx(float(unit[i] @ unit[j]), abs=1e-9)


def test_known_pairs_are_described_from_the_motif(inputs):
    known = torch.zeros(3, 24, 24, dtype=torch.bool)
    known[:, 2:5, 2:5] = True
    features = get_pair_features(inputs.noisy, inputs.handedness, 8.0, (known, inputs.motif))
    of_motif = get_pair_features(inputs.motif, inputs.handedness, 8.0)
    plain = get_pair_features(inputs.noisy, inputs.handedness, 8.0)
    assert torch.equal(features[:, :, 3, 4], of_motif[:, :, 3, 4])
    assert torch.equal(features[:, :, 3, 9], plain[:, :, 3, 9])


def test_residues_far_apart_leave_radial_bases_that_are_small_and_not_denormal(inputs):
    """exp takes a CPU many times longer where its result is denormal; so far down, none matters."""
    features = get_pair_features(10.0 * inputs.noisy.float(), inputs.handedness.float(), 8.0)
    radial = features[:, :RADIAL_BASES]
    assert radial.min() >= torch.finfo(radial.dtype).tiny
    assert radial.min() < 1e-30


def test_blocks_are_all_pairs_once(monkeypatch):
    for batch, count, pairs in ((5, 24, 2**15), (2, 24, 100), (7, 10, 250), (1, 7, 1)):
        monkeypatch.setattr(pair_block, "BLOCK", pairs)
        seen = torch.zeros(batch, count, count)
        with torch.no_grad():
            for proteins, rows in list_blocks(batch, count, seen.device):
                seen[proteins, rows] += 1
                assert seen[proteins, rows].numel() <= max(pairs, count)
        assert (seen == 1).all()
    assert len(list_blocks(1, 7, seen.device)) == 1  # gradients are recorded


def test_estimates_do_not_depend_on_how_pairs_are_divided(network, inputs, monkeypatch):
    whole = network(**vars(inputs))  # gradients are recorded: one block
    for pairs in (2 * 24 * 24, 100):  # two proteins; a few rows
        monkeypatch.setattr(pair_block, "BLOCK", pairs)
        with torch.no_grad():
            divided = network(**vars(inputs))
        torch.testing.assert_close(divided, whole, rtol=1e-10, atol=1e-12)


def test_chain_embedding_counts_from_both_ends():
    embedding = ChainEmbedding(6, reach=4)
    mask = torch.arange(12) < torch.tensor([[12], [9]])
    out = embedding(torch.zeros(1, 12, dtype=torch.int64), mask)
    assert torch.equal(out[0, 5], out[0, 6])  # both farther than the reach from either end
    assert not torch.equal(out[0, 11], out[0, 6])
    assert not torch.equal(out[0, 5], out[1, 5])  # another length, nearer the end


def test_each_chain_is_embedded_as_if_it_were_alone():
    embedding = ChainEmbedding(6, reach=4)
    index = torch.cat([torch.arange(9), 9 + CHAIN_JUMP + torch.arange(12)])[None]
    beside = embedding(get_chain_numbers(index), torch.arange(24)[:21][None] < 21)
    for part in (slice(0, 9), slice(9, 21)):
        mask = torch.ones_like(index[:, part], dtype=torch.bool)
        alone = embedding(torch.zeros_like(index[:, part]), mask)
        torch.testing.assert_close(beside[:, part], alone)


def test_a_gap_begins_no_chain():
    index = torch.tensor([[0, 1, CHAIN_JUMP, CHAIN_JUMP + 1, 2 * CHAIN_JUMP + 1, 0, 0]])
    assert get_chain_numbers(index).tolist() == [[0, 0, 0, 0, 1, 1, 1]]  # the last is padding


def test_preconditioning_keeps_unit_variance():
    """For Gaussian data of unit variance the target of F has unit variance, and input too."""
    s = torch.logspace(-3, 2, 9, dtype=torch.float64)
    skip, out, scale_in = get_preconditioning(s)
    variance_of_target = ((1 - skip) ** 2 + (skip * s) ** 2) / out**2
    assert torch.allclose(variance_of_target, torch.ones_like(s))
    assert torch.allclose(scale_in**2 * (1 + s**2), torch.ones_like(s))


def test_all_chain_vectors_are_the_table():
    table = [
        (1, 0, 0),
        (1, 0, 2),
        (2, 1, 0),
        (0, -1, 2),
        *((1, k, 1) for k in (1, -1, 2, -2, 3, 4, -4)),
    ]
    x = torch.randn(1, 12, 3, 3, generator=torch.Generator().manual_seed(0))
    links = get_chain_links(torch.arange(12)[None], torch.ones(1, 12, dtype=torch.bool))
    vectors = get_chain_vectors(x, links)
    for place, (here, offset, there) in enumerate(table):
        assert torch.equal(vectors[0, 5, place], x[0, 5 + offset, there] - x[0, 5, here])


def test_chain_geometry_is_the_formulas():
    scale = 8.0
    module = ChainGeometry(7, 3, scale).double()
    vectors = torch.randn(1, 2, 11, 3, generator=torch.Generator().manual_seed(0)).double()
    usual = (
        torch.tensor([1.46, 1.525, 1.33, 1.33, 3.81, 3.81, 5.9, 5.9, 7.2, 8.5, 8.5]).double()
        / scale
    )
    norms = vectors.norm(dim=-1)
    unit = vectors / (norms + 0.05 * usual)[..., None]
    first, second = torch.triu_indices(11, 11, offset=1)
    cosines = (unit[:, :, first] * unit[:, :, second]).sum(-1)
    excess = (norms - usual) * scale
    seen = torch.cat([(excess / 0.15).tanh(), (excess / 1.5).tanh(), cosines], -1)
    bounded = vectors / (usual + 0.25 * norms)[..., None]
    scalars, out = module(vectors)
    torch.testing.assert_close(scalars, module.to_scalars(seen), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(out, module.to_vectors(bounded.flatten(-2)), rtol=1e-4, atol=1e-5)


def test_links_need_both_residues():
    mask = torch.tensor([[True, True, True, False, True, True]])
    links = get_chain_links(torch.arange(6)[None], mask)[0]
    assert links[:, 2].tolist() == [True, True, False, False, True, False]  # to the next N
    assert links[:, 3].tolist() == [False, True, True, False, False, True]
    assert links[:, 0].tolist() == mask[0].tolist()

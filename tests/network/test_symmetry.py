"""The laws of the network: rotation, reflection, translation, batch order, padding, motif pose."""

import dataclasses
import subprocess
import sys

import pytest
import torch
from e3nn import o3
from e3nn.util.test import equivariance_error

from protdiff.chains import CHAIN_JUMP
from protdiff.network import NetworkConfig, ScoreNetwork
from protdiff.network.attention import GeometricAttention
from protdiff.network.chain import ChainGeometry
from protdiff.network.update import NodeUpdate, VectorNorm

EXACT = 1e-9  # double precision, with room for the sums of a few thousand terms


def run(network, inputs):
    return network(**vars(inputs)).final


def rotation():
    angles = torch.tensor([0.4, 1.3, -2.0], dtype=torch.float64)
    return o3.angles_to_matrix(*angles)


def turn_vectors(turn, channels):
    """Return what turns channels of 1o; e3nn's own D matrices are exact to single precision."""
    return torch.block_diag(*[turn] * channels)


@pytest.mark.parametrize("determinant", [1, -1])
def test_network_turns_with_its_input(network, inputs, determinant):
    turn = determinant * rotation()
    expected = run(network, inputs) @ turn.mT
    assert (run(network, inputs.turned(turn)) - expected).abs().max() < EXACT


def test_network_knows_chirality(network, inputs):
    """Reflected without its handedness, a protein is another thing (f(-x, h) is not -f(x, h))."""
    mirrored = inputs.turned(-torch.eye(3, dtype=torch.float64))
    same_hand = mirrored.with_(handedness=inputs.handedness)
    difference = (run(network, same_hand) + run(network, inputs)).abs().amax(dim=(1, 2, 3))
    assert (difference > 1e-4).all()


def test_motif_is_read_without_its_pose(network, inputs):
    moved = inputs.motif @ rotation().mT + 5.0
    assert (run(network, inputs.with_(motif=moved)) - run(network, inputs)).abs().max() < EXACT


def test_motif_and_previous_estimate_are_read(network, inputs):
    reference = run(network, inputs)
    for changes in (
        {"motif": 1.3 * inputs.motif},
        {"motif_group": torch.zeros_like(inputs.motif_group)},
        {"previous": 1.3 * inputs.previous},
        {"previous": None},
        {"motif": None, "motif_group": None},
    ):
        assert (run(network, inputs.with_(**changes)) - reference)[:2].abs().max() > 1e-4


def test_what_is_told_of_secondary_structure_is_read(network, inputs):
    reference = run(network, inputs)
    for changes in (
        {"secondary": (inputs.secondary + 1) % 4},
        {"secondary": None},
        {"composition": inputs.composition.flip(-1)},
        {"composition": None},
    ):
        assert (run(network, inputs.with_(**changes)) - reference)[:2].abs().max() > 1e-4


def test_what_is_not_told_of_secondary_structure_adds_nothing(network, inputs):
    nothing = inputs.with_(secondary=None, composition=None)
    unknown = inputs.with_(
        secondary=torch.zeros_like(inputs.secondary),
        composition=torch.full_like(inputs.composition, torch.nan),
    )
    with torch.no_grad():
        network.secondary.weight[0] = 0.0  # where training leaves it
    assert torch.equal(run(network, unknown), run(network, nothing))


def test_what_is_told_of_residue_types_is_read_and_what_is_not_adds_nothing(network, inputs):
    reference = network(**vars(inputs))
    for other in (inputs.residue_types.flip(-1), None):
        estimates = network(**vars(inputs.with_(residue_types=other)))
        for one, changed in zip(reference, estimates, strict=True):
            assert (one - changed)[:2].abs().max() > 1e-4
    nothing = network(**vars(inputs.with_(residue_types=None)))
    zeros = inputs.with_(residue_types=torch.zeros_like(inputs.residue_types))
    for one, other in zip(network(**vars(zeros)), nothing, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("determinant", [1, -1])
def test_expected_residue_types_do_not_turn(network, inputs, determinant):
    found = network(**vars(inputs)).residue_types
    turned = network(**vars(inputs.turned(determinant * rotation()))).residue_types
    assert found.std(dim=(1, 2)).min() > 1e-2
    assert (found - turned).abs().max() < EXACT


def test_output_is_mean_free_and_zero_on_padding(network, inputs):
    output = run(network, inputs)
    assert output.mean(dim=(1, 2)).abs().max() < EXACT
    assert (output[~inputs.residue_mask] == 0).all()


def test_batch_order_does_not_matter(network, inputs):
    order = torch.tensor([2, 0, 1])
    shuffled = inputs.with_(**{name: value[order] for name, value in vars(inputs).items()})
    assert (run(network, shuffled) - run(network, inputs)[order]).abs().max() < EXACT


def test_padding_does_not_matter(network, inputs):
    length = int(inputs.residue_mask[1].sum())
    alone = inputs.with_(
        **{
            name: value[1:2, :length] if value.ndim > 1 and value.shape[1] > 2 else value[1:2]
            for name, value in vars(inputs).items()
        }
    )
    assert (run(network, alone) - run(network, inputs)[1:2, :length]).abs().max() < EXACT


def test_chain_break_is_seen(network, inputs):
    unbroken = inputs.with_(residue_index=torch.arange(24).repeat(3, 1))
    difference = (run(network, unbroken) - run(network, inputs)).abs().amax(dim=(1, 2, 3))
    assert difference[2] > 1e-4
    assert difference[:2].max() < EXACT


def test_the_order_of_chains_does_not_matter(network, inputs):
    """A chain stands beside another: which of them comes first in the file says nothing."""
    index = torch.arange(24).repeat(3, 1)
    index[:, 9:] += CHAIN_JUMP
    complex_ = inputs.with_(residue_index=index, residue_mask=torch.ones(3, 24, dtype=torch.bool))
    order = torch.cat([torch.arange(9, 24), torch.arange(9)])
    moved = {
        name: value[:, order]
        for name, value in vars(complex_).items()
        if value.ndim > 1 and value.shape[1] == 24
    }
    moved["residue_index"] = torch.cat([index[:, 9:], index[:, :9] + 3 * CHAIN_JUMP], dim=1)
    found = run(network, complex_.with_(**moved))
    assert (found - run(network, complex_)[:, order]).abs().max() < EXACT
    one_chain = complex_.with_(residue_index=torch.arange(24).repeat(3, 1))
    assert (run(network, one_chain) - run(network, complex_)).abs().max() > 1e-4


def test_without_weights_the_guess_is_the_preconditioned_input(network, inputs):
    """A network that moves nothing returns c_skip y, which is right for Gaussian data."""
    weights = [layer.move.weight.clone() for layer in network.layers]
    for layer in network.layers:
        layer.move.weight.zero_()
    try:
        skip = 1 / (1 + inputs.noise_ratio.square())
        expected = inputs.noisy * skip[:, None, None, None]
        assert torch.allclose(run(network, inputs), expected, atol=EXACT)
    finally:
        for layer, weight in zip(network.layers, weights, strict=True):
            layer.move.weight.copy_(weight)


@pytest.mark.parametrize("parity", [1, -1])
@pytest.mark.parametrize("module", [VectorNorm(6), NodeUpdate(8, 6, 16, products=4)])
def test_node_modules_are_equivariant_as_declared(module, parity):
    """E3nn's own judge, on the irreps that the modules declare."""
    module = module.double()
    turn = parity * rotation()
    vectors = torch.randn(2, 5, 18, dtype=torch.float64)
    d_vectors = turn_vectors(turn, 6)
    if isinstance(module, VectorNorm):
        error = (module(vectors @ d_vectors.mT) - module(vectors) @ d_vectors.mT).abs().max()
        assert error < EXACT
        return
    scalars = torch.randn(2, 5, 8, dtype=torch.float64)
    hand = torch.tensor(1.0, dtype=torch.float64)
    plain = module(scalars, vectors, hand)
    turned = module(scalars, vectors @ d_vectors.mT, hand * parity)
    assert (turned[0] - plain[0]).abs().max() < EXACT
    assert (turned[1] - plain[1] @ d_vectors.mT).abs().max() < EXACT


@pytest.mark.parametrize("parity", [1, -1])
def test_attention_is_equivariant_and_sees_no_origin(parity):
    attention = GeometricAttention(8, 6, heads=2, head_width=4, points=3).double()
    turn = parity * rotation()
    d_vectors = turn_vectors(turn, 6)
    scalars, vectors, places = (torch.randn(2, 7, size, dtype=torch.float64) for size in (8, 18, 3))
    bias = torch.randn(2, 2, 7, 7, dtype=torch.float64)
    plain = attention(scalars, vectors, places, bias)
    moved = attention(scalars, vectors @ d_vectors.mT, places @ turn.mT + 2.0, bias)
    assert (moved[0] - plain[0]).abs().max() < EXACT
    assert (moved[1] - plain[1] @ d_vectors.mT).abs().max() < EXACT


def test_attention_formula_and_fused_kernel_agree():
    """The CPU's training path is written out; inference takes torch's fused kernel."""
    attention = GeometricAttention(8, 6, heads=2, head_width=4, points=3).double()
    scalars, vectors, places = (torch.randn(2, 7, size, dtype=torch.float64) for size in (8, 18, 3))
    bias = torch.randn(2, 2, 7, 7, dtype=torch.float64)
    bias[..., 5:] = float("-inf")
    fused = attention(scalars, vectors, places, bias)
    written_out = attention(scalars, vectors, places, bias.requires_grad_())
    for one, other in zip(fused, written_out, strict=True):
        assert (one - other).abs().max() < EXACT


def test_attention_weights_follow_distance():
    """With no scalars and no offsets, the logit is minus a weighted squared distance."""
    attention = GeometricAttention(4, 2, heads=1, head_width=4, points=1).double()
    with torch.no_grad():
        attention.to_qkv.weight.zero_()
        attention.to_points.weight.zero_()
        attention.log_sharpness.zero_()
        attention.from_points.weight.fill_(1.0)
    places = torch.randn(1, 6, 3, dtype=torch.float64)
    _, vectors = attention(
        torch.zeros(1, 6, 4, dtype=torch.float64),
        torch.zeros(1, 6, 6, dtype=torch.float64),
        places,
        torch.zeros(1, 1, 6, 6, dtype=torch.float64),
    )
    weights = (-torch.cdist(places, places).square()).softmax(-1)
    expected = weights @ places - places
    assert torch.allclose(vectors[..., :3], expected, atol=EXACT)


def test_tensor_product_is_e3nns():
    """The product in the node update is equivariant by e3nn's own measure."""
    update = NodeUpdate(8, 6, 16, products=4)
    errors = equivariance_error(
        update.product,
        [torch.randn(5, 12), torch.randn(5, 12)],
        irreps_in=[update.product.irreps_in1, update.product.irreps_in2],
        irreps_out=[update.product.irreps_out],
        ntrials=2,
    )
    assert max(float(error.max()) for error in errors.values()) < 1e-5


def test_chain_geometry_gives_invariants_and_vectors():
    module = ChainGeometry(8, 4, scale=8.0).double()
    turn = -rotation()
    vectors = torch.randn(2, 5, 11, 3, dtype=torch.float64)
    plain, turned = module(vectors), module(vectors @ turn.mT)
    assert (turned[0] - plain[0]).abs().max() < EXACT
    assert (turned[1] - plain[1] @ turn_vectors(turn, 4).mT).abs().max() < EXACT


def test_pairs_that_are_not_refreshed_are_another_map_of_the_same_weights(inputs):
    config = NetworkConfig(layers=2, scalars=16, vectors=4, hidden=16, heads=2, pair_width=4)
    torch.manual_seed(0)
    refreshed = ScoreNetwork(config).double().eval()
    kept = ScoreNetwork(dataclasses.replace(config, pair_refresh=False)).double().eval()
    kept.load_state_dict(refreshed.state_dict())
    turn = -rotation()
    expected = run(kept, inputs)
    assert (run(kept, inputs.turned(turn)) - expected @ turn.mT).abs().max() < EXACT
    assert (run(refreshed, inputs) - expected).abs().max() > 1e-5


def test_bfloat16_leaves_geometry_in_single_precision(inputs):
    """Under autocast the output stays float32, near the exact one, and equivariant as before."""
    torch.manual_seed(0)
    network = ScoreNetwork(NetworkConfig(layers=2, scalars=32, vectors=8, hidden=32)).eval()
    single = inputs.with_(
        **{n: v.float() for n, v in vars(inputs).items() if v.is_floating_point()}
    )
    turn = rotation().float()
    reflected = single.turned(-turn)  # outside of autocast, which would round the input
    with torch.no_grad():
        exact = run(network, single)
        with torch.autocast("cpu", torch.bfloat16):
            rounded, turned = run(network, single), run(network, reflected)
    assert rounded.dtype == torch.float32
    error = (rounded - exact).abs().amax(dim=(1, 2, 3)) / exact.abs().amax(dim=(1, 2, 3))
    assert (error > 0).all()
    assert error.max() < 0.02
    assert (turned + rounded @ turn.mT).abs().max() < 0.02 * exact.abs().max()


@pytest.mark.parametrize("learned", [False, True])
def test_attention_is_the_formula(learned):
    torch.manual_seed(0)
    heads, width, points = 2, 4, 3
    torch.set_default_dtype(torch.float64)
    try:
        module = GeometricAttention(5, 4, heads=heads, head_width=width, points=points)
    finally:
        torch.set_default_dtype(torch.float32)
    scalars, vectors, places = (
        torch.randn(1, 6, 5).double(),
        torch.randn(1, 6, 12).double(),
        torch.randn(1, 6, 3).double(),
    )
    bias = torch.randn(1, heads, 6, 6).double().requires_grad_(learned)
    found = module(scalars, vectors, places, bias)
    q, k, v = module.to_qkv(scalars).reshape(6, 3, heads, width).permute(1, 2, 0, 3)
    moved = module.to_points(vectors).reshape(6, 3, heads, points, 3).permute(1, 2, 0, 3, 4)
    q_points, k_points, v_points = 0.3 * moved + places[0][None, None, :, None]
    sharpness = module.log_sharpness.exp() / points
    apart = (q_points[:, :, None] - k_points[:, None]).square().sum((-1, -2))
    logits = q @ k.mT / width**0.5 - sharpness[:, None, None] * apart + bias[0]
    weights = logits.softmax(-1)
    towards = torch.einsum("hij,hjpx->hipx", weights, v_points) - places[0][None, :, None]
    distances = (towards.square().sum(-1) + 1e-6).sqrt()
    seen = torch.cat([weights @ v, distances], -1).permute(1, 0, 2).flatten(1)
    torch.testing.assert_close(found[0][0], module.from_scalars(seen))
    torch.testing.assert_close(
        found[1][0], module.from_points(towards.permute(1, 0, 2, 3).flatten(1))
    )


def test_attention_of_a_point_on_itself_has_a_gradient():
    module = GeometricAttention(4, 1, heads=1, head_width=4, points=1)
    torch.nn.init.zeros_(module.to_points.weight)
    vectors = torch.randn(1, 1, 3, requires_grad=True)
    out, _ = module(torch.zeros(1, 1, 4), vectors, torch.zeros(1, 1, 3), torch.zeros(1, 1, 1, 1))
    (g,) = torch.autograd.grad(out.sum(), module.to_points.weight)
    assert g.isfinite().all()


def test_heads_see_from_20_to_3_angstrom():
    module = GeometricAttention(4, 1, heads=5)
    assert module.log_sharpness.detach().exp()[0] == pytest.approx(0.1)
    assert module.log_sharpness.detach().exp()[-1] == pytest.approx(10**0.8)


def test_importing_the_network_leaves_torch_as_it_was():
    code = (
        "import torch; before = torch.compiler.disable\n"
        "import protdiff.network.irreps\n"
        "print(torch.compiler.disable is before)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stdout.strip() == "True", ran.stderr

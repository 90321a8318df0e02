"""What a step draws, and what the optimiser makes of it."""

import copy
import dataclasses
import json
import math
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open
from torch import nn

from protdiff.diffusion import VESDE, FunctionDenoiser, LinearVPSDE
from protdiff.diffusion.objective import DenoisingLoss, EDMWeighting, PreconditionedTarget
from protdiff.errors import InputError
from protdiff.network import Estimates, get_preconditioning
from protdiff.training.average import WeightAverage
from protdiff.training.dataset import load_dataset, write_dataset
from protdiff.training.draws import draw_step
from protdiff.training.objective import NoisyBatch, get_denoising_losses
from protdiff.training.optimizer import MuonWithAdamW, orthogonalize, orthogonalize_by_shape
from protdiff.training.processes import Processes
from protdiff.training.sampling import (
    BatchSampler,
    NoiseLevels,
    choose_hints,
    draw_motif_groups,
    get_chain_weights,
)


@pytest.fixture
def dataset(prepared):
    return load_dataset(prepared)[0]


def test_parts_are_disjoint_and_centred(prepared):
    training, held_out = load_dataset(prepared)
    assert not set(training.ids) & set(held_out.ids)
    assert len(training) + len(held_out) == 24
    assert training.get(3).mean(dim=(0, 1)).abs().max() < 1e-4
    assert len(load_dataset(prepared, (50, 55))[0]) < len(training)


def test_damaged_data_are_refused(prepared, tmp_path):
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(prepared.read_bytes()[:-9])
    with pytest.raises(InputError, match="not a whole prepared file"):
        load_dataset(bad)


def test_batches_are_padded_to_their_bucket(dataset):
    sampler = BatchSampler(dataset, residues=200)
    for seed in range(10):
        batch = dataset.collate(*sampler.draw(torch.Generator().manual_seed(seed)))
        lengths = batch.residue_mask.sum(dim=1)
        padded = batch.residue_mask.shape[1]
        assert padded % 8 == 0
        assert (lengths > padded - 8).all()
        assert len(lengths) == max(1, round(200 / padded))
        assert (batch.positions[~batch.residue_mask] == 0).all()


def test_composition_is_the_share_of_each_state(dataset):
    for index in (0, 5):
        states = dataset.collate([index]).secondary[0]
        shares = [(states == place).float().mean() for place in (2, 3)]
        assert torch.allclose(dataset.composition[index], torch.stack(shares))


def test_secondary_structure_is_told_of_the_share_asked_for(dataset):
    generator = torch.Generator().manual_seed(0)
    batch = dataset.collate(*BatchSampler(dataset, residues=60_000).draw(generator))
    count = len(batch.residue_mask)
    assert count > 900
    uniform = torch.rand(5, count, generator=generator)
    secondary, composition = choose_hints(batch, 0.5, uniform)
    told = secondary > 0
    assert torch.equal(secondary[told], batch.secondary[told])
    of_chain, of_whole = told.any(dim=1), composition.isfinite().all(dim=1)
    shares = batch.secondary.eq(2).sum(dim=1) / batch.residue_mask.sum(dim=1)
    assert torch.allclose(composition[of_whole, 0], shares[of_whole])
    # Of half something; six in ten the states, six in ten the composition. Four sigma of counting.
    for found, expected in (
        (of_chain | of_whole, 0.5),
        (of_chain, 0.3),
        (of_whole, 0.3),
        (of_chain & of_whole, 0.1),
    ):
        assert abs(float(found.float().mean()) - expected) < 4 * (expected / count) ** 0.5
    complete = (told == batch.residue_mask).all(dim=1)[of_chain].float().mean()
    assert 0.4 < complete < 0.6
    nothing = choose_hints(batch, 0.0, uniform)
    assert not nothing[0].any()
    assert nothing[1].isnan().all()


def test_a_batch_holds_the_chains_and_nothing_of_their_neighbours(dataset):
    chosen = [3, 0, 3]
    batch = dataset.collate(chosen, 72)
    for row, index in enumerate(chosen):
        length = int(dataset.lengths[index])
        assert torch.equal(batch.positions[row, :length], dataset.get(index))
        assert (batch.positions[row, length:] == 0).all()
        assert (batch.secondary[row, length:] == 0).all()
        assert (batch.secondary[row, :length] > 0).all()
        assert int(batch.residue_mask[row].sum()) == length


def test_a_step_is_drawn_from_its_seed(config, dataset):
    sampler = BatchSampler(dataset, config.residues_per_batch)
    one, same, next_one = (draw_step(config, sampler, step) for step in (3, 3, 4))
    assert torch.equal(one.noise, same.noise)
    assert torch.equal(one.chains, same.chains)
    assert one.noise.flatten()[0] != next_one.noise.flatten()[0]
    other = draw_step(dataclasses.replace(config, seed=1), sampler, 3)
    assert one.noise.flatten()[0] != other.noise.flatten()[0]


def test_parts_of_a_batch_are_its_rows(config, dataset):
    """However many parts there are, together they are the batch, and none is empty."""
    config = dataclasses.replace(
        config, motif=1.0, residue_types=0.7, type_loss=0.1, residues_per_batch=420
    )
    draws = draw_step(config, BatchSampler(dataset, config.residues_per_batch), 5)
    whole = vars(draws.make_batch(dataset, draws.get_rows(0, 1), config))
    for parts in (2, 3):
        rows = [draws.get_rows(part, parts) for part in range(parts)]
        made = [vars(draws.make_batch(dataset, part, config)) for part in rows]
        assert {len(part["clean"]) for part in made} <= {
            len(draws) // parts,
            len(draws) // parts + 1,
        }
        for name, value in whole.items():
            joined = torch.cat([part[name] for part in made])
            assert torch.equal(joined.nan_to_num(), value.nan_to_num()), name
    assert draws.coordinates == 9 * int(whole["residue_mask"].sum())


def test_chains_are_drawn_as_in_nature_or_with_a_preference_for_sheets():
    composition = [[0.0, 0.3], [0.6, 0.0], [0.6, 0.0], [0.3, 0.2], [0.2, 0.1]]
    chains = SimpleNamespace(
        cluster=torch.tensor([0, 0, 1, 2, 3]), composition=torch.tensor(composition)
    )
    in_nature = get_chain_weights(chains, sheet_preference=0.0)
    assert in_nature.tolist() == [0.5, 0.5, 1, 1, 1]
    shifts = get_chain_weights(chains) / in_nature
    assert torch.allclose(shifts, torch.tensor([1.4, 0.5, 0.5, 1.4, 1.0]))
    assert torch.allclose(get_chain_weights(chains, 0.5) / in_nature, shifts.sqrt())


@pytest.mark.statistical
def test_chains_are_drawn_with_their_weights(dataset):
    weights = get_chain_weights(dataset)
    sampler = BatchSampler(dataset, residues=56)  # one chain a batch
    generator = torch.Generator().manual_seed(0)
    counts = torch.zeros(len(dataset))
    draws = 4_000
    for _ in range(draws):
        chains, _ = sampler.draw(generator)
        counts[chains] += 1
    share = weights / weights.sum()
    z = (counts - draws * share) / (draws * share * (1 - share)).sqrt()
    assert z.abs().max() < 4


@pytest.mark.statistical
def test_noise_levels_follow_their_law():
    levels = NoiseLevels(mean=-1.0, deviation=1.2, uniform_share=0.0)
    generator = torch.Generator().manual_seed(0)
    draws = torch.cat([levels.draw(16, generator) for _ in range(1_000)]).log()
    # Stratified: the spread of the mean is far below that of independent draws, 1.2/sqrt(16000).
    assert abs(float(draws.mean()) + 1.0) < 0.005
    assert float(draws.std()) == pytest.approx(1.2, abs=0.02)
    below = (draws < -1.0 - 1.2).float().mean()
    assert float(below) == pytest.approx(0.1587, abs=0.005)


def test_motifs_cover_a_fair_share():
    groups = draw_motif_groups(torch.full((200,), 100), 104, torch.Generator().manual_seed(0))
    share = (groups > 0).float().sum(dim=1) / 100
    assert not groups[:, 100:].any()
    assert share.min() > 0
    assert share.max() <= 0.5
    assert set(groups.unique().tolist()) == {0, 1, 2, 3}


def test_loss_of_the_perfect_and_of_the_ignorant_denoiser():
    """Zero for x0 itself; one, in the mean, for the best linear guess on Gaussian data."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.ones(200, 40, dtype=torch.bool)
    clean, noise = (torch.randn(200, 40, 3, 3, generator=generator) for _ in range(2))
    ratio = torch.logspace(-2, 1, 200)
    batch = NoisyBatch(clean, noise, mask, torch.arange(40).expand(200, 40), ratio)
    assert batch.get_losses(clean).max() == 0
    guess = (clean + ratio[:, None, None, None] * noise) / (1 + ratio**2)[:, None, None, None]
    losses = batch.get_losses(guess) / batch.coordinates
    assert losses.mean() == pytest.approx(1.0, abs=4 * math.sqrt(2 / (200 * 360)))


def test_the_loss_is_that_of_the_theory():
    """Twice the denoising loss with the weight of EDM, for the same denoiser and noise."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.ones(50, 30, dtype=torch.bool)
    x_0, noise = torch.randn(2, 50, 30, 3, 3, generator=generator).double()
    sde = LinearVPSDE()
    terms = DenoisingLoss(EDMWeighting())(
        FunctionDenoiser(sde, lambda x_t, t: 0.3 * x_t), x_0, noise=lambda like: noise
    )
    index = torch.arange(30).expand(50, 30)
    batch = NoisyBatch(x_0, noise, mask, index, sde.noise_ratio(terms.t))
    losses = batch.get_losses(0.3 * sde.perturb(x_0, terms.t, noise))
    torch.testing.assert_close(losses, 2 * terms.loss, rtol=1e-6, atol=0)


def test_the_network_is_preconditioned_as_the_theory_says():
    """Its target has unit variance: the combination of x0 and noise that EDM regresses on."""
    sde, t = VESDE(), torch.linspace(0.05, 1, 9, dtype=torch.float64)
    skip, out, _ = get_preconditioning(sde.noise_ratio(t))
    x_0, noise = torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(0)).double()
    target = PreconditionedTarget().target(sde, x_0, noise, t)
    x_t = sde.perturb(x_0, t, noise)
    torch.testing.assert_close(skip[:, None] * x_t + out[:, None] * target, x_0)


@pytest.mark.parametrize("shape", [(12, 40), (40, 12), (24, 24)])
def test_orthogonalize_keeps_vectors_and_levels_values(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    values = torch.diagonal(u.mT @ orthogonalize(matrix) @ vh.mT)
    assert ((values > 0.3) & (values < 1.3)).all()
    off_diagonal = u.mT @ orthogonalize(matrix) @ vh.mT - torch.diag(values)
    assert off_diagonal.abs().max() < 1e-3


def test_matrices_of_one_shape_are_orthogonalized_together():
    """What a GPU does in stacks is what a CPU does one by one, in the order given."""
    shapes = [(12, 40), (7, 5), (12, 40), (40, 12), (12, 40)]
    generator = torch.Generator().manual_seed(0)
    matrices = [torch.randn(shape, generator=generator) for shape in shapes]
    for one, matrix in zip(orthogonalize_by_shape(matrices), matrices, strict=True):
        assert torch.allclose(one, orthogonalize(matrix), atol=1e-5)


def test_processes_orthogonalize_each_a_share_of_the_matrices():
    """Shares are whole matrices, so that several processes make the step of one to the last bit."""

    class Summing(Processes):
        """One of three processes, whose sums stay to be made."""

        def __init__(self, rank):
            super().__init__(torch.device("cpu"))
            self.rank, self.count, self.sent = rank, 3, []

        def add_up(self, tensors):
            self.sent = [tensor.clone() for tensor in tensors]

    def step(processes=None):
        torch.manual_seed(0)
        module = nn.Sequential(*(nn.Linear(4, width, bias=False) for width in (4, 6, 9, 3, 4)))
        for parameter in module.parameters():
            parameter.grad = torch.randn_like(parameter)
        before = [parameter.detach().clone() for parameter in module.parameters()]
        MuonWithAdamW(module, 0.05, weight_decay=0.0, processes=processes).step()
        return [
            after.detach() - old for after, old in zip(module.parameters(), before, strict=True)
        ]

    ranks = [Summing(rank) for rank in range(3)]
    shares = [step(processes) for processes in ranks]
    for place, whole in enumerate(step()):
        assert [bool(share[place].any()) for share in shares] == [place % 3 == k for k in range(3)]
        assert torch.equal(shares[place % 3][place], whole)
    sizes = [len(processes.sent) for processes in ranks]
    assert sizes == [5, 5, 5]  # all send as much as any other, or the sum would hang


def test_adamw_part_is_torchs():
    """On parameters that are no matrices the optimiser is torch.optim.AdamW, step for step."""
    torch.manual_seed(0)
    module = nn.LayerNorm(7)
    reference = nn.LayerNorm(7)
    mine = MuonWithAdamW(module, 0.05)
    assert_steps_agree(module, reference, mine, decay=0.0)


def test_without_muon_all_is_torchs_adamw():
    torch.manual_seed(0)
    module = nn.Linear(7, 7, bias=False)
    reference = copy.deepcopy(module)
    mine = MuonWithAdamW(module, 0.05, 0.1, muon=False)
    assert_steps_agree(module, reference, mine, decay=0.1)


def assert_steps_agree(module, reference, mine, decay):
    theirs = torch.optim.AdamW(
        reference.parameters(), lr=0.05, betas=(0.9, 0.99), eps=1e-8, weight_decay=decay
    )
    for _ in range(5):
        x = torch.randn(4, 7)
        for net, optimizer in ((module, mine), (reference, theirs)):
            net(x).pow(3).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
    for one, other in zip(module.parameters(), reference.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_average_follows_the_weights():
    module = nn.Linear(3, 2)
    average = WeightAverage(module, decay=0.9)
    with torch.no_grad():
        module.weight.fill_(1.0)
        average.module.weight.fill_(0.0)
    average.update(module, step=1_000)
    assert torch.allclose(average.module.weight, torch.full((2, 3), 0.1))
    average.update(module, step=1)  # early steps forget faster
    assert average.module.weight.min() > 0.8


@pytest.mark.parametrize("shape", [(6, 10), (10, 6)])
def test_muon_is_momentum_made_orthogonal_beside_a_decoupled_decay(shape):
    """Three steps by the formulas: Nesterov's mean, its size that of AdamW, the decay apart."""
    generator = torch.Generator().manual_seed(0)
    layer = nn.Linear(*shape, bias=False)
    expected, mean = layer.weight.detach().clone(), torch.zeros_like(layer.weight)
    optimizer = MuonWithAdamW(layer, 0.05, weight_decay=0.1, momentum=0.9)
    for _ in range(3):
        gradient = torch.randn(expected.shape, generator=generator)
        layer.weight.grad = gradient.clone()
        optimizer.step()
        mean = 0.9 * mean + 0.1 * gradient
        direction = orthogonalize(0.9 * mean + 0.1 * gradient)
        expected = (1 - 0.05 * 0.1) * expected - 0.05 * 0.2 * math.sqrt(10) * direction
        assert torch.allclose(layer.weight, expected, atol=1e-6)


def test_an_average_is_no_part_of_the_training():
    average = WeightAverage(nn.Linear(3, 2), decay=0.9).module
    assert not average.training
    assert not any(parameter.requires_grad for parameter in average.parameters())


def test_losses_are_means_over_coordinates_to_which_parts_add_up():
    generator = torch.Generator().manual_seed(0)
    mask = torch.arange(5) < torch.tensor([5, 3, 4])[:, None]
    clean, noise = (
        torch.randn(3, 5, 3, 3, generator=generator) * mask[..., None, None] for _ in range(2)
    )
    ratio = torch.tensor([0.1, 1.0, 4.0])
    types = torch.tensor([[1, 2, 3, 0, 5], [20, 1, 1, 0, 0], [4, 4, 4, 4, 0]])
    told = (torch.arange(5) < 2).expand(3, 5)
    batch = NoisyBatch(
        clean,
        noise,
        mask,
        torch.arange(5).expand(3, 5),
        ratio,
        residue_type=types,
        told_types=told,
    )
    logits = torch.randn(3, 5, 20, generator=generator)
    # Asked for are those that are not told and are any of the twenty.
    asked = [(0, 2, 3), (0, 4, 5), (1, 2, 1), (2, 2, 4), (2, 3, 4)]
    surprise = -sum(logits[b, i].log_softmax(-1)[kind - 1] for b, i, kind in asked)
    previous = []

    def network(noisy, noise_ratio, index, residue_mask, ones, before, *told):
        previous.append(before)
        return Estimates(0.5 * noisy, 0.25 * noisy, logits)

    noisy = clean + ratio[:, None, None, None] * noise
    sums = [batch.get_losses(share * noisy).sum() for share in (0.25, 0.5)]
    found = get_denoising_losses(network, batch, self_condition=False)
    torch.testing.assert_close(torch.stack(found[:2]), torch.stack(sums) / (9 * 12))
    torch.testing.assert_close(found.residue_types, surprise / 12)
    part = get_denoising_losses(network, batch, self_condition=True, coordinates=1000)
    torch.testing.assert_close(torch.stack(part[:2]), torch.stack(sums) / 1000)
    torch.testing.assert_close(part.residue_types, surprise * 9 / 1000)
    assert previous[:2] == [None, None]
    assert torch.equal(previous[2], 0.25 * noisy)


def test_motifs_are_shown_with_their_coordinates_and_else_nothing_is():
    told = []
    mask = torch.ones(1, 4, dtype=torch.bool)
    clean = torch.randn(1, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    groups = torch.tensor([[0, 1, 1, 0]])
    for group in (None, groups):
        batch = NoisyBatch(clean, clean, mask, torch.arange(4)[None], torch.ones(1), group)
        batch.denoise(lambda *inputs: told.append(inputs[6:8]) or [], None)
    assert told[0] == (None, None)
    assert told[1][0] is groups
    assert told[1][1] is clean


@pytest.mark.statistical
def test_motifs_follow_their_law():
    """One to three segments of 8 to 50 % in all; four in ten of several have groups of their own.

    Segments may overlap, so the mean share lies somewhat under 29 %.
    """
    groups = draw_motif_groups(torch.full((4_000,), 100), 100, torch.Generator().manual_seed(0))
    share = (groups > 0).float().mean(dim=1)
    assert 0.22 < float(share.mean()) < 0.29
    assert float(share.max()) > 0.48
    last = groups.max(dim=1).values
    for number, expected in ((1, 1 - 0.8 / 3), (2, 0.4 / 3), (3, 0.4 / 3)):
        error = (expected * (1 - expected) / 4_000) ** 0.5
        assert abs(float((last == number).float().mean()) - expected) < 4 * error


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("coordinates", lambda values: values[:-1]),
        ("coordinates", lambda values: values.index_fill(0, torch.tensor([7]), math.nan)),
        ("residue_index", lambda values: values.long()),
        ("residue_index", lambda values: values[1:]),
        ("secondary", lambda values: values + 9),
        ("secondary", lambda values: values[:, None]),
        ("residue_type", lambda values: values + 9),
        ("residue_type", lambda values: values[1:]),
        ("offsets", lambda values: values + 1),
        ("offsets", lambda values: values.int()),
        ("offsets", lambda values: values.flip(0)),
        ("offsets", lambda values: values - 1),
        ("held_out", lambda values: values[1:]),
        ("held_out", lambda values: values.bool()),
        ("cluster40", lambda values: values[:, None]),
        ("cluster40", lambda values: values.int()),
    ],
)
def test_data_whose_parts_do_not_fit_together_are_refused(prepared, tmp_path, name, change):
    with safe_open(prepared, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        ids = json.loads(file.metadata()["ids"])
    path = tmp_path / "changed.safetensors"
    write_dataset(path, tensors, ids)
    assert len(load_dataset(path)[0]) == 18
    changed = {**tensors, name: change(tensors[name]).contiguous()}
    write_dataset(path, changed, ids, overwrite=True)
    with pytest.raises(InputError, match="do not fit together"):
        load_dataset(path)


@pytest.mark.statistical
def test_motifs_and_self_conditioning_come_as_often_as_asked_for(config, dataset):
    config = dataclasses.replace(config, motif=0.2, self_condition=0.7)
    sampler = BatchSampler(dataset, config.residues_per_batch)
    draws = [draw_step(config, sampler, step) for step in range(400)]
    motif, shown = (
        torch.tensor([value(one) for one in draws], dtype=torch.float64)
        for value in (lambda one: one.motif_group is not None, lambda one: one.self_condition)
    )
    both = float((motif * shown).mean())
    for found, expected in ((float(motif.mean()), 0.2), (float(shown.mean()), 0.7), (both, 0.14)):
        assert abs(found - expected) < 4 * (expected * (1 - expected) / 400) ** 0.5


def test_runs_of_neighbouring_seeds_share_no_step(config, dataset):
    sampler = BatchSampler(dataset, config.residues_per_batch)
    one = draw_step(config, sampler, 4)
    other = draw_step(dataclasses.replace(config, seed=config.seed + 1), sampler, 3)
    assert one.noise.flatten()[0] != other.noise.flatten()[0]


def test_batches_are_in_model_units_and_their_noise_is_centred(config, dataset):
    sampler = BatchSampler(dataset, config.residues_per_batch)
    draws = draw_step(config, sampler, 1)
    batch = draws.make_batch(dataset, draws.get_rows(0, 1), config)
    positions = dataset.collate(draws.chains, draws.padded_length).positions
    torch.testing.assert_close(batch.clean * config.network.scale, positions)
    assert batch.noise.sum(dim=(1, 2)).abs().max() < 1e-3
    assert not batch.noise[~batch.residue_mask].any()


def test_the_network_is_shown_the_batch():
    generator = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(2, 2, 4, 3, 3, generator=generator)
    mask = torch.tensor([[True] * 4, [True] * 3 + [False]])
    index, ratio = torch.tensor([[0, 1, 9, 10]]).expand(2, 4), torch.tensor([0.5, 2.0])
    group, states, shares = torch.ones(2, 4).long(), torch.full((2, 4), 2), torch.rand(2, 2)
    shown = []
    types = torch.tensor([[1, 20, 3, 0], [5, 6, 7, 0]])  # 0: none of the twenty, or padding
    told = torch.tensor([[True, True, False, True], [False, False, True, False]])
    batch = NoisyBatch(clean, noise, mask, index, ratio, group, states, shares, types, told)
    batch.denoise(lambda *inputs: shown.extend(inputs) or [], noise)
    noisy = clean + ratio[:, None, None, None] * noise
    shown_types = torch.zeros(2, 4, 20)
    shown_types[0, 0, 0] = shown_types[0, 1, 19] = shown_types[1, 2, 6] = 1.0
    expected = (noisy, ratio, index, mask, torch.ones(2), noise, group, clean, states, shares)
    expected = (*expected, shown_types)
    for one, other in zip(shown, expected, strict=True):
        assert torch.equal(one, other)

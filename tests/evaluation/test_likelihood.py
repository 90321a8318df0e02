import copy
import dataclasses
import math

import numpy as np
import pytest
import torch

from protdiff.design import Designer
from protdiff.diffusion import (
    CentredSubspace,
    LinearVPSDE,
    RademacherProbes,
    compute_log_likelihood,
)
from protdiff.diffusion.trace import compute_quadratic_forms
from protdiff.errors import InputError
from protdiff.evaluation.likelihood import (
    LikelihoodSettings,
    check_backbone,
    decode_backbone,
    measure_likelihood,
)
from protdiff.structure import Backbone, build_backbone

SETTINGS = LikelihoodSettings(probes=16, rtol=1e-3, atol=1e-4, noise_floor=2.0)
# Nats, of some hundreds: what single precision leaves of a law.
ROUNDING = 0.02


@pytest.fixture(scope="module")
def model(tiny_model):
    """Return a model all of whose parts speak, and whose flow is short: tests want laws, fast."""
    network = copy.deepcopy(tiny_model.network)
    generator = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return dataclasses.replace(tiny_model, network=network, sde=LinearVPSDE(0.1, 1.0))


@pytest.fixture(scope="module")
def backbone():
    angles = np.random.default_rng(0).normal([-65.0, -45.0], 10.0, (30, 2))
    return Backbone.from_coordinates(build_backbone(*angles.T), name="bent")


@pytest.fixture(scope="module")
def reference(model, backbone):
    return measure_likelihood(model, backbone, SETTINGS)


TURN = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])


def move(backbone, matrix, shift=0.0):
    return backbone.with_coordinates(backbone.coordinates @ np.asarray(matrix).T + shift)


@pytest.fixture
def turn_probes(monkeypatch):
    """Return a function that turns all probes: an estimate is the same if they turn along."""

    def turn(matrix):
        draw = RademacherProbes.draw
        monkeypatch.setattr(
            RademacherProbes,
            "draw",
            lambda self, *args: draw(self, *args) @ torch.as_tensor(matrix).float().T,
        )

    return turn


@pytest.mark.parametrize(("determinant", "handedness"), [(1, "L"), (-1, "D")])
def test_neither_place_nor_hand_with_the_mirror_matter(
    model, backbone, reference, turn_probes, determinant, handedness
):
    matrix = determinant * TURN
    moved = move(backbone, matrix, shift=40.0)
    turn_probes(matrix)
    found = measure_likelihood(model, moved, SETTINGS, handedness=handedness)
    assert abs(found.nats - reference.nats) < ROUNDING
    assert abs(found.standard_error - reference.standard_error) < ROUNDING


def test_the_mirror_of_the_same_hand_is_another_protein(model, backbone, reference, turn_probes):
    turn_probes(-TURN)
    found = measure_likelihood(model, move(backbone, -TURN), SETTINGS)
    assert abs(found.nats - reference.nats) > 10 * ROUNDING


def test_a_chain_break_matters(model, backbone, reference):
    index = np.arange(30) + 50 * (np.arange(30) > 14)
    broken = Backbone.from_coordinates(backbone.coordinates, residue_index=index)
    found = measure_likelihood(model, broken, SETTINGS)
    assert abs(found.nats - reference.nats) > 10 * ROUNDING


@pytest.mark.statistical
def test_the_exact_trace_is_within_the_error_bar(model, backbone, reference):
    exact = measure_likelihood(model, backbone, dataclasses.replace(SETTINGS, probes=0))
    assert exact.standard_error == 0
    assert 0 < reference.standard_error < 10
    assert abs(exact.nats - reference.nats) < 4 * reference.standard_error


def test_the_number_is_a_density_in_angstrom(model, backbone, reference):
    """The change of variables from model units of 8 Å: d log 8 less, d = 9 N - 3."""
    found = compute_log_likelihood(
        model.denoiser(torch.ones(1, 30, dtype=torch.bool), self_condition=False),
        centre(torch.from_numpy(backbone.coordinates[None, :, :3]) / model.scale),
        CentredSubspace(torch.ones(1, 30, dtype=torch.bool)),
        trace=SETTINGS.make_trace(),
        noise_ratio_min=SETTINGS.noise_floor / model.scale,
        rtol=SETTINGS.rtol,
        atol=SETTINGS.atol,
    )
    assert reference.dimension == 267
    # The solver's steps follow from errors near rounding, and what it errs from its steps.
    assert abs(float(found.nats) - 267 * math.log(8.0) - reference.nats) < 10 * ROUNDING
    assert reference.nats_per_residue == reference.nats / 30
    assert math.isclose(2 ** (-267 * reference.bits_per_dimension), math.exp(reference.nats))


def centre(x):
    return x - x.mean((1, 2), keepdim=True)


def test_the_jacobian_is_that_of_the_whole_network(model, backbone):
    """Against central differences in double precision: no part of the network is cut off."""
    whole = dataclasses.replace(model, network=copy.deepcopy(model.network).double())
    denoiser = whole.denoiser(torch.ones(1, 30, dtype=torch.bool), self_condition=False)
    denoiser.handedness = denoiser.handedness.double()
    x = centre(torch.from_numpy(backbone.coordinates[None, :, :3]).double() / model.scale)
    probe = centre(torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).double())
    time, step = torch.tensor(0.3).double(), 1e-5

    def slope(h):
        return denoiser(x + h * probe, time)

    _, forms = compute_quadratic_forms(lambda y: denoiser(y, time), x, probe[None])
    expected = ((slope(step) - slope(-step)) / (2 * step) * probe).sum()
    assert abs(float(forms - expected)) < 1e-6 * abs(float(expected))


def test_a_code_gives_its_structure_back(model, backbone):
    designer = Designer(model)
    options = {"rtol": 1e-5, "atol": 1e-6, "noise_floor": 2.0}
    code = designer.encode(backbone, **options)
    assert code.shape == (30, 3, 3)
    assert code.mean((0, 1)).abs().max() < 1e-5
    back = designer.decode(code, **options)
    atoms = backbone.coordinates[:, :3]
    # rtol of some 20 Å, times some tens of steps.
    assert np.abs(back.coordinates[:, :3] - (atoms - atoms.mean((0, 1)))).max() < 0.02


def test_the_designer_takes_a_backbone_and_the_same_settings(model, backbone, reference):
    options = {field.name: getattr(SETTINGS, field.name) for field in dataclasses.fields(SETTINGS)}
    assert Designer(model).log_likelihood(backbone, **options) == reference
    with pytest.raises(TypeError, match="unknown arguments prboes; there are probes"):
        Designer(model).log_likelihood(backbone, prboes=3)
    with pytest.raises(InputError, match="give L or D"):
        Designer(model).log_likelihood(backbone, handedness="R")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"probes": 1}, "1 probes give no standard error"),
        ({"probes": -2}, "no standard error"),
        ({"rtol": math.nan}, "rtol is nan"),
        ({"atol": 0.0}, "atol is 0.0"),
        ({"noise_floor": -1.0}, "noise_floor is -1.0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        LikelihoodSettings(**settings)


def test_backbones_that_the_network_cannot_judge_are_refused(backbone, model):
    with pytest.raises(InputError, match="has 29 residues; the network knows 30 to 512"):
        check_backbone(backbone.select(slice(29)))
    many = Backbone.from_coordinates(np.zeros((65, 4, 3)))
    check_backbone(many)
    with pytest.raises(InputError, match="the exact trace is for 64 at most"):
        check_backbone(many, exact=True)
    with pytest.raises(InputError, match="not finite"):
        check_backbone(backbone.with_coordinates(np.full((30, 4, 3), np.nan)))
    with pytest.raises(InputError, match="a code has shape"):
        decode_backbone(model, torch.zeros(30, 3))


def test_a_length_unseen_in_training_is_told(model, backbone):
    trained = dataclasses.replace(model, metadata={"lengths": [40, 128]})
    with pytest.warns(UserWarning, match="was trained on 40 to 128"):
        measure_likelihood(trained, backbone, dataclasses.replace(SETTINGS, probes=2, rtol=0.1))

"""Sampling on a GPU, pretended: on one device throughout, and without waiting for it."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from protdiff.conditioning import (
    Contacts,
    Partner,
    RadiusOfGyration,
    Shape,
    Symmetry,
    UserPotential,
)
from protdiff.design import Designer
from protdiff.model import MotifInput, SecondaryStructureInput

LENGTH, CONTIG = 40, "8/A110-119/22"
HELIX = Path(__file__).parents[2] / "data/demo_motif.pdb"


def bring_ends_together(positions):
    return (positions[:, 0, 1] - positions[:, -1, 1]).square().sum(dim=-1) / 100


def test_a_tensor_of_another_device_is_refused(gpu):
    here, there = torch.ones(3, device="cuda"), torch.ones(3)
    assert (here.device.type, (here + 1).device.type, here.cpu().device.type) == (
        "cuda",
        "cuda",
        "cpu",
    )
    assert (here * torch.tensor(2.0)).tolist() == [2.0, 2.0, 2.0]
    with pytest.raises(RuntimeError, match="of tensors of both"):
        here + there
    with pytest.raises(RuntimeError, match="of tensors of both"):
        torch.where(torch.tensor(True), here, here)
    with pytest.raises(RuntimeError, match="indexed by one of cuda:0"):
        there[here.long()]
    with pytest.raises(RuntimeError, match="by a generator of the CPU"):
        torch.randn(3, device="cuda", generator=torch.Generator())
    with pytest.raises(TypeError, match="no numpy array"):
        np.asarray(here)


def test_what_waits_is_counted(gpu):
    here = torch.ones(3, device="cuda")
    gpu.clear()
    (here + 1).pow(2).sum()
    torch.ones(3).pin_memory().to("cuda", non_blocking=True)
    assert not gpu.waits
    float(here.sum())
    here.cpu()
    torch.ones(3).to("cuda")
    here[here > 0]
    here.new_tensor([1.0])
    assert sum(gpu.waits.values()) == 5


GENERATIONS = {
    "contacts and size": (Contacts("2-35,5-30:7.5"), RadiusOfGyration("x1.1")),
    "shape": (Shape(np.random.default_rng(0).normal(scale=6.0, size=(60, 3))),),
    "partner": (Partner(HELIX, hotspots="A5"),),
    "potential": (UserPotential(bring_ends_together),),
    "symmetry": (Symmetry("C2"),),
}
MANNERS = {
    "default": {},
    "heun-churn": {"sampler": "heun-churn", "handedness": "D"},
    "predictor-corrector": {"sampler": "predictor-corrector", "temperature": 0.5},
    "ddim": {"sampler": "ddim", "restarts": 1, "autoguidance": 2.0},
}
SCAFFOLDS = {
    "default": {},
    "guidance": {"method": "guidance", "conditioners": RadiusOfGyration("x1.1")},
    "replacement": {"method": "replacement", "hold": "soft"},
    "repaint": {"method": "repaint"},
    "twisted-smc": {"method": "twisted-smc"},
    "groups": {"contig": "8/A110-113/10/A116-119/14", "groups": "A110-113;A116-119"},
    "symmetry": {"conditioners": Symmetry("C2")},
}


def check_on_gpu(gpu, designer, make, *, waits_by_step=False):
    """Hold designs to those of the CPU, and the host to no wait for a step or a design."""
    on_gpu = designer.to("cuda")
    waits = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of lengths
        for num, steps in ((3, 4), (2, 2)):
            gpu.clear()
            found = [design.coordinates for design in make(on_gpu, num=num, steps=steps)]
            waits.append(gpu.waits.copy())
        expected = [design.coordinates for design in make(designer, num=2, steps=2)]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=0.02)
    assert waits_by_step or waits[0] == waits[1]


@pytest.mark.parametrize("name", GENERATIONS)
def test_conditions_wait_for_no_step(gpu, designer, name):
    conditioners = GENERATIONS[name]
    check_on_gpu(
        gpu,
        designer,
        lambda model, **how: model.generate(LENGTH, conditioners=conditioners, **how),
    )


@pytest.mark.parametrize("name", MANNERS)
def test_samplers_wait_for_no_step(gpu, designer, name):
    manner = MANNERS[name]
    check_on_gpu(gpu, designer, lambda model, **how: model.generate(LENGTH, **manner, **how))


@pytest.mark.parametrize("name", MANNERS)
def test_experts_wait_for_no_step(gpu, tiny_model_with_expert, name):
    manner = MANNERS[name]
    check_on_gpu(
        gpu,
        Designer(tiny_model_with_expert),
        lambda model, **how: model.generate(LENGTH, **manner, **how),
    )


@pytest.mark.parametrize("name", SCAFFOLDS)
def test_motifs_wait_for_no_step(gpu, designer, source, name):
    manner = {"contig": CONTIG, **SCAFFOLDS[name]}
    check_on_gpu(
        gpu,
        designer,
        lambda model, **how: model.scaffold(source, **manner, **how),
        waits_by_step=name == "twisted-smc",  # which asks whether to resample
    )


def test_more_designs_are_no_more_launches(gpu, designer):
    on_gpu, launches = designer.to("cuda"), []
    for num in (2, 5):
        gpu.clear()
        on_gpu.generate(LENGTH, num=num, steps=2)
        launches.append(sum(gpu.launches.values()))
    assert launches[0] == launches[1]


def test_likelihood_and_codes_are_those_of_the_cpu(gpu, designer, designs):
    on_gpu, loosely = designer.to("cuda"), {"rtol": 0.1, "atol": 0.1}
    found, expected = (one.log_likelihood(designs[0], **loosely) for one in (on_gpu, designer))
    assert found.nats == pytest.approx(expected.nats, rel=1e-4)
    codes = [one.encode(designs[0], **loosely) for one in (on_gpu, designer)]
    torch.testing.assert_close(codes[0].cpu(), codes[1], rtol=1e-3, atol=1e-3)


def test_what_the_network_is_told_may_come_from_the_cpu(gpu, tiny_model):
    model = tiny_model.to("cuda")
    mask = torch.ones(1, LENGTH, dtype=torch.bool)
    motif = MotifInput(mask.long(), torch.zeros(1, LENGTH, 3, 3))
    told = SecondaryStructureInput(mask.long(), torch.full((1, 2), 0.3))
    x_t, t = torch.randn(1, LENGTH, 3, 3), torch.tensor(0.5)
    estimates = []
    for one in (model, tiny_model):
        denoiser = one.denoiser(mask, motif=motif, secondary_structure=told)
        estimates.append(denoiser(x_t.to(one.device), t).cpu())
    torch.testing.assert_close(*estimates, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("longest", "batch"), [(30, 256), (128, 128), (512, 8)])
def test_a_batch_suits_its_length(gpu, designer, longest, batch):
    on_gpu = designer.to("cuda")
    assert on_gpu.get_batch_size(None, longest) == batch
    assert on_gpu.get_batch_size(3, longest) == 3
    assert designer.get_batch_size(None, longest) == 8

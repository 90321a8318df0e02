"""The compiled network is the network: the same estimates, one program for all batches."""

import copy
import dataclasses
import subprocess
import sys

import pytest
import torch

from protdiff.errors import InputError
from protdiff.model import BackboneModel, MotifInput, SecondaryStructureInput, make_residue_mask
from protdiff.network import CompiledNetwork
from protdiff.network.compiled import check_compiler

CPU = torch.device("cpu")


def can_compile():
    try:
        check_compiler(CPU)
    except InputError:
        return False
    return True


def draw(model, lengths, *, motif=False, told=False, seed=0):
    """Return positions, and the inputs of a denoiser."""
    generator = torch.Generator().manual_seed(seed)
    mask = make_residue_mask(lengths)
    noise = torch.randn(*mask.shape, 3, 3, generator=generator)
    inputs = {}
    if motif:
        group = torch.zeros_like(mask, dtype=torch.long)
        group[:, 3:12] = 1
        inputs["motif"] = MotifInput(group, torch.randn(noise.shape, generator=generator))
    if told:
        states = torch.randint(0, 4, mask.shape, generator=generator)
        inputs["secondary_structure"] = SecondaryStructureInput(states)
    return model.subspace(mask).project(noise), {"residue_mask": mask, **inputs}


@pytest.fixture(scope="module")
def telling_model(tiny_model):
    """Return the tiny model with weights for what it is told, which at first are zero."""
    network = copy.deepcopy(tiny_model.network)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        network.secondary.weight[1:].normal_(generator=generator)
        network.noise.composition.normal_(generator=generator)
        network.motif.normal_(generator=generator)
    return dataclasses.replace(tiny_model, network=network)


@pytest.fixture
def count(monkeypatch):
    """Return the shapes that the compiled network was asked for; it is not compiled."""
    shapes = []

    def compile(function, **options):
        def evaluate(*inputs):
            shapes.append(tuple(inputs[0].shape[:2]))
            return function(*inputs)

        return evaluate

    monkeypatch.setattr(torch, "compile", compile)
    return shapes


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("motif", [False, True])
def test_what_the_compiler_is_shown_changes_no_estimate(telling_model, count, motif, told):
    """In particular what is not told of secondary structure; to the last bit."""
    compiled = telling_model.compile("eager")
    for lengths in ([40, 33], [36]):
        x_t, inputs = draw(telling_model, lengths, motif=motif, told=told)
        denoisers = [model.denoiser(**inputs) for model in (telling_model, compiled)]
        for t in (0.8, 0.4, 0.2):
            with torch.no_grad():
                first, second = (denoise(x_t, torch.tensor(t)) for denoise in denoisers)
            assert torch.equal(first, second)
    assert count == 2 * [(2, 40)] + 2 * [(1, 36)]  # the first estimate of a run is not compiled


def test_gradients_are_those_of_the_network_itself(tiny_model, count):
    x_t, inputs = draw(tiny_model, [40, 33], motif=True)
    gradients = []
    for model in (tiny_model, tiny_model.compile("eager")):
        denoiser = model.denoiser(**inputs, self_condition=False)
        with torch.enable_grad():
            x = x_t.clone().requires_grad_()
            loss = denoiser(x, torch.tensor(0.3)).square().sum()
        gradients.append(torch.autograd.grad(loss, x)[0])
    assert torch.equal(*gradients)
    assert gradients[0].abs().max() > 0
    assert count == []


def test_without_self_conditioning_all_is_compiled(tiny_model, count):
    x_t, inputs = draw(tiny_model, [40, 33])
    denoiser = tiny_model.compile("eager").denoiser(**inputs, self_condition=False)
    with torch.inference_mode():
        denoiser(x_t.clone(), torch.tensor([0.3, 0.2]))
    assert count == [(2, 40)]


@pytest.mark.slow
@pytest.mark.skipif(not can_compile(), reason="there is no C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own, on its way to compile
def test_one_program_serves_all_batches(telling_model):
    """Padding, motif, secondary structure told or not; float32 rounding, 1e-5 of 8 Å."""
    import torch._dynamo

    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    compiled = telling_model.compile()
    found = {}
    for told, lengths in ((True, [40, 33]), (False, [40, 33, 38]), (True, [45] * 4)):
        x_t, inputs = draw(telling_model, lengths, motif=True, told=told)
        denoisers = [model.denoiser(**inputs) for model in (telling_model, compiled)]
        for t in (0.8, 0.3):
            with torch.no_grad():
                first, second = (denoise(x_t, torch.tensor(t)) for denoise in denoisers)
            assert (first - second).abs().max() < 1e-5
        found[len(lengths)] = x_t, inputs, second
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1

    # A protein is the same in another batch.
    x_t, inputs, whole = found[3]
    motif = inputs["motif"]
    part = compiled.denoiser(
        inputs["residue_mask"][1:], motif=MotifInput(motif.group[1:], motif.positions[1:])
    )
    with torch.no_grad():
        part(x_t[1:], torch.tensor(0.8))
        assert (part(x_t[1:], torch.tensor(0.3)) - whole[1:]).abs().max() < 1e-5
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


def test_without_a_compiler_one_line_says_so(tiny_model, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler -O2")
    with pytest.raises(InputError, match="there is no no-such-compiler; install one") as caught:
        tiny_model.compile()
    assert "\n" not in str(caught.value)
    tiny_model.compile("eager")  # which needs none


def test_without_the_headers_of_python_one_line_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", sys.executable)
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    with pytest.raises(InputError, match=r"there is no Python\.h in"):
        check_compiler(CPU)
    (tmp_path / "Python.h").touch()
    check_compiler(CPU)


def test_a_compiled_network_stays_with_its_model(tiny_model, count):
    compiled = tiny_model.compile("eager")
    assert compiled.to("cpu").compiled.network is tiny_model.network
    other = dataclasses.replace(compiled, compiled=CompiledNetwork(tiny_model.network, "eager"))
    with pytest.raises(InputError, match="compile this model anew"):
        BackboneModel(torch.nn.Identity(), compiled=other.compiled)


def test_nothing_is_compiled_unasked(tiny_weights):
    code = (
        "import sys, protdiff\n"
        f"protdiff.load({str(tiny_weights)!r}, 'cpu').generate(length=40, num=1, steps=1)\n"
        "print('torch._dynamo' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.split() == ["False"], result.stderr

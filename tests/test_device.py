import pytest
import torch

from protdiff.device import find_device, list_devices
from protdiff.errors import InputError


@pytest.fixture
def machine(monkeypatch):
    """Return what makes torch see so many GPUs."""

    def make(gpus):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)

    return make


@pytest.mark.parametrize(
    ("gpus", "names", "best"),
    [
        (0, ["cpu"], "cpu"),
        (2, ["cpu", "cuda", "cuda:0", "cuda:1"], "cuda"),
    ],
)
def test_what_is_there_is_found_by_its_name(machine, gpus, names, best):
    machine(gpus)
    assert list_devices() == names
    assert [str(find_device(name)) for name in names] == names
    assert [find_device(torch.device(name)) for name in names] == [*map(torch.device, names)]
    assert find_device("auto") == torch.device(best)


@pytest.mark.parametrize("name", ["cuda:2", "mps", "tpu", "gpu", "cuda:-1", "cuda:x", "", "meta"])
def test_what_is_not_there_is_refused_with_what_is(machine, name):
    machine(2)
    seen = f"device '{name}' is not there; torch sees cpu, cuda, cuda:0, cuda:1 here: give one"
    with pytest.raises(InputError, match=seen) as caught:
        find_device(name)
    assert "\n" not in str(caught.value)


def test_a_gpu_needs_a_torch_that_sees_it(machine):
    machine(0)
    with pytest.raises(InputError, match=r"torch sees cpu here.*a torch built for it"):
        find_device("cuda")
    with pytest.raises(InputError, match="'cuda:0' is not there"):
        find_device(torch.device("cuda:0"))


def test_no_device_is_used_to_find_it(machine, monkeypatch):
    """A process that looks for its device takes no memory of another's."""
    machine(1)
    monkeypatch.setattr(torch.cuda, "_lazy_init", lambda: pytest.fail("a GPU was used"))
    assert find_device("cuda").type == find_device("cuda:0").type == "cuda"

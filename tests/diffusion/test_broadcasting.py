import pytest
import torch

from protdiff.diffusion.broadcasting import check_fit, expand, flatten_event, sum_event
from protdiff.errors import InputError


def test_one_time_for_all_or_one_for_each():
    like = torch.zeros(4, 5, 3)
    assert expand(torch.tensor(2.0), like).shape == ()
    assert expand(torch.ones(1), like).shape == (1, 1, 1)
    assert expand(torch.ones(4), like).shape == (4, 1, 1)


@pytest.mark.parametrize("shape", [(1, 4), (4, 1), (3,), (1, 1)])
def test_other_times_are_refused(shape):
    """A time (1, N) of a batch (1, N, 3) would make N elements of one."""
    with pytest.raises(InputError, match="one for each element"):
        expand(torch.ones(shape), torch.zeros(shape[0] if shape[0] == 1 else 4, 4, 3))


def test_events_of_any_rank():
    for shape in ((6,), (6, 2), (6, 2, 3), (0, 2)):
        x = torch.ones(shape)
        size = torch.Size(shape[1:]).numel()
        assert flatten_event(x).shape == (shape[0], size)
        assert sum_event(x).tolist() == [size] * shape[0]


def test_what_broadcasts_must_not_enlarge():
    like = torch.zeros(4, 5, 3)
    for shape in ((), (3,), (5, 1), (1, 5, 3), (4, 1, 1), (4, 5, 3)):
        value = torch.zeros(shape)
        assert check_fit(value, like, "it") is value
    for shape in ((4,), (4, 3), (2, 5, 3), (1, 4, 5, 3), (0,)):
        with pytest.raises(InputError, match="broadcasts to"):
            check_fit(torch.zeros(shape), like, "it")
    with pytest.raises(InputError, match="broadcasts to"):
        check_fit(torch.zeros(4), torch.zeros(1), "it")

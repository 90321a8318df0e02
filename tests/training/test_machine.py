"""How a run uses the machine."""

import sys

import pytest
import torch

from protdiff.training.machine import use_cpu


@pytest.mark.parametrize(("threads", "processes", "each"), [(3, 1, 3), (4, 2, 2), (2, 4, 1)])
def test_processes_share_the_threads_of_a_machine(threads, processes, each):
    before = torch.get_num_threads()
    with use_cpu(threads, processes):
        assert torch.get_num_threads() == each
    assert torch.get_num_threads() == before


def test_torch_chooses_where_nothing_is_asked_for():
    before = torch.get_num_threads()
    with use_cpu(0, 2):
        assert torch.get_num_threads() == before


@pytest.mark.parametrize("flushed", [False, True])
def test_denormals_are_afterwards_what_they_were(flushed):
    torch.set_flush_denormal(flushed)
    try:
        with use_cpu(0):
            assert sys.float_info.min / 2 == 0.0
        assert (sys.float_info.min / 2 == 0.0) == flushed
    finally:
        torch.set_flush_denormal(False)

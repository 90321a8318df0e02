"""How the machine is used: threads, denormals, the compiler."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from protdiff.network import ScoreNetwork, allow_programs

__all__ = ["compile_network", "use_cpu"]


@contextmanager
def use_cpu(threads: int, processes: int = 1) -> Iterator[None]:
    """Set the number of threads, and flush denormals, which small activations run into on CPUs.

    Both are afterwards what they were.

    Parameters
    ----------
    threads
        Of all processes; 0 for torch's choice.
    processes
        Those that share them, each one getting its part and at least one.
    """
    before = torch.get_num_threads()
    flushed = sys.float_info.min / 2 == 0.0  # torch does not tell
    if threads:
        torch.set_num_threads(max(1, threads // processes))
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed)
        torch.set_num_threads(before)


def compile_network(network: ScoreNetwork) -> Any:
    """Compile a network for each shape of a batch that it meets.

    torch gives up on a function after eight shapes, and a run has one for each length bucket, with
    and without motif and previous estimate.
    """
    allow_programs(512)
    return torch.compile(network, dynamic=False)

"""Freed memory is kept for the next allocation, in a process of its own: there is no way back."""

import ctypes
import subprocess
import sys

import pytest

from protdiff.memory import reuse_memory

HAS_GLIBC = sys.platform.startswith("linux") and hasattr(ctypes.CDLL(None), "mallopt")
COUNT_FAULTS = """
import resource, sys
import torch
from protdiff.memory import reuse_memory
made = reuse_memory() if sys.argv[1] == "reuse" else False
def fault():
    torch.ones(16_000_000)  # 64 MB, above what glibc keeps by itself
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):  # until the heap has a gap that fits
    first = fault()
for _ in range(20):
    last = fault()
print(int(made), last - first)
"""


def count_faults(how):
    """Return whether the setting was made, and the page faults of twenty large tensors."""
    run = subprocess.run(
        [sys.executable, "-c", COUNT_FAULTS, how], capture_output=True, text=True, check=True
    )
    made, faults = run.stdout.split()
    return bool(int(made)), int(faults)


@pytest.mark.skipif(not HAS_GLIBC, reason="glibc alone has the setting")
def test_memory_is_faulted_in_once():
    made, faults = count_faults("reuse")
    assert made
    assert faults < 0.5 * count_faults("plain")[1]


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not reuse_memory()


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert not reuse_memory()

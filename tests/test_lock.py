"""Locks: one holder at a time, and nobody is kept out where there are no locks."""

import errno
import os
import sys

import pytest

from protdiff.errors import FolderInUseError
from protdiff.lock import lock


def test_there_is_one_holder_until_it_lets_go(tmp_path):
    pytest.importorskip("fcntl")
    first, second = (os.open(tmp_path, os.O_RDONLY) for _ in range(2))
    assert lock(first, "it is mine")
    with pytest.raises(FolderInUseError, match="it is mine"):
        lock(second, "it is mine")
    os.close(first)
    assert lock(second, "it is mine")
    os.close(second)


def test_nobody_is_kept_out_where_there_are_no_locks(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def fail(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    with (tmp_path / "file").open("w") as file:
        monkeypatch.setattr(fcntl, "flock", fail)
        assert not lock(file.fileno(), "it is mine")
        monkeypatch.setitem(sys.modules, "fcntl", None)
        assert not lock(file.fileno(), "it is mine")

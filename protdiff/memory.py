"""How the process asks for memory.

A pass of the network allocates tensors of L² numbers and frees them at once. glibc gives large
blocks back to the system as soon as they are free, and the kernel hands out each next one page by
page and zeroed: of eight backbones of 512 residues half of the time. What is kept is there for the
next tensor.
"""

from __future__ import annotations

import ctypes
import sys

__all__ = ["reuse_memory"]

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # parameters of glibc's mallopt, as malloc.h numbers them
_NEVER = 2**31 - 1


def reuse_memory() -> bool:
    """Have the process keep memory that it has freed, for what it allocates next.

    The process does not shrink, and takes more where tensors do not fit into the gaps that others
    left. This is a setting of the whole process, so the command ``protdiff`` makes it and ``import
    protdiff`` does not.

    Returns
    -------
    bool
        Whether the setting was made: with glibc only, the C library of most Linux systems.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return mallopt is not None and bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, _NEVER))

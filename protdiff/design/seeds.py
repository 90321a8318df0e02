"""One seed a design, so that a design is the same whatever is made beside it.

Design k of seed s draws from generators of its own, seeded by a hash of (s, k, purpose). The hash
is SHA-256, not Python's ``hash``, which differs from one process to the next; and neighbouring
seeds give unrelated streams, which the arithmetic ``s + k`` would not: there, design 1 of seed 0
is design 0 of seed 1.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch

from protdiff.plain import take_integer

__all__ = ["derive_seed", "make_generator", "make_layout_generator"]


def derive_seed(seed: int, index: int, purpose: str = "noise") -> int:
    """Return the seed of one design's stream of random numbers, in [0, 2^63).

    Parameters
    ----------
    seed
        The user's seed.
    index
        Which design, counted from 0.
    purpose
        What the numbers are for; streams of different purposes are independent.

    Raises
    ------
    InputError
        The seed is no whole number: None would be one seed, and 3.0 another than 3.

    Examples
    --------
    >>> derive_seed(0, 1) == derive_seed(1, 0)
    False
    >>> derive_seed(7, 3) == derive_seed(7, 3)
    True
    """
    seed = take_integer("seed", seed)
    digest = hashlib.sha256(f"protdiff:{purpose}:{seed}:{index}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def make_generator(seed: int, index: int, purpose: str = "noise") -> torch.Generator:
    """Return the generator of a design's noise; on the CPU, so that every device sees the same.

    Parameters
    ----------
    seed, index, purpose
        As in :func:`derive_seed`.
    """
    return torch.Generator().manual_seed(derive_seed(seed, index, purpose))


def make_layout_generator(seed: int, index: int) -> np.random.Generator:
    """Return the generator of a design's length or of its contig's layout."""
    return np.random.default_rng(derive_seed(seed, index, "layout"))

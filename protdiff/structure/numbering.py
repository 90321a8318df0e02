"""Where residues stand along their chain, and what they are called."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from protdiff.chains import CHAIN_JUMP

__all__ = ["CHAIN_JUMP", "index_steps", "list_chains", "name_residue"]

# The chain ids, with the file's name where there are several, that no colon has to end.
_PLAIN_CHAIN = re.compile(r"(?:[^\s,/:]+\.)?[A-Za-z]+")


def name_residue(chain: str, residue: str) -> str:
    """Return what a residue, or a range of them, is called, as selections read it.

    Examples
    --------
    >>> name_residue("A", "163"), name_residue("1", "50-55")  # not chain 150
    ('A163', '1:50-55')
    """
    return f"{chain}{residue}" if _PLAIN_CHAIN.fullmatch(chain) else f"{chain}:{residue}"


def list_chains(chains: Iterable[str]) -> str:
    """Return the ids of chains for a message; where there is no id, how its residues are named.

    Examples
    --------
    >>> list_chains(["A", ""])
    'A, one without an id (:10-50)'
    """
    return ", ".join(chain or "one without an id (:10-50)" for chain in chains)


def index_steps(steps: ArrayLike) -> NDArray[np.int64]:
    """Turn the steps between neighbours into a residue index that starts at 0 and always rises.

    Parameters
    ----------
    steps
        (residue − 1,) int; 1 within an unbroken chain. A step under 1 (residues put in another
        order) becomes :data:`CHAIN_JUMP`.

    Examples
    --------
    >>> index_steps([1, 1, 5, -3]).tolist()
    [0, 1, 2, 7, 207]
    """
    steps = np.asarray(steps, dtype=np.int64)
    steps = np.where(steps < 1, CHAIN_JUMP, steps)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(steps)])

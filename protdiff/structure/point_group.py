r"""Point groups of assemblies: the rotations that carry a symmetric design into itself.

Proteins have a hand, so no element mirrors. *Cn*, cyclic, has the n turns by :math:`2\pi k/n` about
z. *Dn*, dihedral, has these and, after each, a half turn about x, 2n in all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protdiff.errors import InputError, shorten

__all__ = ["PointGroup", "parse_point_group"]

_LARGEST = 60


@dataclass(frozen=True)
class PointGroup:
    """A cyclic or dihedral group of rotations.

    Parameters
    ----------
    kind
        ``"C"`` or ``"D"``.
    fold
        n: turns by a full circle's n-th part about z.
    """

    kind: str
    fold: int

    def __str__(self) -> str:
        return f"{self.kind}{self.fold}"

    @property
    def order(self) -> int:
        """The number of elements, so of chains."""
        return self.fold if self.kind == "C" else 2 * self.fold

    @property
    def rotations(self) -> NDArray[np.float64]:
        """(order, 3, 3), proper rotations R of x → R x, the identity first.

        Examples
        --------
        >>> parse_point_group("C2").rotations.round().astype(int).tolist()[1]
        [[-1, 0, 0], [0, -1, 0], [0, 0, 1]]
        """
        angles = 2 * np.pi * np.arange(self.fold) / self.fold
        turns = np.zeros((self.fold, 3, 3))
        turns[:, 0, 0] = turns[:, 1, 1] = np.cos(angles)
        turns[:, 1, 0], turns[:, 0, 1] = np.sin(angles), -np.sin(angles)
        turns[:, 2, 2] = 1.0
        if self.kind == "C":
            return turns
        half_turn = np.diag([1.0, -1.0, -1.0])
        return np.concatenate([turns, turns @ half_turn])

    def assemble(self, chain: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return a chain and its images, one after the other.

        Parameters
        ----------
        chain
            (residue, atom, 3), Å, where it stands to the axes.

        Returns
        -------
        numpy.ndarray
            (order · residue, atom, 3); the first chain is the given one.
        """
        images = np.einsum("kij,laj->klai", self.rotations, chain.astype(np.float64))
        assembly: NDArray[np.float32] = images.reshape(-1, *chain.shape[1:]).astype(np.float32)
        return assembly

    def rebuild(self, assembly: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return an assembly made anew of its first chain, (order · residue, atom, 3)."""
        return self.assemble(assembly[: len(assembly) // self.order])


def parse_point_group(text: str) -> PointGroup:
    """Understand a Schoenflies symbol.

    Parameters
    ----------
    text
        ``"C2"``, ``"C3"``, ... or ``"D2"``, ``"D3"``, ...

    Raises
    ------
    InputError
        It is none of these.

    Examples
    --------
    >>> parse_point_group("d2").order
    4
    """
    match = re.fullmatch(r"\s*([CD])([0-9]{1,4})\s*", text.upper())
    if match is None or not 2 <= int(match[2]) <= _LARGEST:
        raise InputError(
            f"there is no symmetry {shorten(text, 20)!r}; give C2, C3, ... for a ring of 2, 3, "
            f"... chains, or D2, D3, ... for two such rings face to face, up to {_LARGEST}"
        )
    return PointGroup(match[1], int(match[2]))

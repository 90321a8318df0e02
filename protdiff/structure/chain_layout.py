"""Where the residues of a design stand: along which chain, and what they are called there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protdiff.errors import InputError
from protdiff.structure.backbone import Backbone
from protdiff.structure.layout import Layout
from protdiff.structure.motif import name_chain
from protdiff.structure.numbering import CHAIN_JUMP, index_steps

__all__ = ["ChainLayout"]


@dataclass(frozen=True, eq=False)
class ChainLayout:
    """The chains of a design, before there are any coordinates.

    Parameters
    ----------
    residue_index
        (residue,) int64, places along the chain: starts at 0, rises by one within an unbroken
        chain and by more at a break, as :attr:`Backbone.residue_index`.
    chain_id
        (residue,) str.
    residue_number
        (residue,) int64.
    insertion_code
        (residue,) str, ``""`` where there is none.
    """

    residue_index: NDArray[np.int64]
    chain_id: NDArray[np.str_]
    residue_number: NDArray[np.int64]
    insertion_code: NDArray[np.str_]

    @classmethod
    def of_one_chain(cls, length: int) -> ChainLayout:
        """Lay out one unbroken chain, A1 to A ``length``."""
        return cls.of_chains([length])

    @classmethod
    def of_chains(cls, lengths: Sequence[int]) -> ChainLayout:
        """Lay out unbroken chains A, B, ... of the lengths given, each numbered from 1.

        Examples
        --------
        >>> layout = ChainLayout.of_chains([3, 2])
        >>> layout.residue_index.tolist(), "".join(layout.chain_id), layout.residue_number.tolist()
        ([0, 1, 2, 202, 203], 'AAABB', [1, 2, 3, 1, 2])
        """
        chains = np.repeat([name_chain(number) for number in range(len(lengths))], lengths)
        number = np.concatenate([np.arange(1, length + 1) for length in lengths])
        index = index_steps(np.where(chains[1:] == chains[:-1], 1, CHAIN_JUMP))
        return cls(index, chains, number, np.full(len(chains), ""))

    @classmethod
    def of_backbone(cls, backbone: Backbone) -> ChainLayout:
        """Take the chains of a structure."""
        return cls(
            backbone.residue_index,
            backbone.chain_id,
            backbone.residue_number,
            backbone.insertion_code,
        )

    @classmethod
    def of_layout(cls, layout: Layout) -> ChainLayout:
        """Take the chains of a contig's layout."""
        names = np.array([name_chain(number) for number in layout.chain_numbers.tolist()])
        length = layout.length
        return cls(layout.residue_index, names, np.arange(length) + 1, np.full(length, ""))

    def __len__(self) -> int:
        return len(self.residue_index)

    @property
    def chain_index(self) -> NDArray[np.int64]:
        """(residue,) the number of each residue's chain, from 0, in their order."""
        order = {chain: number for number, chain in enumerate(dict.fromkeys(self.chain_id))}
        return np.array([order[chain] for chain in self.chain_id], dtype=np.int64)

    def repeat(self, copies: int) -> ChainLayout:
        """Return the one chain ``copies`` times, as chains A, B, ...

        Raises
        ------
        InputError
            There are several chains.

        Examples
        --------
        >>> layout = ChainLayout.of_one_chain(3).repeat(2)
        >>> layout.residue_index.tolist(), "".join(layout.chain_id)
        ([0, 1, 2, 202, 203, 204], 'AAABBB')
        """
        if self.chain_index.any():
            raise InputError(
                f"{copies} copies of one chain are asked for, of a design that has "
                f"{self.chain_index.max() + 1} chains already; give one chain"
            )
        length = len(self)
        step = self.residue_index[-1] + CHAIN_JUMP
        return ChainLayout(
            np.tile(self.residue_index, copies) + np.repeat(np.arange(copies) * step, length),
            np.repeat([name_chain(number) for number in range(copies)], length),
            np.tile(self.residue_number, copies),
            np.tile(self.insertion_code, copies),
        )

    def make_backbone(self, coordinates: NDArray[np.float32], *, name: str) -> Backbone:
        """Make the backbone of coordinates (residue, 3, 3), Å."""
        return Backbone.from_coordinates(
            coordinates,
            residue_index=self.residue_index,
            chain_id=self.chain_id,
            residue_number=self.residue_number,
            insertion_code=self.insertion_code,
            name=name,
        )

"""Pairs of residues a block at a time: i over some residues, j over all.

What the network works out of a pair follows from the two residues, and passes through some 150
numbers on its way to a few dozen. In one piece these are tensors of L² numbers and many times that,
which every operation reads from memory and writes back; in blocks they stay in the processor's
cache, and memory holds what goes out alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["PairBlock", "assemble", "list_blocks"]

BLOCK = 2**15  # pairs, of which 32 float32 numbers are 4 MiB


class PairBlock(NamedTuple):
    """Pairs (i, j) of some proteins of a batch, i over some residues and j over all."""

    proteins: slice = slice(None)
    rows: slice = slice(None)


def list_blocks(batch: int, count: int, device: torch.device) -> list[PairBlock]:
    """Divide the pairs of a batch into blocks that are worked out one after the other.

    One block where gradients are recorded, where the network is being compiled, and off the CPU;
    else several small proteins, one, or some rows of one.
    """
    if device.type != "cpu" or torch.is_grad_enabled() or torch.compiler.is_compiling():
        return [PairBlock()]
    proteins = max(1, BLOCK // count**2)
    rows = math.ceil(count / math.ceil(count**2 / BLOCK))
    return [
        PairBlock(slice(protein, protein + proteins), slice(row, min(row + rows, count)))
        for protein in range(0, batch, proteins)
        for row in range(0, count, rows)
    ]


def assemble(
    blocks: Sequence[PairBlock], evaluate: Callable[[PairBlock], Sequence[Tensor]], batch: int
) -> Sequence[Tensor]:
    """Evaluate block by block and put the results together.

    Parameters
    ----------
    blocks
        From :func:`list_blocks`.
    evaluate
        Gives for a block some tensors, each ``(proteins, any, rows, any)``.
    batch
        Number of proteins.

    Returns
    -------
    sequence of Tensor
        For all pairs, each ``(batch, any, residue, any)``.
    """
    if len(blocks) == 1:
        return evaluate(blocks[0])
    whole: list[Tensor] = []
    for block in blocks:
        parts = evaluate(block)
        if not whole:
            count = blocks[-1].rows.stop
            whole = [part.new_empty(batch, part.shape[1], count, part.shape[3]) for part in parts]
        for target, part in zip(whole, parts, strict=True):
            target[block.proteins, :, block.rows] = part
    return whole

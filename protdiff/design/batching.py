"""Which designs are made together: batches of one padded length.

Where the designs of a task differ in length, each is padded to the next multiple of
:data:`PADDED_TO` residues, whatever it is batched with: then a design still depends on nothing but
itself, and there are batches, whose designs take half the time of single ones and less.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from protdiff.conditioning.conditioner import Scene
from protdiff.design.samplers import is_adaptive
from protdiff.model import LENGTH_RANGE, BackboneModel
from protdiff.structure.chain_layout import ChainLayout

if TYPE_CHECKING:
    from protdiff.design.engine import DesignTask, Plan

__all__ = ["AHEAD", "PADDED_TO", "get_padding", "group_plans", "make_scene", "pad_length"]

PADDED_TO = 8
"""Residues; the rows of padding cost a tenth, and save several times that."""
AHEAD = 64
"""Batches of designs that are planned ahead, at most, to fill one with designs of one length."""


def get_padding(task: DesignTask) -> int:
    """Return what multiple of residues the designs of a task are padded to; 1 for no padding."""
    shortest, longest = task.length_range
    # An adaptive sampler makes one design at a time, and would count padding in its error.
    padded = shortest < longest and not is_adaptive(task.settings.sampler)
    return PADDED_TO if padded and all(one.reads_mask for one in task.conditioners) else 1


def pad_length(length: int, padding: int) -> int:
    """Return the next multiple of ``padding``, within what the network makes."""
    return min(-(-length // padding) * padding, max(length, LENGTH_RANGE[1]))


def group_plans(plans: Iterable[Plan], batch_size: int, padding: int = 1) -> Iterator[list[Plan]]:
    """Group plans into batches of one padded length.

    The next batch holds the first plan that is left, and the plans of its padded length that come
    after it. To fill it, plans are taken one by one; those of other lengths wait for a batch of
    their own, at most as many as :data:`AHEAD` batches hold. So the batches follow from the plans
    and their order alone.

    Examples
    --------
    >>> from protdiff.design.engine import Plan
    >>> plans = [Plan(0, 60), Plan(1, 80), Plan(2, 62)]
    >>> [[plan.index for plan in batch] for batch in group_plans(plans, batch_size=4)]
    [[0], [1], [2]]
    >>> [[plan.index for plan in batch] for batch in group_plans(plans, batch_size=4, padding=8)]
    [[0, 2], [1]]
    """
    coming = iter(plans)
    left = list(islice(coming, 1))
    while left:
        length = pad_length(left[0].length, padding)
        batch: list[Plan] = []
        others: list[Plan] = []
        for seen, plan in enumerate(chain(left, coming), start=1):
            fits = len(batch) < batch_size and pad_length(plan.length, padding) == length
            (batch if fits else others).append(plan)
            enough = len(batch) == batch_size or seen >= AHEAD * batch_size
            if enough and seen >= len(left):
                break
        yield batch
        left = others or list(islice(coming, 1))


def make_scene(model: BackboneModel, plans: Sequence[Plan], padding: int = 1) -> Scene:
    """Return a batch of plans of one padded length as conditioners see it."""
    chains = [plan.chains or ChainLayout.of_one_chain(plan.length) for plan in plans]
    length = pad_length(plans[0].length, padding)

    def stack(rows: list[NDArray[np.int64]], step: int) -> torch.Tensor:
        # What stands on padding is never read; it goes on as the chain would.
        padded = [
            np.concatenate([row, row[-1] + step * np.arange(1, length - len(row) + 1)])
            for row in rows
        ]
        return torch.from_numpy(np.stack(padded)).to(model.device)

    lengths = torch.tensor([plan.length for plan in plans])
    return Scene(
        model,
        (torch.arange(length) < lengths[:, None]).to(model.device),
        stack([one.residue_index for one in chains], 1),
        stack([one.chain_index for one in chains], 0),
    )

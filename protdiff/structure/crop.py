"""The part of a structure around some of its residues."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from protdiff.structure.backbone import Backbone
from protdiff.structure.numbering import name_residue

__all__ = ["Stretch", "crop_around"]

_CA = 1
_SMOOTH = 7  # residues over which distances are averaged, so that stretches are kept whole
_SHORTEST = 4  # residues of a stretch


@dataclass(frozen=True, eq=False)
class Stretch:
    """Residues that follow upon each other in one chain.

    Attributes
    ----------
    places
        (residue,) in the structure.
    name
        As selections read it: ``A25-109``.
    """

    places: NDArray[np.int64]
    name: str


def crop_around(backbone: Backbone, places: ArrayLike, most: int) -> list[Stretch]:
    """Choose the residues of a structure that are nearest to some of them.

    Parameters
    ----------
    backbone
        The structure.
    places
        (residue,) int, those to crop around; they are always kept.
    most
        How many residues, at most, apart from those.

    Returns
    -------
    list of Stretch
        In the order of the structure; the whole of it, if it has no more than ``most`` residues.
    """
    hot = np.asarray(places, dtype=np.int64)
    chosen = np.ones(len(backbone), dtype=bool)
    if len(backbone) > most:
        alpha = backbone.coordinates[:, _CA].astype(float)
        distance = np.linalg.norm(alpha[:, None] - alpha[hot], axis=-1).min(axis=1)
        window = np.ones(min(_SMOOTH, len(alpha)))
        smooth = np.convolve(distance, window, "same") / np.convolve(
            np.ones(len(alpha)), window, "same"
        )
        chosen[np.argsort(smooth, kind="stable")[most:]] = False
        chosen[hot] = True
    found = [run for run in _list_runs(backbone) if chosen[run].any()]
    kept = []
    for run in found:
        inside = np.flatnonzero(np.diff(chosen[run], prepend=False, append=False))
        for start, stop in inside.reshape(-1, 2):
            stretch = run[start:stop]
            if len(stretch) >= _SHORTEST or len(run) < _SHORTEST or np.isin(stretch, hot).any():
                kept.append(Stretch(stretch, _name(backbone, stretch)))
    return kept


def _list_runs(backbone: Backbone) -> list[NDArray[np.int64]]:
    """List the places of the unbroken pieces of all chains."""
    breaks = (np.diff(backbone.residue_index) != 1) | (
        backbone.chain_id[1:] != backbone.chain_id[:-1]
    )
    return np.split(np.arange(len(backbone)), np.flatnonzero(breaks) + 1)


def _name(backbone: Backbone, places: NDArray[np.int64]) -> str:
    first, last = (
        f"{backbone.residue_number[place]}{backbone.insertion_code[place]}"
        for place in (places[0], places[-1])
    )
    chain = str(backbone.chain_id[places[0]])
    return name_residue(chain, first if first == last else f"{first}-{last}")

"""The part of a structure around some of its residues."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from protdiff.structure.backbone import Backbone
from protdiff.structure.segments import MotifSegment
from protdiff.structure.selection import ResidueRange

__all__ = ["crop_around"]

_CA = 1
_SMOOTH = 7  # residues over which distances are averaged, so that stretches are kept whole
_SHORTEST = 4  # residues of a stretch


def crop_around(backbone: Backbone, places: ArrayLike, most: int) -> list[MotifSegment]:
    """Choose the residues of a structure that are nearest to some of them.

    Parameters
    ----------
    backbone
        The structure.
    places
        (residue,) int, those to crop around, which are kept before all others.
    most
        How many residues, at most.

    Returns
    -------
    list of MotifSegment
        Unbroken stretches in the order of the structure; the whole of it, if it has no more than
        ``most`` residues.
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
        smooth[hot] = -1.0
        chosen[np.argsort(smooth, kind="stable")[most:]] = False
    kept: list[MotifSegment] = []
    for run in np.split(np.arange(len(backbone)), backbone.segment_starts[1:]):
        inside = np.flatnonzero(np.diff(chosen[run], prepend=False, append=False))
        for start, stop in inside.reshape(-1, 2):
            stretch = run[start:stop]
            if len(stretch) >= _SHORTEST or len(run) < _SHORTEST or np.isin(stretch, hot).any():
                named = _name(backbone, stretch)
                kept.append(MotifSegment(named, len(kept), tuple(stretch.tolist())))
    return kept


def _name(backbone: Backbone, places: NDArray[np.int64]) -> ResidueRange:
    first, last = (
        (int(backbone.residue_number[place]), str(backbone.insertion_code[place]))
        for place in (places[0], places[-1])
    )
    return ResidueRange(str(backbone.chain_id[places[0]]), first, last)

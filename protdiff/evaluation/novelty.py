"""How near designs are to known structures: the largest TM-score to a reference set.

The score is normalised by the design's length: it asks how much of the design is known already, and
a fragment of the reference that is found in the design does not make the design known.

No reference is left out by a guess. One is passed over only if it cannot be the nearest: a chain of
m residues covers at most m of the design's L, so its score is at most m / L.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from protdiff.evaluation.parallel import map_tasks
from protdiff.evaluation.tm_score import Aligner, Coordinates, can_align, get_aligner

__all__ = ["NORMALISATION", "Novelty", "Reference", "measure_novelty", "summarise_novelty"]

NORMALISATION = "the design's length"
"""What TM-scores to the reference are normalised by."""


@dataclass(frozen=True, eq=False)
class Reference:
    """A known structure: its name and its (residue, 3 or 4, xyz) positions in Å."""

    id: str
    coordinates: Coordinates


@dataclass(frozen=True)
class Novelty:
    """The nearest known structure of a design.

    Attributes
    ----------
    tm
        Its TM-score, normalised by the design's length; the lower, the newer the design.
    nearest
        Its id.
    """

    tm: float
    nearest: str


def measure_novelty(
    designs: Sequence[Coordinates],
    references: Sequence[Reference],
    *,
    aligner: Aligner | None = None,
    workers: int = 1,
    on_progress: Callable[[float], None] | None = None,
) -> list[Novelty]:
    """Find the nearest reference of each design.

    Parameters
    ----------
    designs
        (residue, 3 or 4, xyz) each, N, CA, C(, O) in Å; finite, of
        :data:`~protdiff.evaluation.tm_score.SHORTEST` residues or more.
    references
        The known structures; those that are too short to be aligned are passed over.
    aligner
        Default: :func:`~protdiff.evaluation.tm_score.get_aligner`.
    workers
        Processes to share the designs among.
    on_progress
        Is told how many pairs of design and reference are done since the last call.
    """
    aligner = get_aligner() if aligner is None else aligner
    known = [reference for reference in references if can_align(reference.coordinates)]
    # One process tells of its progress reference by reference, several design by design.
    inner = on_progress if workers <= 1 else None
    found = map_tasks(_find_nearest, (aligner, known, inner), list(designs), workers=workers)
    result = []
    for novelty in found:
        result.append(novelty)
        if on_progress is not None and inner is None:
            on_progress(len(known))
    return result


def _find_nearest(
    shared: tuple[Aligner, Sequence[Reference], Callable[[float], None] | None],
    design: Coordinates,
) -> Novelty:
    aligner, known, on_progress = shared
    best = Novelty(0.0, "")
    # Likely ones first: the larger the best score, the more of the short ones cannot beat it.
    for reference in sorted(known, key=lambda one: abs(len(one.coordinates) - len(design))):
        if min(1.0, len(reference.coordinates) / len(design)) > best.tm:
            tm = aligner.score(design, reference.coordinates).by_first
            if tm > best.tm:
                best = Novelty(tm, reference.id)
        if on_progress is not None:
            on_progress(1)
    return best


def summarise_novelty(novelties: Sequence[Novelty]) -> dict[str, float]:
    """Return the rows for a table: mean and largest TM-score to the nearest known structure."""
    scores = [novelty.tm for novelty in novelties]
    return {
        "nearest_known_tm": float(np.mean(scores)) if scores else math.nan,
        "largest_known_tm": max(scores, default=math.nan),
    }

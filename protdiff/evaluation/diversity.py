"""How different designs are from each other.

Every pair is aligned, none is skipped. TM-scores of pairs are normalised by the shorter chain, so
that a small design that is part of a larger one counts as a repetition of it.

Clusters are greedy: the design with the most others at or above the threshold takes them along as a
cluster, and so on with those that are left; of equals the first in order. With as many clusters as
designs no two are alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protdiff.evaluation.parallel import map_tasks
from protdiff.evaluation.tm_score import Aligner, Coordinates, get_aligner

__all__ = [
    "CLUSTER_THRESHOLD",
    "NORMALISATION",
    "Diversity",
    "cluster_greedily",
    "measure_diversity",
    "score_pairs",
]

CLUSTER_THRESHOLD = 0.6
"""TM-score from which two designs are of one cluster."""

NORMALISATION = "the shorter chain"
"""What TM-scores of pairs of designs are normalised by."""

_CHUNK = 32


@dataclass(frozen=True, eq=False)
class Diversity:
    """How different a set of designs is.

    Attributes
    ----------
    scores
        (design, design) TM-scores, symmetric, 1 on the diagonal.
    threshold
        Of the clusters.
    clusters
        The designs of each cluster, its centre first; the largest cluster first.
    aligner
        Name of the aligner.
    """

    scores: NDArray[np.float64]
    threshold: float
    clusters: tuple[tuple[int, ...], ...]
    aligner: str

    @property
    def pairs(self) -> NDArray[np.float64]:
        """The scores of all pairs, each once."""
        found: NDArray[np.float64] = self.scores[np.tril_indices(len(self.scores), -1)]
        return found

    @property
    def mean_pairwise_tm(self) -> float:
        """Mean over pairs; NaN for a single design."""
        return float(self.pairs.mean()) if len(self.pairs) else math.nan

    @property
    def largest_pairwise_tm(self) -> float:
        """Largest of all pairs; NaN for a single design."""
        return float(self.pairs.max()) if len(self.pairs) else math.nan

    @property
    def clusters_per_design(self) -> float:
        """Number of clusters over number of designs: 1 where no two are alike."""
        return len(self.clusters) / len(self.scores) if len(self.scores) else math.nan

    @property
    def cluster_of(self) -> NDArray[np.int64]:
        """(design,) the number of each design's cluster, counted from 0."""
        labels = np.zeros(len(self.scores), np.int64)
        for number, members in enumerate(self.clusters):
            labels[list(members)] = number
        return labels

    def to_summary(self) -> dict[str, float]:
        """Return the rows for a table."""
        return {
            "clusters_per_design": self.clusters_per_design,
            "mean_pairwise_tm": self.mean_pairwise_tm,
            "largest_pairwise_tm": self.largest_pairwise_tm,
        }


def measure_diversity(
    designs: Sequence[Coordinates],
    *,
    threshold: float = CLUSTER_THRESHOLD,
    aligner: Aligner | None = None,
    workers: int = 1,
    on_progress: Callable[[float], None] | None = None,
) -> Diversity:
    """Align all pairs of designs and cluster them.

    Parameters
    ----------
    designs
        (residue, 3 or 4, xyz) each, N, CA, C(, O) in Å; finite, of
        :data:`~protdiff.evaluation.tm_score.SHORTEST` residues or more.
    threshold
        TM-score from which two designs are of one cluster.
    aligner
        Default: :func:`~protdiff.evaluation.tm_score.get_aligner`.
    workers
        Processes to share the pairs among.
    on_progress
        Is told how many pairs are done since the last call.
    """
    aligner = get_aligner() if aligner is None else aligner
    scores = score_pairs(designs, aligner=aligner, workers=workers, on_progress=on_progress)
    return Diversity(scores, threshold, cluster_greedily(scores, threshold), aligner.name)


def score_pairs(
    designs: Sequence[Coordinates],
    *,
    aligner: Aligner | None = None,
    workers: int = 1,
    on_progress: Callable[[float], None] | None = None,
) -> NDArray[np.float64]:
    """Return the (design, design) TM-scores, normalised by the shorter chain of each pair.

    Parameters are those of :func:`measure_diversity`.
    """
    aligner = get_aligner() if aligner is None else aligner
    scores = np.eye(len(designs))
    rows, columns = np.tril_indices(len(designs), -1)
    pairs = list(zip(rows.tolist(), columns.tolist(), strict=True))
    chunks = [pairs[start : start + _CHUNK] for start in range(0, len(pairs), _CHUNK)]
    # One process tells of its progress pair by pair: the first chunk may take a while.
    steps = chunks if workers > 1 else [[pair] for pair in pairs]
    done = map_tasks(_score_chunk, (aligner, list(designs)), steps, workers=workers)
    for step, found in zip(steps, done, strict=True):
        for (i, j), score in zip(step, found, strict=True):
            scores[i, j] = scores[j, i] = score
        if on_progress is not None:
            on_progress(len(step))
    return scores


def _score_chunk(
    shared: tuple[Aligner, list[Coordinates]], pairs: list[tuple[int, int]]
) -> list[float]:
    aligner, designs = shared
    return [aligner.score(designs[i], designs[j]).by_shorter for i, j in pairs]


def cluster_greedily(
    scores: NDArray[np.floating[Any]], threshold: float = CLUSTER_THRESHOLD
) -> tuple[tuple[int, ...], ...]:
    """Cluster by a symmetric (design, design) table of scores.

    Returns
    -------
    tuple
        The members of each cluster, its centre first.

    Examples
    --------
    >>> cluster_greedily(np.array([[1.0, 0.7, 0.2], [0.7, 1.0, 0.2], [0.2, 0.2, 1.0]]))
    ((0, 1), (2,))
    """
    alike = np.asarray(scores) >= threshold
    np.fill_diagonal(alike, True)
    left = np.ones(len(alike), dtype=bool)
    clusters = []
    while left.any():
        neighbours = np.where(left, (alike & left).sum(axis=1), -1)
        centre = int(neighbours.argmax())
        members = np.flatnonzero(alike[centre] & left)
        clusters.append((centre, *(int(k) for k in members if k != centre)))
        left[members] = False
    return tuple(clusters)

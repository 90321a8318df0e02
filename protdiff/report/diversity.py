"""How different designs are from each other, as a map: alike is near, different is far.

The distance of two designs is 1 − TM-score where tmtools is installed and the pairs are few enough
to be aligned in seconds. Otherwise it is the root mean square difference of their CA distance
matrices, each resampled to the same number of points along the chain: a cheap number that knows a
fold from another, and needs no alignment. Classical multidimensional scaling then finds the plane
in which those distances are kept best.

References
----------
W. S. Torgerson, Multidimensional scaling: I. Theory and method, 1952. Y. Zhang, J. Skolnick,
TM-align: a protein structure alignment algorithm based on the TM-score, 2005.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protdiff.evaluation.diversity import score_pairs
from protdiff.evaluation.tm_score import can_align, get_aligner

__all__ = ["DiversityMap", "embed_distances", "make_diversity_map"]

Array = NDArray[np.float64]

MOST_ALIGNMENTS = 1500
"""Pairs of designs that are aligned, about 10 ms each; beyond it the cheap distance serves."""

RESAMPLED = 32
"""Points along the chain at which distance matrices are compared."""

ALIGNMENT, DISTANCE_MATRIX = "1 − TM-score", "difference of CA distance matrices (Å)"


@dataclass(frozen=True)
class DiversityMap:
    """Designs in a plane.

    Attributes
    ----------
    points
        (design, 2), in the unit of the distance, their mean at the origin.
    mean_distance
        Over all pairs; NaN for a single design.
    kept
        Share of the squared distances' spread that the plane keeps.
    distance
        What was measured, in words.
    """

    points: Array
    mean_distance: float
    kept: float
    distance: str


def make_diversity_map(designs: Sequence[NDArray[np.floating]]) -> DiversityMap:
    """Measure all pairs and lay the designs out.

    Parameters
    ----------
    designs
        (residue, 4, 3) each, N, CA, C, O in Å; of D-proteins those of the mirror images.
    """
    pairs = len(designs) * (len(designs) - 1) // 2
    # Biotite's aligner, which serves elsewhere without tmtools, is too slow for a page.
    installed = importlib.util.find_spec("tmtools") is not None
    if installed and pairs <= MOST_ALIGNMENTS and all(map(can_align, designs)):
        distances, name = 1.0 - score_pairs(designs, aligner=get_aligner("tm-align")), ALIGNMENT
    else:
        distances = _compare_distance_matrices([design[:, 1] for design in designs])
        name = DISTANCE_MATRIX
    points, kept = embed_distances(distances)
    below = distances[np.tril_indices(len(designs), -1)]
    return DiversityMap(points, float(below.mean()) if len(below) else np.nan, kept, name)


def embed_distances(distances: Array) -> tuple[Array, float]:
    """Lay points out in a plane so that their distances are kept: classical scaling.

    With J = 1 − 11ᵀ/n, the matrix B = −½ J D² J holds the inner products of centred points; its two
    largest eigenvalues λ and vectors v give the coordinates √λ v.

    Parameters
    ----------
    distances
        (n, n), symmetric, zero on the diagonal.

    Returns
    -------
    tuple
        (n, 2) coordinates, and the share of the positive eigenvalues that they carry (1 where there
        is nothing to lose).

    Examples
    --------
    >>> line = np.abs(np.subtract.outer([0.0, 3.0, 4.0], [0.0, 3.0, 4.0]))
    >>> points, kept = embed_distances(line)
    >>> round(float(np.linalg.norm(points[0] - points[2])), 6), round(kept, 6)
    (4.0, 1.0)
    """
    n = len(distances)
    centring = np.eye(n) - 1.0 / n
    inner = -0.5 * centring @ distances**2 @ centring
    values, vectors = np.linalg.eigh(inner)
    order = np.argsort(values)[::-1]
    values, vectors = values[order].clip(min=0.0), vectors[:, order]
    if n < 2 or values.sum() <= 0.0:
        return np.zeros((n, 2)), 1.0
    points = vectors[:, :2] * np.sqrt(values[:2])
    # An eigenvector's sign is nobody's choice; fix it, so that the same designs give the same map.
    largest = np.abs(points).argmax(axis=0)
    sign = np.sign(points[largest, np.arange(points.shape[1])])
    points = points * np.where(sign == 0, 1.0, sign)
    if n == 2:
        points[:, 1] = 0.0
    return points, float(values[:2].sum() / values.sum())


def _compare_distance_matrices(traces: Sequence[NDArray[np.floating]]) -> Array:
    """Return (design, design) root mean square differences of resampled distance matrices, Å."""
    above = np.triu_indices(RESAMPLED, 1)
    rows = np.empty((len(traces), len(above[0])))
    for row, trace in zip(rows, traces, strict=True):
        at = np.linspace(0.0, len(trace) - 1.0, RESAMPLED)
        points = np.stack(
            [np.interp(at, np.arange(len(trace)), trace[:, axis]) for axis in range(3)], axis=-1
        )
        row[:] = np.linalg.norm(points[above[0]] - points[above[1]], axis=-1)
    squared = (rows**2).sum(1)
    product = squared[:, None] + squared[None] - 2.0 * rows @ rows.T
    np.fill_diagonal(product, 0.0)
    distances: Array = np.sqrt(product.clip(min=0.0) / rows.shape[1])
    return distances

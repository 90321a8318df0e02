"""Superimposing structures: the rigid motion that leaves the least deviation (Kabsch).

References
----------
W. Kabsch, "A solution for the best rotation to relate two sets of vectors", 1976.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from protdiff.errors import InputError

__all__ = ["Superposition", "rmsd", "superimpose"]

FloatArray = NDArray[np.floating]


@dataclass(frozen=True)
class Superposition:
    """The rigid motion x -> x·rotation + translation that best fits one set of points to another.

    Attributes
    ----------
    rotation
        (3, 3), a proper rotation, applied from the right.
    translation
        (3,), Å.
    rmsd
        The root-mean-square deviation (Å) that is left.
    """

    rotation: FloatArray
    translation: FloatArray
    rmsd: float

    def apply(self, coordinates: ArrayLike) -> FloatArray:
        """Move (..., xyz) coordinates."""
        x = np.asarray(coordinates, dtype=float)
        return np.asarray(x @ self.rotation + self.translation)


def superimpose(mobile: ArrayLike, target: ArrayLike) -> Superposition:
    """Fit ``mobile`` onto ``target`` by rotation and translation, never by reflection (Kabsch).

    Parameters
    ----------
    mobile, target
        (..., xyz) of one shape, at least one point; Å. Leading axes count as points.

    Returns
    -------
    Superposition
        The motion of ``mobile`` and the RMSD after it.

    Raises
    ------
    InputError
        They are not of as many points, or there is none.

    Examples
    --------
    >>> from protdiff.structure import build_backbone
    >>> x = build_backbone(np.full(5, -60.0), -45.0)
    >>> round(superimpose(x, x[..., [1, 2, 0]] + 3.0).rmsd, 6)
    0.0
    """
    x = np.asarray(mobile, dtype=float).reshape(-1, 3)
    y = np.asarray(target, dtype=float).reshape(-1, 3)
    if x.shape != y.shape or not len(x):
        raise InputError(
            f"cannot superimpose {len(x)} points on {len(y)}; give as many, at least 1"
        )
    centre_x, centre_y = x.mean(0), y.mean(0)
    u, _, vt = np.linalg.svd((x - centre_x).T @ (y - centre_y))
    sign = np.ones(3)
    sign[2] = np.sign(np.linalg.det(u @ vt)) or 1.0
    rotation = (u * sign) @ vt
    translation = centre_y - centre_x @ rotation
    return Superposition(rotation, translation, rmsd(x @ rotation + translation, y))


def rmsd(a: ArrayLike, b: ArrayLike) -> float:
    """Return the root-mean-square deviation (Å) of two sets of points as they lie."""
    difference = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    return float(np.sqrt((difference**2).sum(-1).mean()))

r"""Superimposing batches of points: the rotation of least squares.

Of a covariance :math:`H = \sum_k p_k q_k^T = U S V^T` of points to be turned and points to be met,
row vectors both, the rotation that leaves the least :math:`\sum_k |p_k R - q_k|^2` is

.. math:: R = U \,\mathrm{diag}(1, 1, \det U V^T)\, V^T.

References
----------
Kabsch 1976, "A solution for the best rotation to relate two sets of vectors".
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["align_to", "fit_rotation"]


def fit_rotation(covariance: Tensor) -> Tensor:
    """Return the proper rotation that fits points best to others, by their covariance.

    Parameters
    ----------
    covariance
        H, ``(batch, 3, 3)``.

    Returns
    -------
    Tensor
        R, ``(batch, 3, 3)``, applied from the right.
    """
    u, _, vh = torch.linalg.svd(covariance)
    # A reflection would fit the mirror image; flip the weakest axis instead.
    flip = torch.ones_like(covariance[..., 0])
    flip[..., 2] = torch.linalg.det(u @ vh).sign()
    rotation: Tensor = u @ (flip[..., None] * vh)
    return rotation


def align_to(moving: Tensor, fixed: Tensor, atom_mask: Tensor) -> Tensor:
    """Superimpose point clouds by the proper rotation and translation of least squares.

    Parameters
    ----------
    moving, fixed
        ``(batch, points, 3)``.
    atom_mask
        ``(batch, points)``, True for the points to be superimposed.

    Returns
    -------
    Tensor
        ``moving`` in its new pose, ``(batch, points, 3)``, all points of it.
    """
    weight = atom_mask[..., None].to(moving)
    count = weight.sum(dim=1, keepdim=True).clamp(min=1)
    moving_centre = (moving * weight).sum(dim=1, keepdim=True) / count
    fixed_centre = (fixed * weight).sum(dim=1, keepdim=True) / count
    covariance = ((moving - moving_centre) * weight).mT @ (fixed - fixed_centre)
    moved: Tensor = (moving - moving_centre) @ fit_rotation(covariance) + fixed_centre
    return moved

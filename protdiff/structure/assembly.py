"""Assemblies of equal chains, turned onto the axes of their point group.

An assembly from a file stands anywhere, and its chains come in any order. Each chain is
superimposed on the first: the turns that do it are the elements of the group, about axes of the
assembly's own. The least of them gives the n-fold axis, and of a dihedral group a half turn across
it the two-fold one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from protdiff.structure.point_group import PointGroup
from protdiff.structure.superposition import rmsd, superimpose

__all__ = ["turn_onto_axes"]

_ROUNDS = 5
"""Of refinement: each chain pulls at the axes, not the first two alone."""

FloatArray = NDArray[np.floating]


def turn_onto_axes(
    group: PointGroup, assembly: NDArray[np.floating]
) -> tuple[NDArray[np.float32], float]:
    """Turn an assembly onto the axes of its group, with its chains in the group's order.

    Parameters
    ----------
    group
        The point group.
    assembly
        (order · residue, atom, 3), Å, equal chains one after the other.

    Returns
    -------
    numpy.ndarray, float
        The assembly, its first chain and the images of that, about the origin; and the RMSD (Å) of
        the given one to it, infinite if no chain stands where an image should.
    """
    x = np.asarray(assembly, dtype=float)
    chains = (x - x.mean(axis=(0, 1))).reshape(group.order, -1, 3)
    turns = np.stack([superimpose(chains[0], chain).rotation.T for chain in chains[1:]])
    chains = chains @ _find_axes(group, turns).T
    images = _make_images(group, chains[0])
    apart = np.stack([np.square(image - chains).sum(axis=(1, 2)) for image in images])
    order = apart.argmin(axis=1)
    if len(set(order.tolist())) < group.order:
        return group.assemble(chains[0].reshape(-1, *x.shape[1:])), float("inf")
    chains = chains[order]
    for _ in range(_ROUNDS):
        mean = np.einsum("kji,kpj->kpi", group.rotations, chains).mean(axis=0)
        chains = superimpose(chains, _make_images(group, mean)).apply(chains)
    deviation = rmsd(chains, _make_images(group, chains[0]))
    return group.assemble(chains[0].reshape(-1, *x.shape[1:])), deviation


def _make_images(group: PointGroup, chain: FloatArray) -> FloatArray:
    images: FloatArray = np.einsum("kij,pj->kpi", group.rotations, chain)
    return images


def _find_axes(group: PointGroup, turns: FloatArray) -> FloatArray:
    """Return the assembly's own axes x, y, z, in rows, from the turns of its chains."""
    axes, angles = zip(*map(_find_axis, turns), strict=True)
    # To a thousandth, so that of equal turns the first is taken.
    generator = np.round(np.abs(np.array(angles) - 2 * np.pi / group.fold), 3).argmin()
    z = axes[generator]
    if group.kind == "C":
        x = np.eye(3)[np.abs(z).argmin()]  # any will do
    else:
        tilts = [np.pi - angle + abs(axis @ z) for axis, angle in zip(axes, angles, strict=True)]
        x = axes[np.round(tilts, 3).argmin()]
    x = x - (x @ z) * z
    x = x / max(float(np.linalg.norm(x)), 1e-12)
    return np.stack([x, np.cross(z, x), z])


def _find_axis(turn: FloatArray) -> tuple[FloatArray, float]:
    """Return the axis of a rotation and its angle, from 0 to π, about it."""
    axis: FloatArray = np.linalg.eigh(turn + turn.T)[1][:, -1]
    twist = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    angle = np.arctan2(abs(axis @ twist), np.trace(turn) - 1)
    return (axis if axis @ twist >= 0 else -axis), float(angle)

r"""Symmetric assemblies: n copies of one chain, carried into each other by a point group.

A symmetric backbone is its first chain, z; the others are :math:`x_k = R_k z`. So the chain is what
diffuses: the prior and the noise are standard normal *for the chain*, and copied to the others by
the group. The drift keeps a symmetric state symmetric, and the network, which is equivariant, sees
n chains at the noise that it was told. Its estimates are projected on the symmetric subspace at
each evaluation, which takes off rounding and what the network owes to the order of the chains.

The copied noise is :math:`\sqrt{n} P \epsilon`, with P the orthogonal projection: each coordinate
has unit variance, as the network was trained, where :math:`P \epsilon` alone would have 1/n.

Axes: z is the n-fold axis, and x the two-fold one of Dn.

References
----------
Watson et al. 2023, "De novo design of protein structure and function with RFdiffusion". Ingraham
et al. 2023, "Illuminating protein space with a programmable generative model" (Chroma).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from protdiff.conditioning.conditioner import Conditioner, Scene
from protdiff.diffusion import Denoiser, Noise, ProjectedNoise, ScaledNoise, SymmetricSubspace
from protdiff.diffusion.guidance import ProjectedMean
from protdiff.errors import InputError
from protdiff.model import DIFFUSED_ATOMS
from protdiff.structure import Backbone
from protdiff.structure.assembly import turn_onto_axes
from protdiff.structure.chain_layout import ChainLayout
from protdiff.structure.point_group import parse_point_group

__all__ = ["Symmetry"]

_SYMMETRIC = 0.01
"""Å between an atom and its image, in a start that is left as it stands."""
_LARGEST_DEVIATION = 2.0
"""Å (RMSD) between a start and the symmetric assembly that is made of it."""


class Symmetry(Conditioner):
    """A design of several chains that a point group carries into each other.

    The length of a design is that of one chain: C3 of length 40 makes 120 residues. So is the
    contig of a scaffold, and each chain then holds the motif
    (:mod:`~protdiff.design.symmetric_scaffold`).

    Parameters
    ----------
    group
        ``"C2"``, ``"C3"``, ... or ``"D2"``, ``"D3"``, ...

    Raises
    ------
    InputError
        There is no such group.
    """

    def __init__(self, group: str) -> None:
        self.group = parse_point_group(group)

    def describe(self) -> dict[str, Any]:
        """Return the group."""
        return {"kind": "symmetry", "group": str(self.group)}

    def check(self, length: int) -> None:
        """Refuse a number of residues that does not divide."""
        if length % self.group.order:
            raise InputError(
                f"{self.group} has {self.group.order} equal chains, and {length} residues do not "
                f"divide by {self.group.order}; give the length of one chain, or one that divides"
            )

    def check_chains(self, chains: ChainLayout) -> None:
        """Refuse other chains than the group makes, as those of a structure to start from."""
        if not self._makes(chains):
            raise self._explain_chains()

    def _makes(self, chains: ChainLayout) -> bool:
        expected = np.arange(len(chains)) * self.group.order // len(chains)
        return len(chains) % self.group.order == 0 and bool((chains.chain_index == expected).all())

    def place_start(self, start: Backbone) -> Backbone:
        """Return a structure to start from as it stands about the axes, made of its first chain.

        One that stands so already is returned as it is, and so is one of other chains than the
        group makes, which the checks refuse.

        Raises
        ------
        InputError
            It has not the symmetry.
        """
        given = start.coordinates
        if not self._makes(ChainLayout.of_backbone(start)):
            return start
        if np.abs(self.group.rebuild(given) - given).max() < _SYMMETRIC:
            return start
        placed, deviation = turn_onto_axes(self.group, given)
        if deviation > _LARGEST_DEVIATION:
            raise InputError(
                f"{start.name}, where the designs start, is {deviation:.1f} Å (RMSD) from an "
                f"assembly of {self.group} of its first chain, and may be {_LARGEST_DEVIATION:g} "
                "from it; give a structure of that symmetry, or leave the symmetry out"
            )
        return start.with_coordinates(placed)

    def lay_out(self, chains: ChainLayout) -> ChainLayout:
        """Repeat the chain, once for each element of the group."""
        return chains.repeat(self.group.order)

    def make_noise(self, noise: Noise, scene: Scene) -> Noise:
        """Return noise of one chain, of unit variance, and its images."""
        projected = ProjectedNoise(noise, self.make_subspace(scene))
        return ScaledNoise(projected, self.group.order**0.5)

    def wrap(self, denoiser: Denoiser, scene: Scene) -> Denoiser:
        """Make the estimates symmetric."""
        return ProjectedMean(denoiser, self.make_subspace(scene).project)

    def make_subspace(self, scene: Scene) -> SymmetricSubspace:
        """Return the subspace of the symmetric backbones of a batch.

        Raises
        ------
        InputError
            Its chains are not as many as the group has elements, of one length each.
        """
        batch, count = scene.residue_mask.shape
        self.check(count)
        expected = torch.arange(count, device=scene.chain_index.device)
        expected = expected // (count // self.group.order)
        if not bool((scene.chain_index == expected).all() and scene.residue_mask.all()):
            raise self._explain_chains()
        rotations = torch.from_numpy(self.group.rotations).to(scene.residue_mask.device)
        return SymmetricSubspace(rotations, (batch, count, len(DIFFUSED_ATOMS), 3))

    def _explain_chains(self) -> InputError:
        return InputError(
            f"{self.group} has {self.group.order} equal chains, and this design has others; give a "
            "start of as many equal chains, or leave the symmetry out"
        )

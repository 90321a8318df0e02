r"""The linear subspaces in which data, noise and scores live.

A cloud of n points that is defined up to translation lives in the 3n - 3 dimensional space of
mean-free clouds. Diffusion is done *in* that space: with P the orthogonal projection, data satisfy
P x = x, noise is P ε with ε standard normal, whose covariance is P, the identity of the subspace,
and every formula of the theory holds with the dimension 3n - 3 in place of 3n. A padded batch is
the same thing: the padding is one more set of directions that the data do not have.

References
----------
Köhler et al. (2020), Equivariant flows; Hoogeboom et al. (2022), Equivariant diffusion for
molecule generation in 3D.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from protdiff.diffusion.broadcasting import sum_event
from protdiff.errors import InputError

__all__ = ["CentredSubspace", "FullSpace", "Subspace", "SymmetricSubspace"]


class Subspace(ABC):
    """A linear subspace of the event space, P x = x with P² = P = Pᵀ, for each element."""

    @property
    @abstractmethod
    def dimension(self) -> Tensor:
        """The number of dimensions of each element's subspace, ``(batch,)``, integer."""

    @abstractmethod
    def project(self, x: Tensor) -> Tensor:
        """Project orthogonally onto the subspace, ``(batch, *event)``."""

    def check(self, x: Tensor) -> Tensor:
        """Give data back, ``(batch, *event)``, if they are in the subspace, P x = x.

        Raises
        ------
        InputError
            Some lie outside, by more than 1e-4 of their own length.
        """
        outside = sum_event((x - self.project(x)).square())
        if not bool((outside <= 1e-8 * sum_event(x.square())).all()):
            raise InputError(
                f"the data lie {float(outside.max().sqrt()):.3g} outside of the "
                f"{type(self).__name__}; centre them, with zeros on padding, as its project does"
            )
        return x


class FullSpace(Subspace):
    """The whole event space, P = 1: the projection is the identity.

    Parameters
    ----------
    shape
        ``(batch, *event)``.

    Examples
    --------
    >>> FullSpace((2, 5, 3)).dimension
    tensor([15, 15])
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = tuple(shape)

    @property
    def dimension(self) -> Tensor:
        """The size of the event, ``(batch,)``."""
        batch, *event = self.shape
        return torch.full((batch,), torch.Size(event).numel())

    def project(self, x: Tensor) -> Tensor:
        """Return ``x`` itself."""
        return x


class CentredSubspace(Subspace):
    """Clouds of points in space whose mean is zero, and which are zero on padding.

    The mean is taken over all atoms of all residues that exist, so the subspace of a chain of L
    residues of n atoms has 3 n L - 3 dimensions.

    Parameters
    ----------
    residue_mask
        ``(batch, residue)``, bool, True where a residue exists.
    atoms
        The number of atoms of a residue, n. With 1, clouds may also be ``(batch, residue, 3)``.

    References
    ----------
    Köhler et al. (2020), Equivariant flows; Hoogeboom et al. (2022), Equivariant diffusion for
    molecule generation in 3D.

    Examples
    --------
    >>> subspace = CentredSubspace(torch.tensor([[True, True, False]]), atoms=1)
    >>> subspace.dimension
    tensor([3])
    >>> subspace.project(torch.tensor([[[1.0, 0, 0], [3.0, 0, 0], [7.0, 0, 0]]]))[0, :, 0]
    tensor([-1.,  1.,  0.])
    """

    def __init__(self, residue_mask: Tensor, *, atoms: int = 3) -> None:
        if residue_mask.ndim != 2 or residue_mask.dtype != torch.bool:
            raise InputError(
                f"the residue mask is {residue_mask.dtype} of shape {tuple(residue_mask.shape)}; "
                "give a bool tensor (batch, residue)"
            )
        self.residue_mask = residue_mask
        self.atoms = atoms
        self._residues = residue_mask.sum(1)

    @property
    def dimension(self) -> Tensor:
        """3 (n L - 1), ``(batch,)``."""
        return 3 * (self.atoms * self._residues - 1).clamp(min=0)

    def project(self, x: Tensor) -> Tensor:
        """Zero the padding and take the mean away.

        Parameters
        ----------
        x
            ``(batch, residue, atom, 3)``, or ``(batch, residue, 3)`` with one atom a residue.

        Returns
        -------
        Tensor
            The same shape.

        Raises
        ------
        InputError
            The clouds have another number of atoms or residues, so that their mean is another.
        """
        residues = self.residue_mask.shape[1]
        if x.shape[1:2] != (residues,) or x.shape[2:-1].numel() != self.atoms:
            raise InputError(
                f"clouds of shape {tuple(x.shape)} came to a subspace of {residues} residues of "
                f"{self.atoms} atoms; give (batch, residue, atom, 3), or the subspace their atoms="
            )
        mask = self.residue_mask.reshape(*self.residue_mask.shape, *(1,) * (x.ndim - 2))
        mask = mask.to(x.device)
        atoms = (self.atoms * self._residues.clamp(min=1)).reshape(-1, *(1,) * (x.ndim - 1)).to(x)
        # Chosen and not multiplied, because zero times NaN is NaN, and spreads by the mean.
        x = torch.where(mask, x, 0)
        return x - mask * x.sum(tuple(range(1, x.ndim - 1)), keepdim=True) / atoms


class SymmetricSubspace(Subspace):
    r"""Centred clouds of equal parts of which a group of rotations makes each from the first.

    The g elements of the group, R_0 = 1 first, say where the g parts of a cloud stand,
    :math:`x_k = R_k x_0`. The projection turns every part back, averages, and turns forth again,

    .. math::  (P x)_k = R_k \frac{1}{g} \sum_j R_j^{-1} x_j .

    Parameters
    ----------
    rotations
        ``(g, 3, 3)``, a group of proper rotations, the identity first.
    shape
        ``(batch, residue, atom, 3)``; the residues are those of the g parts one after the other.

    References
    ----------
    Watson et al. (2023), De novo design of protein structure and function with RFdiffusion
    (symmetric noise and symmetric estimates); Ingraham et al. (2023), Illuminating protein space
    with a programmable generative model (symmetry as a projection of the sampled state).

    Examples
    --------
    >>> half_turn = torch.diag(torch.tensor([-1.0, -1.0, 1.0]))
    >>> subspace = SymmetricSubspace(torch.stack([torch.eye(3), half_turn]), (1, 2, 1, 3))
    >>> subspace.project(torch.tensor([[[[1.0, 2.0, 5.0]], [[3.0, 0.0, 5.0]]]]))[0, :, 0].tolist()
    [[-1.0, 1.0, 0.0], [1.0, -1.0, 0.0]]
    """

    def __init__(self, rotations: Tensor, shape: tuple[int, ...]) -> None:
        if shape[1] % len(rotations):
            raise InputError(f"{shape[1]} residues do not divide into {len(rotations)} equal parts")
        self.rotations = rotations
        self.shape = tuple(shape)

    @property
    def dimension(self) -> Tensor:
        """3 n L of one part, less the translations that every element keeps, ``(batch,)``."""
        batch, residues, atoms, _ = self.shape
        one_part = 3 * atoms * residues // len(self.rotations)
        # The mean of a group's rotations projects on what none of them moves; its trace counts it.
        kept = int(self.rotations.diagonal(dim1=1, dim2=2).sum(1).mean().round())
        return torch.full((batch,), one_part - kept)

    def project(self, x: Tensor) -> Tensor:
        """Centre and make symmetric, ``(batch, residue, atom, 3)``."""
        rotations = self.rotations.to(x)
        x = x - x.mean(dim=(1, 2), keepdim=True)
        parts = x.unflatten(1, (len(rotations), -1))
        mean = torch.einsum("kij,bklai->blaj", rotations, parts) / len(rotations)
        return torch.einsum("kij,blaj->bklai", rotations, mean).flatten(1, 2)

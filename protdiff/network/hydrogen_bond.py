r"""Hydrogen bonds of the backbone, as a feature of pairs.

What holds helices and sheets together. The electrostatic energy of the dipoles N-H of residue i and
C=O of residue j,

.. math:: E_{ij} = 27.9 \left( \frac{1}{r_{ON}} + \frac{1}{r_{CH}} - \frac{1}{r_{OH}}
          - \frac{1}{r_{CN}} \right) \; \text{kcal/mol, distances in Å,}

where hydrogen and oxygen are put where the plane of the peptide wants them. A bond has -0.5
kcal/mol and less.

References
----------
Kabsch and Sander (1983), Dictionary of protein secondary structure.
"""

from __future__ import annotations

import torch
from torch import Tensor

from protdiff.network.chain import get_chain_vectors
from protdiff.network.precise import in_single_precision

__all__ = ["BOND_FEATURES", "get_bond_strengths"]

BOND_FEATURES = 2
_NEXT, _PREVIOUS = 2, 3  # places of N(+1) - C and C(-1) - N in the vectors of the chain
_N_H, _C_O = 1.01, 1.23  # Å
_COUPLING = 27.9  # kcal/mol Å
_SOFT = 0.5  # Å: no two atoms count as nearer
_STRONG = 2.0  # kcal/mol: an energy that counts as much more than none


def get_bond_strengths(
    positions: Tensor, residue_index: Tensor, links: Tensor, scale: float
) -> Tensor:
    """Describe every pair of residues by the hydrogen bonds between them.

    Parameters
    ----------
    positions
        Atoms N, CA, C, ``(batch, residue, 3, 3)``.
    residue_index
        Place along the chain, ``(batch or 1, residue)``.
    links
        From :func:`~protdiff.network.chain.get_chain_links`, ``(batch, residue, 11)``; a residue
        after a break has no hydrogen, one before a break no oxygen.
    scale
        Å per unit of the positions.

    Returns
    -------
    Tensor
        ``(batch, 2, residue, residue)``, in (-1, 1): strength of the bond that residue i gives to j
        and of the one that it takes from j; 0 where there is no hydrogen or no oxygen, and where
        both are of one residue or of one peptide.
    """
    with in_single_precision(positions):
        chain = get_chain_vectors(positions, links) * scale
        nitrogen, alpha_carbon, carbon = (positions * scale).unbind(2)
        to_previous, to_next = chain[:, :, _PREVIOUS], chain[:, :, _NEXT]
        hydrogen = nitrogen - _N_H * _bisect(to_previous, alpha_carbon - nitrogen)
        oxygen = carbon - _C_O * _bisect(to_next, alpha_carbon - carbon)
        energy = _COUPLING * (
            _invert(nitrogen, oxygen)
            + _invert(hydrogen, carbon)
            - _invert(hydrogen, oxygen)
            - _invert(nitrogen, carbon)
        )
        gives = links[:, :, None, _PREVIOUS] & links[:, None, :, _NEXT]
        after = residue_index[:, :, None] - residue_index[:, None]
        gives = gives & (after != 0) & (after != 1)  # one residue, or one peptide
        strength = (-energy / _STRONG).tanh() * gives
    return torch.stack([strength, strength.mT], dim=1)


def _bisect(first: Tensor, second: Tensor) -> Tensor:
    """Give the unit vector between two directions."""
    return _to_unit(_to_unit(first) + _to_unit(second))


def _to_unit(vectors: Tensor) -> Tensor:
    return vectors / (vectors.square().sum(-1, keepdim=True) + 1e-4).sqrt()


def _invert(first: Tensor, second: Tensor) -> Tensor:
    """Give 1/r of every pair of atoms, ``(batch, residue, residue)``."""
    difference = first[:, :, None] - second[:, None]
    return (difference.square().sum(-1) + _SOFT**2).rsqrt()

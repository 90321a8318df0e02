r"""The last tenths of an Å around a motif: seams in their bands, nothing in the motif's place.

A motif that is held to 0.01 Å cannot give way, so what strain the last steps of sampling leave sits
in the designed residues: an angle at a seam, an atom too near. This mends it on the finished
coordinates by minimising

.. math:: E(x) = \sum_{ij} k_{ij} \max(0, |d_{ij} - d^0_{ij}| - \tau_{ij})^2
               + k \sum_{ij} \max(0, l_{ij} - d_{ij})^2 + h \sum_i |x_i - x^0_i|^2

over the designed atoms: bonds and, as distances between second neighbours, bond angles and planar
peptide links, with a flat bottom where natural proteins are; van der Waals overlaps; and a tether
to the sample. At the seams, where a residue that gives way meets one that does not, the flat bottom
is half as wide, so that angles end within their bands. What is sound has no force on it and stays
where it was; what is a tangle cannot be mended by tenths of an Å, and stays too. The energy is one
of distances, so it turns with the design.

References
----------
Engh and Huber 1991, "Accurate bond and angle parameters for X-ray protein structure refinement"
(restraints). Nocedal 1980, "Updating quasi-Newton matrices with limited storage" (L-BFGS).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from protdiff.conditioning.excluded_volume import CLOSEST_APPROACH, place_carbonyl_oxygen

__all__ = ["relax_designed"]

# First and second atom (N 0, CA 1, C 2; of the next residue 3, 4, 5), native distance, half width
# of the flat bottom (Å), force constant. Angles are within about 4°.
_RESTRAINTS = (
    (0, 1, 1.460, 0.02, 100.0),
    (1, 2, 1.524, 0.02, 100.0),
    (0, 2, 2.458, 0.09, 50.0),
    (2, 3, 1.331, 0.02, 100.0),
    (1, 3, 2.434, 0.05, 50.0),
    (2, 4, 2.440, 0.05, 50.0),
    (1, 4, 3.807, 0.08, 50.0),
)
_AT_SEAMS = 0.5  # of the width: there neighbours pull too, and angles are to end within their bands
_SHORTEST_TRANS = 3.4  # Å from CA to CA; a cis link is left alone
_OVERLAP, _TETHER = 50.0, 0.05  # force constants
_FURTHEST = 0.5  # Å RMSD: what takes more is a tangle, and stays as it is
_SETTLED = 1e-4  # Å or energy: a change that is none
_MARGIN = 0.05  # Å beyond the closest approach
_REACH = 1.5  # Å beyond which a pair is not going to overlap
_NEAREST = 3  # residues nearer along the chain are held together by their bonds


def relax_designed(
    coordinates: NDArray[np.floating],
    motif_mask: NDArray[np.bool_],
    residue_index: NDArray[np.integer],
    *,
    iterations: int = 60,
) -> NDArray[np.float32]:
    """Mend the designed residues around a motif; the motif stays where it is.

    Parameters
    ----------
    coordinates
        N, CA, C, ``(residue, 3, 3)``, Å, finite.
    motif_mask
        ``(residue,)``, True where nothing moves.
    residue_index
        ``(residue,)``, places along the chain; a jump is a chain break.
    iterations
        At most, of L-BFGS.

    Returns
    -------
    numpy.ndarray
        ``(residue, 3, 3)``; as given where the designed atoms would have to move by more than half
        an Å (RMSD).
    """
    if motif_mask.all():
        return np.asarray(coordinates, np.float32)
    given = torch.from_numpy(np.asarray(coordinates, np.float64))
    start = given - given.mean(dim=(0, 1))
    energy = _Energy(start, torch.from_numpy(motif_mask), torch.from_numpy(residue_index))
    free = torch.from_numpy(~motif_mask)
    with torch.inference_mode(False), torch.enable_grad():
        moves = torch.zeros_like(start[free]).requires_grad_()
        optimizer = torch.optim.LBFGS(
            [moves],
            max_iter=iterations,
            tolerance_change=_SETTLED,
            line_search_fn="strong_wolfe",
        )

        def evaluate() -> Tensor:
            optimizer.zero_grad()
            value = energy(start.masked_scatter(free[:, None, None], start[free] + moves))
            value = value + _TETHER * moves.square().sum()
            value.backward()
            return value

        optimizer.step(evaluate)
    relaxed = given.clone()
    if float(moves.detach().square().sum() / (3 * len(moves))) ** 0.5 < _FURTHEST:
        relaxed[free] += moves.detach()
    result: NDArray[np.float32] = relaxed.numpy().astype(np.float32)
    return result


class _Energy:
    """Restraints and overlaps of a backbone, the tether apart."""

    def __init__(self, start: Tensor, motif_mask: Tensor, residue_index: Tensor) -> None:
        place = torch.arange(len(start))
        linked = torch.cat([residue_index.diff() == 1, torch.zeros(1, dtype=torch.bool)])
        flat = start.flatten(0, 1)
        seam = torch.zeros(len(start), dtype=torch.bool)
        joined = linked[:-1] & (motif_mask[1:] != motif_mask[:-1])
        seam[:-1] |= joined
        seam[1:] |= joined
        first, second, values = [], [], []
        for one, other, *numbers in _RESTRAINTS:
            residue = place if other < 3 else place[linked]
            near, far = 3 * residue + one, 3 * residue + other
            keep = ~(motif_mask[near // 3] & motif_mask[far // 3])
            if (one, other) == (1, 4):
                keep &= (flat[near] - flat[far]).norm(dim=-1) > _SHORTEST_TRANS
            first.append(near[keep])
            second.append(far[keep])
            value = start.new_tensor(numbers).repeat(int(keep.sum()), 1)
            value[(seam[near // 3] & seam[far // 3])[keep], 1] *= _AT_SEAMS
            values.append(value)
        self.first, self.second = torch.cat(first), torch.cat(second)
        self.native, self.width, self.force = torch.cat(values).unbind(dim=1)
        limits = start.new_tensor(CLOSEST_APPROACH).repeat(len(start), len(start)) + _MARGIN
        self.residue_index = residue_index
        atoms = _with_oxygen(start, residue_index)
        apart = (residue_index[:, None] - residue_index).abs() >= _NEAREST
        apart &= ~(motif_mask[:, None] & motif_mask)
        apart = apart.repeat_interleave(4, 0).repeat_interleave(4, 1).triu()
        near_pairs = (apart & (torch.cdist(atoms, atoms) < limits + _REACH)).nonzero()
        self.one, self.other = near_pairs.unbind(dim=1)
        self.limit = limits[self.one, self.other]

    def __call__(self, positions: Tensor) -> Tensor:
        flat, atoms = positions.flatten(0, 1), _with_oxygen(positions, self.residue_index)
        distance = (flat[self.first] - flat[self.second]).norm(dim=-1)
        strain = ((distance - self.native).abs() - self.width).clamp(min=0)
        apart = (atoms[self.one] - atoms[self.other]).square().sum(-1).clamp(min=1e-6).sqrt()
        overlap = (self.limit - apart).clamp(min=0)
        energy: Tensor = (self.force * strain.square()).sum()
        return energy + _OVERLAP * overlap.square().sum()


def _with_oxygen(positions: Tensor, residue_index: Tensor) -> Tensor:
    """Return N, CA, C and O of all residues, ``(4 residue, 3)``."""
    oxygen = place_carbonyl_oxygen(positions[None], residue_index[None])[0]
    return torch.cat([positions, oxygen[:, None]], dim=1).flatten(0, 1)

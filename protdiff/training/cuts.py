r"""Chains cut in two, to be learned from as two proteins side by side.

Structures of complexes need not be at hand: the two sides of a domain, with what joins them taken
out, meet as two proteins do, if either is compact by itself and they are not entwined. Of several
places to cut that make such pieces, the one is taken whose interface is nearest in size to those of
natural complexes; where there is none, the chain stays whole. The pieces are shown in either order,
because the order of chains means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from protdiff.chains import CHAIN_JUMP
from protdiff.structure.size import expect_radius

__all__ = ["Cuts", "draw_cuts", "draw_partners"]

SHORTEST = 20
"""Residues of a piece, at least."""
_GAP = (3, 12)
"""Residues that are taken out, at least and at most: ends of two chains are not side by side."""
_TRIES = 16
_APART = (1 << 16) + CHAIN_JUMP  # more than the residue index of any chain
_CONTACT = 8.0  # Å, between alpha carbons
_INTERFACE, _LEAST, _MOST = 0.35, 0.1, 1.0
"""Contacts of two chains for each residue of the smaller: .2 to .55 in most natural complexes."""
_LARGEST = 1.25
"""Radius of gyration of a piece, at most, as a multiple of that of globular proteins."""


@dataclass(frozen=True)
class Cuts:
    """Where the chains of a batch are cut; those with a gap of 0 are whole.

    Parameters
    ----------
    place
        Number of residues before the gap, ``(batch,)``; of whole chains, all.
    gap
        Number of residues that are taken out, ``(batch,)``.
    swapped
        Whether the piece after the gap comes first, ``(batch,)``.
    """

    place: Tensor
    gap: Tensor
    swapped: Tensor

    def __getitem__(self, rows: slice | Tensor) -> Cuts:
        return Cuts(self.place[rows], self.gap[rows], self.swapped[rows])

    def get_first_piece(self, lengths: Tensor) -> Tensor:
        """Return the number of residues of the piece that comes first, ``(batch,)``.

        Parameters
        ----------
        lengths
            Numbers of residues of the whole chains, ``(batch,)``.
        """
        return torch.where(self.swapped, lengths - self.place - self.gap, self.place)

    def find_sources(self, lengths: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
        """Tell which residue of the whole chain stands at each place.

        Parameters
        ----------
        lengths
            Numbers of residues of the whole chains, ``(batch,)``.
        place
            Places in the cut chains, ``(residue,)``.

        Returns
        -------
        source : Tensor
            ``(batch, residue)``; past the end it is none that exists.
        jump : Tensor
            ``(batch, residue)``, what to add to the residue index of the source, so that it rises
            by :data:`~protdiff.chains.CHAIN_JUMP` and more between the pieces.
        """
        first = self.get_first_piece(lengths)[:, None]
        start = torch.where(self.swapped, self.place + self.gap, 0)[:, None]
        is_second = place >= first
        second_start = torch.where(self.swapped, 0, self.place + self.gap)[:, None]
        source = torch.where(is_second, second_start + place - first, start + place)
        whole = (self.gap == 0)[:, None]
        jump = torch.where(is_second & ~whole, _APART, 0)
        return source, jump


def draw_cuts(chains: list[Tensor], share: float, generator: torch.Generator) -> Cuts:
    """Choose which chains are cut, and where.

    Parameters
    ----------
    chains
        N, CA, C of each chain, ``(residue, 3, 3)`` Å, on the CPU.
    share
        Share of the chains that are cut, of those that can be.
    generator
        Source of randomness.
    """
    uniform = torch.rand(len(chains), 3 + _TRIES, generator=generator)
    rows = [_draw_cut(*pair, share) for pair in zip(chains, uniform, strict=True)]
    place, gap, swapped = (torch.tensor(column) for column in zip(*rows, strict=True))
    return Cuts(place, gap, swapped)


def draw_partners(
    groups: Tensor, first_piece: Tensor, lengths: Tensor, generator: torch.Generator
) -> Tensor:
    """Reveal one whole piece of three in four chains that are cut, as a target to bind.

    Parameters
    ----------
    groups
        From :func:`~protdiff.training.sampling.draw_motif_groups`, ``(batch, residue)``; those of
        other chains stay.
    first_piece
        Number of residues of the piece that comes first, ``(batch,)``; all, if it is the only one.
    lengths
        Number of residues of both, ``(batch,)``.
    generator
        Source of randomness.
    """
    chosen, side = torch.rand(2, len(groups), generator=generator)
    is_partner = (chosen < 0.75) & (first_piece < lengths)
    place = torch.arange(groups.shape[1])
    in_first = place < first_piece[:, None]
    revealed = in_first == (side < 0.5)[:, None]
    revealed &= place < lengths[:, None]
    return torch.where(is_partner[:, None], revealed.long(), groups)


def _draw_cut(chain: Tensor, uniform: Tensor, share: float) -> tuple[int, int, bool]:
    chosen, width, order = uniform[:3].tolist()
    length, (least, most) = len(chain), _GAP
    gap = least + int((most - least + 1) * width)
    room = length - gap - 2 * SHORTEST
    if chosen >= share or room < 0:
        return length, 0, False
    places = SHORTEST + (uniform[3:] * (room + 1)).long()
    alpha = chain[:, 1]
    contacts = torch.cdist(alpha, alpha) < _CONTACT
    # How many residues before the cut each residue touches, and of these sums those after the gap.
    touched = contacts.cumsum(dim=0)
    sizes = torch.stack([touched[place - 1, place + gap :].sum() for place in places.tolist()])
    smaller = torch.minimum(places, length - gap - places)
    interfaces = sizes / smaller
    fits = (interfaces >= _LEAST) & (interfaces <= _MOST)
    fits &= _are_compact(alpha, torch.zeros_like(places), places)
    fits &= _are_compact(alpha, places + gap, torch.full_like(places, length))
    if not fits.any():
        return length, 0, False
    best = int(torch.where(fits, (interfaces - _INTERFACE).abs(), torch.inf).argmin())
    return int(places[best]), gap, order < 0.5


def _are_compact(alpha: Tensor, start: Tensor, stop: Tensor) -> Tensor:
    """Tell which pieces of a chain, from ``start`` to ``stop``, are globular, ``(piece,)``."""
    moments = torch.cat([alpha, alpha.square().sum(dim=1, keepdim=True)], dim=1).double()
    sums = torch.cat([moments.new_zeros(1, 4), moments.cumsum(dim=0)])
    count = stop - start
    mean = (sums[stop] - sums[start]) / count[:, None]
    radius = (mean[:, 3] - mean[:, :3].square().sum(dim=1)).clamp(min=0).sqrt()
    globular = torch.tensor([expect_radius(residues) for residues in count.tolist()])
    return radius <= _LARGEST * globular

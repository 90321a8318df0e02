r"""Chains cut in two, to be learned from as two proteins side by side.

Structures of complexes need not be at hand: the two sides of a domain, with what joins them taken
out, meet as two proteins do, if either is compact and packed as a protein is, they are not
entwined, and no sheet runs through both: as a rule, sheets end where proteins meet. From halves of
proteins a network would learn that what is beside a target is half a protein. Of several places to
cut, the one is taken whose interface is nearest in size to those of natural complexes; where there
is none, the chain stays whole. The pieces are shown in either order, because the order of chains
means nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import pad

from protdiff.chains import CHAIN_JUMP
from protdiff.errors import InputError
from protdiff.network import SECONDARY_STATES
from protdiff.structure.size import expect_contacts, expect_radius

if TYPE_CHECKING:
    from protdiff.training.dataset import BackboneDataset

__all__ = ["Cuts", "draw_cuts", "draw_partners", "weigh_for_cuts"]

_STRAND = SECONDARY_STATES.index("E")
SHORTEST = 30
"""Residues of a piece, at least."""
_GAP = (3, 12)
"""Residues that are taken out, at least and at most: ends of two chains are not side by side."""
_TRIES = 8  # places of which the best is taken
_APART = (1 << 16) + CHAIN_JUMP  # more than the residue index of any chain
_CONTACT = 8.0  # Å, between alpha carbons
_INTERFACE, _LEAST, _MOST = 0.35, 0.1, 1.0
"""Contacts of two chains for each residue of the smaller: .2 to .55 in most natural complexes."""
_PAIRED = 5.8  # Å, between alpha carbons of neighbours in a sheet
_MOST_PAIRED = 2
"""Pairs of neighbours in a sheet, one in either piece, at most: sheets end at an interface."""
_LARGEST = 1.25
"""Radius of gyration of a piece, at most, as a multiple of that of globular proteins."""
_SEPARATION = 6  # residues along the chain; nearer ones touch in any fold
_PACKED = 0.8
"""Contacts within a piece, at least, as a share of those of globular proteins."""
_LOOKS = 3  # how often a cut is looked for, to tell whether a chain can be cut


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


def weigh_for_cuts(dataset: BackboneDataset, weights: Tensor, share: float) -> Tensor:
    """Return weights of which chains that can be cut have a share, ``(chains,)``.

    Where all can be, all are.

    Parameters
    ----------
    dataset
        The chains, on the CPU.
    weights
        Weights among the chains that can be cut, and among those that cannot, ``(chains,)``.
    share
        Of all draws those of chains that can be cut, 0 to 1.

    Raises
    ------
    InputError
        There is no such chain.
    """
    generator = torch.Generator().manual_seed(0)
    chains = [(dataset.get(chain), dataset.get_states(chain)) for chain in range(len(dataset))]
    looks = [draw_cuts(chains, generator).gap > 0 for _ in range(_LOOKS)]
    can = torch.stack(looks).any(dim=0)
    if not can.any():
        raise InputError(
            f"cut = {share}, and none of {len(dataset)} chains makes two proteins; prepare longer "
            "ones, of 130 residues and more, or leave cut at 0"
        )
    of_cut, of_whole = (torch.where(kind, weights, 0.0) for kind in (can, ~can))
    if can.all():
        return weights
    return share * of_cut / of_cut.sum() + (1 - share) * of_whole / of_whole.sum()


def draw_cuts(chains: Sequence[tuple[Tensor, Tensor]], generator: torch.Generator) -> Cuts:
    """Choose where chains are cut.

    Parameters
    ----------
    chains
        Of each chain N, CA, C, ``(residue, 3, 3)`` Å, and the states of its secondary structure,
        ``(residue,)``, places in :data:`protdiff.network.SECONDARY_STATES`; on the CPU.
    generator
        Source of randomness.
    """
    uniform = torch.rand(len(chains), 2 + _TRIES, generator=generator)
    rows = [_draw_cut(*chain, drawn) for chain, drawn in zip(chains, uniform, strict=True)]
    place, gap, swapped = (torch.tensor(column) for column in zip(*rows, strict=True))
    return Cuts(place, gap, swapped)


def draw_partners(
    groups: Tensor, first_piece: Tensor, lengths: Tensor, generator: torch.Generator
) -> Tensor:
    """Reveal one whole piece of three in four chains that are cut, as a target to bind.

    Of one in three of these the motif that was drawn is revealed too, as one body with the piece:
    what binds the target and is known.

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
    chosen, side, motif = torch.rand(3, len(groups), generator=generator)
    is_partner = (chosen < 0.75) & (first_piece < lengths)
    place = torch.arange(groups.shape[1])
    in_first = place < first_piece[:, None]
    revealed = in_first == (side < 0.5)[:, None]
    revealed &= place < lengths[:, None]
    revealed |= (groups > 0) & (motif < 1 / 3)[:, None]
    return torch.where(is_partner[:, None], revealed.long(), groups)


def _draw_cut(chain: Tensor, states: Tensor, uniform: Tensor) -> tuple[int, int, bool]:
    width, order = uniform[:2].tolist()
    length, (least, most) = len(chain), _GAP
    gap = least + int((most - least + 1) * width)
    places = torch.arange(SHORTEST, max(SHORTEST, length - gap - SHORTEST + 1))
    if not len(places):
        return length, 0, False
    alpha = chain[:, 1]
    distance = torch.cdist(alpha, alpha)
    touch, strand = distance < _CONTACT, states == _STRAND
    paired = (distance < _PAIRED) & strand[:, None] & strand
    interfaces = _count_across(touch, places, gap)
    interfaces = interfaces / torch.minimum(places, length - gap - places)
    fits = (interfaces >= _LEAST) & (interfaces <= _MOST)
    fits &= _count_across(paired, places, gap) <= _MOST_PAIRED
    contacts = touch.triu(_SEPARATION)
    for start, stop in ((0 * places, places), (places + gap, 0 * places + length)):
        fits &= _are_compact(alpha, start, stop) & _are_packed(contacts, start, stop)
    found = fits.nonzero()[:, 0]
    if not len(found):
        return length, 0, False
    some = found[(uniform[2:] * len(found)).long()]
    best = some[(interfaces[some] - _INTERFACE).abs().argmin()]
    return int(places[best]), gap, order < 0.5


def _count_across(pairs: Tensor, places: Tensor, gap: int) -> Tensor:
    """Count the pairs of residues of which one is before each cut and one after it."""
    up_to = pairs.cumsum(dim=0).cumsum(dim=1)
    return up_to[places - 1, -1] - up_to[places - 1, places + gap - 1]


def _are_packed(contacts: Tensor, start: Tensor, stop: Tensor) -> Tensor:
    """Tell which pieces of a chain have about the contacts of a protein, ``(piece,)``.

    Parameters
    ----------
    contacts
        ``(residue, residue)``, each contact once.
    start, stop
        Where the pieces begin and end, ``(piece,)``.
    """
    sums = pad(contacts.cumsum(dim=0).cumsum(dim=1), (1, 0, 1, 0))
    within = sums[stop, stop] - sums[start, stop] - sums[stop, start] + sums[start, start]
    count = stop - start
    expected = torch.tensor([expect_contacts(residues) for residues in count.tolist()])
    return 2 * within / count >= _PACKED * expected


def _are_compact(alpha: Tensor, start: Tensor, stop: Tensor) -> Tensor:
    """Tell which pieces of a chain, from ``start`` to ``stop``, are globular, ``(piece,)``."""
    moments = torch.cat([alpha, alpha.square().sum(dim=1, keepdim=True)], dim=1).double()
    sums = torch.cat([moments.new_zeros(1, 4), moments.cumsum(dim=0)])
    count = stop - start
    mean = (sums[stop] - sums[start]) / count[:, None]
    radius = (mean[:, 3] - mean[:, :3].square().sum(dim=1)).clamp(min=0).sqrt()
    globular = torch.tensor([expect_radius(residues) for residues in count.tolist()])
    return radius <= _LARGEST * globular

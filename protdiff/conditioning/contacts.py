r"""Contacts: pairs of residues of the design that are to touch.

.. math:: \log p(y \mid x_t) = -\sum_{(i, j)}
          \frac{\max(0,\, |\tilde D_i - \tilde D_j| - d_{ij} + 2r)^2}{2 (r^2 + 2 \tilde u_t)}

with D_i the alpha carbon of residue i in the denoised mean. A pair that is near enough is left in
peace; one that is not is asked to come nearer than the limit by twice the tolerance *r*, so that
what is within two tolerances of that is within the limit. A distance moves by one for a move of one
of either end, so what the noise hides of the two adds up to :math:`2 \tilde u_t`, twice the
variance of one atom; the tilde means the mean at the size of a sample
(:mod:`~protdiff.conditioning.mean_size`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from protdiff.conditioning.conditioner import Conditioner, Scene
from protdiff.conditioning.mean_size import LARGEST_NOISE, LOCAL_SHARE, restore_size
from protdiff.diffusion.guidance import Estimate, LikelihoodTerm
from protdiff.errors import InputError
from protdiff.structure.chain_layout import ChainLayout
from protdiff.structure.contact import Contact, DesignResidue, parse_contact, parse_contacts
from protdiff.structure.motif import name_chain

__all__ = ["ContactTerm", "Contacts"]

_CA = 1  # the place of the alpha carbon among the diffused atoms

# What users give for one contact: its words, or two residues and perhaps a distance.
_Given = Contact | str | Sequence[int | str | float]


class Contacts(Conditioner):
    """Ask for contacts between residues of the design.

    Parameters
    ----------
    contacts
        ``"12-40:7.5,A5-B9"``, or a list of such words, of :class:`Contact`, or of
        ``(first, second)`` and ``(first, second, distance)`` with the residues as numbers from 1,
        or as ``"A12"``; the distance is the most that the alpha carbons may be apart, in Å.
    tolerance
        The standard deviation allowed, Å.

    Raises
    ------
    InputError
        A contact cannot be understood or cannot be, or there is none.

    Examples
    --------
    >>> Contacts([(12, 40), ("A5", "B9", 6.5)]).describe()
    {'kind': 'contacts', 'contacts': ['12-40:8', 'A5-B9:6.5'], 'tolerance': 0.3}
    """

    reads_mask = True

    def __init__(self, contacts: str | Iterable[_Given], tolerance: float = 0.3) -> None:
        if isinstance(contacts, str):
            self.contacts = parse_contacts(contacts)
        else:
            self.contacts = [_understand(contact) for contact in contacts]
        if not self.contacts:
            raise InputError("no contact is asked for; give at least one, as in 12-40")
        if not tolerance > 0:
            raise InputError(f"the tolerance of contacts is {tolerance} Å; give a number above 0")
        self.tolerance = tolerance

    def describe(self) -> dict[str, Any]:
        """Return the request."""
        return {
            "kind": "contacts",
            "contacts": [str(contact) for contact in self.contacts],
            "tolerance": self.tolerance,
        }

    def check(self, length: int) -> None:
        """Refuse a design that lacks a residue."""
        for contact in self.contacts:
            contact.check(length)

    def check_chains(self, chains: ChainLayout) -> None:
        """Refuse chains that lack a residue, or of which one is not there."""
        places = _list_places(range(len(chains)), chains.chain_index.tolist())
        for contact in self.contacts:
            _locate(contact, places)

    def make_term(self, scene: Scene) -> LikelihoodTerm:
        """Return the likelihood of the contacts.

        Raises
        ------
        InputError
            A chain of a contact, or a residue of that chain, is not there.
        """
        pairs = []
        masks, chain_indices = scene.residue_mask.cpu(), scene.chain_index.cpu()
        for here, chain_index in zip(masks, chain_indices, strict=True):
            places = _list_places(here.nonzero()[:, 0].tolist(), chain_index.tolist())
            pairs.append([_locate(contact, places) for contact in self.contacts])
        device = scene.residue_mask.device
        distances = [contact.distance / scene.scale for contact in self.contacts]
        # Sampling runs in inference mode, whose tensors cannot take part in a gradient.
        with torch.inference_mode(False):
            term = ContactTerm(
                torch.tensor(pairs, device=device),
                torch.tensor(distances, device=device),
                self.tolerance / scene.scale,
            )
        return term.within(0.0, LARGEST_NOISE)


def _understand(contact: _Given) -> Contact:
    if isinstance(contact, Contact):
        return contact
    if isinstance(contact, str):
        return parse_contact(contact)
    if len(contact) not in (2, 3):
        raise InputError(
            f"{contact!r} is no contact; give (first, second) or (first, second, distance)"
        )
    first, second, *distance = contact
    return parse_contact(":".join([f"{first}-{second}", *(str(float(d)) for d in distance)]))


def _list_places(residues: Iterable[int], chain_index: Sequence[int]) -> dict[str, list[int]]:
    """Return the places of the residues of each chain, by its name."""
    places: dict[int, list[int]] = {}
    for place in residues:
        places.setdefault(chain_index[place], []).append(place)
    return {name_chain(number): places[number] for number in sorted(places)}


def _locate(contact: Contact, places: Mapping[str, Sequence[int]]) -> list[int]:
    """Return the places of the two residues of a contact, or refuse one that is not there."""
    first, second = (_find(one, contact, places) for one in (contact.first, contact.second))
    if first == second:  # by two names, as 12 and A12
        raise InputError(f"contact {contact}: both names are of one residue; name two")
    return [first, second]


def _find(residue: DesignResidue, contact: Contact, places: Mapping[str, Sequence[int]]) -> int:
    if residue.chain is None:
        where, found = "the design", sorted(chain.from_iterable(places.values()))
    elif residue.chain in places:
        where, found = f"chain {residue.chain}", list(places[residue.chain])
    else:
        raise InputError(
            f"contact {contact}: the design has no chain {residue.chain}; it has "
            f"{', '.join(places)}"
        )
    if residue.number > len(found):
        raise InputError(
            f"contact {contact}: there is no residue {residue}; {where} has {len(found)} residues, "
            f"counted from 1"
        )
    return found[residue.number - 1]


@dataclass(frozen=True, eq=False)
class ContactTerm(LikelihoodTerm):
    """Log-likelihood of contacts, given the denoised mean.

    Parameters
    ----------
    pairs
        ``(batch, contact, 2)``, the places of the residues.
    distance
        ``(contact,)``, the most that their alpha carbons may be apart, model units.
    tolerance
        r, model units.
    """

    pairs: Tensor
    distance: Tensor
    tolerance: float

    def __call__(self, estimate: Estimate) -> Tensor:
        """Return the log-likelihood of each backbone, ``(batch,)``."""
        positions, variance = restore_size(estimate)
        row = torch.arange(len(positions), device=positions.device)[:, None]
        ends = [positions[row, self.pairs[..., end], _CA] for end in (0, 1)]
        apart = (ends[0] - ends[1]).square().sum(dim=-1).clamp(min=1e-12).sqrt()
        excess = (apart - self.distance.to(apart) + 2 * self.tolerance).clamp(min=0)
        spread = self.tolerance**2 + 2 * LOCAL_SHARE * variance
        return -excess.square().sum(dim=1) / (2 * spread)

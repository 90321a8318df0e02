"""The secondary structure that designs are asked to have: the words for it, and draws for each.

The words, for :func:`parse_secondary_structure` and the option ``--ss``:

========================================  ======================================================
``any``                                   nothing is asked for: the default
``natural``                               of each design the composition of a natural protein
                                          of about its length, drawn by its own random numbers
``mainly-alpha``, ``mainly-beta``,        the same, of the natural proteins of that class
``alpha-beta``
``helix=0.3,strand=0.25``                 shares of residues; one alone leaves the other to nature
``HHHHHHHHLLLEEEEE???``, ``8H3L5E3?``     residue by residue: H helix, E strand, L (or C, -) loop,
                                          ? (or X) left open
========================================  ======================================================

The composition is told to the network, which was trained with it (docs/training.md); what comes
out is held to it in distribution, not design by design.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from protdiff.errors import InputError
from protdiff.names import check_name

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from protdiff.model import SecondaryStructureInput

__all__ = [
    "NOTHING_ASKED",
    "REQUEST_NAMES",
    "SecondaryStructure",
    "SecondaryStructureRequest",
    "load_native_compositions",
    "make_network_input",
    "parse_secondary_structure",
]

REQUEST_NAMES = ("any", "natural", "mainly-alpha", "mainly-beta", "alpha-beta")
_LETTERS = {"H": "H", "E": "E", "L": "-", "C": "-", "-": "-", "?": "?", "X": "?"}
_RUNS = re.compile(r"([0-9]{0,4})([HELCX?-])")
"""A number, of four digits at most as that of the residues of a design, and a letter."""
_NEIGHBOURS = 100
"""So many natural proteins nearest in length are drawn from."""
_NEAREST_SHARE = 20
"""Of which so many nearest in the one share that was asked for."""


@dataclass(frozen=True)
class SecondaryStructure:
    """What one design is asked for; either part may be missing.

    Parameters
    ----------
    states
        One letter a residue: H, E, - for loop, ? for left open.
    helix, strand
        Shares of residues.
    """

    states: str | None = None
    helix: float | None = None
    strand: float | None = None

    def repeat(self, copies: int) -> SecondaryStructure:
        """Return the same for a design of ``copies`` such chains."""
        return self if self.states is None else replace(self, states=self.states * copies)

    def to_dict(self) -> dict[str, str | float]:
        """Return what is asked for, for a manifest."""
        return {name: value for name, value in vars(self).items() if value is not None}


NOTHING_ASKED = SecondaryStructure()


@dataclass(frozen=True)
class SecondaryStructureRequest:
    """What the designs of a run are asked for; :meth:`draw` it for each.

    Parameters
    ----------
    text
        As the user said it, in lower case and with dashes if it is a name.
    states, helix, strand
        What of it is fixed for all designs.
    """

    text: str
    states: str | None = None
    helix: float | None = None
    strand: float | None = None

    @property
    def is_specific(self) -> bool:
        """Whether weights that know nothing of secondary structure would fail it."""
        return self.text != "any"

    def draw(self, length: int, rng: np.random.Generator) -> SecondaryStructure:
        """Draw what a design of ``length`` residues is asked for.

        Raises
        ------
        InputError
            States are given, and of another number of residues.
        """
        if self.states is not None:
            if len(self.states) != length:
                raise InputError(
                    f"the secondary structure names {len(self.states)} residues and the design "
                    f"has {length}; give one letter a residue, and a single length"
                )
            return SecondaryStructure(states=self.states)
        if self.text == "any":
            return NOTHING_ASKED
        if self.helix is not None and self.strand is not None:
            return SecondaryStructure(helix=self.helix, strand=self.strand)
        helix, strand = self._draw_native(length, rng)
        return SecondaryStructure(
            helix=helix if self.helix is None else self.helix,
            strand=strand if self.strand is None else self.strand,
        )

    def _draw_native(self, length: int, rng: np.random.Generator) -> tuple[float, float]:
        import numpy as np

        table = load_native_compositions()
        table = table[_is_of_class(table, self.text)]
        nearest = np.argsort(np.abs(np.log(table[:, 0] / length)), kind="stable")[:_NEIGHBOURS]
        table = table[nearest]
        for column, share in ((1, self.helix), (2, self.strand)):
            if share is not None:
                order = np.argsort(np.abs(table[:, column] - share), kind="stable")
                table = table[order[:_NEAREST_SHARE]]
        _, helix, strand = table[rng.integers(len(table))]
        return float(helix), float(strand)


@cache
def load_native_compositions() -> NDArray[np.float64]:
    """Load (length, share of helix, share of strand) of natural domains, (protein, 3).

    Compact single domains of 40–256 residues, one of each cluster at 40 % sequence identity, by
    ``scripts/native_compositions.py``.
    """
    import numpy as np

    path = files("protdiff.design") / "native_compositions.csv"
    with path.open(encoding="utf-8") as file:
        table: NDArray[np.float64] = np.loadtxt(file, delimiter=",", skiprows=1)
    table[:, 1:] /= 100.0
    return table


def _is_of_class(table: NDArray[np.float64], name: str) -> NDArray[np.bool_]:
    """Tell which rows are of a class; the classes are those of CATH, by shares."""
    helix, strand = table[:, 1], table[:, 2]
    if name == "mainly-alpha":
        return (helix >= 0.4) & (strand < 0.1)
    if name == "mainly-beta":
        return (strand >= 0.3) & (helix < 0.15)
    if name == "alpha-beta":
        return (helix >= 0.15) & (strand >= 0.15)
    everything: NDArray[np.bool_] = table[:, 0] > 0
    return everything


def parse_secondary_structure(text: str) -> SecondaryStructureRequest:
    """Understand a request for secondary structure.

    Parameters
    ----------
    text
        See the top of this module.

    Raises
    ------
    InputError
        It is none of these, or the shares do not fit in a protein.

    Examples
    --------
    >>> parse_secondary_structure("Mainly beta").text
    'mainly-beta'
    >>> parse_secondary_structure("strand=40%").strand
    0.4
    >>> parse_secondary_structure("3H2L?").states
    'HHH--?'
    """
    name = "-".join(text.lower().replace("_", " ").replace("-", " ").split())
    if name in REQUEST_NAMES:
        return SecondaryStructureRequest(name)
    if "=" in text:
        shares = _parse_shares(text)
        return SecondaryStructureRequest(
            text, helix=shares.get("helix"), strand=shares.get("strand")
        )
    compact = "".join(text.upper().split())
    if compact and _RUNS.sub("", compact) == "":
        states = "".join(
            _LETTERS[letter] * int(count or 1) for count, letter in _RUNS.findall(compact)
        )
        return SecondaryStructureRequest(text, states=states)
    check_name("secondary structure", name, [*REQUEST_NAMES, "helix=0.3,strand=0.2", "12H3L6E"])
    raise AssertionError("the name was not among the names")


def _parse_shares(text: str) -> dict[str, float]:
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = (piece.strip() for piece in part.partition("="))
        check_name("kind of secondary structure", name.lower(), ["helix", "strand"])
        try:
            share = float(value[:-1]) / 100 if value.endswith("%") else float(value)
        except ValueError:
            share = -1.0
        if not 0.0 <= share <= 1.0:
            raise InputError(
                f"the share of {name} is {value!r}; give a number from 0 to 1, or a percentage"
            )
        shares[name.lower()] = share
    if sum(shares.values()) > 1.0:
        raise InputError(f"{text} asks for more than the whole protein; shares add up to 1 at most")
    return shares


def make_network_input(
    wanted: Sequence[SecondaryStructure], residue_mask: torch.Tensor
) -> SecondaryStructureInput | None:
    """Put what a batch of designs is asked for as the network takes it.

    Parameters
    ----------
    wanted
        One for each design, or none at all.
    residue_mask
        ``(batch, residue)``; on padding nothing is asked for.

    Returns
    -------
    SecondaryStructureInput or None
        None where nothing is asked for.
    """
    import torch

    from protdiff.model import SecondaryStructureInput
    from protdiff.network import SECONDARY_STATES

    states = composition = None
    if any(one.states is not None for one in wanted):
        rows = [(one.states or "").ljust(residue_mask.shape[1], "?") for one in wanted]
        states = torch.tensor([[SECONDARY_STATES.index(s) for s in row] for row in rows])
        states = states.to(residue_mask.device)
    if any(one.helix is not None for one in wanted):
        shares = [
            [math.nan if share is None else share for share in (one.helix, one.strand)]
            for one in wanted
        ]
        composition = torch.tensor(shares, dtype=torch.float32, device=residue_mask.device)
    if states is None and composition is None:
        return None
    return SecondaryStructureInput(states, composition)

"""Motifs: the given residues of a design, and where they stand in it.

A motif is a structure's residues in the order of a layout (:mod:`protdiff.structure.layout`). It
knows the places of its residues in the design, where the design's chains break, and what the
finished design is called. It moves nothing: where the motif stands in space is for the sampler to
find.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from protdiff.errors import InputError
from protdiff.structure.backbone import Backbone
from protdiff.structure.contig import Contig
from protdiff.structure.contig_language import parse_contig
from protdiff.structure.geometry import measure_dihedral, place_atom
from protdiff.structure.layout import Layout
from protdiff.structure.lengths import LengthRange
from protdiff.structure.selection import locate_range, parse_selection
from protdiff.structure.superposition import superimpose

__all__ = ["Motif", "name_chain", "sample_motif"]

# A carbonyl oxygen is kept from the motif if its plane turned by no more than this (degrees).
_OXYGEN_TOLERANCE = 30.0
_CHAIN_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, eq=False)
class Motif:
    """Given residues and their places in one design.

    Make one with :func:`sample_motif`.

    Attributes
    ----------
    source
        The motif's residues, in the order of the design.
    layout
        Which place of the design each of them takes.
    redesignable_mask
        (motif residue,) bool, True where the backbone is given but the amino acid is free.
    """

    source: Backbone
    layout: Layout
    redesignable_mask: NDArray[np.bool_]

    def __post_init__(self) -> None:
        count = len(self.layout.motif_positions)
        if len(self.source) != count or self.redesignable_mask.shape != (count,):
            raise InputError(
                f"the layout has places for {count} motif residues; got {len(self.source)} and a "
                f"mask of shape {self.redesignable_mask.shape}"
            )

    @classmethod
    def from_layout(
        cls, backbone: Backbone, layout: Layout, *, redesignable: str | None = None
    ) -> Motif:
        """Take the motif of a resolved layout from its structure.

        Parameters
        ----------
        backbone
            The structure that the contig was resolved against.
        layout
            A layout of that contig.
        redesignable
            Residues whose amino acid is free, such as ``"A163-168,A171"``.

        Raises
        ------
        InputError
            The layout has no motif, or redesignable residues are not of it.
        """
        places = layout.source_places
        if not len(places):
            raise InputError(
                f"the contig {layout} names no residue of {backbone.name}; generate without a "
                "motif, or name residues such as A10-20"
            )
        # An unknown amino acid is a free one; so do benchmarks mark what may be redesigned.
        free = backbone.residue_name[places] == "UNK"
        for piece in parse_selection(redesignable) if redesignable else ():
            named = np.isin(places, locate_range(backbone, piece))
            if not named.any():
                raise InputError(
                    f"redesignable residues {piece} are none of the motif {layout}; name residues "
                    "of it, or leave them out"
                )
            free = free | named
        return cls(backbone.select(places), layout, free)

    @property
    def length(self) -> int:
        """The number of residues of the design."""
        return self.layout.length

    @property
    def motif_positions(self) -> NDArray[np.int64]:
        """(motif residue,) places of the motif in the design, from 0."""
        return self.layout.motif_positions

    @property
    def motif_mask(self) -> NDArray[np.bool_]:
        """(residue,) True where the design's residue is given."""
        mask = np.zeros(self.length, dtype=bool)
        mask[self.motif_positions] = True
        return mask

    @property
    def groups(self) -> NDArray[np.int64]:
        """(motif residue,) the number of each residue's rigid group, from 1, as they are named."""
        return self.layout.motif_groups

    @property
    def chain_breaks(self) -> tuple[int, ...]:
        """The places where a new chain of the design begins, from 0, without the first."""
        return self.layout.chain_breaks

    @property
    def residue_index(self) -> NDArray[np.int64]:
        """(residue,) the residue index of the design."""
        return self.layout.residue_index

    def motif_map(self) -> list[dict[str, str | int]]:
        """Return ``{"from": "A163", "to": 17}`` for each motif residue; ``to`` counts from 1."""
        return [
            {"from": label, "to": int(place) + 1}
            for label, place in zip(self.source.labels, self.motif_positions, strict=True)
        ]

    def measure_group_rmsds(self, design: ArrayLike) -> tuple[float, ...]:
        """Return the RMSD (Å) of N, CA and C of each group in a design to the input, superimposed.

        Parameters
        ----------
        design
            (residue, 3 or 4, 3), Å.
        """
        x = self._check(design)[self.motif_positions, :3]
        given = self.source.coordinates[:, :3]
        return tuple(superimpose(x[group], given[group]).rmsd for group in self._group_masks())

    def measure_rmsd(self, design: ArrayLike) -> float:
        """Return the RMSD (Å) of the motif in a design to the input: that of its worst group."""
        return max(self.measure_group_rmsds(design))

    def set_into(self, design: ArrayLike) -> NDArray[np.float32]:
        """Set the input's motif, each group as a rigid body, on that of a design.

        Parameters
        ----------
        design
            (residue, 3, 3), N, CA, C in Å.

        Returns
        -------
        numpy.ndarray
            The same, with the geometry of the input in the pose nearest to what was there.
        """
        x = self._check(design).copy()
        for group in self._group_masks():
            places = self.motif_positions[group]
            given = self.source.coordinates[group, :3]
            x[places, :3] = superimpose(given, x[places, :3]).apply(given)
        return x

    def _group_masks(self) -> list[NDArray[np.bool_]]:
        return [self.groups == number for number in range(1, int(self.groups.max()) + 1)]

    def apply(
        self, design: ArrayLike, *, name: str = "design", designed_name: str = "GLY"
    ) -> Backbone:
        """Make the finished design of its coordinates.

        Residues are numbered from 1 through all chains, so that ``to`` of :meth:`motif_map` is the
        residue number; chains are called A, B, ...; motif residues keep their own amino acids.
        Where the oxygens are not given, a motif residue's O is carried over from the input if the
        plane of its peptide link is the input's, and placed in the new plane where it is not (at
        a seam).

        Parameters
        ----------
        design
            (residue, 3 or 4, 3), N, CA, C(, O) in Å.
        name
            What to call it.
        designed_name
            The residue name of designed residues.

        Returns
        -------
        Backbone
            With ``motif_mask`` True on the motif.

        Raises
        ------
        InputError
            The shape does not fit the layout.
        """
        x = self._check(design)
        chains = [name_chain(number) for number in self.layout.chain_numbers.tolist()]
        names = np.full(self.length, designed_name, dtype="U8")
        names[self.motif_positions] = self.source.residue_name
        backbone = Backbone.from_coordinates(
            x,
            residue_index=self.residue_index,
            chain_id=chains,
            residue_name=names,
            motif_mask=self.motif_mask,
            name=name,
        )
        if x.shape[1] == 4:
            return backbone
        coordinates = backbone.coordinates.copy()
        coordinates[self.motif_positions, 3] = self._place_oxygen(coordinates)
        return backbone.with_coordinates(coordinates)

    def _check(self, design: ArrayLike) -> NDArray[np.float32]:
        x = np.asarray(design, dtype=np.float32)
        if x.shape not in ((self.length, 3, 3), (self.length, 4, 3)):
            raise InputError(
                f"this layout makes a design of shape ({self.length}, 3, 3) or "
                f"({self.length}, 4, 3); got {x.shape}"
            )
        return x

    def _place_oxygen(self, design: NDArray[np.float32]) -> NDArray[np.floating]:
        """(motif residue, xyz): the input's O in each residue's own frame, where it still fits."""
        n, ca, c, o = (self.source.coordinates[:, i].astype(float) for i in range(4))
        torsion = measure_dihedral(n, ca, c, o)
        bond = np.linalg.norm(o - c, axis=-1)
        cosine = ((ca - c) * (o - c)).sum(-1) / (np.linalg.norm(ca - c, axis=-1) * bond)
        n, ca, c, placed = (design[self.motif_positions, i].astype(float) for i in range(4))
        carried = place_atom(n, ca, c, bond, np.degrees(np.arccos(np.clip(cosine, -1, 1))), torsion)
        turned = np.abs((measure_dihedral(n, ca, c, placed) - torsion + 180.0) % 360.0 - 180.0)
        # At the end of a chain no link says where O points, so the input's place always fits.
        ends = np.isin(self.motif_positions + 1, [*self.chain_breaks, self.length])
        return np.where(((turned <= _OXYGEN_TOLERANCE) | ends)[:, None], carried, placed)


def name_chain(number: int) -> str:
    """Return A, B, ..., Z, AA, AB, ... as spreadsheets count."""
    name = ""
    number += 1
    while number:
        number, letter = divmod(number - 1, len(_CHAIN_LETTERS))
        name = _CHAIN_LETTERS[letter] + name
    return name


def sample_motif(
    backbone: Backbone,
    contig: str | Contig,
    rng: np.random.Generator,
    *,
    total_length: LengthRange | None = None,
    redesignable: str | None = None,
) -> Motif:
    """Draw a layout of a contig and take its motif from a structure.

    Parameters
    ----------
    backbone
        The structure with the motif.
    contig
        Such as ``"10-40/A163-181/10-40"``.
    rng
        The source of randomness; one generator a design makes designs independent of each other.
    total_length
        The total length wanted, as in :meth:`Contig.sample_layout`.
    redesignable
        Residues whose amino acid is free, such as ``"A163-168,A171"``.

    Raises
    ------
    InputError
        As :func:`parse_contig`, :meth:`Contig.resolve` and :meth:`Contig.sample_layout` do.
    """
    parsed = parse_contig(contig) if isinstance(contig, str) else contig
    layout = parsed.resolve(backbone).sample_layout(rng, total_length)
    return Motif.from_layout(backbone, layout, redesignable=redesignable)

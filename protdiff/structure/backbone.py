"""A protein backbone as data.

The whole package hands proteins around as one thing: the positions of N, CA, C and O of every
residue in Å, where each residue stands along its chain, and what it is called. Files, networks and
metrics all meet here, and none of them needs the others to understand it.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from protdiff.errors import InputError
from protdiff.handedness import Handedness
from protdiff.structure.amino_acids import STANDARD, get_letters, get_names
from protdiff.structure.foreign import import_biotite
from protdiff.structure.geometry import place_cbeta, place_oxygen
from protdiff.structure.numbering import CHAIN_JUMP, index_steps, list_chains, name_residue

if TYPE_CHECKING:
    from protdiff.structure.view import ViewColor

__all__ = ["ATOM_NAMES", "Backbone"]

#: The atoms of a residue, in the order of axis 1 of :attr:`Backbone.coordinates`.
ATOM_NAMES = ("N", "CA", "C", "O")


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Backbone:
    """The backbone of one protein or complex.

    Make one with :meth:`from_coordinates`, :meth:`from_atom_array` or
    :func:`protdiff.structure.read_backbone`.

    Parameters
    ----------
    coordinates
        (residue, 4, 3) float32, N, CA, C, O in Å.
    residue_index
        (residue,) int64, the place along the chain: starts at 0, rises by one within an unbroken
        chain, and by more at a chain break or where a new chain begins.
    chain_id, residue_name, insertion_code
        (residue,) str; the insertion code is ``""`` where there is none.
    residue_number
        (residue,) int64, the author's numbering.
    motif_mask
        (residue,) bool, True where the residue was given by the user, False where it was designed.
    name
        What to call it in messages and files.

    Examples
    --------
    >>> from protdiff.structure import build_backbone
    >>> helix = Backbone.from_coordinates(build_backbone([-62.0] * 20, -42.0), name="helix")
    >>> helix
    Backbone 'helix': 20 residues, A1-20
    >>> len(helix.select(slice(0, 5)))
    5
    """

    coordinates: NDArray[np.float32]
    residue_index: NDArray[np.int64]
    chain_id: NDArray[np.str_]
    residue_name: NDArray[np.str_]
    residue_number: NDArray[np.int64]
    insertion_code: NDArray[np.str_]
    motif_mask: NDArray[np.bool_]
    name: str = "backbone"

    def __post_init__(self) -> None:
        coordinates = np.ascontiguousarray(self.coordinates, dtype=np.float32)
        if coordinates.ndim != 3 or coordinates.shape[1:] != (4, 3) or not len(coordinates):
            raise InputError(
                f"a backbone's coordinates have shape (residue, 4, 3) with at least one residue; "
                f"got {coordinates.shape}"
            )
        object.__setattr__(self, "coordinates", coordinates)
        for field, dtype in (
            ("residue_index", np.int64),
            ("chain_id", np.str_),
            ("residue_name", np.str_),
            ("residue_number", np.int64),
            ("insertion_code", np.str_),
            ("motif_mask", np.bool_),
        ):
            array = np.asarray(getattr(self, field), dtype=dtype)
            if array.shape != (len(coordinates),):
                raise InputError(
                    f"{field} of a backbone of {len(coordinates)} residues has shape "
                    f"({len(coordinates)},); got {array.shape}"
                )
            object.__setattr__(self, field, array)
        if self.residue_index[0] != 0 or (np.diff(self.residue_index) < 1).any():
            raise InputError("residue_index must start at 0 and rise from residue to residue")

    @classmethod
    def from_coordinates(
        cls,
        coordinates: ArrayLike,
        *,
        residue_index: ArrayLike | None = None,
        chain_id: str | Sequence[str] | NDArray[np.str_] = "A",
        residue_name: str | Sequence[str] | NDArray[np.str_] = "GLY",
        residue_number: ArrayLike | None = None,
        insertion_code: str | Sequence[str] | NDArray[np.str_] = "",
        motif_mask: ArrayLike = False,
        name: str = "backbone",
    ) -> Backbone:
        """Make a backbone of positions; O is placed by geometry where it is not given.

        Parameters
        ----------
        coordinates
            (residue, 3 or 4, 3), N, CA, C(, O) in Å.
        residue_index
            (residue,); without it one unbroken chain, or one for each chain id. It is shifted to
            start at 0.
        chain_id, residue_name, insertion_code, motif_mask
            (residue,) or one for all.
        residue_number
            (residue,); without it 1 to L.
        name
            What to call it.

        Raises
        ------
        InputError
            A shape does not fit, or the residue index does not rise.
        """
        x = np.asarray(coordinates, dtype=np.float32)
        if x.ndim != 3 or x.shape[1] not in (3, 4) or x.shape[2] != 3 or not len(x):
            raise InputError(
                "coordinates have shape (residue, 3, 3) for N, CA, C or (residue, 4, 3) for "
                f"N, CA, C, O; got {x.shape}"
            )
        length = len(x)
        chains = _broadcast(chain_id, length, np.str_, "chain_id")
        if residue_index is None:
            index = index_steps(np.where(chains[1:] == chains[:-1], 1, CHAIN_JUMP))
        else:
            index = np.asarray(residue_index, dtype=np.int64)
            if index.shape != (length,):
                raise InputError(f"residue_index has shape ({length},); got {index.shape}")
            index = index - index[0]
        if x.shape[1] == 3:
            oxygen = place_oxygen(x, index).astype(np.float32)
            x = np.concatenate([x, oxygen[:, None]], axis=1)
        numbers = np.arange(1, length + 1) if residue_number is None else residue_number
        return cls(
            coordinates=x,
            residue_index=index,
            chain_id=chains,
            residue_name=_broadcast(residue_name, length, np.str_, "residue_name"),
            residue_number=np.asarray(numbers, dtype=np.int64),
            insertion_code=_broadcast(insertion_code, length, np.str_, "insertion_code"),
            motif_mask=_broadcast(motif_mask, length, np.bool_, "motif_mask"),
            name=name,
        )

    @classmethod
    def from_atom_array(
        cls, atoms: Any, *, name: str = "backbone", strict: bool = False
    ) -> Backbone:
        """Take the protein of a Biotite ``AtomArray``, by the rules of :func:`read_backbone`.

        Parameters
        ----------
        atoms
            A ``biotite.structure.AtomArray``.
        name
            What to call it.
        strict
            Refuse, rather than drop with a warning, residues without a full backbone.
        """
        from protdiff.structure.residues import assemble_backbone

        return assemble_backbone(atoms, name=name, strict=strict)

    def to_atom_array(self, *, cbeta: bool = False, handedness: Handedness = "L") -> Any:
        """Return a Biotite ``AtomArray`` of N, CA, C, O (and CB).

        Its B-factors are 100 for residues of the motif and 0 for designed ones.

        Parameters
        ----------
        cbeta
            Add an idealised CB to every residue but glycines.
        handedness
            Whether those CB are of an L- or of a D-protein.

        Raises
        ------
        InputError
            The handedness is neither L nor D.
        """
        structure = import_biotite("structure")
        length = len(self)
        names = np.array([*ATOM_NAMES, "CB"])
        x = self.coordinates.astype(float)
        kept = np.ones((length, 5), dtype=bool)
        kept[:, 4] = (self.residue_name != "GLY") if cbeta else False
        beta = place_cbeta(x, handedness=handedness)
        x = np.concatenate([x, beta[:, None]], axis=1)[kept]
        residue, atom = np.nonzero(kept)
        array = structure.AtomArray(len(x))
        array.coord = x.astype(np.float32)
        array.chain_id = self.chain_id[residue]
        array.res_id = self.residue_number[residue]
        array.ins_code = self.insertion_code[residue]
        array.res_name = self.residue_name[residue]
        array.hetero = ~np.isin(self.residue_name, STANDARD)[residue]
        array.atom_name = names[atom]
        array.element = np.array(["N", "C", "C", "O", "C"])[atom]
        array.set_annotation("b_factor", np.where(self.motif_mask, 100.0, 0.0)[residue])
        array.set_annotation("occupancy", np.ones(len(x)))
        return array

    def __len__(self) -> int:
        return len(self.coordinates)

    def __array__(
        self, dtype: np.dtype[Any] | None = None, copy: bool | None = None
    ) -> NDArray[Any]:
        if copy is False and dtype not in (None, np.dtype(np.float32)):
            raise ValueError("a backbone's coordinates are float32; another type needs a copy")
        return np.array(self.coordinates, dtype=dtype, copy=True if copy else None)

    def __repr__(self) -> str:
        ends = [
            self._describe_span(start, stop)
            for start, stop in zip(
                self.segment_starts, [*self.segment_starts[1:], len(self)], strict=True
            )
        ]
        spans = ", ".join(ends if len(ends) <= 6 else [*ends[:5], f"... ({len(ends)} segments)"])
        given = int(self.motif_mask.sum())
        motif = f", {given} of a motif" if given else ""
        plural = "" if len(self) == 1 else "s"
        return f"Backbone {self.name!r}: {len(self)} residue{plural}{motif}, {spans}"

    def _repr_html_(self) -> str | None:
        """Show a cartoon in a notebook; None, for the text to serve, where there is no py3Dmol."""
        from protdiff.structure.view import render_html

        return render_html(self)

    def view(self, color: ViewColor | None = None, *, width: int = 480, height: int = 360) -> Any:
        """Return a cartoon as a ``py3Dmol.view``, to be shown or styled further.

        Parameters are those of :func:`~protdiff.structure.view.view_backbone`.
        """
        from protdiff.structure.view import view_backbone

        return view_backbone(self, color, width=width, height=height)

    def show(self, color: ViewColor | None = None, *, width: int = 480, height: int = 360) -> None:
        """Show a cartoon in the notebook now.

        Parameters
        ----------
        color
            ``"structure"``, ``"motif"`` or ``"chain"``; without it by motif if there is one, and
            by structure if not.
        width, height
            In pixels.

        Raises
        ------
        DependencyError
            py3Dmol is not installed, or this is no notebook.
        """
        from protdiff.structure.view import show_backbone

        show_backbone(self, color, width=width, height=height)

    def _describe_span(self, start: int, stop: int) -> str:
        first, last = self._number(start), self._number(stop - 1)
        return name_residue(self.chain_id[start], first if start == stop - 1 else f"{first}-{last}")

    def _number(self, place: int) -> str:
        return f"{self.residue_number[place]}{self.insertion_code[place]}"

    def label(self, place: int) -> str:
        """Return what the author calls a residue, as ``"A163"``, ``"H52A"`` or ``"1:50"``."""
        return name_residue(self.chain_id[place], self._number(place))

    @property
    def labels(self) -> list[str]:
        """The author's name of every residue."""
        return [self.label(place) for place in range(len(self))]

    @property
    def chains(self) -> tuple[str, ...]:
        """The chain ids in their order."""
        return tuple(dict.fromkeys(self.chain_id.tolist()))

    @property
    def segment_starts(self) -> list[int]:
        """The places where an unbroken stretch of chain begins; the first is 0."""
        jumps = (np.diff(self.residue_index) != 1) | (self.chain_id[1:] != self.chain_id[:-1])
        return [0, *(np.flatnonzero(jumps) + 1).tolist()]

    @property
    def sequence(self) -> str:
        """The amino acids in one-letter code, X where there is none."""
        return get_letters(self.residue_name.tolist())

    @property
    def digest(self) -> str:
        """A hash of its residues, by name, number and position (to .001 Å): 64 hexadecimal digits.

        Designs keep it, so that what was made of one structure is not taken for what was made of
        another.
        """
        content = hashlib.sha256((np.round(self.coordinates, 3) + 0.0).tobytes())  # no −0
        content.update(self.residue_index.tobytes())
        content.update("\n".join([*self.labels, *self.residue_name.tolist()]).encode())
        return content.hexdigest()

    @property
    def is_finite(self) -> bool:
        """Whether every position is a finite number."""
        return bool(np.isfinite(self.coordinates).all())

    def select(self, index: ArrayLike | slice, *, name: str | None = None) -> Backbone:
        """Return some of the residues as a backbone of their own.

        Parameters
        ----------
        index
            A bool mask (residue,), integer places in any order, or a slice.
        name
            A new name.

        Raises
        ------
        InputError
            Nothing is selected.
        """
        chosen = np.arange(len(self))[index if isinstance(index, slice) else np.asarray(index)]
        if chosen.ndim != 1 or not len(chosen):
            raise InputError(f"the selection leaves no residue of {self.name}")
        return Backbone(
            coordinates=self.coordinates[chosen],
            residue_index=index_steps(np.diff(self.residue_index[chosen])),
            chain_id=self.chain_id[chosen],
            residue_name=self.residue_name[chosen],
            residue_number=self.residue_number[chosen],
            insertion_code=self.insertion_code[chosen],
            motif_mask=self.motif_mask[chosen],
            name=self.name if name is None else name,
        )

    def find_chain(self, chain: str) -> NDArray[np.bool_]:
        """Return which residues are of a chain, (residue,).

        Raises
        ------
        InputError
            There is no such chain.
        """
        mask: NDArray[np.bool_] = self.chain_id == chain
        if not mask.any():
            raise InputError(
                f"{self.name} has no protein chain {chain}; its protein chains are "
                f"{list_chains(self.chains)}"
            )
        return mask

    def select_chain(self, chain: str) -> Backbone:
        """Return one chain, or explain which chains there are."""
        return self.select(self.find_chain(chain))

    def with_names(self, residue_name: ArrayLike) -> Backbone:
        """Return the same backbone with other residue names: (residue,) or one for all."""
        names = _broadcast(residue_name, len(self), np.str_, "residue_name")
        return dataclasses.replace(self, residue_name=names)

    def with_sequence(self, sequence: str) -> Backbone:
        """Return the same backbone with the amino acids of a sequence.

        Parameters
        ----------
        sequence
            One-letter codes of all residues, X for an unknown one. Chains may be divided by ``/``.

        Raises
        ------
        InputError
            The numbers of residues or chains differ, or a letter is no amino acid.
        """
        letters = sequence.replace("/", "")
        if len(letters) != len(self):
            raise InputError(
                f"{self.name} has {len(self)} residues; the sequence has {len(letters)}"
            )
        if "/" in sequence:
            counts = [int((self.chain_id == chain).sum()) for chain in self.chains]
            parts = [len(part) for part in sequence.split("/")]
            if parts != counts:
                raise InputError(
                    f"the chains of {self.name} have {counts} residues; the sequence has {parts}"
                )
        try:
            return self.with_names(get_names(letters))
        except InputError as error:
            raise InputError(f"the sequence for {self.name}: {error}") from None

    def with_coordinates(self, coordinates: ArrayLike) -> Backbone:
        """Return the same residues elsewhere: (residue, 3 or 4, 3) in Å; O is placed if missing."""
        x = np.asarray(coordinates, dtype=np.float32)
        if x.ndim == 3 and x.shape[1] == 3:
            oxygen = place_oxygen(x, self.residue_index).astype(np.float32)
            x = np.concatenate([x, oxygen[:, None]], axis=1)
        return dataclasses.replace(self, coordinates=x)


def _broadcast(value: Any, length: int, dtype: Any, field: str) -> NDArray[Any]:
    array = np.asarray(value, dtype=dtype)
    if array.ndim == 0:
        return np.full(length, array)
    if array.shape != (length,):
        raise InputError(f"{field} is one for all or has shape ({length},); got {array.shape}")
    return array

"""From atoms to residues: which residues of a structure file make the backbone.

A deposited structure holds more than a clean chain: two positions for one atom, selenomethionine
marked as a "hetero" group, free amino acids as ligands, residues of which only half was seen. The
rules, the same for every format:

- A residue belongs to a protein if it has N, CA and C. Residues of the ATOM records need nothing
  more, whatever their name. Residues of the HETATM records are kept if they are selenomethionine
  or linked to another residue by a peptide bond; else they are free amino acids and left out.
- Of alternate positions the one with the highest occupancy is taken, for the whole residue; at
  equal occupancy the one named first. The same rule decides which amino acid stands where two
  were seen.
- A residue without N, CA or C is dropped, and named in a :class:`StructureWarning`; ``strict``
  makes that an error. A missing O alone is placed by geometry, and named too; also an error when
  strict.
- A chain breaks where C–N is over 2.0 Å or CA–CA over 4.5 Å. Over a break the residue index rises
  by what the author's numbering says is missing, or, where that says nothing, by the fewest
  residues that could bridge the gap. From chain to chain it rises by 200.
"""

from __future__ import annotations

import functools
import itertools
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protdiff.errors import InputError
from protdiff.structure.amino_acids import AMINO_ACIDS
from protdiff.structure.backbone import ATOM_NAMES, Backbone
from protdiff.structure.foreign import import_biotite
from protdiff.structure.geometry import LINK_SPAN, MAX_CA_DISTANCE, MAX_PEPTIDE_BOND, place_oxygen
from protdiff.structure.numbering import CHAIN_JUMP, index_steps, list_chains, name_residue

__all__ = ["StructureWarning", "assemble_backbone"]


class StructureWarning(UserWarning):
    """Part of a structure was left out or made up: the message names it."""


# What some programs call the first carboxyl oxygen at the end of a chain.
_OXYGEN_NAMES = {"OT1": "O", "OC1": "O"}
# The most residues a break can hide; a file that says more has numbers or places that are wrong.
_LONGEST_GAP = 9_999
# How many residues a message names before it says "and n more".
_NAMED = 5


@functools.cache
def _is_amino_acid(name: str) -> bool:
    return name in AMINO_ACIDS or name in _load_amino_acids()


@functools.cache
def _load_amino_acids() -> frozenset[str]:
    return frozenset(import_biotite("structure.info").amino_acid_names())


@dataclass(eq=False)
class _Residue:
    """A residue as it was found: its names and the positions of its backbone atoms.

    Two are the same if they are one object: a file may give several of the same name.
    """

    chain: str
    number: int
    code: str
    name: str
    hetero: bool
    atoms: dict[str, NDArray[np.float32]]

    @property
    def label(self) -> str:
        return name_residue(self.chain, f"{self.number}{self.code}")

    @property
    def missing(self) -> list[str]:
        return [atom for atom in ATOM_NAMES[:3] if atom not in self.atoms]


@dataclass
class _Chain:
    kept: list[_Residue] = field(default_factory=list)
    incomplete: list[_Residue] = field(default_factory=list)


def assemble_backbone(
    atoms: Any,
    *,
    name: str,
    chains: Sequence[str] | None = None,
    strict: bool = False,
) -> Backbone:
    """Make a :class:`Backbone` of the protein among some atoms.

    Parameters
    ----------
    atoms
        A Biotite ``AtomArray``; alternate positions are told apart by its annotation
        ``altloc_id`` and weighed by ``occupancy`` where it has them.
    name
        What messages call the structure.
    chains
        The author's ids of the chains wanted, in the order wanted; all without it.
    strict
        Refuse residues without a full backbone.

    Raises
    ------
    InputError
        There is no protein, or no such chain; with ``strict``, a residue is incomplete.
    """
    found = _group_chains(_list_residues(atoms))
    if chains is not None:
        present = dict.fromkeys(np.asarray(atoms.chain_id).tolist())
        for chain in chains:
            if chain not in found:
                raise InputError(_explain_chain(name, chain, chain in present, found))
        found = {chain: found[chain] for chain in chains}
    residues = [residue for chain in found.values() for residue in chain.kept]
    incomplete = [residue for chain in found.values() for residue in chain.incomplete]
    if not residues:
        raise InputError(_explain_nothing(name, atoms, chains, incomplete))
    lost = [chain for chain in chains or () if not found[chain].kept]
    if lost:
        raise InputError(_explain_nothing(name, atoms, lost, found[lost[0]].incomplete))
    backbone = _stack(residues, name)
    placed = [residue for residue in residues if "O" not in residue.atoms]
    _report(name, incomplete, placed, strict)
    return backbone


def _list_residues(atoms: Any) -> list[_Residue]:
    """Collect residues in the order of the file, one conformer each."""
    names = np.asarray(atoms.atom_name)
    wanted = np.isin(names, [*ATOM_NAMES, *_OXYGEN_NAMES])
    categories = set(atoms.get_annotation_categories())
    count = int(wanted.sum())
    chain = atoms.chain_id[wanted].tolist()
    number = atoms.res_id[wanted].tolist()
    code = [text.strip(" .?") for text in atoms.ins_code[wanted].tolist()]
    residue_name = atoms.res_name[wanted].tolist()
    hetero = atoms.hetero[wanted].tolist()
    names = names[wanted].tolist()
    place = atoms.coord[wanted]
    altloc = (
        [text.strip(" .?") for text in atoms.altloc_id[wanted].tolist()]
        if "altloc_id" in categories
        else [""] * count
    )
    occupancy = atoms.occupancy[wanted].tolist() if "occupancy" in categories else [1.0] * count

    keys = list(zip(chain, number, code, strict=True))
    residues = []
    for group in _group_atoms(keys, residue_name, names, altloc):
        best = _choose_alternate([altloc[i] for i in group], [occupancy[i] for i in group])
        chosen: dict[str, NDArray[np.float32]] = {}
        rank: dict[str, tuple[bool, float]] = {}
        name, is_hetero = residue_name[group[0]], hetero[group[0]]
        for i in group:
            if altloc[i] == best:
                name, is_hetero = residue_name[i], hetero[i]
        for i in group:
            if residue_name[i] != name:
                continue
            atom = _OXYGEN_NAMES.get(names[i], names[i])
            score = (altloc[i] in ("", best), occupancy[i])
            if atom not in chosen or score > rank[atom]:
                chosen[atom], rank[atom] = place[i], score
        residues.append(_Residue(*keys[group[0]], name, is_hetero, chosen))
    return residues


def _group_atoms(
    keys: Sequence[tuple[str, int, str]],
    residue_name: Sequence[str],
    atom_name: Sequence[str],
    altloc: Sequence[str],
) -> list[list[int]]:
    """Return the atoms of each residue: neighbours in the file, and alternates from anywhere.

    Some programs list the alternates of several residues one after the other, 10A 11A 10B 11B.
    """
    groups: list[list[int]] = []
    alternates: dict[tuple[str, int, str], list[int]] = {}
    for i, key in enumerate(keys):
        group = groups[-1] if groups else []
        # Two amino acids at one place are one residue only if they are alternates.
        if not group or not (
            key == keys[group[0]]
            and (residue_name[i] == residue_name[group[0]] or (altloc[i] and altloc[group[0]]))
        ):
            group = alternates.get(key, []) if altloc[i] else []
            # What is there already is of another copy of the chain.
            if any((altloc[j], atom_name[j]) == (altloc[i], atom_name[i]) for j in group):
                group = []
            if not group:
                groups.append(group := [])
        group.append(i)
        if altloc[i]:
            alternates[key] = group
    return groups


def _choose_alternate(altloc: Sequence[str], occupancy: Sequence[float]) -> str:
    """Return the alternate with the highest summed occupancy; the first name wins a tie."""
    total: dict[str, float] = {}
    for name, share in zip(altloc, occupancy, strict=True):
        if name:
            total[name] = total.get(name, 0.0) + (0.0 if math.isnan(share) else share)
    # Sums of occupancies such as 0.35 differ in the last bit from file to file.
    return min(total, key=lambda name: (-round(total[name], 4), name)) if total else ""


def _group_chains(residues: list[_Residue]) -> dict[str, _Chain]:
    chains: dict[str, _Chain] = {}
    for residue in residues:
        if not residue.missing:
            chains.setdefault(residue.chain, _Chain()).kept.append(residue)
        elif ("CA" in residue.atoms or len(residue.atoms) > 1) and _is_amino_acid(residue.name):
            chains.setdefault(residue.chain, _Chain()).incomplete.append(residue)
    for chain in chains.values():
        chain.kept = _join_segments(chain.kept)
    return {name: chain for name, chain in chains.items() if chain.kept or chain.incomplete}


def _are_linked(first: _Residue, second: _Residue) -> bool:
    """Tell whether a peptide bond leads from one residue to the other; NaN links nothing."""
    bond = math.dist(first.atoms["C"].tolist(), second.atoms["N"].tolist())
    alpha = math.dist(first.atoms["CA"].tolist(), second.atoms["CA"].tolist())
    return bond <= MAX_PEPTIDE_BOND and alpha <= MAX_CA_DISTANCE


def _join_segments(residues: list[_Residue]) -> list[_Residue]:
    """Drop free amino acids, and put modified residues listed after their chain into it."""
    segments: list[list[_Residue]] = []
    for residue in residues:
        if segments and _are_linked(segments[-1][-1], residue):
            segments[-1].append(residue)
        else:
            segments.append([residue])
    # Only HETATM records are listed out of place; a chain's own order is the author's.
    stray = [part for part in segments if all(residue.hetero for residue in part)]
    for part in stray:
        if part not in segments:  # it came into another already
            continue
        after = [s for s in segments if s is not part and _are_linked(s[-1], part[0])]
        before = [s for s in segments if s is not part and _are_linked(part[-1], s[0])]
        if not after and not before:
            if len(part) == 1 and part[0].name != "MSE":
                segments.remove(part)
            continue
        segments.remove(part)
        if after:
            after[0].extend(part)
            follower = next((s for s in before if s is not after[0]), None)
            if follower is not None:
                after[0].extend(follower)
                segments.remove(follower)
        else:
            before[0][:0] = part
    return [residue for part in segments for residue in part]


def _stack(residues: list[_Residue], name: str) -> Backbone:
    nowhere = np.full(3, np.nan, dtype=np.float32)
    coordinates = np.array(
        [[residue.atoms.get(atom, nowhere) for atom in ATOM_NAMES] for residue in residues],
        dtype=np.float32,
    )
    steps = []
    for before, after in itertools.pairwise(residues):
        if before.chain != after.chain:
            steps.append(CHAIN_JUMP)
        elif _are_linked(before, after):
            steps.append(1)
        else:
            steps.append(_estimate_gap(before, after))
    index = index_steps(np.array(steps, dtype=np.int64))
    lacks_oxygen = np.array(["O" not in residue.atoms for residue in residues])
    if lacks_oxygen.any():
        coordinates[lacks_oxygen, 3] = place_oxygen(coordinates, index)[lacks_oxygen]
    return Backbone.from_coordinates(
        coordinates,
        residue_index=index,
        chain_id=[residue.chain for residue in residues],
        residue_name=[residue.name for residue in residues],
        residue_number=[residue.number for residue in residues],
        insertion_code=[residue.code for residue in residues],
        name=name,
    )


def _estimate_gap(before: _Residue, after: _Residue) -> int:
    """Return the step of the residue index over a chain break, 2 or more."""
    numbered = after.number - before.number
    if numbered >= 2:
        return min(numbered, _LONGEST_GAP)
    distance = math.dist(before.atoms["CA"].tolist(), after.atoms["CA"].tolist())
    return (
        max(2, min(math.ceil(distance / LINK_SPAN), _LONGEST_GAP)) if math.isfinite(distance) else 2
    )


def _name_some(residues: list[_Residue], *, atoms: bool = False) -> str:
    shown = [
        f"{residue.name} {residue.label}" + (f" (no {', '.join(residue.missing)})" if atoms else "")
        for residue in residues[:_NAMED]
    ]
    more = len(residues) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _report(name: str, incomplete: list[_Residue], placed: list[_Residue], strict: bool) -> None:
    if strict and (incomplete or placed):
        if incomplete:
            what = f"residues without a full backbone: {_name_some(incomplete, atoms=True)}"
        else:
            what = f"residues without O: {_name_some(placed)}"
        raise InputError(
            f"{name} has {what}; complete them, select other residues, or read without strict"
        )
    if incomplete:
        warnings.warn(
            f"{name}: dropped {len(incomplete)} of its residues, which lack backbone atoms: "
            f"{_name_some(incomplete, atoms=True)}",
            StructureWarning,
            stacklevel=4,
        )
    if placed:
        warnings.warn(
            f"{name}: placed O by geometry in {len(placed)} of its residues: {_name_some(placed)}",
            StructureWarning,
            stacklevel=4,
        )


def _explain_chain(name: str, chain: str, present: bool, found: dict[str, _Chain]) -> str:
    having = list_chains(found)
    known = f"its protein chains are {having}" if having else "it holds no protein at all"
    if present:
        return f"chain {chain} of {name} holds no protein; {known}"
    return f"{name} has no chain {chain}; {known}"


def _explain_nothing(
    name: str, atoms: Any, chains: Sequence[str] | None, incomplete: list[_Residue]
) -> str:
    where = f"chain {', '.join(chains)} of {name}" if chains else name
    if incomplete and all(set(residue.atoms) == {"CA"} for residue in incomplete):
        return (
            f"{where} has CA atoms only ({len(incomplete)} residues); a backbone needs N, CA and C "
            "of each residue, so give an all-atom structure"
        )
    if incomplete:
        return (
            f"no residue of {where} has N, CA and C: {_name_some(incomplete, atoms=True)}; "
            "give a structure with full backbones"
        )
    kinds = list(dict.fromkeys(np.asarray(atoms.res_name).tolist()))
    shown = ", ".join(kinds[:_NAMED]) + (", ..." if len(kinds) > _NAMED else "")
    return (
        f"{where} holds no protein: none of its residues ({shown}) has the atoms N, CA and C; "
        "give a file with a protein chain"
    )

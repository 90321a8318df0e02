"""The formats of ProteinMPNN: backbones and what is fixed out to it, its sequences onto them.

Three JSONL files take designs to ``protein_mpnn_run.py``, as its ``--jsonl_path``,
``--chain_id_jsonl`` and ``--fixed_positions_jsonl``: the first has one line a backbone, the other
two are one line each, an object with an entry for each backbone's name. A fourth of this kind,
``--tied_positions_jsonl``, gives equal chains one sequence. Positions count from 1 in each chain,
in steps of the author's numbering, so that a number that is missing takes a position.
What it answers is read by :mod:`protdiff.structure.designed_sequence`.

Like other programs of its kind it knows L-proteins of the twenty standard amino acids, and none of
what a motif may have beside them. A D-protein goes out as its mirror image (:func:`mirror_to_l`), a
modified residue as the amino acid that it was made of (:func:`find_letter`), and which residues
keep theirs is said in one place, :func:`find_fixed`.

References
----------
Dauparas et al. 2022, "Robust deep learning-based protein sequence design using ProteinMPNN".
"""

from __future__ import annotations

import json
import string
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protdiff.errors import InputError
from protdiff.files import write_atomically
from protdiff.structure.backbone import ATOM_NAMES, Backbone
from protdiff.structure.designed_sequence import DesignedSequence
from protdiff.structure.numbering import CHAIN_JUMP
from protdiff.structure.residues import StructureWarning
from protdiff.structure.standard import find_letters

__all__ = [
    "BACKBONES",
    "CHAIN_IDS",
    "FIXED_POSITIONS",
    "OPTIONS",
    "TIED_POSITIONS",
    "add_target",
    "find_fixed",
    "thread_sequence",
    "write_chain_ids",
    "write_fixed_positions",
    "write_parsed_backbones",
    "write_tied_positions",
]

BACKBONES, CHAIN_IDS, FIXED_POSITIONS, TIED_POSITIONS = (
    "backbones.jsonl",
    "chain_ids.jsonl",
    "fixed_positions.jsonl",
    "tied_positions.jsonl",
)
"""What its files are called in a folder that is made for it."""

OPTIONS = {
    BACKBONES: "--jsonl_path",
    CHAIN_IDS: "--chain_id_jsonl",
    FIXED_POSITIONS: "--fixed_positions_jsonl",
    TIED_POSITIONS: "--tied_positions_jsonl",
}
"""The option of ``protein_mpnn_run.py`` for each of these files."""

_CHAINS = string.ascii_uppercase + string.ascii_lowercase


def find_fixed(backbone: Backbone, given_mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which residues keep their amino acid, ``(residue,)``.

    Those are the given ones, but for those that neither are a standard amino acid nor were made of
    one.

    Parameters
    ----------
    backbone
        With the names of its residues.
    given_mask
        (residue,) True where the amino acid is given: in the motif, where it is not redesignable.

    Warns
    -----
    StructureWarning
        A residue, other than UNK, is free for want of an amino acid.
    """
    has_letter = find_letters(backbone) != "X"
    lacking = sorted({*backbone.residue_name[given_mask & ~has_letter].tolist()} - {"UNK"})
    if lacking:
        warnings.warn(
            f"no standard amino acid is known for {', '.join(lacking)} of the motif, and it is "
            "designed anew there; name the residue in the input after the one to be kept",
            StructureWarning,
            stacklevel=1,  # so that it is said once, of however many designs
        )
    fixed: NDArray[np.bool_] = given_mask & has_letter
    return fixed


def add_target(design: Backbone, target: Backbone) -> Backbone:
    """Put beside a design what it binds, in chains that come after those of the design.

    Parameters
    ----------
    design
        With chains of one letter; it keeps its name and its motif.
    target
        In the frame of the design. Its chains are called by the letters after the design's, and
        their residues are numbered from 1, with gaps where some are missing.

    Raises
    ------
    InputError
        There are not enough letters.
    """
    letters = [letter for letter in _CHAINS if letter > max(design.chains)]
    if len(letters) < len(target.chains):
        raise InputError(
            f"{design.name} and {target.name} have {len(design.chains) + len(target.chains)} "
            "chains, more than ProteinMPNN has letters for; give only those that the design touches"
        )
    chain, number = target.chain_id.copy(), target.residue_index.copy()
    for name, letter in zip(target.chains, letters, strict=False):
        of_chain = target.chain_id == name
        chain[of_chain] = letter
        number[of_chain] += 1 - target.residue_index[of_chain][0]
    start = design.residue_index[-1] + CHAIN_JUMP
    return Backbone.from_coordinates(
        np.concatenate([design.coordinates, target.coordinates]),
        residue_index=np.concatenate([design.residue_index, target.residue_index + start]),
        chain_id=np.concatenate([design.chain_id, chain]),
        residue_name=np.concatenate([design.residue_name, target.residue_name]),
        residue_number=np.concatenate([design.residue_number, number]),
        insertion_code=np.concatenate([design.insertion_code, np.full(len(target), "")]),
        motif_mask=np.concatenate([design.motif_mask, np.zeros(len(target), dtype=bool)]),
        name=design.name,
    )


def write_parsed_backbones(
    path: str | Path, backbones: Iterable[Backbone], *, overwrite: bool = False
) -> None:
    """Write backbones as ProteinMPNN's ``--jsonl_path`` takes them.

    Parameters
    ----------
    path
        The file.
    backbones
        With names that differ.
    overwrite
        Replace an existing file.

    Raises
    ------
    InputError
        The file exists; names are repeated; residues have no places in ProteinMPNN's numbering.
    """
    lines = []
    for backbone in _check_names(backbones):
        line: dict[str, Any] = {}
        known = find_letters(backbone)
        known[known == "X"] = "-"
        for chain, (places, positions) in _locate(backbone).items():
            letters = np.full(positions[-1], "-")
            x = np.full((positions[-1], len(ATOM_NAMES), 3), np.nan)
            x[positions - 1] = backbone.coordinates[places].astype(float).round(3)
            letters[positions - 1] = known[places]
            line[f"seq_chain_{chain}"] = "".join(letters.tolist())
            line[f"coords_chain_{chain}"] = {
                f"{atom}_chain_{chain}": x[:, k].tolist() for k, atom in enumerate(ATOM_NAMES)
            }
        line["name"] = backbone.name
        line["num_of_chains"] = len(backbone.chains)
        line["seq"] = "".join(line[f"seq_chain_{chain}"] for chain in sorted(backbone.chains))
        lines.append(json.dumps(line))  # NaN, where a residue is missing, is what it reads
    _write_lines(path, lines, overwrite)


def write_chain_ids(
    path: str | Path,
    backbones: Iterable[Backbone],
    *,
    designed: Mapping[str, Iterable[str]] | None = None,
    overwrite: bool = False,
) -> None:
    """Write which chains to design and which to keep, ``{name: [[designed], [kept]]}``.

    What is given of a designed chain is said residue by residue, by :func:`write_fixed_positions`.

    Parameters
    ----------
    path
        The file.
    backbones
        With names that differ.
    designed
        For names of backbones, the chains to design; all without it.
    overwrite
        Replace an existing file.

    Raises
    ------
    InputError
        As :func:`write_parsed_backbones`.
    """
    table = {}
    for backbone in _check_names(backbones):
        chosen = set((designed or {}).get(backbone.name, backbone.chains))
        chains = sorted(backbone.chains)
        table[backbone.name] = [
            [chain for chain in chains if chain in chosen],
            [chain for chain in chains if chain not in chosen],
        ]
    _write_lines(path, [json.dumps(table)], overwrite)


def write_fixed_positions(
    path: str | Path,
    backbones: Iterable[Backbone],
    *,
    redesignable: Mapping[str, Iterable[int]] | None = None,
    overwrite: bool = False,
) -> None:
    """Write the residues that keep their amino acid, ``{name: {chain: [position, ...]}}``.

    Those are what :func:`find_fixed` gives.

    Parameters
    ----------
    path
        The file.
    backbones
        With names that differ.
    redesignable
        For names of backbones, the residue numbers whose amino acid is free.
    overwrite
        Replace an existing file.

    Raises
    ------
    InputError
        As :func:`write_parsed_backbones`.
    """
    table = {}
    for backbone in _check_names(backbones):
        free = np.isin(backbone.residue_number, list((redesignable or {}).get(backbone.name, ())))
        fixed = find_fixed(backbone, backbone.motif_mask & ~free)
        table[backbone.name] = {
            chain: positions[fixed[places]].tolist()
            for chain, (places, positions) in _locate(backbone).items()
        }
    _write_lines(path, [json.dumps(table)], overwrite)


def write_tied_positions(
    path: str | Path, backbones: Iterable[Backbone], *, overwrite: bool = False
) -> None:
    """Write that all chains of a backbone are to have one sequence, as those of a symmetric design.

    That is ``{name: [{chain: [position], ...}, ...]}``, an entry for each position. Parameters and
    errors are those of :func:`write_parsed_backbones`.

    Raises
    ------
    InputError
        Chains of one backbone differ in their positions.
    """
    table = {}
    for backbone in _check_names(backbones):
        positions = {chain: found.tolist() for chain, (_, found) in _locate(backbone).items()}
        first = next(iter(positions.values()))
        other = next((chain for chain, found in positions.items() if found != first), None)
        if other is not None:
            raise InputError(
                f"chain {other} of {backbone.name} has other residues than its first chain, so "
                "that they cannot have one sequence; tie backbones of equal chains only"
            )
        table[backbone.name] = [
            {chain: [position] for chain in sorted(positions)} for position in first
        ]
    _write_lines(path, [json.dumps(table)], overwrite)


def thread_sequence(backbone: Backbone, sequence: DesignedSequence | str) -> Backbone:
    """Give a backbone the amino acids of a sequence of ProteinMPNN.

    Parameters
    ----------
    backbone
        What was given to ProteinMPNN.
    sequence
        What it made of it: chains in the order of their ids, divided by ``/``.

    Raises
    ------
    InputError
        The lengths do not fit.
    """
    text = sequence if isinstance(sequence, str) else sequence.sequence
    located = _locate(backbone)
    chains, parts = sorted(located), text.split("/")
    expected = [int(located[chain][1][-1]) for chain in chains]
    if [len(part) for part in parts] != expected:
        raise InputError(
            f"a sequence for {backbone.name} has chains of {expected} residues; "
            f"got {[len(part) for part in parts]}"
        )
    given = find_letters(backbone)
    letters = given.copy()
    for chain, part in zip(chains, parts, strict=True):
        places, positions = located[chain]
        letters[places] = np.array(list(part))[positions - 1]
    threaded = backbone.with_sequence("".join(letters.tolist()))
    # A letter says less than a name: what did not change keeps the name that it had.
    same = letters == given
    return threaded.with_names(np.where(same, backbone.residue_name, threaded.residue_name))


def _locate(backbone: Backbone) -> dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return each chain's residues: their places in the backbone, and their positions, from 1."""
    located = {}
    for chain in backbone.chains:
        places = np.flatnonzero(backbone.chain_id == chain)
        number = backbone.residue_number[places]
        if len(chain) != 1:
            raise InputError(
                f"chain {chain} of {backbone.name} has more than one letter, which ProteinMPNN "
                "does not read; name chains A, B, ..."
            )
        if (np.diff(number) < 1).any():
            raise InputError(
                f"the residue numbers of chain {chain} of {backbone.name} do not rise, so that "
                "ProteinMPNN counts them in another order; number residues 1, 2, 3, ..."
            )
        located[chain] = (places, number - number[0] + 1)
    return located


def _check_names(backbones: Iterable[Backbone]) -> Sequence[Backbone]:
    backbones = list(backbones)
    names = [backbone.name for backbone in backbones]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"two backbones are called {twice}; ProteinMPNN tells them by name")
    if not backbones:
        raise InputError("there is no backbone to write; give one or more")
    return backbones


def _write_lines(path: str | Path, lines: Sequence[str], overwrite: bool) -> None:
    with write_atomically(path, overwrite=overwrite) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

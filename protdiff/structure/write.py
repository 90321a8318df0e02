"""Writing backbones and trajectories as PDB and mmCIF files.

A file is written whole or not at all. The B-factor column says what was given and what was made:
100.00 for residues of the motif, 0.00 for designed ones. A motif's numbering map goes into REMARK
999 lines, or into the mmCIF category ``_protdiff_motif_map``. An mmCIF file says what its chains
are: polymers, of which those of one sequence are one entity.
"""

from __future__ import annotations

import gzip
import io
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protdiff.errors import InputError
from protdiff.files import write_atomically
from protdiff.handedness import Handedness
from protdiff.structure.backbone import ATOM_NAMES, Backbone
from protdiff.structure.foreign import import_biotite
from protdiff.structure.standard import find_letter

__all__ = ["check_labels", "detect_format", "format_pdb", "write_backbone", "write_trajectory"]

#: What the columns of a PDB file hold.
_PDB_COORDINATES = (-999.999, 9999.999)
_PDB_NUMBERS = (-999, 9999)
_PDB_ATOMS = 99_999

_FORMATS = {"pdb": "pdb", "ent": "pdb", "cif": "cif", "mmcif": "cif"}

MotifMap = Sequence[Mapping[str, str | int]]


def write_backbone(
    path: str | Path,
    backbone: Backbone,
    *,
    overwrite: bool = False,
    cbeta: bool = False,
    format: str | None = None,
    designed_name: str | None = None,
    motif_map: MotifMap | None = None,
    handedness: Handedness = "L",
) -> None:
    """Write one backbone.

    Parameters
    ----------
    path
        The file; with ``.gz`` at its end it is compressed.
    backbone
        What to write.
    overwrite
        Replace an existing file.
    cbeta
        Add an idealised CB to every residue but glycines (``designed_name="ALA"`` gives the
        designed residues one).
    format
        ``"pdb"`` or ``"cif"``; without it the name of the file tells.
    designed_name
        The three-letter name that designed residues get, those outside ``motif_mask``. Without it
        they keep their names.
    motif_map
        Pairs such as ``{"from": "A163", "to": 17}`` to be kept in the file.
    handedness
        Whether the CB, and the polymers of an mmCIF file, are of an L- or of a D-protein.

    Raises
    ------
    InputError
        The file exists; the format is unknown; the handedness is neither L nor D; a coordinate is
        not finite, or something does not fit the columns of a PDB file.
    """
    write_trajectory(
        path,
        [backbone],
        overwrite=overwrite,
        cbeta=cbeta,
        format=format,
        designed_name=designed_name,
        motif_map=motif_map,
        handedness=handedness,
    )


def write_trajectory(
    path: str | Path,
    frames: Iterable[Backbone],
    *,
    overwrite: bool = False,
    cbeta: bool = False,
    format: str | None = None,
    designed_name: str | None = None,
    motif_map: MotifMap | None = None,
    handedness: Handedness = "L",
) -> None:
    """Write several states of the same residues as the models of one file.

    Parameters
    ----------
    path
        The file; with ``.gz`` at its end it is compressed.
    frames
        Backbones that differ in their coordinates only.
    overwrite, cbeta, format, designed_name, motif_map, handedness
        As in :func:`write_backbone`.

    Raises
    ------
    InputError
        As in :func:`write_backbone`; also if there is no frame, or two frames differ in residues.
    """
    path = Path(path)
    kind = detect_format(path, format)
    states = list(frames)
    if not states:
        raise InputError(f"there is no frame to write to {path}; give one or more")
    arrays = []
    for state in states:
        _check_finite(path, state)
        array = _rename(state, designed_name).to_atom_array(cbeta=cbeta, handedness=handedness)
        arrays.append(array)
        if not array.equal_annotations(arrays[0]):
            raise InputError(
                f"the frames for {path} differ in their residues; write them to separate files"
            )
        if kind == "pdb":
            _check_columns(path, array)
    whole = arrays[0] if len(arrays) == 1 else import_biotite("structure").stack(arrays)
    if kind == "pdb":
        text = _format_pdb(whole, motif_map or ())
    else:
        text = _format_cif(whole, states[0].name, motif_map or (), handedness)
    data = text.encode()
    if path.suffix.lower() == ".gz":
        # Without a time stamp, the same structure always makes the same file.
        data = gzip.compress(data, mtime=0)
    with write_atomically(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(data)


def format_pdb(backbone: Backbone) -> str:
    """Return the text of a PDB file; it should fit the columns, which is not checked."""
    return _format_pdb(backbone.to_atom_array(), ())


def detect_format(path: str | Path, format: str | None = None) -> str:
    """Return ``"pdb"`` or ``"cif"`` from a format's name, or from the name of the file.

    Examples
    --------
    >>> detect_format("design_0.cif.gz"), detect_format("design_0", "mmcif")
    ('cif', 'cif')

    Raises
    ------
    InputError
        It is neither.
    """
    suffix = Path(path).name.lower().removesuffix(".gz").rpartition(".")[2]
    name = suffix if format is None else format.lower().lstrip(".")
    if name not in _FORMATS:
        what = f"the format {format!r}" if format is not None else f"a file named {Path(path).name}"
        raise InputError(f"cannot write {what}; expected pdb or cif")
    return _FORMATS[name]


def _rename(backbone: Backbone, designed_name: str | None) -> Backbone:
    if designed_name is None:
        return backbone
    name = designed_name.strip().upper()
    if not 1 <= len(name) <= 3 or not name.isalnum():
        raise InputError(
            f"residue names have one to three letters, such as GLY or ALA; got {designed_name!r}"
        )
    return backbone.with_names(np.where(backbone.motif_mask, backbone.residue_name, name))


def _check_finite(path: Path, backbone: Backbone) -> None:
    bad = np.flatnonzero(~np.isfinite(backbone.coordinates).all((1, 2)))
    if len(bad):
        raise InputError(
            f"cannot write {path}: residue {backbone.label(int(bad[0]))} of {backbone.name} has a "
            f"coordinate that is not a finite number ({len(bad)} such residues)"
        )


def _check_columns(path: Path, array: Any) -> None:
    """Refuse what the fixed columns of a PDB file cannot hold."""
    low, high = _PDB_COORDINATES
    if array.coord.min() < low or array.coord.max() > high:
        what = (
            f"coordinates from {array.coord.min():.1f} to {array.coord.max():.1f} Å, "
            f"and the columns hold {low} to {high}"
        )
    elif max(map(len, array.res_name.tolist())) > 3:
        what = f"the residue name {max(array.res_name.tolist(), key=len)}, longer than 3 letters"
    elif len(array) + _find_chain_ends(array).sum() > _PDB_ATOMS:
        what = f"{len(array)} atoms, and the columns count to {_PDB_ATOMS}, with a TER a chain"
    else:
        check_labels(path, array.chain_id, array.res_id)
        return
    raise _explain_misfit(path, what)


def check_labels(
    path: str | Path, chain_id: NDArray[np.str_], residue_number: NDArray[np.int64]
) -> None:
    """Refuse names of residues that the fixed columns of a PDB file cannot hold.

    Parameters
    ----------
    path
        The file, for the message.
    chain_id, residue_number
        (residue,) or (atom,).

    Raises
    ------
    InputError
        A chain id has several letters, or a number too many digits.
    """
    longest = max(chain_id.tolist(), key=len)
    if len(longest) > 1:
        what = f"the chain id {longest}, and the column holds one letter"
        raise _explain_misfit(path, what)
    lowest, highest = residue_number.min(), residue_number.max()
    if lowest < _PDB_NUMBERS[0] or highest > _PDB_NUMBERS[1]:
        what = (
            f"residue numbers from {lowest} to {highest}, and the columns hold {_PDB_NUMBERS[0]} "
            f"to {_PDB_NUMBERS[1]}"
        )
        raise _explain_misfit(path, what)


def _explain_misfit(path: str | Path, what: str) -> InputError:
    return InputError(f"cannot write {path} as PDB: it has {what}; write mmCIF instead")


def _find_chain_ends(array: Any) -> NDArray[np.bool_]:
    """Tell which atoms are the last of a chain, (atom,)."""
    ends = np.ones(array.array_length(), dtype=bool)
    ends[:-1] = array.chain_id[1:] != array.chain_id[:-1]
    return ends


def _format_pdb(array: Any, motif_map: MotifMap) -> str:
    file = import_biotite("structure.io.pdb").PDBFile()
    # The record that ends a chain takes a serial number as an atom does.
    ends = _find_chain_ends(array)
    array.set_annotation("atom_id", np.arange(1, len(ends) + 1) + np.cumsum(ends) - ends)
    file.set_structure(array)
    lines = [f"REMARK 999 MOTIF {pair['from']} -> {pair['to']}" for pair in motif_map]
    # A chain id of an mmCIF file may have a line break in it, and would begin a record of its own.
    lines = ["".join(c if c.isprintable() else "?" for c in line) for line in lines]
    if lines:
        lines.insert(0, "REMARK 999 MOTIF RESIDUE OF THE INPUT -> PLACE IN THE DESIGN, FROM 1")
    is_last = itertools.cycle(ends.tolist())  # of one model after another
    for line in file.lines:
        if line.startswith(("ATOM  ", "HETATM")):
            lines.append(line)
            if next(is_last):
                lines.append(f"TER   {int(line[6:11]) % _PDB_ATOMS + 1:5d}      {line[17:27]}")
        elif line.strip() not in ("END", "TER"):
            lines.append(line)
    return "\n".join([*(line.ljust(80) for line in lines), "END".ljust(80)]) + "\n"


def _format_cif(array: Any, name: str, motif_map: MotifMap, handedness: Handedness) -> str:
    pdbx = import_biotite("structure.io.pdbx")
    file = pdbx.CIFFile()
    # A block's name is one word of printable characters.
    block = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in name)
    file[block or "design"] = pdbx.CIFBlock()
    entity = _describe_entities(file.block, array, handedness)
    array.set_annotation("label_entity_id", entity)
    pdbx.set_structure(file, array)
    _tidy_atom_site(file.block["atom_site"], array)
    if motif_map:
        file.block["protdiff_motif_map"] = pdbx.CIFCategory(
            {
                "from": [str(pair["from"]) for pair in motif_map],
                "to": [str(pair["to"]) for pair in motif_map],
            }
        )
    stream = io.StringIO()
    file.write(stream)
    return stream.getvalue()


def _describe_entities(block: Any, array: Any, handedness: Handedness) -> NDArray[np.int64]:
    """Write which polymers there are, and which chains are of each.

    Returns
    -------
    numpy.ndarray
        (atom,) the number of the polymer, from 1.
    """
    category = import_biotite("structure.io.pdbx").CIFCategory
    entities: dict[tuple[str, ...], list[str]] = {}  # chains of each sequence of names
    entity = np.zeros(array.array_length(), dtype=np.int64)
    starts = _find_residue_starts(array)
    for chain in dict.fromkeys(array.chain_id.tolist()):
        of_chain = array.chain_id == chain
        names = tuple(array.res_name[of_chain & starts].tolist())
        entities.setdefault(names, []).append(chain)
        entity[of_chain] = [*entities].index(names) + 1
    modified = {*array.res_name[array.hetero].tolist()}
    rows = [(str(number), names) for number, names in enumerate(entities, 1)]
    ids = [number for number, _ in rows]
    block["entity"] = category({"id": ids, "type": ["polymer"] * len(rows)})
    block["entity_poly"] = category(
        {
            "entity_id": ids,
            "type": [f"polypeptide({handedness})"] * len(rows),
            "nstd_linkage": ["no"] * len(rows),
            "nstd_monomer": ["no" if modified.isdisjoint(names) else "yes" for _, names in rows],
            "pdbx_seq_one_letter_code": [
                _join_letters(
                    f"({name})" if name in modified else find_letter(name) for name in names
                )
                for _, names in rows
            ],
            "pdbx_seq_one_letter_code_can": [
                _join_letters(map(find_letter, names)) for _, names in rows
            ],
            "pdbx_strand_id": [",".join(chains) for chains in entities.values()],
        }
    )
    monomers = [(number, k, name) for number, names in rows for k, name in enumerate(names, 1)]
    block["entity_poly_seq"] = category(
        {
            "entity_id": [number for number, _, _ in monomers],
            "num": [str(place) for _, place, _ in monomers],
            "mon_id": [name for _, _, name in monomers],
            "hetero": ["n"] * len(monomers),
        }
    )
    asyms = [
        (chain, n) for n, chains in zip(ids, entities.values(), strict=True) for chain in chains
    ]
    block["struct_asym"] = category(
        {"id": [chain for chain, _ in asyms], "entity_id": [number for _, number in asyms]}
    )
    return entity


def _join_letters(letters: Iterable[str]) -> str:
    """Put the letters of a sequence together, in lines of 80 as depositions have them."""
    text = "".join(letters)
    return "\n".join(text[start : start + 80] for start in range(0, len(text), 80))


def _find_residue_starts(array: Any) -> NDArray[np.bool_]:
    """Tell which atoms are the first of a residue, (atom,)."""
    starts: NDArray[np.bool_] = array.atom_name == ATOM_NAMES[0]
    return starts


def _tidy_atom_site(site: Any, array: Any) -> None:
    """Give the columns the form of a deposition.

    Biotite repeats the author's number as ``label_seq_id``, which must be a place in the chain,
    from 1: insertion codes and negative numbers are not. Its coordinates carry every digit of a
    float32, where the format's habit is three decimals.
    """
    place = np.zeros(array.array_length(), dtype=np.int64)
    starts = _find_residue_starts(array)
    for chain in dict.fromkeys(array.chain_id.tolist()):
        of_chain = array.chain_id == chain
        place[of_chain] = np.cumsum(starts[of_chain])
    models = len(site["id"].as_array(str)) // array.array_length()
    site["label_seq_id"] = np.tile(place, models).astype(np.str_)
    coordinates = array.coord.reshape(-1, 3)
    for axis, name in enumerate(("Cartn_x", "Cartn_y", "Cartn_z")):
        site[name] = [f"{value:.3f}" for value in coordinates[:, axis].tolist()]
    for name in ("B_iso_or_equiv", "occupancy"):
        site[name] = [f"{value:.2f}" for value in site[name].as_array(float).tolist()]

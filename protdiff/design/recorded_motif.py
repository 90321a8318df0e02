"""What a manifest's line says of a motif: which residues of a design are given, and which are free.

Scaffolding writes two lists: ``motif_map``, ``[{"from": "A163", "to": 17}, ...]``, says which
residue of the input became which of the design, and ``redesignable``, ``[17, ...]``, which of them
may change their amino acid. Both number residues as the structure file does; those that it lacks
are passed over. A line without these lists is that of a design without a motif.

A list of another form is damaged, and all of the motif is then unknown, for half of it would be
another motif. :func:`read_motif` refuses such a line; who can do without a motif goes on, and says
so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protdiff.design.run_folder import MANIFEST
from protdiff.errors import InputError, shorten
from protdiff.structure import Backbone

__all__ = ["RecordedMotif", "read_motif"]


@dataclass(frozen=True)
class RecordedMotif:
    """The motif of a design, by its manifest.

    Attributes
    ----------
    motif_mask
        (residue,) True where the residue was given.
    redesignable_mask
        (residue,) True where a given residue may change its amino acid.
    """

    motif_mask: NDArray[np.bool_]
    redesignable_mask: NDArray[np.bool_]

    @property
    def given_mask(self) -> NDArray[np.bool_]:
        """(residue,) True where the amino acid is given too."""
        return self.motif_mask & ~self.redesignable_mask


def read_motif(
    record: Mapping[str, Any], backbone: Backbone, *, manifest: str | Path = MANIFEST
) -> RecordedMotif:
    """Find the residues of a backbone that its line of a manifest names.

    Parameters
    ----------
    record
        The line.
    backbone
        The design.
    manifest
        What the line is from, for the message.

    Raises
    ------
    InputError
        The line is damaged.
    """
    pairs = _get_list(record, "motif_map", _is_pair, '{"from": "A163", "to": 17}', manifest)
    free = _get_list(record, "redesignable", _is_number, "17", manifest)
    given = [pair["to"] for pair in pairs]
    motif_mask = np.isin(backbone.residue_number, given)
    return RecordedMotif(motif_mask, motif_mask & np.isin(backbone.residue_number, free))


def _get_list(
    record: Mapping[str, Any],
    key: str,
    is_sound: Callable[[Any], bool],
    example: str,
    manifest: str | Path,
) -> list[Any]:
    found = record.get(key, [])
    if not (isinstance(found, list) and all(map(is_sound, found))):
        raise InputError(
            f"{manifest}: the {key} of design {record.get('index')} is {shorten(repr(found))}; "
            f"expected [{example}, ...]; remove the line, and the same run makes the design again"
        )
    return found


def _is_pair(item: Any) -> bool:
    return (
        isinstance(item, dict) and isinstance(item.get("from"), str) and _is_number(item.get("to"))
    )


def _is_number(item: Any) -> bool:
    return type(item) is int

"""Structures that were predicted elsewhere, told by the names of their files.

``protdiff sequence`` calls the sequences of a design ``design_0000_1``, ``design_0000_2``, ... A
prediction is a structure file whose name begins so, or that is in a folder of that name, anywhere
below a folder: ``design_0000_1_unrelaxed_rank_001_....pdb`` of ColabFold,
``design_0000_1_model_0.cif`` of Boltz and AlphaFold 3, ``fold_design_0000_1_model_0.cif`` of its
server, ``design_0000_1/pred.model_idx_0.cif`` of Chai. Capitals do not matter. Of several for a
sequence the first in alphabetical order is taken, which is the best one where programs number them
by rank.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

from protdiff.errors import InputError
from protdiff.structure import Backbone, find_structure_files, read_backbone

__all__ = ["read_first", "read_predictions"]

_ENDS = re.compile(r"(?<=[0-9])(?=[_.]|$)")
"""Where the name of a sequence may end: it ends in a number."""

_PREFIX = "fold_"


def read_predictions(folder: str | Path, names: Iterable[str]) -> dict[str, dict[int, Backbone]]:
    """Read the predictions for designs.

    Parameters
    ----------
    folder
        With structure files, in it or in folders of it.
    names
        Of the designs.

    Returns
    -------
    dict of str to dict of int to Backbone
        For each design with predictions, by the number of the sequence.

    Raises
    ------
    InputError
        There is no such folder, a name comes twice, or there is no prediction for any design.

    Warns
    -----
    UserWarning
        A file cannot be read.
    """
    known: dict[str, dict[int, list[Path]]] = {}
    spelled: dict[str, str] = {}
    for name in names:
        if name.lower() in spelled:
            raise InputError(
                f"two designs are called {name}, and predictions are told by that name; evaluate "
                "one run at a time"
            )
        spelled[name.lower()], known[name] = name, {}
    for path in find_structure_files(folder):
        named = _find_sequence(path.name, spelled) or _find_sequence(path.parent.name, spelled)
        if named is not None:
            name, number = named
            known[name].setdefault(number, []).append(path)
    found: dict[str, dict[int, Backbone]] = {}
    for name, numbered in known.items():
        for number, files in sorted(numbered.items()):
            backbone = read_first(files, f"{name}_{number}")
            if backbone is None:
                warnings.warn(f"{files[0]} cannot be read and is passed over", stacklevel=2)
            else:
                found.setdefault(name, {})[number] = backbone
    if not found:
        example = next(iter(known), "design_0000")
        raise InputError(
            f"{folder} holds no prediction for these designs; expected files such as "
            f"{example}_1.pdb, as `protdiff sequence` calls their sequences"
        )
    return found


def _find_sequence(text: str, spelled: Mapping[str, str]) -> tuple[str, int] | None:
    """Find the design and the number of the sequence that a name begins with."""
    text = text.lower()
    for start in (text, text.removeprefix(_PREFIX)):
        # The longest comes first: a design may itself be called as a sequence of another.
        for end in reversed(list(_ENDS.finditer(start))):
            name, _, number = start[: end.start()].rpartition("_")
            if name in spelled and number.isdecimal():
                return spelled[name], int(number)
    return None


def read_first(files: Iterable[Path], name: str) -> Backbone | None:
    """Read the first of the files for a sequence that can be read; None if there is none.

    That of its very name comes first, then they are in alphabetical order.
    """
    for path in sorted(files, key=lambda path: (path.name.split(".")[0] != name, path.name)):
        try:
            return read_backbone(path)
        except InputError:
            continue
    return None

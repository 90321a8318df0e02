"""Structures that were predicted elsewhere, told by the names of their files.

``protdiff sequence`` calls the sequences of a design ``design_0000_1``, ``design_0000_2``, ... A
prediction is a structure file whose name begins so, anywhere in a folder, as ColabFold, ESMFold,
Boltz and AlphaFold 3 write them: ``design_0000_1_unrelaxed_rank_001_....pdb``,
``design_0000_1_model_0.cif``. Of several for a sequence the first in alphabetical order is taken,
which is the best one where programs number them by rank.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from protdiff.errors import InputError
from protdiff.structure import Backbone, find_structure_files, read_backbone

__all__ = ["read_first", "read_predictions"]

_PARTS = re.compile(r"(?<=[0-9])(?=[_.])")
"""Where the name of a sequence may end: it ends in a number."""


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
        For each design with predictions, by the number of the sequence. Files that cannot be read
        are passed over.

    Raises
    ------
    InputError
        There is no such folder, a name comes twice, or there is no prediction for any design.
    """
    known: dict[str, dict[int, list[Path]]] = {}
    for name in names:
        if name in known:
            raise InputError(
                f"two designs are called {name}, and predictions are told by that name; evaluate "
                "one run at a time"
            )
        known[name] = {}
    for path in find_structure_files(folder):
        for end in _PARTS.finditer(path.name):
            name, _, number = path.name[: end.start()].rpartition("_")
            if name in known and number.isdecimal():
                known[name].setdefault(int(number), []).append(path)
                break
    found = {
        name: {
            number: backbone
            for number, files in sorted(numbered.items())
            if (backbone := read_first(files, f"{name}_{number}")) is not None
        }
        for name, numbered in known.items()
    }
    found = {name: numbered for name, numbered in found.items() if numbered}
    if not found:
        example = next(iter(known), "design_0000")
        raise InputError(
            f"{folder} holds no prediction for these designs; expected files such as "
            f"{example}_1.pdb, as `protdiff sequence` calls their sequences"
        )
    return found


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

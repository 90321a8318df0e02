"""Motifs from several files: their structures as one, in which each chain tells its file.

Chain A of ``5TPN.pdb`` becomes chain ``5TPN.A``, so that contigs and selections name its residues
as ``5TPN.A163-181``. Where the files stand to each other in space means nothing: segments of
different files are different rigid groups, whatever else is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from protdiff.errors import InputError
from protdiff.structure.backbone import Backbone
from protdiff.structure.numbering import CHAIN_JUMP
from protdiff.structure.read import count_models, read_backbone

__all__ = ["join_backbones", "read_joined"]

# What a contig gives a meaning of its own.
_RESERVED = re.compile(r"[\s,;/:#\[\]'\"]")


def join_backbones(sources: Sequence[Backbone]) -> Backbone:
    """Put structures together, each chain named after its structure.

    Parameters
    ----------
    sources
        With names that differ. One alone is returned as it is.

    Returns
    -------
    Backbone
        All residues, chains ``NAME.A``; characters of a name that mean something in a contig become
        ``_``.

    Raises
    ------
    InputError
        There is none, or two have one name.

    Examples
    --------
    >>> from protdiff.structure import build_backbone
    >>> helix = build_backbone([-62.0] * 4, -42.0)
    >>> first, second = (Backbone.from_coordinates(helix, name=name) for name in ("one", "two"))
    >>> join_backbones([first, second]).labels[3:5]
    ['one.A4', 'two.A1']
    """
    if not sources:
        raise InputError("there is no structure; give one or more")
    if len(sources) == 1:
        return sources[0]
    names = [_RESERVED.sub("_", source.name) for source in sources]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(
            f"two structures are called {twice}, and contigs tell them by name; rename one"
        )

    def join(field: str) -> np.ndarray:
        return np.concatenate([getattr(source, field) for source in sources])

    index, start = [], 0
    for source in sources:
        index.append(source.residue_index + start)
        start = int(index[-1][-1]) + CHAIN_JUMP
    chains = [
        [f"{name}.{chain}" for chain in source.chain_id.tolist()]
        for name, source in zip(names, sources, strict=True)
    ]
    return Backbone(
        coordinates=join("coordinates"),
        residue_index=np.concatenate(index),
        chain_id=np.concatenate([np.array(of_source) for of_source in chains]),
        residue_name=join("residue_name"),
        residue_number=join("residue_number"),
        insertion_code=join("insertion_code"),
        motif_mask=join("motif_mask"),
        name="+".join(names),
    )


def read_joined(paths: Sequence[str | Path], *, model: int = 1, strict: bool = False) -> Backbone:
    """Read structure files and put them together, as :func:`join_backbones`.

    Parameters
    ----------
    paths
        The files.
    model
        Which model of an ensemble. Beside an ensemble, a file with one model gives that one.
    strict
        As :func:`~protdiff.structure.read_backbone` takes it.

    Raises
    ------
    InputError
        A file cannot be used, or none has the model; or as :func:`join_backbones`.
    """
    models = [model] * len(paths)
    if model > 1 and len(paths) > 1:
        counts = [count_models(path) for path in paths]
        models = [1 if count == 1 and max(counts) > 1 else model for count in counts]
    return join_backbones(
        [
            read_backbone(path, model=number, strict=strict)
            for path, number in zip(paths, models, strict=True)
        ]
    )

"""A structure file, or some chains of it: ``1YCR.pdb``, ``1YCR.pdb:A``, ``1YCR.pdb:A,B``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from protdiff.structure.backbone import Backbone
from protdiff.structure.read import read_backbone

__all__ = ["read_chains"]


def read_chains(text: str | Path) -> Backbone:
    """Read a structure file, all of it or the chains that are named behind a colon.

    Parameters
    ----------
    text
        ``FILE`` or ``FILE:CHAINS``, chains with commas. A file whose own name holds the colon is
        meant where there is one.

    Returns
    -------
    Backbone
        With the name of the file.

    Raises
    ------
    InputError
        The file cannot be read, or has no such chain.
    """
    whole = Path(text)
    file, colon, names = str(text).rpartition(":")
    if not colon or whole.exists() or not Path(file).is_file():
        return read_backbone(whole)
    backbone = read_backbone(file)
    chains = [name.strip() for name in names.split(",")]
    return backbone.select(np.any([backbone.find_chain(chain) for chain in chains], axis=0))

"""Sequences of backbones as FASTA."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from protdiff.errors import InputError
from protdiff.files import write_atomically
from protdiff.structure.backbone import Backbone
from protdiff.structure.foreign import import_biotite
from protdiff.structure.standard import find_letters

__all__ = ["write_fasta"]


def write_fasta(
    path: str | Path, backbones: Iterable[Backbone], *, overwrite: bool = False
) -> None:
    """Write the sequences of backbones, one entry a chain, called ``name`` or ``name_chain``.

    A modified residue has the letter of the amino acid that it was made of, X if there is none.

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
        The file exists, there is nothing to write, or names are repeated.
    """
    file = import_biotite("sequence.io.fasta").FastaFile()
    for backbone in backbones:
        for chain in backbone.chains:
            name = backbone.name if len(backbone.chains) == 1 else f"{backbone.name}_{chain}"
            if name in file:
                raise InputError(f"two sequences for {path} are called {name}; rename one")
            file[name] = "".join(find_letters(backbone.select_chain(chain)).tolist())
    if not len(file):
        raise InputError(f"there is no sequence to write to {path}; give one or more backbones")
    with write_atomically(path, overwrite=overwrite) as temporary:
        file.write(str(temporary))

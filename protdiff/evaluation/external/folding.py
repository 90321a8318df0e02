"""Structure prediction by any command.

The command is a template with two places: ``{fasta}``, a FASTA file with every sequence, and
``{out}``, a folder that exists. For a sequence called ``d0_s1`` the program is to write a structure
file there whose name begins so, as ``d0_s1.pdb`` or ``d0_s1_unrelaxed_rank_001.pdb``; of several
the first in alphabetical order is taken. One call folds all sequences, because these programs take
longer to load their weights than to fold.
"""

from __future__ import annotations

import re
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

from protdiff.errors import InputError
from protdiff.evaluation.external.command import (
    TIMEOUT,
    ExternalError,
    find_on_path,
    run_program,
    split_command,
)
from protdiff.evaluation.external.predictions import read_first
from protdiff.structure import Backbone, find_structure_files

__all__ = ["KNOWN_PROGRAMS", "Folder", "FoldingCommand", "find_folder"]

KNOWN_PROGRAMS = {
    "esm-fold": "esm-fold -i {fasta} -o {out}",
    "colabfold_batch": "colabfold_batch --msa-mode single_sequence {fasta} {out}",
}
"""Programs that are looked for on PATH, in this order, and how they are called."""

FASTA, OUT = "{fasta}", "{out}"
OPTION = "--fold-command"


class Folder(ABC):
    """Something that predicts structures of sequences."""

    name: str

    @abstractmethod
    def fold(self, sequences: Mapping[str, str]) -> dict[str, Backbone]:
        """Predict the structures of sequences.

        Parameters
        ----------
        sequences
            By name.

        Returns
        -------
        dict
            By name; a sequence without a readable prediction is not there.

        Raises
        ------
        ExternalError
            There is none at all.
        """


class FoldingCommand(Folder):
    """Structure prediction by a command.

    Parameters
    ----------
    template
        Such as ``"myfold {fasta} {out}"``.
    timeout
        Seconds for one call.

    Raises
    ------
    InputError
        The program does not exist, or a place is missing.
    """

    def __init__(self, template: str, *, timeout: float = TIMEOUT) -> None:
        missing = [place for place in (FASTA, OUT) if place not in template]
        if missing:
            raise InputError(
                f"{OPTION} {template!r} lacks {' and '.join(missing)}; it is to look like "
                '"myfold {fasta} {out}"'
            )
        self.words = split_command(template, OPTION)
        self.timeout = timeout
        self.name = Path(self.words[0]).name

    def fold(self, sequences: Mapping[str, str]) -> dict[str, Backbone]:
        """Predict the structures of sequences."""
        with tempfile.TemporaryDirectory(prefix="protdiff-") as temporary:
            folder = Path(temporary)
            fasta, out = folder / "sequences.fasta", folder / "out"
            entries = [f">{name}\n{sequence}\n" for name, sequence in sequences.items()]
            fasta.write_text("".join(entries), encoding="utf-8")
            out.mkdir()
            command = [
                word.replace(FASTA, str(fasta)).replace(OUT, str(out)) for word in self.words
            ]
            failure = None
            try:
                run_program(command, name=self.name, folder=Path.cwd(), timeout=self.timeout)
            except ExternalError as error:
                failure = error  # what it wrote before that counts
            found = {
                name: backbone
                for name in sequences
                if (backbone := _read_prediction(out, name)) is not None
            }
        if not found:
            raise failure or ExternalError(
                f"{self.name} ended without an error and wrote no structure that can be read; "
                f"expected files such as {next(iter(sequences), 'name')}.pdb in {OUT}"
            )
        return found


def _read_prediction(out: Path, name: str) -> Backbone | None:
    # "d1_s1" is not to find "d1_s10".
    named = re.compile(re.escape(name) + r"(?![A-Za-z0-9])")
    try:
        files = [path for path in find_structure_files(out) if named.match(path.name)]
    except InputError:  # no structure file at all
        return None
    return read_first(files, name)


def find_folder(command: str | None, *, timeout: float = TIMEOUT) -> Folder | None:
    """Return what predicts structures: the command given, a program on PATH, or ESMFold by import.

    Raises
    ------
    InputError
        The command that was given cannot be used.
    """
    if command is not None:
        return FoldingCommand(command, timeout=timeout)
    for program, template in KNOWN_PROGRAMS.items():
        if find_on_path([program]) is not None:
            return FoldingCommand(template, timeout=timeout)
    from protdiff.evaluation.external.esmfold import ESMFold

    return ESMFold() if ESMFold.is_installed() else None

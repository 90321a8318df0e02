"""What programs that design sequences for a backbone have in common.

The backbone goes out as a PDB file, numbered from 1 without gaps: the programs take a jump in the
numbers for missing residues and would answer with a longer sequence. Designed residues are written
as glycine, or as they are called; residues to be kept carry their own names and are listed. The
programs know twenty amino acids, and of the HETATM records of others some read nothing: modified
residues are written as what they were made of.
"""

from __future__ import annotations

import re
import tempfile
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from protdiff.errors import InputError
from protdiff.evaluation.external.command import (
    TIMEOUT,
    ExternalError,
    find_on_path,
    run_program,
    split_command,
)
from protdiff.structure import Backbone, DesignedSequence, write_backbone
from protdiff.structure.designed_sequence import read_entries
from protdiff.structure.protein_mpnn import find_fixed
from protdiff.structure.standard import standardise

__all__ = ["SequenceDesigner"]

NAME = "design"
"""What the backbone is called in the files that go out."""

_SEQUENCE = re.compile(r"[ACDEFGHIKLMNPQRSTVWYX]+")


@dataclass(frozen=True)
class SequenceDesigner(ABC):
    """A program that designs sequences.

    Parameters
    ----------
    command
        The program, and arguments that come before ours.
    sequences
        How many for each backbone.
    temperature
        Of sampling.
    seed
        Above 0; the programs take 0 for "any".
    timeout
        Seconds for one backbone.
    """

    command: tuple[str, ...]
    sequences: int = 8
    temperature: float = 0.1
    seed: int = 1
    timeout: float = TIMEOUT

    name: ClassVar[str]
    programs: ClassVar[tuple[str, ...]]
    option: ClassVar[str]

    def __post_init__(self) -> None:
        if self.sequences < 1 or self.seed < 1:
            raise InputError("the number of sequences and the seed are at least 1")

    @classmethod
    def find_command(cls, given: str | None) -> tuple[str, ...] | None:
        """Return the command that was given, or that of a program on PATH, or None.

        Raises
        ------
        InputError
            A command was given that does not exist.
        """
        if given is not None:
            return tuple(split_command(given, cls.option))
        found = find_on_path(cls.programs)
        return None if found is None else (found,)

    @abstractmethod
    def list_arguments(
        self, structure: Path, out: Path, backbone: Backbone, fixed: NDArray[np.bool_]
    ) -> list[str]:
        """Return the program's arguments, and write what files they need beside ``structure``."""

    @abstractmethod
    def read_score(self, header: str) -> float:
        """Return the score in the header of a designed sequence; NaN if there is none."""

    def design(
        self, backbone: Backbone, fixed: NDArray[np.bool_] | None = None
    ) -> list[DesignedSequence]:
        """Design sequences for the one chain of a backbone.

        Parameters
        ----------
        backbone
            The structure; residues to keep have their own names.
        fixed
            (residue,) bool, True where the amino acid is kept; one that no standard amino acid is
            known for is not.

        Raises
        ------
        ExternalError
            The program fails, takes too long, or gives no sequence of the backbone's length.
        InputError
            The backbone has several chains or is not finite.
        """
        if len(backbone.chains) > 1:
            raise InputError(
                f"{backbone.name} has {len(backbone.chains)} chains; sequences are designed for "
                "single chains here"
            )
        mask = np.zeros(len(backbone), bool) if fixed is None else np.asarray(fixed, bool)
        kept = find_fixed(backbone, mask)
        with tempfile.TemporaryDirectory(prefix="protdiff-") as temporary:
            folder = Path(temporary)
            structure, out = folder / f"{NAME}.pdb", folder / "out"
            # Chain A, numbered from 1: the places in the list of fixed residues are then plain.
            plain = Backbone.from_coordinates(
                backbone.coordinates, residue_name=standardise(backbone).residue_name, name=NAME
            )
            write_backbone(structure, plain)
            out.mkdir()
            run_program(
                [*self.command, *self.list_arguments(structure, out, plain, kept)],
                name=self.name,
                folder=self._choose_folder(folder),
                timeout=self.timeout,
            )
            return self._read(out / "seqs" / f"{NAME}.fa", backbone)

    def _choose_folder(self, folder: Path) -> Path:
        # A script may look for its weights below where it stands.
        scripts = (Path(word) for word in self.command if word.endswith(".py"))
        return next((script.resolve().parent for script in scripts if script.is_file()), folder)

    def _read(self, path: Path, backbone: Backbone) -> list[DesignedSequence]:
        if not path.is_file():
            raise ExternalError(f"{self.name} ended without an error and wrote no seqs/{path.name}")
        try:
            entries = read_entries(path)[1:]  # the first is the input
        except InputError as error:
            raise ExternalError(
                f"{self.name} wrote a seqs/{path.name} that cannot be read; expected FASTA"
            ) from error
        found = []
        for sample, (header, text) in enumerate(entries, 1):
            sequence, score = text.upper(), self.read_score(header)
            if len(sequence) != len(backbone) or not _SEQUENCE.fullmatch(sequence):
                raise ExternalError(
                    f"{self.name} gave {text[:30]!r}..., {len(text)} letters, for a backbone of "
                    f"{len(backbone)} residues; expected as many amino acids"
                )
            found.append(DesignedSequence(backbone.name, sequence, score, self.temperature, sample))
        if not found:
            raise ExternalError(f"{self.name} wrote no designed sequence to seqs/{path.name}")
        return found

"""What programs that design sequences for a backbone have in common.

A backbone goes out numbered from 1 without gaps: the programs take a jump in the numbers for
missing residues and would answer with a longer sequence. Designed residues are written as glycine,
or as they are called; residues to be kept carry their own names and are listed. The programs know
twenty amino acids, and of the HETATM records of others some read nothing: modified residues are
written as what they were made of.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from protdiff.errors import InputError
from protdiff.evaluation.external.command import (
    TIMEOUT,
    ExternalError,
    find_on_path,
    split_command,
)
from protdiff.structure import Backbone, DesignedSequence
from protdiff.structure.designed_sequence import read_entries
from protdiff.structure.protein_mpnn import find_fixed
from protdiff.structure.standard import standardise

__all__ = ["Designed", "SequenceDesigner"]

MOST_SEED = 2**31 - 1

_SEQUENCE = re.compile(r"[ACDEFGHIKLMNPQRSTVWYX]+")


@dataclass(frozen=True)
class Designed:
    """What a program made of one backbone.

    Attributes
    ----------
    sequences
        In the order in which it gave them.
    problem
        What went wrong, or empty.
    """

    sequences: tuple[DesignedSequence, ...] = ()
    problem: str = ""


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
        From 1 to :data:`MOST_SEED`; the programs take 0 for "any".
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
        if self.sequences < 1 or not 1 <= self.seed <= MOST_SEED:
            raise InputError(
                f"{self.sequences} sequences with the seed {self.seed} are asked for; give at "
                f"least one, and a seed from 1 to {MOST_SEED}"
            )
        if not 0 < self.temperature < np.inf:
            raise InputError(f"the temperature is {self.temperature}; give a number above 0")

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
    def read_score(self, header: str) -> float:
        """Return the score in the header of a designed sequence; NaN if there is none."""

    @abstractmethod
    def run(
        self, backbones: Sequence[Backbone], on_progress: Callable[[float], None] | None
    ) -> list[Designed]:
        """Design sequences for backbones as the programs want them, whose motif is what is kept."""

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
        _check(backbone)
        (found,) = self.design_all([backbone], [fixed])
        if found.problem:
            raise ExternalError(found.problem)
        return list(found.sequences)

    def design_all(
        self,
        backbones: Sequence[Backbone],
        fixed: Sequence[NDArray[np.bool_] | None] | None = None,
        *,
        on_progress: Callable[[float], None] | None = None,
    ) -> list[Designed]:
        """Design sequences for many backbones of one chain each.

        Parameters
        ----------
        backbones, fixed
            As :meth:`design` takes them.
        on_progress
            Is told how many more backbones have their sequences.

        Returns
        -------
        list of Designed
            One for each backbone; what failed for one says so in its ``problem``.
        """
        masks = [None] * len(backbones) if fixed is None else fixed
        found: dict[int, Designed] = {}
        plain: dict[int, Backbone] = {}
        for place, (backbone, mask) in enumerate(zip(backbones, masks, strict=True)):
            try:
                _check(backbone)
            except InputError as error:
                found[place] = Designed(problem=str(error))
                continue
            kept = find_fixed(backbone, np.zeros(len(backbone), bool) if mask is None else mask)
            # Chain A, numbered from 1: the places in the list of fixed residues are then plain.
            plain[place] = Backbone.from_coordinates(
                backbone.coordinates,
                residue_name=standardise(backbone).residue_name,
                motif_mask=kept,
                name=f"design_{place}",
            )
        if on_progress is not None and found:
            on_progress(len(found))
        made = self.run(list(plain.values()), on_progress) if plain else []
        for place, one in zip(plain, made, strict=True):
            name = backbones[place].name
            found[place] = replace(
                one, sequences=tuple(replace(sequence, name=name) for sequence in one.sequences)
            )
        return [found[place] for place in range(len(backbones))]

    def choose_folder(self, otherwise: Path) -> Path:
        """Return where to run: a script may look for its weights below where it stands."""
        scripts = (Path(word) for word in self.command if word.endswith(".py"))
        return next((script.resolve().parent for script in scripts if script.is_file()), otherwise)

    def read(self, out: Path, backbone: Backbone) -> Designed:
        """Read what the program wrote for a backbone of one chain."""
        path = out / "seqs" / f"{backbone.name}.fa"
        try:
            return Designed(tuple(self._read(path, backbone)))
        except ExternalError as error:
            return Designed(problem=str(error))

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


def _check(backbone: Backbone) -> None:
    """Refuse what no program is asked for."""
    if len(backbone.chains) > 1:
        raise InputError(
            f"{backbone.name} has {len(backbone.chains)} chains; sequences are designed for "
            "single chains here"
        )
    if not backbone.is_finite:
        raise InputError(f"{backbone.name} has coordinates that are not finite")

"""Sequences that were designed for backbones, from ProteinMPNN's FASTA files.

There is one file a backbone: the input's own sequence, then samples, designed chains in the order
of their ids and divided by ``/``; headers are fields such as ``T=0.1, sample=1, score=0.7``.

References
----------
Dauparas et al. 2022, "Robust deep learning-based protein sequence design using ProteinMPNN".
"""

from __future__ import annotations

import csv
import itertools
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from protdiff.errors import InputError
from protdiff.files import write_atomically
from protdiff.structure.foreign import import_biotite

__all__ = [
    "SEQUENCE_TABLE",
    "DesignedSequence",
    "read_entries",
    "read_number",
    "read_protein_mpnn",
    "read_sequence_table",
    "write_sequence_table",
    "write_sequences",
]

SEQUENCE_TABLE = "sequences.csv"
"""What the table of sequences is called in the folder of designs."""

_COLUMNS = ("design", "sample", "score", "temperature", "sequence")
_SEQUENCE = re.compile(r"[A-Z/]+")


@dataclass(frozen=True)
class DesignedSequence:
    """A sequence that ProteinMPNN, or a program like it, made for a backbone.

    Attributes
    ----------
    name
        Of the backbone.
    sequence
        One-letter codes; chains in the order of their ids, divided by ``/``.
    score
        Mean negative log-probability of the designed residues, in nats; lower is better. NaN where
        a program gives none.
    temperature
        Of sampling.
    sample
        Its number, from 1.
    """

    name: str
    sequence: str
    score: float
    temperature: float
    sample: int


def read_protein_mpnn(path: str | Path) -> dict[str, list[DesignedSequence]]:
    """Read the sequences that ProteinMPNN made.

    Parameters
    ----------
    path
        A FASTA file of it, or a folder with such files (its output folder, or ``seqs`` therein).

    Returns
    -------
    dict of str to list of DesignedSequence
        For each backbone's name its sequences, the lowest score first.

    Raises
    ------
    InputError
        There is no such file, or it is not of ProteinMPNN.
    """
    path = Path(path)
    if path.is_dir():
        folder = path / "seqs" if (path / "seqs").is_dir() else path
        files = sorted([*folder.glob("*.fa"), *folder.glob("*.fasta")])
    else:
        files = [path]
    found: dict[str, list[DesignedSequence]] = {}
    for file in files:
        for sequence in _read_fasta(file):
            found.setdefault(sequence.name, []).append(sequence)
    if not found:
        raise InputError(f"{path} holds no sequence of ProteinMPNN; give its output folder")
    return {name: sorted(group, key=lambda s: s.score) for name, group in found.items()}


def write_sequences(
    path: str | Path,
    sequences: Mapping[str, Iterable[DesignedSequence]],
    *,
    beside: Iterable[str] = (),
    overwrite: bool = False,
) -> None:
    """Write designed sequences as FASTA for a structure predictor.

    An entry a sequence, called ``name_sample``, such as ``design_0003_2``; the chains of a complex
    are divided by ``:``, as ColabFold and ESMFold take them.

    Parameters
    ----------
    path
        The file.
    sequences
        As :func:`read_protein_mpnn` gives them.
    beside
        Sequences of further chains, such as of a target, which come after those of each design.
    overwrite
        Replace an existing file.

    Raises
    ------
    InputError
        The file exists, or there is nothing to write.
    """
    file = import_biotite("sequence.io.fasta").FastaFile()
    beside = list(beside)
    for name, group in sorted(sequences.items()):
        for one in group:
            file[f"{name}_{one.sample}"] = ":".join([*one.sequence.split("/"), *beside])
    if not len(file):
        raise InputError(f"there is no sequence to write to {path}; give one or more")
    with write_atomically(path, overwrite=overwrite) as temporary:
        file.write(str(temporary))


def write_sequence_table(
    path: str | Path, sequences: Mapping[str, Iterable[DesignedSequence]]
) -> None:
    """Write designed sequences with their scores as a table, for a spreadsheet.

    Parameters
    ----------
    path
        The CSV file; nothing may be there.
    sequences
        As :func:`read_protein_mpnn` gives them.

    Raises
    ------
    InputError
        The file exists.
    """
    with (
        write_atomically(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for name, group in sorted(sequences.items()):
            for one in group:
                writer.writerow([name, one.sample, one.score, one.temperature, one.sequence])


def read_sequence_table(path: str | Path) -> dict[str, dict[int, DesignedSequence]]:
    """Read what :func:`write_sequence_table` wrote: by the design's name and the sample.

    Raises
    ------
    InputError
        There is no such file, or it is another table.
    """
    found: dict[str, dict[int, DesignedSequence]] = {}
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                name, sample, score, temperature, text = (row[key] for key in _COLUMNS)
                one = DesignedSequence(name, text, float(score), float(temperature), int(sample))
                found.setdefault(name, {})[one.sample] = one
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is no table of designed sequences; expected the columns {', '.join(_COLUMNS)}"
        ) from error
    return found


def read_entries(path: str | Path) -> list[tuple[str, str]]:
    """Read the (header, sequence) of each entry of a FASTA file.

    Raises
    ------
    InputError
        There is no such file, or it is not FASTA.
    """
    fasta = import_biotite("sequence.io.fasta").FastaFile
    try:
        with Path(path).open(encoding="utf-8") as file:
            return list(itertools.islice(fasta.read_iter(file), 1_000_000))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{path} is no FASTA file; give one that ProteinMPNN wrote") from error


def read_number(header: str, key: str) -> float:
    """Return the number of ``key=number`` in a header of comma-separated fields, or NaN.

    Examples
    --------
    >>> read_number("T=0.1, sample=1, score=0.7291, global_score=0.9330", "score")
    0.7291
    """
    for field in header.split(","):
        name, _, value = field.partition("=")
        if name.strip() == key:
            try:
                return float(value)
            except ValueError:
                break
    return math.nan


def _read_fasta(path: Path) -> list[DesignedSequence]:
    """Read one file; its first entry is the input's own sequence and names the backbone."""
    name: str | None = None
    found = []
    for header, sequence in read_entries(path):
        if not header.startswith("T="):
            name = header.partition(", ")[0]
            continue
        temperature, score, sample = (read_number(header, key) for key in ("T", "score", "sample"))
        complete = math.isfinite(temperature + score) and sample.is_integer()
        if name is None or not complete or not _SEQUENCE.fullmatch(sequence):
            raise InputError(
                f"{path} is not of ProteinMPNN at {header[:60]!r}: expected the name of a backbone "
                "and then `T=..., sample=..., score=...`, each with a sequence"
            )
        found.append(DesignedSequence(name, sequence, score, temperature, int(sample)))
    return found

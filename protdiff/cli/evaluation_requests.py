"""What ``protdiff evaluate`` is asked for: programs of others, and conditions to fail on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from protdiff.errors import InputError

if TYPE_CHECKING:
    from protdiff.evaluation.external import Foldseek
    from protdiff.evaluation.external.folding import Folder
    from protdiff.evaluation.external.inverse_folding import SequenceDesigner
    from protdiff.evaluation.thresholds import Threshold

__all__ = [
    "ON_REQUEST",
    "find_designer",
    "find_folding",
    "find_foldseek",
    "parse_thresholds",
]

ON_REQUEST = {
    "--diversity": ("clusters_per_design", "mean_pairwise_tm", "largest_pairwise_tm"),
    "--novelty": ("nearest_known_tm", "largest_known_tm"),
    "--likelihood": ("nats_per_residue",),
    "--refold, with a program for sequences there": ("sequence_score",),
    "--predictions, or --refold with programs that are there": (
        *("sc_rmsd", "sc_tm", "designable"),
        *("sc_motif_rmsd", "scaffold_success"),  # of scaffolds
    ),
    "--foldseek, with Foldseek there": ("foldseek_tm", "largest_foldseek_tm"),
}
"""Which quantities of the summary are measured on request only, and by which option."""


def parse_thresholds(texts: Sequence[str], measured: Mapping[str, bool]) -> list[Threshold]:
    """Read the conditions; ``measured`` says which options of :data:`ON_REQUEST` are given."""
    from protdiff.evaluation import summarise_quality
    from protdiff.evaluation.bands import summarise_bands
    from protdiff.evaluation.thresholds import parse_threshold

    known = [*summarise_quality([]), *summarise_bands([])]
    unmeasured = {}
    for option, names in ON_REQUEST.items():
        if measured[option]:
            known += names
        else:
            unmeasured.update(dict.fromkeys(names, option))
    return [parse_threshold(text, known, unmeasured) for text in texts]


def find_designer(
    mpnn: str | None, ligandmpnn: str | None, sequences: int, timeout: float, skipped: list[str]
) -> SequenceDesigner | None:
    """Return what designs sequences: what was named, else what is on PATH, else None."""
    from protdiff.evaluation.external import LigandMPNN, ProteinMPNN

    if mpnn is not None and ligandmpnn is not None:
        raise InputError("give one of --mpnn-command and --ligandmpnn-command, not both")
    absent = []
    for kind, given, other in ((ProteinMPNN, mpnn, ligandmpnn), (LigandMPNN, ligandmpnn, mpnn)):
        if other is not None:
            continue
        command = kind.find_command(given)
        if command is not None:
            return kind(command, sequences=sequences, timeout=timeout)
        absent.append(kind)
    for kind in absent:
        skipped.append(f"{kind.name}: not found on PATH; skipped (name it with {kind.option})")
    return None


def find_folding(command: str | None, timeout: float, skipped: list[str]) -> Folder | None:
    """Return what predicts structures, or None and say why."""
    from protdiff.evaluation.external import find_folder
    from protdiff.evaluation.external.folding import KNOWN_PROGRAMS, OPTION

    folder = find_folder(command, timeout=timeout)
    if folder is None:
        skipped.append(
            f"structure prediction: none of {', '.join(KNOWN_PROGRAMS)} on PATH, nor the package "
            f"transformers or esm; skipped (name a program with {OPTION})"
        )
    return folder


def find_foldseek(
    database: Path | None, command: str | None, timeout: float, skipped: list[str]
) -> Foldseek | None:
    """Return Foldseek with its database if that is asked for, or None and say why."""
    from protdiff.evaluation.external import Foldseek

    if database is None:
        if command is not None:
            raise InputError("--foldseek-command needs --foldseek DATABASE")
        return None
    found = Foldseek.find_command(command)
    if found is None:
        skipped.append("Foldseek: not found on PATH; skipped (name it with --foldseek-command)")
        return None
    return Foldseek(found, database, timeout=timeout)

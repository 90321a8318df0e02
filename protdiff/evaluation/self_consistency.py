"""Self-consistency: whether a sequence made for the backbone folds back to it.

A program designs sequences for the design, another predicts their structures without seeing it, and
the nearest prediction tells: scRMSD, the CA RMSD after superposition, and scTM, the TM-score by the
design's length. The best of the sequences counts, each number for itself. Under 2 Å a design is
called designable, as in the field (Trippe et al. 2022; Watson et al. 2023).

Of a scaffold the motif is to come back more closely than the rest: its motif RMSD is that of N, CA
and C of all its residues, the redesignable ones too, after superposition of them alone. Told is
that of the sequence with the smallest scRMSD. A scaffold succeeds if one prediction has an scRMSD
under 2 Å and a motif RMSD under 1 Å (Watson et al. 2023; Zheng et al. 2025).

The score of a sequence, its mean −log p by the program that designed it, needs no prediction: how
sure that program is of it. It tells good backbones from worse ones of the same kind; it does not
know a mirror image or a tangle for what it is.

The numbers are those of the programs as much as of the design: name them with the result.

References
----------
B. Trippe et al., Diffusion probabilistic modeling of protein backbones in 3D for the
motif-scaffolding problem, 2022. J. Watson et al., De novo design of protein structure and function
with RFdiffusion, 2023. Z. Zheng et al., MotifBench: a standardized protein design benchmark for
motif-scaffolding problems, 2025.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protdiff.evaluation.external.command import ExternalError
from protdiff.evaluation.external.folding import Folder
from protdiff.evaluation.external.inverse_folding import SequenceDesigner
from protdiff.evaluation.tm_score import Aligner, can_align, get_aligner
from protdiff.structure import Backbone, DesignedSequence, superimpose

__all__ = [
    "DESIGNABLE_BELOW",
    "MOTIF_BELOW",
    "SelfConsistency",
    "compare_fold",
    "compare_motif",
    "compare_predictions",
    "measure_self_consistency",
    "summarise_self_consistency",
    "summarise_sequences",
]

DESIGNABLE_BELOW = 2.0
"""scRMSD in Å of a designable backbone."""

MOTIF_BELOW = 1.0
"""Motif RMSD in Å of a prediction in which a scaffold succeeds."""


@dataclass(frozen=True)
class SelfConsistency:
    """How well a design's sequences fold back to it.

    Attributes
    ----------
    sequences
        What was designed.
    rmsd
        (sequence,) CA RMSD in Å of each one's prediction; NaN where there is none.
    tm
        (sequence,) TM-score of each one's prediction, by the design's length.
    motif_rmsd
        (sequence,) RMSD in Å of N, CA and C of the motif in each one's prediction; NaN where there
        is none.
    has_motif
        Whether the design has a motif.
    problem
        What went wrong, or empty.
    """

    sequences: tuple[DesignedSequence, ...] = ()
    rmsd: tuple[float, ...] = ()
    tm: tuple[float, ...] = ()
    motif_rmsd: tuple[float, ...] = ()
    has_motif: bool = False
    problem: str = ""

    @property
    def sc_rmsd(self) -> float:
        """Smallest RMSD of all sequences; NaN without a prediction."""
        return min((x for x in self.rmsd if math.isfinite(x)), default=math.nan)

    @property
    def sc_tm(self) -> float:
        """Largest TM-score of all sequences; NaN without a prediction."""
        return max((x for x in self.tm if math.isfinite(x)), default=math.nan)

    @property
    def sc_motif_rmsd(self) -> float:
        """Motif RMSD of the prediction with the smallest RMSD; NaN without one or a motif."""
        if not math.isfinite(self.sc_rmsd):
            return math.nan
        return self.motif_rmsd[self.rmsd.index(self.sc_rmsd)]

    @property
    def succeeds(self) -> bool | None:
        """Whether one prediction is near the design and its motif; None without a motif."""
        if not self.has_motif:
            return None
        return any(
            rmsd < DESIGNABLE_BELOW and motif < MOTIF_BELOW
            for rmsd, motif in zip(self.rmsd, self.motif_rmsd, strict=True)
        )

    @property
    def sequence_score(self) -> float:
        """Mean score of all sequences, in nats a residue; NaN without one."""
        return _average([one.score for one in self.sequences])

    @property
    def best_sequence(self) -> str:
        """The sequence whose prediction is nearest, else the one with the best score, else ''."""
        if not self.sequences:
            return ""
        keys = self.rmsd if math.isfinite(self.sc_rmsd) else [s.score for s in self.sequences]
        order = [key if math.isfinite(key) else math.inf for key in keys]
        return self.sequences[order.index(min(order))].sequence

    def to_dict(self) -> dict[str, Any]:
        """Return what was found as JSON knows it."""
        return {
            "sequence_score": _round(self.sequence_score),
            "sc_rmsd": _round(self.sc_rmsd),
            "sc_tm": _round(self.sc_tm),
            "sc_motif_rmsd": _round(self.sc_motif_rmsd),
            "scaffold_success": self.succeeds if self.rmsd else None,
            "best_sequence": self.best_sequence or None,
            "sequences": [
                {
                    "sample": one.sample,
                    "sequence": one.sequence,
                    "score": _round(one.score),
                    "rmsd": _round(self.rmsd[place]) if self.rmsd else None,
                    "tm": _round(self.tm[place]) if self.tm else None,
                    "motif_rmsd": _round(self.motif_rmsd[place]) if self.motif_rmsd else None,
                }
                for place, one in enumerate(self.sequences)
            ],
            "problem": self.problem or None,
        }


def measure_self_consistency(
    backbones: Sequence[Backbone],
    designer: SequenceDesigner,
    folder: Folder | None,
    *,
    fixed: Sequence[NDArray[np.bool_] | None] | None = None,
    aligner: Aligner | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> list[SelfConsistency]:
    """Design sequences for backbones, fold them and compare.

    Parameters
    ----------
    backbones
        The designs: single chains of L-amino acids, with their motifs.
    designer
        What designs sequences.
    folder
        What predicts structures; without it there are sequences and no comparison.
    fixed
        For each design (residue,) bool, True where the amino acid is kept, or None.
    aligner
        For the TM-score.
    on_progress
        Is told when another design has its sequences.

    Returns
    -------
    list of SelfConsistency
        One for each design; what failed for one says so in its ``problem``.

    Raises
    ------
    ExternalError
        It failed for every design, or nothing could be folded.
    """
    found = [
        SelfConsistency(
            one.sequences, has_motif=bool(backbone.motif_mask.any()), problem=one.problem
        )
        for backbone, one in zip(
            backbones, designer.design_all(backbones, fixed, on_progress=on_progress), strict=True
        )
    ]
    if found and all(one.problem for one in found):
        raise ExternalError(found[0].problem)
    if folder is None or not found:
        return found
    sequences = {
        f"d{number}_s{place}": sequence.sequence
        for number, one in enumerate(found)
        for place, sequence in enumerate(one.sequences)
    }
    folds = folder.fold(sequences)
    aligner = get_aligner() if aligner is None else aligner
    return [
        _compare_all(
            backbone,
            one,
            [folds.get(f"d{number}_s{place}") for place in range(len(one.sequences))],
            aligner,
            folder.name,
        )
        for number, (backbone, one) in enumerate(zip(backbones, found, strict=True))
    ]


def compare_predictions(
    backbones: Sequence[Backbone],
    predictions: Mapping[str, Mapping[int, Backbone]],
    *,
    sequences: Mapping[str, Mapping[int, DesignedSequence]] | None = None,
    aligner: Aligner | None = None,
    source: str = "the folder",
) -> list[SelfConsistency]:
    """Compare designs with structures that were predicted elsewhere for sequences of theirs.

    A prediction that has more chains than the design, as of a binder with its target, begins with
    those of the design.

    Parameters
    ----------
    backbones
        The designs, with their motifs, as L-proteins.
    predictions
        By the design's name and the number of the sequence, as
        :func:`~protdiff.evaluation.external.read_predictions` gives them.
    sequences
        What was designed, as
        :func:`~protdiff.structure.designed_sequence.read_sequence_table` gives it: predictions of
        other sequences are left out, and the scores are taken over.
    aligner
        For the TM-score.
    source
        What to call where predictions are from.

    Returns
    -------
    list of SelfConsistency
        One for each design. Its sequences are those of the predictions.
    """
    aligner = get_aligner() if aligner is None else aligner
    found = []
    for backbone in backbones:
        designed = (sequences or {}).get(backbone.name, {})
        folds, made, others = [], [], []
        for number, whole in predictions.get(backbone.name, {}).items():
            fold = _match_chains(backbone, whole)
            text = "/".join(fold.select_chain(chain).sequence for chain in fold.chains)
            known = designed.get(number)
            if known is not None and known.sequence != text:
                others.append(str(number))
                continue
            folds.append(fold)
            made.append(known or DesignedSequence(backbone.name, text, math.nan, math.nan, number))
        problem = ""
        if others:
            problem = (
                f"{source} has other sequences than were designed, in number {', '.join(others)}"
            )
        elif not folds:
            problem = f"{source} has no prediction for it"
        one = SelfConsistency(
            tuple(made), has_motif=bool(backbone.motif_mask.any()), problem=problem
        )
        found.append(_compare_all(backbone, one, folds, aligner, source))
    return found


def _compare_all(
    backbone: Backbone,
    one: SelfConsistency,
    predictions: Sequence[Backbone | None],
    aligner: Aligner,
    name: str,
) -> SelfConsistency:
    scores = [compare_fold(backbone, fold, aligner) for fold in predictions]
    lost = sum(not math.isfinite(rmsd) for rmsd, _ in scores)
    problem = one.problem
    if lost and not problem:
        problem = f"{name} gave no usable structure for {lost} of {len(scores)} sequences"
        lengths = {len(fold) for fold in predictions if fold is not None} - {len(backbone)}
        if lengths:
            words = " and ".join(map(str, sorted(lengths)))
            problem += f": of {words} residues instead of {len(backbone)}"
    rmsd, tm = (tuple(column) for column in zip(*scores, strict=True)) if scores else ((), ())
    motif = tuple(compare_motif(backbone, fold) for fold in predictions)
    return replace(one, rmsd=rmsd, tm=tm, motif_rmsd=motif, problem=problem)


def _match_chains(design: Backbone, fold: Backbone) -> Backbone:
    """Take of a prediction the chains of the design, equal ones in the order that is nearest to it.

    Chains of one sequence stand for each other: a ring may be predicted the other way round.
    """
    own = [design.select_chain(chain) for chain in design.chains]
    theirs = [fold.select_chain(chain) for chain in fold.chains[: len(own)]]
    if list(map(len, own)) != list(map(len, theirs)):
        return fold
    fold = fold.select(slice(0, len(design)))
    sequences = [chain.sequence for chain in theirs]
    if len(set(sequences)) == len(sequences):
        return fold
    centres = [chain.coordinates[:, 1].mean(axis=0) for chain in own]
    trace = np.concatenate([chain.coordinates[:, 1] for chain in own])
    # Each chain that may be the first one brings the others along; they take the nearest places.
    tried = []
    for first in (k for k, text in enumerate(sequences) if text == sequences[0]):
        pose = superimpose(theirs[first].coordinates[:, 1], own[0].coordinates[:, 1])
        placed = [pose.apply(chain.coordinates[:, 1]).mean(axis=0) for chain in theirs]
        order: list[int] = []
        for centre, text in zip(centres, sequences, strict=True):
            free = [k for k, other in enumerate(sequences) if other == text and k not in order]
            order.append(min(free, key=lambda k: float(np.linalg.norm(placed[k] - centre))))
        tried.append(np.concatenate([theirs[k].coordinates for k in order]))
    return fold.with_coordinates(min(tried, key=lambda x: superimpose(x[:, 1], trace).rmsd))


def compare_fold(design: Backbone, fold: Backbone | None, aligner: Aligner) -> tuple[float, float]:
    """Return the CA RMSD (Å) and the TM-score of a prediction; NaN if it does not fit the design.

    Residues correspond one to one for the RMSD; the TM-score is by alignment, normalised by the
    design's length, and of single chains only.
    """
    if fold is None or len(fold) != len(design) or not can_align(fold.coordinates):
        return math.nan, math.nan
    rmsd = superimpose(fold.coordinates[:, 1], design.coordinates[:, 1]).rmsd
    if len(design.chains) > 1 or not can_align(design.coordinates):
        return rmsd, math.nan
    return rmsd, aligner.score(design.coordinates, fold.coordinates).by_first


def compare_motif(design: Backbone, fold: Backbone | None) -> float:
    """Return the RMSD (Å) of N, CA and C of the design's motif in a prediction, NaN without one."""
    given = design.motif_mask
    if fold is None or len(fold) != len(design) or not (given.any() and fold.is_finite):
        return math.nan
    return superimpose(fold.coordinates[given, :3], design.coordinates[given, :3]).rmsd


def summarise_sequences(found: Sequence[SelfConsistency]) -> dict[str, float]:
    """Return the row of the sequences: the mean over designs of the mean score of each."""
    return {"sequence_score": _average([one.sequence_score for one in found])}


def summarise_self_consistency(found: Sequence[SelfConsistency]) -> dict[str, float]:
    """Return the rows for a table; designs without a prediction count as not designable.

    Those of the motif are there if a design has one; their share is of the designs that do.
    """
    rmsd = [one.sc_rmsd for one in found if math.isfinite(one.sc_rmsd)]
    below = sum(value < DESIGNABLE_BELOW for value in rmsd)
    rows = {
        "sc_rmsd": _average(rmsd),
        "sc_tm": _average([one.sc_tm for one in found]),
        "designable": below / len(found) if rmsd else math.nan,
    }
    scaffolds = [one for one in found if one.has_motif]
    if scaffolds:
        motif = _average([one.sc_motif_rmsd for one in scaffolds])
        succeed = sum(bool(one.succeeds) for one in scaffolds) / len(scaffolds)
        rows |= {
            "sc_motif_rmsd": motif,
            "scaffold_success": math.nan if math.isnan(motif) else succeed,
        }
    return rows


def _average(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return float(np.mean(known)) if known else math.nan


def _round(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None

"""The steps of ``protdiff evaluate``: each takes the designs and adds what it found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from protdiff.cli.display import Bar, show_bar
from protdiff.errors import InputError
from protdiff.handedness import Handedness

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from protdiff.design.listing import ListedStructure, Listing
    from protdiff.design.recorded_motif import RecordedMotif
    from protdiff.evaluation.bands import BandCheck
    from protdiff.evaluation.external import Foldseek
    from protdiff.evaluation.external.folding import Folder
    from protdiff.evaluation.external.inverse_folding import SequenceDesigner
    from protdiff.evaluation.novelty import Reference
    from protdiff.evaluation.quality import Quality
    from protdiff.evaluation.self_consistency import SelfConsistency
    from protdiff.evaluation.tm_score import Aligner
    from protdiff.model import BackboneModel
    from protdiff.structure import Backbone, DesignedSequence

__all__ = [
    "Evaluated",
    "Evaluation",
    "add_diversity",
    "add_foldseek",
    "add_likelihood",
    "add_novelty",
    "add_predictions",
    "add_self_consistency",
    "load_references",
    "measure_all",
    "take_sources",
]


@dataclass
class Evaluated:
    """A design and what was found about it."""

    source: ListedStructure
    backbone: Backbone
    quality: Quality
    check: BandCheck
    native_like: bool | None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def natural(self) -> Backbone:
        """The design, of a D-protein the mirror image: as nature and programs of others know it."""
        from protdiff.structure.standard import mirror_to_l

        return mirror_to_l(self.backbone, self.source.handedness)

    @property
    def judged(self) -> NDArray[np.float32]:
        """(residue, 4, xyz) in Å of :attr:`natural`."""
        return self.natural.coordinates


@dataclass
class Evaluation:
    """All designs, and what is true of the set.

    Attributes
    ----------
    designs, unreadable
        The designs, and the files that are none, each with the reason.
    summary
        Numbers on the set, for tables and conditions.
    facts
        How they were made: aligners, thresholds, programs.
    notes
        What a reader should know.
    failures
        Programs of others that failed for all designs.
    """

    designs: list[Evaluated]
    unreadable: list[tuple[Path, str]]
    summary: dict[str, float] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def choose_comparable(self) -> list[Evaluated]:
        """Return the designs that an aligner can take."""
        from protdiff.evaluation.tm_score import can_align

        return [one for one in self.designs if one.quality.finite and can_align(one.judged)]


def take_sources(listing: Listing, handedness: Handedness | None) -> list[ListedStructure]:
    """Return the structures that were listed, of the hand that is asked for or their own."""
    return [one if handedness is None else one.take_for(handedness) for one in listing.structures]


def measure_all(
    sources: Sequence[ListedStructure], *, blown_up: Sequence[Mapping[str, Any]] = (), quiet: bool
) -> Evaluation:
    """Measure all structures; those that cannot be read are put aside.

    Designs that blew up have no structure, only a line of the manifest; the summary counts them.
    """
    from protdiff.evaluation import measure_recorded, summarise_quality
    from protdiff.evaluation.bands import load_native_bands, summarise_bands
    from protdiff.structure import read_backbone

    bands = load_native_bands()
    found = Evaluation([], [])
    with show_bar("measuring", quiet=quiet, unit="structures") as bar:
        bar.set_total(len(sources))
        for source in sources:
            try:
                backbone = read_backbone(source.path)
                quality = measure_recorded(backbone, source.record)
            except InputError as error:
                if len(sources) == 1:
                    raise
                found.unreadable.append((source.path, str(error)))
            else:
                native_like = bands.is_native_like(quality)
                found.designs.append(
                    Evaluated(source, backbone, quality, bands.check(quality), native_like)
                )
            bar.advance()
    qualities = [one.quality for one in found.designs] + list(map(_get_blown_up, blown_up))
    found.summary |= summarise_quality(qualities) | summarise_bands(qualities, bands)
    return found


def _get_blown_up(record: Mapping[str, Any]) -> Quality:
    """Return the quality of a design of which nothing could be measured."""
    import dataclasses

    import numpy as np

    from protdiff.evaluation import measure_quality
    from protdiff.structure.contig_language import MAX_LENGTH

    length = record.get("length")  # a manifest may have been edited by hand
    return dataclasses.replace(
        measure_quality(np.empty((0, 4, 3))),
        length=length if isinstance(length, int) and 0 <= length <= MAX_LENGTH else 0,
    )


def load_references(path: Path, notes: list[str], *, quiet: bool) -> list[Reference]:
    """Read known structures: the training chains of a prepared file, or structure files.

    Files that cannot be read are left out, and ``notes`` says so.
    """
    from protdiff.evaluation.novelty import Reference
    from protdiff.structure import find_structure_files, get_structure_name, read_backbone

    if path.name.endswith(".safetensors"):
        from protdiff.training.dataset import load_dataset

        training, _ = load_dataset(path)
        return [Reference(training.ids[k], training.get(k).numpy()) for k in range(len(training))]
    files = find_structure_files(path)
    references = []
    with show_bar("reading the reference", quiet=quiet, unit="structures") as bar:
        bar.set_total(len(files))
        for file in files:
            try:
                backbone = read_backbone(file)
            except InputError as error:
                notes.append(f"novelty: left out of the reference: {error}")
            else:
                references.append(Reference(get_structure_name(file), backbone.coordinates))
            bar.advance()
    if not references:
        raise InputError(f"no structure of the reference {path} can be read; {notes[-1]}")
    return references


def add_diversity(
    found: Evaluation, aligner: Aligner, *, threshold: float, workers: int, quiet: bool
) -> None:
    """Align all pairs of designs and cluster them."""
    from protdiff.evaluation.diversity import NORMALISATION, measure_diversity

    chosen = found.choose_comparable()
    with show_bar("comparing designs", quiet=quiet, unit="pairs") as bar:
        bar.set_total(max(len(chosen) * (len(chosen) - 1) // 2, 1))
        diversity = measure_diversity(
            [one.judged for one in chosen],
            threshold=threshold,
            aligner=aligner,
            workers=workers,
            on_progress=bar.advance,
        )
    for one, cluster in zip(chosen, diversity.cluster_of, strict=True):
        one.extra["cluster"] = int(cluster)
    found.summary |= diversity.to_summary()
    found.facts["diversity"] = {
        "designs": len(chosen),
        "clusters": len(diversity.clusters),
        "threshold": threshold,
        "aligner": aligner.name,
        "normalised_by": NORMALISATION,
        "note": aligner.note or None,
    }


def add_novelty(
    found: Evaluation,
    references: Sequence[Reference],
    reference: Path,
    aligner: Aligner,
    *,
    most: int | None,
    workers: int,
    quiet: bool,
) -> None:
    """Find the nearest known structure of each design, or of the first ``most``."""
    from protdiff.evaluation.novelty import NORMALISATION, measure_novelty, summarise_novelty

    chosen = found.choose_comparable()[:most]
    if most is not None and most < len(found.designs):
        found.notes.append(
            f"novelty: of the first {len(chosen)} of {len(found.designs)} designs only"
        )
    with show_bar("searching the reference", quiet=quiet, unit="pairs") as bar:
        bar.set_total(max(len(chosen) * len(references), 1))
        novelties = measure_novelty(
            [one.judged for one in chosen],
            references,
            aligner=aligner,
            workers=workers,
            on_progress=bar.advance,
        )
    for one, novelty in zip(chosen, novelties, strict=True):
        one.extra["novelty"] = {"tm": round(novelty.tm, 4), "nearest": novelty.nearest}
    found.summary |= summarise_novelty(novelties)
    found.facts["novelty"] = {
        "reference": str(reference),
        "structures": len(references),
        "aligner": aligner.name,
        "normalised_by": NORMALISATION,
        "note": aligner.note or None,
    }


def add_foldseek(found: Evaluation, foldseek: Foldseek) -> None:
    """Find the nearest structure of a Foldseek database for each design."""
    from protdiff.evaluation.external import ExternalError

    found.facts["foldseek"] = {
        "database": str(foldseek.database),
        "normalised_by": "the design's length",
    }
    chosen = {f"q{place}": one for place, one in enumerate(found.choose_comparable())}
    queries = {name: one.natural for name, one in chosen.items()}
    try:
        hits = foldseek.search(queries) if queries else {}
    except ExternalError as error:
        found.failures.append(str(error))
        return
    if queries and not hits:
        found.failures.append("Foldseek found nothing for any design; check the database")
    for name, one in chosen.items():
        hit = hits.get(name)
        one.extra["foldseek"] = (
            None if hit is None else {"tm": round(hit.tm, 4), "nearest": hit.target}
        )
    scores = [hit.tm for hit in hits.values()]
    if scores:
        found.summary["foldseek_tm"] = sum(scores) / len(scores)
        found.summary["largest_foldseek_tm"] = max(scores)


def add_likelihood(found: Evaluation, model: BackboneModel, *, quiet: bool) -> None:
    """Find the log-likelihood of each design under a model."""
    from protdiff.errors import ProtdiffError
    from protdiff.evaluation.likelihood import LikelihoodSettings, measure_likelihood

    settings = LikelihoodSettings()
    known = []
    with show_bar("integrating", quiet=quiet, unit="structures") as bar:
        bar.set_total(len(found.designs))
        for one in found.designs:
            try:
                value = measure_likelihood(
                    model, one.backbone, settings, handedness=one.source.handedness
                )
            except ProtdiffError as error:
                one.extra["likelihood"] = {"problem": str(error)}
                found.notes.append(f"likelihood: {error}")
            else:
                known.append(value.nats_per_residue)
                one.extra["likelihood"] = {
                    "log_likelihood_nats": round(value.nats, 4),
                    "nats_per_residue": round(value.nats_per_residue, 4),
                    "standard_error": round(value.standard_error, 4),
                }
            bar.advance()
    found.summary["nats_per_residue"] = sum(known) / len(known) if known else float("nan")
    found.facts["likelihood"] = {"weights": model.name, "weights_sha256": model.sha256}


def add_self_consistency(
    found: Evaluation,
    designer: SequenceDesigner,
    folder: Folder | None,
    aligner: Aligner,
    *,
    quiet: bool,
) -> None:
    """Design sequences, fold them, and compare the predictions with the designs."""
    from protdiff.evaluation.external import ExternalError
    from protdiff.evaluation.self_consistency import (
        measure_self_consistency,
        summarise_self_consistency,
        summarise_sequences,
    )

    chosen, motifs, backbones = _choose_with_motifs(found)
    with show_bar(f"sequences by {designer.name}", quiet=quiet) as bar:
        bar.set_total(max(len(chosen), 1))
        try:
            results = measure_self_consistency(
                backbones,
                designer,
                folder,
                fixed=[motif.given_mask for motif in motifs],
                aligner=aligner,
                on_progress=_describe_last(bar, len(chosen), folder),
            )
        except ExternalError as error:
            found.failures.append(str(error))
            return
    _add_results(found, chosen, results, aligner)
    found.summary |= summarise_sequences(results)
    if folder is not None:
        found.summary |= summarise_self_consistency(results)
    found.facts["self_consistency"] |= {
        "sequences_by": designer.name,
        "structures_by": None if folder is None else folder.name,
        "sequences_per_design": designer.sequences,
    }


def add_predictions(found: Evaluation, folder: Path, aligner: Aligner) -> None:
    """Compare the designs with structures that were predicted elsewhere."""
    from protdiff.evaluation.external import read_predictions
    from protdiff.evaluation.self_consistency import (
        compare_predictions,
        summarise_self_consistency,
        summarise_sequences,
    )
    from protdiff.structure.designed_sequence import SEQUENCE_TABLE, read_sequence_table

    chosen, _, backbones = _choose_with_motifs(found)
    if not chosen:
        found.notes.append("--predictions: no design is finite and long enough to be compared")
        return
    predictions = read_predictions(folder, [backbone.name for backbone in backbones])
    tables = {one.source.path.parent / SEQUENCE_TABLE for one in chosen}
    sequences: dict[str, dict[int, DesignedSequence]] = {}
    for table in filter(Path.is_file, tables):
        sequences |= read_sequence_table(table)
    results = compare_predictions(
        backbones, predictions, sequences=sequences, aligner=aligner, source=str(folder)
    )
    _add_results(found, chosen, results, aligner)
    if sequences:
        found.summary |= summarise_sequences(results)
    found.summary |= summarise_self_consistency(results)
    found.facts["self_consistency"] |= {"sequences_by": None, "structures_by": str(folder)}


def _choose_with_motifs(
    found: Evaluation,
) -> tuple[list[Evaluated], list[RecordedMotif], list[Backbone]]:
    """Return the designs that can be compared, their motifs, and both as L-proteins."""
    chosen = found.choose_comparable()
    motifs = [_find_motif(one, found.notes) for one in chosen]
    backbones = [
        replace(one.natural, motif_mask=motif.motif_mask)
        for one, motif in zip(chosen, motifs, strict=True)
    ]
    return chosen, motifs, backbones


def _add_results(
    found: Evaluation,
    chosen: Sequence[Evaluated],
    results: Sequence[SelfConsistency],
    aligner: Aligner,
) -> None:
    """Put what was found with each design, and say how."""
    from protdiff.evaluation.self_consistency import DESIGNABLE_BELOW, MOTIF_BELOW

    for one, result in zip(chosen, results, strict=True):
        one.extra["self_consistency"] = result.to_dict()
        if result.problem:
            found.notes.append(f"{one.source.path.name}: {result.problem}")
    found.facts["self_consistency"] = {
        "designable_below": DESIGNABLE_BELOW,
        "motif_below": MOTIF_BELOW,
        "tm_normalised_by": "the design's length",
        "aligner": aligner.name,
        "note": aligner.note or None,
    }


def _describe_last(bar: Bar, total: int, folder: Folder | None) -> Callable[[float], None]:
    """Return what counts the sequences, and says what the long silence after them is."""
    done = 0.0

    def count(amount: float) -> None:
        nonlocal done
        done += amount
        bar.advance(amount)
        if done >= total and folder is not None:
            bar.describe(f"structures by {folder.name}")

    return count


def _find_motif(one: Evaluated, notes: list[str]) -> RecordedMotif:
    """Return the motif by the manifest; none, and a note, where that is damaged."""
    from protdiff.design.recorded_motif import read_motif
    from protdiff.design.run_folder import MANIFEST

    path = one.source.path
    try:
        return read_motif(one.source.record, one.backbone, manifest=path.parent / MANIFEST)
    except InputError as error:
        notes.append(f"self-consistency: no residue of {path.name} is kept: {error}")
        return read_motif({}, one.backbone)

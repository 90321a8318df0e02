"""Preparing training data: folders of structure files become one file of backbones.

Every chain passes the same gate (:mod:`protdiff.structure.screen`): a length, few chain breaks,
sound bonds, the natural hand and the compactness of a folded domain; whatever fails is counted
under its reason. What is left is split into a training and a held-out
part by whole clusters of similar sequence, so that the held-out loss measures generalisation. The
part of a cluster follows from a hash of its name alone: it is the same on every machine, with any
number of processes, and when chains are added later.

Clusters come from a manifest, a tab-separated table with the columns ``id``, ``file`` and one or
two columns of clusters. Without one, chains of the same amino-acid sequence are a cluster, which
keeps the copies in a crystal together and nothing more: with many homologues, give a manifest.

The written file needs no Biotite to be read; its layout is in :func:`prepare_dataset`.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from protdiff.errors import InputError, ProtdiffError
from protdiff.files import check_free, check_writable
from protdiff.structure import Backbone, find_structure_files, get_structure_name
from protdiff.structure.screen import ChainFilter, ScreenedFile, screen_file
from protdiff.training.manifest import find_manifest, read_manifest
from protdiff.training.split import number_clusters, read_split, split_chains

__all__ = ["PreparationReport", "prepare_dataset"]

#: How many chains a report names for each reason.
_EXAMPLES = 5


@dataclass
class PreparationReport:
    """What became of the chains.

    Attributes
    ----------
    files, chains
        Structure files looked at, and the chains found in those that were read.
    kept, held_out, clusters, residues
        Chains written, those of them held out, clusters and residues of the chains written.
    dropped
        How many files or chains were left out, by reason.
    examples
        Some of their names, by reason.
    """

    files: int = 0
    chains: int = 0
    kept: int = 0
    held_out: int = 0
    clusters: int = 0
    residues: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def drop(self, reason: str, name: str) -> None:
        """Count one file or chain that is left out."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1
        examples = self.examples.setdefault(reason, [])
        if len(examples) < _EXAMPLES:
            examples.append(name)

    def __str__(self) -> str:
        lines = [
            f"{self.kept} chains kept of {self.files} files: {self.residues} residues, "
            f"{self.clusters} clusters, {self.held_out} chains held out"
        ]
        for reason, count in sorted(self.dropped.items(), key=lambda item: (-item[1], item[0])):
            lines.append(f"  {count:6d} dropped, {reason} (as {self.examples[reason][0]})")
        return "\n".join(lines)


@dataclass(frozen=True)
class _Entry:
    """A file to be read, and what the manifest says of it."""

    path: Path
    id: str
    row: Mapping[str, str] | None = None


@dataclass(frozen=True)
class _Chain:
    """A chain that passed the gate, and what the manifest says of it."""

    id: str
    place: Path
    """Its file, and where that has several chains, the chain's id after its name."""
    backbone: Backbone
    row: Mapping[str, str] | None


def prepare_dataset(
    sources: str | Path | Iterable[str | Path],
    out: str | Path,
    *,
    min_length: int = 40,
    max_length: int = 256,
    max_breaks: int = 0,
    compact: bool = True,
    manifest: str | Path | None = None,
    recommended_only: bool = True,
    cluster_column: str = "cluster30",
    balance_column: str = "cluster40",
    held_out_fraction: float = 0.05,
    split: str | Path | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> PreparationReport:
    """Parse structure files, keep the sound chains, split them, and write one file.

    The file is a safetensors file of ``coordinates`` (sum L, 3, 3) float32, N, CA, C in Å;
    ``residue_index`` (sum L,) int32; ``secondary`` (sum L,) uint8, secondary structure by hydrogen
    bonds as places in ``protdiff.network.SECONDARY_STATES``; ``residue_type`` (sum L,) uint8, one
    more than the place in ``protdiff.network.RESIDUE_TYPES``, or 0 for others; ``offsets``
    (n + 1,) int64, where each chain begins; ``cluster30`` and ``cluster40`` (n,) int64, the
    clusters to split and to sample by; ``held_out`` (n,) uint8. Its metadata are ``format``,
    ``version``, ``ids`` (a JSON list) and ``report`` (a JSON object). An id is the name of the
    chain's file; where several files have one name, their paths below the folder that is common to
    all files.

    Parameters
    ----------
    sources
        Structure files and folders of them.
    out
        The file to be written.
    min_length, max_length, max_breaks, compact
        The gate, as in :class:`ChainFilter`.
    manifest
        A table with the columns ``id`` and ``file`` (relative to the table's folder), a row for
        each file; files that it does not list are left out. A ``manifest.tsv`` at the top of a
        source folder is used without being named.
    recommended_only
        Keep only rows whose column ``recommended`` is 1, where the manifest has one.
    cluster_column, balance_column
        The manifest's columns with the clusters to split by and to sample by.
    held_out_fraction
        Share of the clusters that is held out.
    split
        A tab-separated table with the columns ``id`` and ``split`` (``train`` or ``held-out``), to
        repeat an earlier split. Chains that it does not list follow their cluster, and the hash
        where that is new.
    workers
        Processes; without it as many as there are cores for this process.
    overwrite
        Replace an existing file.
    dry_run
        Read the manifest only, and write nothing: the report then counts what the manifest rules
        out, and all other files would be read.
    progress
        Called with the number of files done and of all files.

    Returns
    -------
    PreparationReport
        Counts of what was kept and dropped, and why.

    Raises
    ------
    InputError
        A source is missing or holds no structure, the manifest lacks a column, no chain is left,
        or ``out`` exists.
    """
    gate = ChainFilter(min_length, max_length, max_breaks, compact)
    out = Path(out)
    if not 0.0 <= held_out_fraction < 1.0:
        raise InputError(
            f"the held-out fraction is at least 0 and under 1; got {held_out_fraction}"
        )
    if workers is not None and workers < 1:
        raise InputError(f"the number of workers is at least 1; got {workers}")
    # Said before an hour of parsing, not after.
    check_free(out, overwrite=overwrite)
    check_writable(out.parent)
    paths = [Path(source) for source in _as_list(sources)]
    files = find_structure_files(paths)
    report = PreparationReport(files=len(files))
    table = find_manifest(paths, manifest)
    parts = {} if split is None else read_split(Path(split))
    columns = (cluster_column, balance_column)
    rows = {} if table is None else read_manifest(table, columns)
    entries = list(_list_entries(files, rows, table, gate, recommended_only, report))
    if dry_run:
        return report

    namesakes: dict[str, dict[bytes, _Chain]] = {}
    done = len(files) - len(entries)
    if progress is not None:
        progress(done, len(files))
    for entry, screened in zip(entries, _process(entries, gate, workers), strict=True):
        done += 1
        report.chains += screened.found
        for reason, part in screened.dropped:
            report.drop(reason, f"{entry.id}_{part}" if part else entry.id)
        for backbone in screened.kept:
            part = "" if screened.found == 1 else f"_{backbone.chains[0]}"
            id, place = f"{entry.id}{part}", Path(f"{entry.path}{part}")
            alike = namesakes.setdefault(id, {})
            content = hashlib.sha256(backbone.coordinates.tobytes()).digest()
            if content in alike:
                report.drop("same name and coordinates as another chain", id)
            else:
                alike[content] = _Chain(id, place, backbone, entry.row)
        if progress is not None:
            progress(done, len(files))
    if not namesakes:
        reasons = ", ".join(f"{count} {reason}" for reason, count in report.dropped.items())
        raise InputError(
            f"no chain of {len(files)} files is left to train on ({reasons}); widen the filters"
        )
    chains = [chain for alike in namesakes.values() for chain in alike.values()]
    chosen = sorted(_tell_apart(chains, files), key=lambda chain: chain.id)
    clusters, balance = ([_name_cluster(chain, name) for chain in chosen] for name in columns)
    held_out = split_chains([chain.id for chain in chosen], clusters, parts, held_out_fraction)
    _write(out, chosen, (clusters, balance), held_out, report, overwrite)
    return report


def _as_list(sources: str | Path | Iterable[str | Path]) -> list[str | Path]:
    return [sources] if isinstance(sources, str | Path) else list(sources)


def _list_entries(
    files: Sequence[Path],
    rows: Mapping[Path, Mapping[str, str]],
    table: Path | None,
    gate: ChainFilter,
    recommended_only: bool,
    report: PreparationReport,
) -> Iterator[_Entry]:
    """Give the files worth reading; what the manifest already rules out is not even opened."""
    for path in files:
        row = rows.get(path.resolve())
        if table is not None and row is None:
            report.drop("not in the manifest", path.name)
        elif row is None:
            yield _Entry(path, get_structure_name(path))
        elif recommended_only and row.get("recommended", "1") != "1":
            report.drop("not recommended by the manifest", row["id"])
        elif (length := _get_length(row)) is not None and length > gate.max_length:
            report.drop("too long", row["id"])
        elif length is not None and length < gate.min_length:
            report.drop("too short", row["id"])
        else:
            yield _Entry(path, row["id"], row)


def _get_length(row: Mapping[str, str]) -> int | None:
    text = row.get("length") or ""
    return int(text) if text.isdecimal() and len(text) < 10 else None


def _count_cores() -> int:
    """Count the cores that this process may use, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _process(
    entries: Sequence[_Entry], gate: ChainFilter, workers: int | None
) -> Iterator[ScreenedFile]:
    paths = [entry.path for entry in entries]
    work = partial(screen_file, gate=gate)
    count = workers or _count_cores()
    # A process takes a second to start, which so few files do not repay.
    if count == 1 or len(paths) < 64:
        yield from map(work, paths)
        return
    # A fresh interpreter for each worker: a fork of a process with torch's threads may hang. What
    # they run is in the structure wing, so that none of them waits for torch.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context) as pool:
        try:
            yield from pool.map(work, paths, chunksize=16)
        except BrokenProcessPool as error:
            raise ProtdiffError(
                "a worker process died, perhaps for want of memory; use fewer workers"
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _tell_apart(chains: Sequence[_Chain], files: Sequence[Path]) -> Iterator[_Chain]:
    """Give the chains; those of one name are called by their paths below the common folder."""
    count = Counter(chain.id for chain in chains)
    repeat = len(count) < len(chains)
    common = os.path.commonpath([file.absolute().parent for file in files]) if repeat else ""
    for chain in chains:
        id = chain.id
        if count[id] > 1:
            id = chain.place.absolute().relative_to(common).as_posix()
        # The name of a file need not be text.
        yield replace(chain, id=id.encode(errors="backslashreplace").decode())


def _get_states(backbone: Backbone) -> NDArray[np.uint8]:
    """Return the secondary structure by hydrogen bonds as the network takes it, (residue,)."""
    from protdiff.evaluation.secondary_structure import assign_secondary_structure
    from protdiff.network import SECONDARY_STATES

    states = assign_secondary_structure(backbone.coordinates)
    return np.array([SECONDARY_STATES.index(state) for state in states], np.uint8)


def _get_types(backbone: Backbone) -> NDArray[np.uint8]:
    """Return the types of residues as the network takes them, (residue,); 0 for others."""
    from protdiff.network import RESIDUE_TYPES
    from protdiff.structure.standard import find_letters

    letters = find_letters(backbone)
    # A backbone that names all its residues alike says nothing of them.
    if len(set(letters)) == 1:
        return np.zeros(len(letters), np.uint8)
    return np.array([RESIDUE_TYPES.find(letter) + 1 for letter in letters], np.uint8)


def _name_cluster(chain: _Chain, column: str) -> str:
    if chain.row is not None:
        return chain.row[column]
    # A backbone without side chains (all G, all X) says nothing about its relatives.
    sequence = chain.backbone.sequence
    return sequence if len(set(sequence)) > 1 else chain.id


def _write(
    out: Path,
    chains: Sequence[_Chain],
    cluster_names: tuple[Sequence[str], Sequence[str]],
    held_out: NDArray[np.uint8],
    report: PreparationReport,
    overwrite: bool,
) -> None:
    import torch

    from protdiff.training.dataset import write_dataset

    clusters, balance = cluster_names
    lengths = [len(chain.backbone) for chain in chains]
    report.kept, report.held_out = len(chains), int(held_out.sum())
    report.clusters, report.residues = len(Counter(clusters)), sum(lengths)
    arrays = {
        "coordinates": np.concatenate([chain.backbone.coordinates[:, :3] for chain in chains]),
        "residue_index": np.concatenate([chain.backbone.residue_index for chain in chains]).astype(
            np.int32
        ),
        "offsets": np.cumsum([0, *lengths], dtype=np.int64),
        "cluster30": number_clusters(clusters),
        "cluster40": number_clusters(balance),
        "held_out": held_out,
        "secondary": np.concatenate([_get_states(chain.backbone) for chain in chains]),
        "residue_type": np.concatenate([_get_types(chain.backbone) for chain in chains]),
    }
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    ids = [chain.id for chain in chains]
    write_dataset(out, tensors, ids, asdict(report), overwrite=overwrite)

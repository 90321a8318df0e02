"""Which structures lie below the paths that a user gives, and what manifests say of them.

A folder with a ``manifest.jsonl`` is a run: its designs are those that the manifest names, and
nothing else in it is looked at, least of all the frames of trajectories. Any other folder stands
for the runs and the structure files below it, those behind links too, so a campaign is read chunk
by chunk. A file that is found twice counts once, and what a manifest says of it is kept.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from protdiff.design.run_folder import MANIFEST, Manifest, read_manifest
from protdiff.errors import InputError, shorten
from protdiff.handedness import Handedness
from protdiff.structure import find_structure_files
from protdiff.structure.read import is_structure_file

__all__ = ["ListedRun", "ListedStructure", "Listing", "explain_gaps", "list_structures"]


@dataclass(frozen=True)
class ListedStructure:
    """A structure file, which need not be there.

    Attributes
    ----------
    path
        The file.
    record
        Its line of the manifest; empty for a file that is not of a run.
    """

    path: Path
    record: dict[str, Any] = field(default_factory=dict)

    @property
    def handedness(self) -> Handedness:
        """What the manifest says, unchecked, and L without one."""
        handedness: Handedness = self.record.get("handedness", "L")
        return handedness

    def take_for(self, handedness: Handedness) -> ListedStructure:
        """Return it as an L- or a D-protein, whatever the manifest says."""
        return replace(self, record={**self.record, "handedness": handedness})


@dataclass(frozen=True)
class ListedRun:
    """A folder of a run and its manifest."""

    folder: Path
    manifest: Manifest

    @property
    def records(self) -> list[dict[str, Any]]:
        """The lines of the manifest, by index."""
        return [record for _, record in sorted(self.manifest.records.items())]

    @property
    def structures(self) -> list[ListedStructure]:
        """The designs that have a file, by index."""
        return [
            ListedStructure(self.folder / record["file"], record)
            for record in self.records
            if record["file"] is not None
        ]

    @property
    def blown_up(self) -> list[dict[str, Any]]:
        """The lines of the designs that came out without finite coordinates, by index."""
        return [
            record for record in self.records if record["file"] is None and not _list_faults(record)
        ]


@dataclass(frozen=True)
class Listing:
    """What lies below some paths."""

    structures: Sequence[ListedStructure]
    """Those of the runs too."""
    runs: Sequence[ListedRun]
    empty: Sequence[str] = ()
    """Which of the paths hold no structure, and why."""

    @property
    def blown_up(self) -> list[dict[str, Any]]:
        """The lines of all designs that came out without finite coordinates."""
        return [record for run in self.runs for record in run.blown_up]

    def explain(self) -> list[str]:
        """Say what is missing from the structures, and why, a sentence each."""
        return [*self.empty, *_describe_damage(self.runs), *explain_gaps(self.runs)]


def list_structures(sources: Iterable[Path]) -> Listing:
    """List the structures and the runs below files and folders, each once.

    Parameters
    ----------
    sources
        Structure files, runs, and folders of both, such as campaigns. They are taken in this
        order, and what is below each in the order of names, a run's designs in that of its
        manifest.

    Raises
    ------
    InputError
        A path does not exist, or no structure is below any of them; a folder or a manifest cannot
        be read.
    """
    structures: dict[Path, ListedStructure] = {}
    runs: dict[Path, ListedRun] = {}
    empty: list[str] = []
    for source in sources:
        below = _list_below(source)
        runs |= {run.folder.resolve(): run for run in below.runs}
        if below.runs and not below.structures:
            empty.append(f"the manifest in {below.runs[0].folder} names no structure")
        elif not below.structures:
            empty.append(f"the folder {source} holds no structure file and no run")
        for one in below.structures:
            place = one.path.resolve()
            if place not in structures or not structures[place].record:
                structures[place] = one
    listing = Listing(list(structures.values()), list(runs.values()), empty)
    if empty and not structures:
        gaps = "; ".join(explain_gaps(listing.runs)[:3])
        raise InputError(
            f"{'; '.join(empty[:3])}{f' ({gaps})' if gaps else ''}; generate some first"
        )
    return listing


def _list_below(source: Path) -> Listing:
    structures: list[ListedStructure] = []
    runs: list[ListedRun] = []
    for place in sorted(_walk(source)) if source.is_dir() else find_structure_files(source):
        if place.is_dir():
            runs.append(ListedRun(place, read_manifest(place / MANIFEST)))
            structures += runs[-1].structures
        else:
            structures.append(ListedStructure(place))
    return Listing(structures, runs)


def _walk(folder: Path) -> Iterator[Path]:
    """Give the runs at and below a folder, and the structure files outside of them."""
    seen: set[Path] = set()
    for place, folders, names in os.walk(folder, onerror=_refuse_unreadable, followlinks=True):
        # A link may lead back to where it lies; a folder that has also a name of its own has that.
        folders.sort(key=lambda name: (Path(place, name).is_symlink(), name))
        if (there := Path(place).resolve()) in seen:
            folders.clear()
            continue
        seen.add(there)
        if MANIFEST in names:
            folders.clear()
            yield Path(place)
        else:
            yield from filter(is_structure_file, (Path(place, name) for name in names))


def _refuse_unreadable(error: OSError) -> None:
    raise InputError(f"cannot read {error.filename}: {error.strerror or error}") from error


def _describe_damage(runs: Sequence[ListedRun]) -> list[str]:
    problems = []
    for run in runs:
        if damaged := run.manifest.damaged:
            manifest = MANIFEST if len(runs) == 1 else run.folder / MANIFEST
            plural = "line" if damaged == 1 else "lines"
            problems.append(f"{manifest}: {damaged} damaged {plural} passed over")
    return problems


def explain_gaps(runs: Sequence[ListedRun]) -> list[str]:
    """Say which designs have no structure and why; all that a filter rejected are one sentence."""
    blown_up: list[str] = []
    rejected: list[list[str]] = []
    for run in runs:
        where = f"{run.folder}: " if len(runs) > 1 else ""
        rejected += [
            faults
            for record in run.records
            if record["file"] is None and (faults := _list_faults(record))
        ]
        blown_up += [
            f"{where}design {record['index']} came out without finite coordinates"
            for record in run.blown_up
        ]
    return _describe_rejected(rejected) + blown_up


def _list_faults(record: dict[str, Any]) -> list[str]:
    """Return why a filter rejected a design; nothing of one that was not finite to begin with."""
    quality, faults = record.get("quality"), record.get("rejected")
    if (isinstance(quality, dict) and quality.get("finite") is False) or not faults:
        return []
    return list(map(str, faults)) if isinstance(faults, list) else [str(faults)]


def _describe_rejected(rejected: Sequence[Sequence[str]]) -> list[str]:
    if not rejected:
        return []
    designs = "1 design was" if len(rejected) == 1 else f"{len(rejected)} designs were"
    reasons = ", ".join(dict.fromkeys(fault for faults in rejected for fault in faults))
    return [f"{designs} rejected by the filter ({shorten(reasons)})"]

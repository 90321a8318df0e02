"""Gather what a report shows: designs, their numbers, and what could not be read.

A report is made of what is there. A damaged line of the manifest, a missing or unreadable file is
said on the page and costs one design, not the report; only where nothing is left is that an error.
"""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protdiff.design.listing import ListedStructure, Listing, list_structures
from protdiff.design.recorded_motif import read_motif
from protdiff.design.run_folder import SETTINGS, TRAJECTORIES, read_settings
from protdiff.errors import InputError
from protdiff.evaluation import (
    Quality,
    assign_secondary_structure,
    index_by_number,
    measure_recorded,
)
from protdiff.handedness import get_sign
from protdiff.report.diversity import DiversityMap, make_diversity_map
from protdiff.structure import (
    Backbone,
    StructureWarning,
    backbone_dihedrals,
    read_backbone,
    read_trajectory,
)
from protdiff.structure.standard import mirror_to_l

__all__ = ["Collection", "ReportDesign", "Trajectory", "gather_designs"]

MOST_FRAMES = 40
"""A trajectory on the page has at most so many frames; longer ones are thinned evenly."""

MOST_TRAJECTORIES = 12
"""So many designs, from the first on, keep their trajectory; each adds about 0.15 MB."""


@dataclass(frozen=True)
class Trajectory:
    """The way of a design from noise to structure.

    Attributes
    ----------
    denoised
        (frame, residue, 4, 3), Å: what the network takes each state for.
    noisy
        (frame, residue, 3), Å: the alpha carbons of the states themselves.
    """

    denoised: NDArray[np.float32]
    noisy: NDArray[np.float32]


@dataclass(frozen=True)
class ReportDesign:
    """One structure with its numbers.

    Attributes
    ----------
    name, file
        What it is called and where it lies, below the folder that holds all that was given.
    backbone
        The structure; its ``motif_mask`` is what the manifest says.
    quality
        As ``protdiff evaluate`` measures it.
    secondary_structure
        One letter a residue: H, E or -.
    phi, psi
        (residue,), degrees; NaN at the ends of a chain. Of a D-protein those of its mirror image,
        as it is judged.
    record
        Its line of the manifest; empty for a file that is not of a run.
    trajectory
        None where the run kept none.
    """

    name: str
    file: str
    backbone: Backbone
    quality: Quality
    secondary_structure: str
    phi: NDArray[np.floating]
    psi: NDArray[np.floating]
    record: Mapping[str, Any]
    trajectory: Trajectory | None = None

    @property
    def judged(self) -> NDArray[np.float32]:
        """(residue, 4, xyz) in Å, of a D-protein those of its mirror image."""
        return mirror_to_l(self.backbone, self.record.get("handedness", "L")).coordinates


@dataclass(frozen=True)
class Collection:
    """What a report is made of."""

    designs: Sequence[ReportDesign]
    source: str
    """The folder's or file's name."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What ``run.json`` says; empty without one."""
    problems: Sequence[str] = ()
    """What could not be read, a sentence each."""
    made: int = 0
    """Designs in the manifests, and structure files of no run; not all need be shown."""
    passing: int = 0
    """Those of them without a fault: as the manifests say, or as measured here."""

    @cached_property
    def diversity(self) -> DiversityMap:
        """The designs as a map; page and figures show the same one, which may take seconds."""
        return make_diversity_map([design.judged for design in self.designs])


@dataclass(frozen=True)
class _Found:
    path: Path
    file: str
    record: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What tells it apart; of a run's designs the suffix says nothing."""
        return Path(self.file).with_suffix("").as_posix() if self.record else self.file


def gather_designs(
    sources: Path | Sequence[Path],
    *,
    max_designs: int = 500,
    on_start: Callable[[int], None] | None = None,
    on_design: Callable[[], None] | None = None,
) -> Collection:
    """Read and measure the designs of runs, and the structures of folders and files.

    Parameters
    ----------
    sources
        Folders of runs, other folders, such as campaigns, or files.
    max_designs
        How many designs at most are read, from the first on.
    on_start
        Called with the number of designs that will be read.
    on_design
        Called after each.

    Raises
    ------
    InputError
        There is nothing to show.
    """
    if max_designs < 1:
        raise InputError(f"the number of designs to show is {max_designs}; give at least 1")
    paths = [sources] if isinstance(sources, Path) else list(sources)
    if not paths:
        raise InputError("there is nothing to report on; give a folder or structure files")
    listing = list_structures(paths)
    found = _name_structures(listing.structures, paths)
    problems = listing.explain()
    settings = _read_settings(listing, problems)
    readable = [one for one in found if one.path.is_file()]
    problems += [f"{one.name}: the file is missing" for one in found if not one.path.is_file()]
    if on_start is not None:
        on_start(min(len(readable), max_designs))
    designs: list[ReportDesign] = []
    for one in readable[:max_designs]:
        design = _read_design(one, problems)
        if design is not None:
            if sum(other.trajectory is not None for other in designs) < MOST_TRAJECTORIES:
                design = _add_trajectory(one, design, problems)
            designs.append(design)
        if on_design is not None:
            on_design()
    if not designs:
        reason = f" ({problems[0]})" if problems else ""
        raise InputError(f"there is no design to show in {paths[0]}{reason}; generate some first")
    made, passing = _count(listing, designs)
    source = paths[0].resolve().name if len(paths) == 1 else f"{len(paths)} files and folders"
    return Collection(designs, source, settings, problems, made, passing)


def _name_structures(structures: Sequence[ListedStructure], paths: Sequence[Path]) -> list[_Found]:
    """Call each by its place below the folder that holds all that was given."""
    folders = [path.absolute() if path.is_dir() else path.absolute().parent for path in paths]
    common = os.path.commonpath(folders)
    return [
        _Found(one.path, one.path.absolute().relative_to(common).as_posix(), one.record)
        for one in structures
    ]


def _read_settings(listing: Listing, problems: list[str]) -> Mapping[str, Any]:
    """Read the settings that hold for all: those of the one run, if nothing else is shown."""
    if len(listing.runs) != 1 or not all(one.record for one in listing.structures):
        return {}
    path = listing.runs[0].folder / SETTINGS
    if not path.exists():
        return {}
    settings = read_settings(path)
    if settings is None:
        problems.append(f"{SETTINGS} is damaged; the settings of the run are not known")
    return settings or {}


def _read_design(found: _Found, problems: list[str]) -> ReportDesign | None:
    handedness = found.record.get("handedness", "L")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", StructureWarning)
        try:
            backbone = read_backbone(found.path)
            sign = get_sign(handedness)
        except InputError as error:
            problems.append(f"{found.name}: {error}")
            return None
    problems += [f"{found.name}: {warning.message}" for warning in caught]
    quality = measure_recorded(backbone, found.record)
    if not quality.finite:
        problems.append(f"{found.name}: coordinates too large to be measured")
        return None
    phi, psi, _ = backbone_dihedrals(backbone.coordinates, index_by_number(backbone))
    return ReportDesign(
        name=found.name,
        file=found.file,
        backbone=_mark_motif(found, backbone, problems),
        quality=quality,
        secondary_structure="".join(assign_secondary_structure(backbone.coordinates)),
        phi=sign * phi,
        psi=sign * psi,
        record=found.record,
    )


def _mark_motif(found: _Found, backbone: Backbone, problems: list[str]) -> Backbone:
    """Return the backbone with the motif that the manifest names, or none if that is damaged."""
    try:
        motif = read_motif(found.record, backbone)
    except InputError as error:
        problems.append(f"{found.name}: shown without its motif: {error}")
        return backbone
    return dataclasses.replace(backbone, motif_mask=motif.motif_mask)


def _add_trajectory(found: _Found, design: ReportDesign, problems: list[str]) -> ReportDesign:
    """Give a design of a run the trajectory that lies beside it."""
    folder, suffix = found.path.parent / TRAJECTORIES, found.path.suffix
    files = [folder / f"{found.path.stem}_{kind}{suffix}" for kind in ("denoised", "noisy")]
    if not found.record or not all(file.is_file() for file in files):
        return design
    try:
        denoised, noisy = (_read_frames(file, len(design.backbone)) for file in files)
    except InputError as error:
        problems.append(f"{design.name}: the trajectory cannot be read: {error}")
        return design
    return dataclasses.replace(design, trajectory=Trajectory(denoised, noisy[:, :, 1]))


def _read_frames(path: Path, length: int) -> NDArray[np.float32]:
    """Return (frame, residue, 4, 3), thinned to what a page can hold; the last frame stays."""
    with warnings.catch_warnings():
        # Of states on the way: noise has no good geometry.
        warnings.simplefilter("ignore", StructureWarning)
        frames = read_trajectory(path)
    if frames.shape[1] != length:
        raise InputError(f"{path} has other residues than its design")
    kept = np.linspace(0, len(frames) - 1, min(len(frames), MOST_FRAMES)).round().astype(int)
    thinned: NDArray[np.float32] = frames[kept]
    return thinned


def _count(listing: Listing, designs: Sequence[ReportDesign]) -> tuple[int, int]:
    """Return how many designs there are, and how many of them pass."""
    records = [record for run in listing.runs for record in run.records]
    qualities = [record.get("quality") for record in records]
    recorded = sum(isinstance(q, dict) and q.get("passes") is True for q in qualities)
    others = sum(not one.record for one in listing.structures)
    measured = sum(design.quality.passes for design in designs if not design.record)
    return len(records) + others, recorded + measured

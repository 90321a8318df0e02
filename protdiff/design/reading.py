"""Designs back from the folder of their run."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from protdiff.design.design_set import DesignSet
from protdiff.design.engine import Design
from protdiff.design.recorded_motif import read_motif
from protdiff.design.run_folder import MANIFEST, SETTINGS, read_manifest, read_settings
from protdiff.errors import InputError
from protdiff.evaluation import measure_recorded
from protdiff.handedness import get_sign
from protdiff.structure import read_backbone

__all__ = ["find_runs", "read_designs"]


def read_designs(folder: str | Path) -> DesignSet:
    """Read the folder of a run, as commands and :meth:`DesignSet.write` make it, or of a job.

    Quality is measured on the files. A design without a file is left out: it is not finite, or a
    filter kept it out.

    Parameters
    ----------
    folder
        With a ``manifest.jsonl``; or a folder of such folders that are parts of one run, as the
        chunks of a job are.

    Returns
    -------
    DesignSet
        By index.

    Raises
    ------
    InputError
        There is no manifest, a line of it is damaged, or a structure that it names cannot be read;
        or the folder holds several runs.
    """
    parts = _find_parts(Path(folder))
    # Without them the designs are as good, and a run that is to go on here will say what it lacks.
    runs = [read_settings(part / SETTINGS) or {} for part in parts]
    found: dict[int, tuple[Design, dict[str, Any]]] = {}
    drawn: set[int] = set()
    for part, run in zip(parts, runs, strict=True):
        manifest = read_manifest(part / MANIFEST)
        if manifest.damaged:
            warnings.warn(
                f"{manifest.damaged} damaged lines of {part / MANIFEST} were passed over",
                stacklevel=2,
            )
        if run != runs[0] or drawn & manifest.records.keys():
            raise InputError(
                f"{folder} holds several runs, such as {parts[0].name} and {part.name}; read them "
                "one by one, of a campaign each job"
            )
        drawn |= manifest.records.keys()
        for index, record in manifest.records.items():
            if record["file"] is not None:
                found[index] = _read_design(part / record["file"], index, record), record
    pairs = [found[index] for index in sorted(found)]
    designs, records = [design for design, _ in pairs], [record for _, record in pairs]
    return DesignSet(designs, records, runs[0], drawn=len(drawn))


def find_runs(folder: str | Path) -> list[Path]:
    """List the folders of the runs in a folder: of a campaign those of its jobs, or itself.

    A run beside the jobs is one of them.
    """
    folder = Path(folder)
    jobs = {path.parent.parent for path in folder.glob(f"*/*/{MANIFEST}")}
    if not jobs:
        return [folder]
    return sorted(jobs | {path.parent for path in folder.glob(f"*/{MANIFEST}")})


def _find_parts(folder: Path) -> list[Path]:
    """List the folders with a manifest that a run lies in: one, or a job's chunks."""
    if (folder / MANIFEST).is_file():
        return [folder]
    parts = sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))
    if not parts:
        raise InputError(
            f"{folder} holds no {MANIFEST}; give the folder of a run, of a campaign that of a job, "
            "or read structures with read_backbones"
        )
    return parts


def _read_design(path: Path, index: int, record: Mapping[str, Any]) -> Design:
    backbone = read_backbone(path)
    motif = read_motif(record, backbone, manifest=path.parent / MANIFEST)
    try:
        get_sign(record.get("handedness", "L"))
        seconds = float(record.get("seconds", 0.0))
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"the manifest's line for {path} is damaged; make it again") from error
    backbone = replace(backbone, motif_mask=motif.motif_mask)
    return Design(index, backbone, measure_recorded(backbone, record), seconds, {})

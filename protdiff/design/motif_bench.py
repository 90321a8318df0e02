"""Handing scaffolds in to MotifBench.

A submission is a folder with one folder a problem, ``01_1LDB`` say; in it are the scaffolds,
``01_1LDB_0.pdb`` and so on, and ``scaffold_info.csv`` with the columns ``sample_num`` and
``motif_placements``. A placement is the chain read from its start: ``12/B/15/A/29`` has 12 designed
residues, segment B of the motif, 15 residues, segment A and 29 residues.

MotifBench names the segments of a problem by the chains of its own motif file. Where each segment
of a contig comes from a chain of its own with a one-letter id, that letter is taken; in any other
structure segments are A, B, C, ... in the order of the contig, which should then be that of the
problem's ``motif_residues``.

References
----------
Z. Zheng et al., "MotifBench: a standardized protein design benchmark for motif-scaffolding
problems", 2025.
"""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from protdiff.design.design_set import DesignSet
from protdiff.errors import InputError
from protdiff.files import check_plain_name, make_folder_atomically
from protdiff.structure import parse_contig, write_backbone
from protdiff.structure.motif import name_chain
from protdiff.structure.segments import DesignedSegment
from protdiff.structure.standard import standardise

__all__ = ["SUBMISSION_SIZE", "describe_placement", "write_motif_bench"]

SUBMISSION_SIZE = 100
"""How many scaffolds of a problem MotifBench asks for."""


def describe_placement(contig: str, layout: str) -> str:
    """Return where the segments of a motif stand in a scaffold, as MotifBench writes it.

    Parameters
    ----------
    contig
        What was asked for; it says how segments are called.
    layout
        The contig of fixed lengths that the scaffold has.

    Examples
    --------
    >>> describe_placement("0-75/A2-9/0-75/A12-15/0-75", "12/A2-9/15/A12-15/29")
    '12/A/15/B/29'
    >>> describe_placement("0-75/A1-8/0-75/B1-4/0-75", "B1-4/15/A1-8/2")
    'B/15/A/2'

    Raises
    ------
    InputError
        The scaffold has several chains, or a segment that the contig has not.
    """
    asked = [segment.residues for segment in parse_contig(contig).motif_segments]
    chains = [residues.chain for residues in asked]
    own = len(set(chains)) == len(chains) > 1 and all(len(chain) == 1 for chain in chains)
    letters = {
        str(residues): residues.chain if own else name_chain(number)
        for number, residues in enumerate(asked)
    }
    placed = parse_contig(layout)
    if len(placed.chains) > 1:
        raise InputError(f"MotifBench takes scaffolds of one chain; {layout!r} has several")
    pieces = []
    for segment in placed.segments:
        if isinstance(segment, DesignedSegment):
            pieces.append(str(segment))
            continue
        name = str(segment.residues)
        if name not in letters:
            raise InputError(f"the layout {layout!r} has {name}, which is not in {contig!r}")
        pieces.append(letters[name])
    return "/".join(pieces)


def write_motif_bench(folder: str | Path, cases: Mapping[str, DesignSet]) -> Path:
    """Write a MotifBench submission.

    Parameters
    ----------
    folder
        Where to; nothing may be there.
    cases
        For the name of each problem, such as ``"01_1LDB"``, its scaffolds. They are numbered anew,
        from 0; those that are not finite are left out.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    InputError
        The folder exists or cannot be written; a name is none of a folder; designs have no motif,
        or several chains.

    Warns
    -----
    UserWarning
        A problem has not as many scaffolds as MotifBench asks for.
    """
    if not cases:
        raise InputError("there are no scaffolds to write; give one run or more")
    for name in cases:
        check_plain_name(name, "the name of a problem")
    with make_folder_atomically(folder) as temporary:
        for name, designs in cases.items():
            kept = designs.filter(lambda design: design.quality.finite)
            table = io.StringIO()
            writer = csv.writer(table, lineterminator="\n")
            writer.writerow(["sample_num", "motif_placements"])
            for number, (backbone, record) in enumerate(zip(kept, kept.to_records(), strict=True)):
                writer.writerow([number, _get_placement(name, record)])
                write_backbone(temporary / name / f"{name}_{number}.pdb", standardise(backbone))
            (temporary / name).mkdir(exist_ok=True)
            (temporary / name / "scaffold_info.csv").write_text(table.getvalue(), encoding="utf-8")
            if len(kept) != SUBMISSION_SIZE:
                found = f"{len(kept)} scaffold{'' if len(kept) == 1 else 's'}"
                warnings.warn(
                    f"{name} has {found}; MotifBench asks for {SUBMISSION_SIZE}",
                    stacklevel=2,
                )
    return Path(folder)


def _get_placement(name: str, record: Mapping[str, Any]) -> str:
    contig, layout = record.get("contig"), record.get("layout")
    if not (isinstance(contig, str) and isinstance(layout, str)):
        raise InputError(
            f"design {record['index']} of {name} does not say where its motif stands; give a run "
            "of protdiff scaffold of this version"
        )
    return describe_placement(contig, layout)

"""LigandMPNN: ``run.py`` of github.com/dauparas/LigandMPNN.

It reads a PDB file. Residues that are kept go onto the command line by chain and number,
``--fixed_residues "A1 A2"``. It writes ``seqs/<name>.fa``, the input first, then designed ones with
headers such as
``design, id=1, T=0.1, seed=111, overall_confidence=0.4794, seq_rec=0.5269``, where the confidence
is exp(mean log p) over the designed residues.

References
----------
J. Dauparas et al., Atomic context-conditioned protein sequence design using LigandMPNN, 2023.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from protdiff.evaluation.external.command import ExternalError, run_program
from protdiff.evaluation.external.inverse_folding import Designed, SequenceDesigner
from protdiff.structure import Backbone, write_backbone
from protdiff.structure.designed_sequence import read_number

__all__ = ["LigandMPNN"]


class LigandMPNN(SequenceDesigner):
    """Sequences by LigandMPNN, one backbone at a time; backbones come without ligands."""

    name: ClassVar[str] = "LigandMPNN"
    programs: ClassVar[tuple[str, ...]] = ("ligandmpnn", "ligand_mpnn")
    option: ClassVar[str] = "--ligandmpnn-command"

    def run(
        self, backbones: Sequence[Backbone], on_progress: Callable[[float], None] | None
    ) -> list[Designed]:
        """Run it for each backbone."""
        found = []
        for backbone in backbones:
            try:
                found.append(self._run_one(backbone))
            except ExternalError as error:
                found.append(Designed(problem=str(error)))
            if on_progress is not None:
                on_progress(1)
        return found

    def _run_one(self, backbone: Backbone) -> Designed:
        with tempfile.TemporaryDirectory(prefix="protdiff-") as temporary:
            structure, out = Path(temporary) / f"{backbone.name}.pdb", Path(temporary) / "out"
            write_backbone(structure, backbone)
            out.mkdir()
            arguments = {
                "--model_type": "ligand_mpnn",
                "--pdb_path": str(structure),
                "--out_folder": str(out),
                "--number_of_batches": str(self.sequences),
                "--batch_size": "1",
                "--temperature": str(self.temperature),
                "--seed": str(self.seed),
            }
            kept = [backbone.label(int(place)) for place in np.flatnonzero(backbone.motif_mask)]
            if kept:
                arguments["--fixed_residues"] = " ".join(kept)
            run_program(
                [*self.command, *(word for pair in arguments.items() for word in pair)],
                name=self.name,
                folder=self.choose_folder(Path(temporary)),
                timeout=self.timeout,
            )
            return self.read(out, backbone)

    def read_score(self, header: str) -> float:
        """Return −log of ``overall_confidence``: the mean −log p over the designed residues."""
        confidence = read_number(header, "overall_confidence")
        return -math.log(confidence) if confidence > 0 else math.nan

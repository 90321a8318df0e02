"""A run that is not run: everything is checked and drawn, and nothing is sampled or written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protdiff.design.designer import Designer
from protdiff.design.filter import DesignFilter
from protdiff.design.run import OutputSettings, RunTask, check_run, describe_run
from protdiff.design.run_folder import check_folder

__all__ = ["RunPlan", "plan_designs"]


@dataclass(frozen=True)
class RunPlan:
    """What a run would do.

    Attributes
    ----------
    folder
        Where the designs would go.
    settings
        All that they depend on.
    present
        How many of the first designs are there already.
    lengths
        The number of residues of each design that is missing, by its index. With a filter more may
        be drawn.
    """

    folder: Path
    settings: dict[str, Any]
    present: int
    lengths: dict[int, int]


def plan_designs(
    designer: Designer,
    task: RunTask,
    folder: str | Path,
    num: int,
    *,
    output: OutputSettings | None = None,
    filter: DesignFilter | None = None,
    overwrite: bool = False,
) -> RunPlan:
    """Check a run and say what it would do; parameters and errors are those of ``run_designs``."""
    output = output or OutputSettings()
    check_run(designer.model, task, output, filter)
    settings = describe_run(designer.model.identify(), task, output, filter)
    records = check_folder(folder, settings, overwrite=overwrite)
    missing = [index for index in range(num) if index not in records]
    lengths = {index: task.plan(index).size for index in missing}
    return RunPlan(Path(folder), settings, num - len(missing), lengths)

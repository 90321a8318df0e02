"""Designs in memory: drawn, measured, filtered, and gathered in a set."""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from protdiff.design.design_set import DesignSet, Interrupted
from protdiff.design.engine import Design, OnProgress
from protdiff.design.filter import DesignFilter, iterate_rounds, limit_draws
from protdiff.design.progress import show_progress
from protdiff.design.run import OutputSettings, RunTask, describe_run, make_record
from protdiff.errors import InputError
from protdiff.plain import take_integer

if TYPE_CHECKING:
    from protdiff.design.designer import Designer

__all__ = ["collect_designs"]


def collect_designs(
    designer: Designer,
    task: RunTask,
    num: int,
    *,
    filter: DesignFilter | None,
    max_draws: int | None,
    batch_size: int | None,
    progress: bool,
    on_progress: OnProgress | None,
) -> DesignSet:
    """Draw designs of a task until ``num`` of them meet a filter, or as many as may be drawn.

    Parameters are those of :meth:`~protdiff.design.designer.Designer.generate`, on behalf of which
    it warns.

    Raises
    ------
    InputError
        An argument is out of its range.
    Interrupted
        The user interrupted it; what was kept until then is in the exception.
    """
    num = take_integer("the number of designs", num)
    if num < 0:
        raise InputError(f"the number of designs is {num}; give 0 or more")
    if filter is not None:
        filter.check_beside(task.beside)
    model = designer.model.identify()
    found: dict[int, tuple[Design, dict[str, Any]]] = {}
    kept: set[int] = set()

    def make_set() -> DesignSet:
        pairs = [found[index] for index in sorted(kept)]
        run = describe_run(model, task, OutputSettings(), filter)
        return DesignSet(
            [design for design, _ in pairs], [line for _, line in pairs], run, drawn=len(found)
        )

    most = limit_draws(num, max_draws) if num > 0 else 0
    rounds = iterate_rounds(num, most, lambda drawn: len(kept)) if filter else [range(num)]
    with ExitStack() as stack:
        reports = [] if on_progress is None else [on_progress]
        if progress:
            reports.append(stack.enter_context(show_progress(num)))

        def report(amount: float) -> None:
            for each in reports:
                each(amount)

        try:
            for indices in rounds:
                for design in designer.make(
                    task, indices, batch_size=batch_size, on_progress=report
                ):
                    record = make_record(model, task, design, None)
                    found[design.index] = design, record
                    if filter is None or not filter.find_faults(record):
                        kept.add(design.index)
        except KeyboardInterrupt:
            raise Interrupted(make_set(), num) from None
    if len(kept) < num:
        warnings.warn(
            f"{len(kept)} of {len(found)} designs drawn meet the filter, and {num} are wanted; "
            "give a larger max_draws",
            stacklevel=3,
        )
    return make_set()

"""Many small independent tasks, in this process or in several.

TM-align holds Python's lock, so that threads would wait for each other; processes do not. They are
started afresh rather than forked, because a fork of a process with torch's threads may hang.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

__all__ = ["map_tasks"]

Shared = TypeVar("Shared")
Task = TypeVar("Task")
Result = TypeVar("Result")

_shared: Any = None
_function: Any = None


def map_tasks(
    function: Callable[[Shared, Task], Result],
    shared: Shared,
    tasks: Sequence[Task],
    *,
    workers: int = 1,
) -> Iterator[Result]:
    """Give ``function(shared, task)`` of each task, in order.

    Parameters
    ----------
    function
        Of a module, so that other processes can import it.
    shared
        What all tasks need; sent to each process once.
    tasks
        What to do.
    workers
        Processes; with 1 everything happens here.
    """
    workers = min(workers, len(tasks))
    if workers <= 1:
        for task in tasks:
            yield function(shared, task)
        return
    executor = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_set_up,
        initargs=(function, shared),
    )
    try:
        yield from executor.map(_run, tasks)
    finally:
        executor.shutdown(cancel_futures=True)


def _set_up(function: Any, shared: Any) -> None:
    global _function, _shared
    _function, _shared = function, shared


def _run(task: Any) -> Any:
    return _function(_shared, task)

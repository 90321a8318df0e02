"""Ctrl-C between two steps: a step that is begun is ended, or the weights would be half moved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["defer_interrupt"]


@contextmanager
def defer_interrupt(*, ignore: bool = False) -> Iterator[threading.Event]:
    """Collect the first interrupt in an event; a second one strikes at once.

    Parameters
    ----------
    ignore
        Let interrupts pass: another process of the run decides.
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event  # only the main thread hears signals
        return
    before = signal.getsignal(signal.SIGINT)

    def note(*_: Any) -> None:
        event.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, signal.SIG_IGN if ignore else note)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)

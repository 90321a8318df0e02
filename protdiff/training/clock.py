"""How long a run has taken, over all its parts, and how fast it is now."""

from __future__ import annotations

import time

from protdiff.training.state import Progress

__all__ = ["Clock"]


class Clock:
    """The seconds of this part of a run and of all its parts; the speed since last asked.

    Parameters
    ----------
    progress
        How far the run was when this part of it began.
    """

    def __init__(self, progress: Progress) -> None:
        self.started = self.mark = time.monotonic()
        self.before, self.marked_samples = progress.seconds, progress.samples

    @property
    def this_part(self) -> float:
        """Seconds since this part began."""
        return time.monotonic() - self.started

    @property
    def total(self) -> float:
        """Seconds of all parts together."""
        return self.before + self.this_part

    def take_speed(self, samples: int) -> float:
        """Return the samples a second since the last call, of ``samples`` seen in all."""
        now = time.monotonic()
        speed = (samples - self.marked_samples) / max(now - self.mark, 1e-9)
        self.mark, self.marked_samples = now, samples
        return speed

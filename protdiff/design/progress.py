"""A progress bar for Python sessions: text in a terminal, a widget in a notebook."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["show_progress"]

# tqdm's own format with one decimal: designs are done bit by bit, a step at a time.
BAR_FORMAT = "{desc}: {percentage:3.0f}%|{bar}| {n:.1f}/{total} [{elapsed}<{remaining}]"


@contextmanager
def show_progress(total: int, description: str = "sampling") -> Iterator[Callable[[float], None]]:
    """Show a bar on stderr, or in the notebook, while the block runs.

    Parameters
    ----------
    total
        How many designs there will be.
    description
        What is going on.

    Yields
    ------
    callable
        To be called with what has been done since the last call, in designs.
    """
    # In a notebook without ipywidgets tqdm.auto warns and draws the bar as text.
    from tqdm.auto import tqdm

    with tqdm(total=total, desc=description, bar_format=BAR_FORMAT) as bar:

        def advance(amount: float) -> None:
            # A sum of shares may end a rounding error above the total, which tqdm mistrusts.
            bar.update(min(amount, total - bar.n))

        yield advance

"""Runs that a command hands over to other programs: one, or those of campaigns, by their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from protdiff.errors import InputError

if TYPE_CHECKING:
    from protdiff.design import DesignSet

__all__ = ["list_runs", "read_cases"]


def list_runs(folders: Iterable[Path], options_of_one: Mapping[str, object]) -> list[Path]:
    """List the runs in folders: of runs, of campaigns or of their jobs.

    Parameters
    ----------
    folders
        As the user named them.
    options_of_one
        Options that make sense for one run only, with what was given for them, or None.

    Raises
    ------
    InputError
        One of these is given, and there are several runs.
    """
    from protdiff.design.reading import find_runs

    runs = [run for folder in folders for run in find_runs(folder)]
    for option, value in options_of_one.items():
        if len(runs) > 1 and value is not None:
            raise InputError(
                f"{option} goes with one run, and there are {len(runs)}; give them one by one"
            )
    return runs


def read_cases(
    runs: Iterable[Path], *, passing: bool, name: str | None = None
) -> dict[str, DesignSet]:
    """Read the designs of runs, by what the runs are called; those without any are left out.

    Parameters
    ----------
    runs
        Their folders.
    passing
        Only designs that fail no quick check.
    name
        What to call a single run, instead of as its folder.

    Raises
    ------
    InputError
        Two runs are called alike, one cannot be read, or no design is left.
    """
    from protdiff.design.reading import read_designs

    runs = list(runs)
    cases: dict[str, DesignSet] = {}
    for run in runs:
        case = name or run.resolve().name
        if case in cases:
            raise InputError(f"two runs are called {case}; give them one by one")
        designs = read_designs(run)
        cases[case] = designs.filter(passing=True) if passing else designs
    # A job of a campaign may have none yet.
    cases = {case: designs for case, designs in cases.items() if len(designs)}
    if not cases:
        which = "passes the quick checks" if passing else "is there"
        raise InputError(f"no design of {', '.join(map(str, runs))} {which}; make more")
    return cases

"""Which designs of a run or a campaign are kept, and how many are drawn for that.

A filter reads a design's line of the manifest only, so that it can be asked again later, and by
whoever has the manifest.

A run that is to end with ``num`` designs that pass draws them in rounds, each of as many as are
still missing. So no round passes the mark, and the result is what drawing one by one would give:
the first ``num`` that pass, by index, and those between them that do not. It depends neither on
when the run was stopped nor on whether ``num`` was smaller at first.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from protdiff.errors import InputError, shorten
from protdiff.evaluation.quality import Quality
from protdiff.evaluation.seams import Seams
from protdiff.evaluation.thresholds import Threshold, parse_condition
from protdiff.fields import check_keys, read_dataclass
from protdiff.names import suggest_name
from protdiff.plain import take_integer

__all__ = [
    "DRAWS_PER_DESIGN",
    "PASSING",
    "DesignFilter",
    "as_filter",
    "iterate_rounds",
    "limit_draws",
    "parse_filter",
]

DRAWS_PER_DESIGN = 10
"""So many times the designs that are wanted are drawn at most, unless told otherwise."""

PASSING = "pass"
"""What asks for the quick checks, where conditions are given as text."""

NUMBERS_BESIDE: dict[str, tuple[str, ...]] = {
    "motif": (
        *("motif_rmsd", "motif_rmsd_sampled", "relaxed_by"),
        *(field.name for field in dataclasses.fields(Seams)),
    ),
    "target": ("partner_gap", "hotspots_touched"),
    "start": ("rmsd_to_start",),
}
"""Numbers that only those designs have that were made beside something."""
NUMBERS = tuple(
    field.name
    for field in dataclasses.fields(Quality)
    if field.name not in ("finite", *NUMBERS_BESIDE["target"])
)
"""Numbers that all designs have."""
KNOWN_NUMBERS = (*NUMBERS, *itertools.chain.from_iterable(NUMBERS_BESIDE.values()))
"""All that a filter may ask for."""


@dataclass(frozen=True)
class DesignFilter:
    """What is asked of a design.

    Parameters
    ----------
    passing
        Every check of :class:`~protdiff.evaluation.quality.Quality` holds.
    limits
        Further conditions on its numbers; all are to hold.
    """

    passing: bool = False
    limits: tuple[Threshold, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is asked."""
        return self.passing or bool(self.limits)

    def describe(self) -> dict[str, Any]:
        """Return what is asked, as JSON knows it and as the configuration has it."""
        limits: dict[str, list[str]] = {}
        for limit in self.limits:
            limits.setdefault(limit.name, []).append(limit.bound)
        return ({"passing": True} if self.passing else {}) | limits

    def find_faults(self, record: Mapping[str, Any]) -> list[str]:
        """Return what a design falls short of, by its line of the manifest: nothing of a good one.

        Examples
        --------
        >>> asked = DesignFilter.from_dict({"passing": True, "strand": ">=0.2"})
        >>> asked.find_faults({"quality": {"failed": ["clashing"], "strand": 0.1}})
        ['clashing', 'strand']
        """
        numbers = {**record, **record["quality"]}
        faults = list(numbers["failed"]) if self.passing else []
        return faults + [limit.name for limit in self.limits if not limit.holds(numbers)]

    def check_beside(self, beside: Collection[str]) -> None:
        """Refuse a condition on what no design will have.

        Parameters
        ----------
        beside
            What the designs are made beside, of :data:`NUMBERS_BESIDE`.

        Raises
        ------
        InputError
            There is one.
        """
        for what, numbers in NUMBERS_BESIDE.items():
            asked = next((limit for limit in self.limits if limit.name in numbers), None)
            if asked is not None and what not in beside:
                raise InputError(
                    f"the filter asks for {asked}, a number of designs with a {what}, and there is "
                    "none; leave the condition out"
                )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "filter") -> Self:
        """Make a filter from a table of a configuration: its fields, and limits by their names.

        Raises
        ------
        InputError
            A name or a condition cannot be understood.
        """
        own = [entry.name for entry in dataclasses.fields(cls) if entry.name != "limits"]
        check_keys(values, [*own, *KNOWN_NUMBERS], where)
        limits = [
            _parse_limit(name, condition, where)
            for name, conditions in values.items()
            if name not in own
            for condition in (conditions if isinstance(conditions, list) else [conditions])
        ]
        rest = {name: value for name, value in values.items() if name in own}
        return read_dataclass(cls, rest, where, limits=tuple(limits))


def _parse_limit(name: str, condition: object, where: str) -> Threshold:
    try:
        limit = parse_condition(f"{name}{condition if isinstance(condition, str) else ''}")
        # A condition that carries on the name is none.
        if limit.name == name and math.isfinite(limit.value):
            return limit
    except InputError:
        pass
    raise InputError(
        f'{where}: {name} = {condition!r}; expected a condition such as ">=0.2", or a list of them'
    )


def parse_filter(texts: str | Sequence[str]) -> DesignFilter:
    """Read what is asked of designs.

    Parameters
    ----------
    texts
        One text or several, each one condition or several with commas between: ``"pass"`` for the
        quick checks, or a number of the quality, one of < <= > >= and a limit.

    Raises
    ------
    InputError
        A condition cannot be read, or there is no such number.

    Examples
    --------
    >>> parse_filter(["pass", "strand>=0.2, clashes<=0"]).describe()
    {'passing': True, 'strand': ['>=0.2'], 'clashes': ['<=0']}
    """
    texts = [texts] if isinstance(texts, str) else texts
    if not (isinstance(texts, Sequence) and all(isinstance(text, str) for text in texts)):
        raise InputError(
            f"filter is {shorten(repr(texts))}; give conditions as text, such as 'pass, "
            "strand>=0.2', or a DesignFilter; the filter of a finished set takes functions"
        )
    passing, limits = False, []
    for part in (part.strip() for text in texts for part in text.split(",")):
        if part == PASSING:
            passing = True
            continue
        limit = parse_condition(part, example=f"strand>=0.2, or {PASSING}")
        if limit.name == PASSING:
            raise InputError(f"{part!r} is no condition; {PASSING} stands alone, without a limit")
        if limit.name not in KNOWN_NUMBERS:
            listed = f"there are {', '.join(KNOWN_NUMBERS)}"
            hint = suggest_name(limit.name, [PASSING, *KNOWN_NUMBERS]) or listed
            raise InputError(f"designs have no number {limit.name!r} to filter by; {hint}")
        if not math.isfinite(limit.value):
            example = f"{limit.name}{limit.sign}0.2"
            raise InputError(f"{part!r} has no limit; give a number, such as {example}")
        limits.append(limit)
    return DesignFilter(passing, tuple(limits))


def as_filter(
    asked: DesignFilter | str | Sequence[str] | None,
) -> DesignFilter | None:
    """Return a filter however it was given; None of one that asks for nothing."""
    if asked is None or isinstance(asked, DesignFilter):
        return asked or None
    return parse_filter(asked) or None


def limit_draws(num: int, max_draws: int | None) -> int:
    """Return how many designs may be drawn for ``num``: :data:`DRAWS_PER_DESIGN` times as many.

    Raises
    ------
    InputError
        Another limit is asked for, and it is lower than ``num`` or no whole number.
    """
    if max_draws is None:
        return DRAWS_PER_DESIGN * num
    most = take_integer("max_draws", max_draws)
    if most < num:
        raise InputError(f"{most} draws cannot give {num} designs; allow at least as many draws")
    return most


def iterate_rounds(num: int, most: int, count_kept: Callable[[int], int]) -> Iterator[range]:
    """Give the designs to be drawn next, by index, until ``num`` are kept or ``most`` are drawn.

    ``count_kept`` returns how many of the first so many designs are kept.

    Examples
    --------
    >>> [list(round) for round in iterate_rounds(3, 9, lambda drawn: drawn // 2)]
    [[0, 1, 2], [3, 4], [5]]
    """
    drawn = 0
    while (lacking := num - count_kept(drawn)) > 0 and drawn < most:
        begin, drawn = drawn, min(drawn + lacking, most)
        yield range(begin, drawn)

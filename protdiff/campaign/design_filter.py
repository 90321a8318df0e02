"""Which designs of a campaign are kept.

A filter reads a design's line of the manifest only, so that it can be asked again later, and by
whoever has the manifest.
"""

from __future__ import annotations

import dataclasses
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from protdiff.campaign.fields import check_keys, convert
from protdiff.errors import InputError
from protdiff.evaluation.quality import Quality

__all__ = ["MOTIF_NUMBERS", "DesignFilter", "Limit"]

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_LIMIT = re.compile(r"\s*(>=|<=|>|<)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*", re.IGNORECASE)

NUMBERS = tuple(field.name for field in dataclasses.fields(Quality) if field.name != "finite")
MOTIF_NUMBERS = ("motif_rmsd_sampled",)
"""Numbers that only designs around a motif have."""
_OWN_KEYS = ("passing", "until_passing", "max_attempts")


@dataclass(frozen=True)
class Limit:
    """One condition on one number, as ``strand >= 0.2``."""

    name: str
    sign: str
    value: float

    def holds(self, quality: Mapping[str, Any]) -> bool:
        """Whether a design is within it; one on which the number is not defined is not."""
        number = quality.get(self.name)
        return number is not None and _COMPARE[self.sign](number, self.value)

    def __str__(self) -> str:
        return f"{self.sign}{self.value:g}"


@dataclass(frozen=True)
class DesignFilter:
    """What is asked of a design.

    Parameters
    ----------
    passing
        Every check of :class:`~protdiff.evaluation.quality.Quality` holds.
    limits
        Further conditions on its numbers; all are to hold.
    until_passing
        Go on until as many designs as were asked for have passed.
    max_attempts
        How many designs of a job are made for that at most; without it ten times as many as are
        asked for.

    Raises
    ------
    InputError
        Designs are to be made until they pass, and nothing is asked of them.
    """

    passing: bool = False
    limits: tuple[Limit, ...] = ()
    until_passing: bool = False
    max_attempts: int | None = None

    def __post_init__(self) -> None:
        if self.until_passing and not self:
            raise InputError(
                "until_passing needs something to pass; give passing = true or a limit such as "
                'strand = ">=0.2"'
            )
        if self.max_attempts is not None and not self.until_passing:
            raise InputError("max_attempts goes with until_passing = true")
        if self.max_attempts is not None and self.max_attempts < 1:
            raise InputError(f"max_attempts is {self.max_attempts}; give at least 1")

    def __bool__(self) -> bool:
        """Whether anything is asked."""
        return self.passing or bool(self.limits)

    def describe(self) -> dict[str, Any]:
        """Return what is asked, as JSON knows it and as the configuration has it."""
        limits: dict[str, list[str]] = {}
        for limit in self.limits:
            limits.setdefault(limit.name, []).append(str(limit))
        return ({"passing": True} if self.passing else {}) | limits

    def find_faults(self, record: Mapping[str, Any]) -> list[str]:
        """Return what a design falls short of, by its line of the manifest: nothing of a good one.

        Examples
        --------
        >>> asked = DesignFilter.from_dict({"passing": True, "strand": ">=0.2"})
        >>> asked.find_faults({"quality": {"failed": ["clashing"], "strand": 0.1}})
        ['clashing', 'strand']
        """
        quality = record["quality"]
        faults = list(quality["failed"]) if self.passing else []
        return faults + [limit.name for limit in self.limits if not limit.holds(quality)]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "filter") -> DesignFilter:
        """Make a filter from a table of a configuration.

        Raises
        ------
        InputError
            A name or a condition cannot be understood.
        """
        check_keys(values, [*_OWN_KEYS, *NUMBERS, *MOTIF_NUMBERS], where)
        hints = {"passing": bool, "until_passing": bool, "max_attempts": int}
        own = {
            name: convert(values[name], hint, f"{where}: {name}")
            for name, hint in hints.items()
            if name in values
        }
        limits = [
            _parse_limit(name, condition, where)
            for name, conditions in values.items()
            if name not in hints
            for condition in (conditions if isinstance(conditions, list) else [conditions])
        ]
        try:
            return cls(limits=tuple(limits), **own)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error


def _parse_limit(name: str, condition: object, where: str) -> Limit:
    match = _LIMIT.fullmatch(condition) if isinstance(condition, str) else None
    if match is None or not math.isfinite(float(match[2])):
        raise InputError(
            f"{where}: {name} = {condition!r}; expected a condition such as "
            '">=0.2", or a list of them'
        )
    return Limit(name, match[1], float(match[2]))


def has_motif_numbers(limits: Iterable[Limit]) -> bool:
    """Whether a condition is on something that only designs around a motif have."""
    return any(limit.name in MOTIF_NUMBERS for limit in limits)

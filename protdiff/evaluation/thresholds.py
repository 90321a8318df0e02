"""Conditions on numbers, such as ``passing<0.9``.

A filter of designs keeps those of which its conditions hold; a pipeline stops where one holds of a
summary.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from protdiff.errors import InputError
from protdiff.names import suggest_name

__all__ = ["Threshold", "find_met", "parse_condition", "parse_threshold"]

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_SYNTAX = re.compile(r"\s*([A-Za-z_]\w*)\s*(<=|>=|<|>)\s*(\S+)\s*")


@dataclass(frozen=True)
class Threshold:
    """One condition on one number, as ``strand >= 0.2``."""

    name: str
    sign: str
    value: float

    @property
    def bound(self) -> str:
        """The condition without its name, as ``>=0.2``."""
        return f"{self.sign}{self.value:g}"

    def holds(self, numbers: Mapping[str, Any]) -> bool:
        """Whether the number is as asked; what is absent, NaN or no number at all is not."""
        number = numbers.get(self.name)
        return isinstance(number, Real) and _OPERATORS[self.sign](float(number), self.value)

    def __str__(self) -> str:
        return f"{self.name}{self.bound}"


def find_met(thresholds: Iterable[Threshold], summary: Mapping[str, float]) -> list[Threshold]:
    """Return the conditions on which to fail.

    What could not be measured (NaN) fails: nobody can say it is fine.

    Examples
    --------
    >>> asked = [parse_condition("passing<0.9"), parse_condition("clashes>1")]
    >>> [str(met) for met in find_met(asked, {"passing": 0.95, "clashes": math.nan})]
    ['clashes>1']
    """
    return [
        threshold
        for threshold in thresholds
        if math.isnan(summary.get(threshold.name, math.nan)) or threshold.holds(summary)
    ]


def parse_threshold(
    text: str, known: Collection[str], unmeasured: Mapping[str, str] | None = None
) -> Threshold:
    """Read a condition on a summary, on which to fail.

    Parameters
    ----------
    text
        Such as ``"passing<0.9"``; the operators are ``<``, ``<=``, ``>`` and ``>=``.
    known
        The quantities that will be measured.
    unmeasured
        Others, and the option that each needs.

    Raises
    ------
    InputError
        It cannot be read, or names a quantity that there is not, or that is not measured.

    Examples
    --------
    >>> print(parse_threshold("passing < 0.9", ["passing"]))
    passing<0.9
    """
    threshold = parse_condition(text)
    name = threshold.name
    if name in known:
        return threshold
    if unmeasured and name in unmeasured:
        raise InputError(f"{text!r} needs {unmeasured[name]}, without which {name} is not measured")
    near = suggest_name(name, [*known, *(unmeasured or ())])
    hint = near or "--json shows all names under summary"
    raise InputError(f"there is no quantity {name!r} to fail on; {hint}")


def parse_condition(text: str, *, example: str = "passing<0.9") -> Threshold:
    """Read a condition on a number of any name.

    Raises
    ------
    InputError
        It is none; the error shows ``example``.

    Examples
    --------
    >>> parse_condition("strand >= 0.2")
    Threshold(name='strand', sign='>=', value=0.2)
    """
    found = _SYNTAX.fullmatch(text)
    try:
        value = float(found[3]) if found else math.nan
    except ValueError:
        value = math.nan
    if found is None or math.isnan(value):
        raise InputError(
            f"{text!r} is no condition; give a quantity, one of < <= > >= and a number, such as "
            f"{example}"
        )
    return Threshold(found[1], found[2], value)

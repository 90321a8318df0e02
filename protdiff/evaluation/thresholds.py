"""Conditions on which a pipeline is to stop, such as ``passing<0.9``."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from protdiff.errors import InputError
from protdiff.names import suggest_name

__all__ = ["Threshold", "parse_condition", "parse_threshold"]

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_SYNTAX = re.compile(r"\s*([A-Za-z_]\w*)\s*(<=|>=|<|>)\s*(\S+)\s*")


@dataclass(frozen=True)
class Threshold:
    """A condition on a summary quantity under which to fail."""

    name: str
    operator: str
    value: float

    def is_met(self, summary: Mapping[str, float]) -> bool:
        """Whether to fail. What could not be measured (NaN) fails: nobody can say it is fine."""
        found = summary.get(self.name, math.nan)
        return math.isnan(found) or _OPERATORS[self.operator](found, self.value)

    def __str__(self) -> str:
        return f"{self.name}{self.operator}{self.value:g}"


def parse_threshold(
    text: str, known: Collection[str], unmeasured: Mapping[str, str] | None = None
) -> Threshold:
    """Read a condition.

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
    name, sign, value = parse_condition(text)
    if name in known:
        return Threshold(name, sign, value)
    if unmeasured and name in unmeasured:
        raise InputError(f"{text!r} needs {unmeasured[name]}, without which {name} is not measured")
    near = suggest_name(name, [*known, *(unmeasured or ())])
    hint = near or "--json shows all names under summary"
    raise InputError(f"there is no quantity {name!r} to fail on; {hint}")


def parse_condition(text: str, *, example: str = "passing<0.9") -> tuple[str, str, float]:
    """Return the quantity, the operator and the number of a condition.

    Raises
    ------
    InputError
        It is none; the error shows ``example``.

    Examples
    --------
    >>> parse_condition("strand >= 0.2")
    ('strand', '>=', 0.2)
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
    return found[1], found[2], value

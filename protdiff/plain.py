"""Numbers as Python's own, whatever library they came from.

NumPy's numbers compute as Python's do, but are not written to JSON; a float that stands for a whole
number, or None, is a seed or a length only by accident.
"""

from __future__ import annotations

import operator
from typing import Any

from protdiff.errors import InputError, shorten

__all__ = ["take_integer", "take_number"]


def take_integer(name: str, value: Any) -> int:
    """Return a whole number as an int.

    Parameters
    ----------
    name
        What it is, for the message.
    value
        An int, or one of another library.

    Raises
    ------
    InputError
        It is none, such as 3.0, "3" or None.

    Examples
    --------
    >>> take_integer("seed", 3.0)
    Traceback (most recent call last):
    protdiff.errors.InputError: seed is 3.0; give a whole number, such as 3
    """
    try:
        return operator.index(value)
    except TypeError:
        raise InputError(
            f"{name} is {shorten(repr(value))}; give a whole number, such as 3"
        ) from None


def take_number(name: str, value: Any) -> float:
    """Return a number as a float.

    Parameters
    ----------
    name
        What it is, for the message.
    value
        An int or a float, or one of another library.

    Raises
    ------
    InputError
        It is none, such as "0.5" or None, or no float is as large.
    """
    try:
        if not isinstance(value, str | bytes | bytearray):
            return float(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise InputError(f"{name} is {shorten(repr(value))}; give a number, such as 0.5")

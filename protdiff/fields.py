"""Tables of a configuration file held to the fields of a dataclass, by name and by type.

A new field of :class:`~protdiff.design.settings.SamplingSettings` is thereby a new key of a
campaign's file, with nothing to be written here.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from protdiff.errors import InputError

__all__ = ["check_keys", "convert", "read_fields"]


def check_keys(values: Iterable[str], known: Iterable[str], where: str) -> None:
    """Refuse keys that are not known, with the nearest one that is.

    Raises
    ------
    InputError
        There is one.

    Examples
    --------
    >>> check_keys(["sede"], ["seed", "out"], "run.toml")
    Traceback (most recent call last):
    protdiff.errors.InputError: run.toml: unknown key 'sede'; did you mean 'seed'?
    """
    known = list(known)
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
            raise InputError(f"{where}: unknown key {name!r}; {hint}")


def read_fields(kind: type, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the keyword arguments of a dataclass from a table, with lists as tuples.

    Parameters
    ----------
    kind
        The dataclass.
    values
        As TOML or JSON give them.
    where
        What to call the table in an error.

    Raises
    ------
    InputError
        A key is no field, or a value is not of its type.
    """
    hints = get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    check_keys(values, names, where)
    return {name: convert(value, hints[name], f"{where}: {name}") for name, value in values.items()}


def convert(value: Any, hint: Any, where: str) -> Any:
    """Return a value as its declared type; whole numbers may stand for real ones.

    Raises
    ------
    InputError
        It is of another type.

    Examples
    --------
    >>> convert([60, 100], int | str | tuple[int, int], "length")
    (60, 100)
    """
    try:
        return _convert(value, hint)
    except TypeError:
        raise InputError(f"{where} = {value!r}; expected {_name(hint)}") from None


def _convert(value: Any, hint: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        for option in arguments:
            try:
                return _convert(value, option)
            except TypeError:
                continue
        raise TypeError
    if origin is Literal:
        return _demand(value in arguments, value)
    if hint is float:
        # A whole number that no float holds would only fail later, and worse.
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(_demand(is_number and abs(value) < 1e300, value))
    if hint is int:
        return _demand(isinstance(value, int) and not isinstance(value, bool), value)
    if hint in (bool, str):
        return _demand(isinstance(value, hint) and "\0" not in str(value), value)
    if origin is tuple:
        _demand(isinstance(value, list | tuple), value)
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_convert(item, arguments[0]) for item in value)
        _demand(len(value) == len(arguments), value)
        return tuple(map(_convert, value, arguments))
    if hint is type(None):
        return _demand(value is None, value)
    # A type of its own checks itself.
    return tuple(value) if isinstance(value, list) else value


def _demand(holds: bool, value: Any) -> Any:
    if not holds:
        raise TypeError
    return value


def _name(hint: Any) -> str:
    """Name a type as the writer of a TOML file would."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        names = [_name(option) for option in arguments if option is not type(None)]
        return " or ".join(dict.fromkeys(names))
    if origin is Literal:
        return " or ".join(map(str, arguments))
    if origin is tuple:
        return f"[{', '.join('...' if a is Ellipsis else _name(a) for a in arguments)}]"
    names_of_types = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return names_of_types.get(hint, str(getattr(hint, "__name__", hint)))

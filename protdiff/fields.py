"""Tables of a configuration file held to the fields of a dataclass, by name and by type.

A new field of :class:`~protdiff.design.settings.SamplingSettings` is thereby a new key of a
campaign's file, with nothing to be written here.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from protdiff.errors import InputError, shorten
from protdiff.names import suggest_name

__all__ = ["check_keys", "convert", "read_dataclass"]

Kind = TypeVar("Kind")


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
            hint = suggest_name(name, known) or f"known keys: {', '.join(known)}"
            raise InputError(f"{where}: unknown key {name!r}; {hint}")


def read_dataclass(kind: type[Kind], values: Mapping[str, Any], where: str, **made: Any) -> Kind:
    """Make a dataclass from a table, with lists as tuples and the tables in it as dataclasses.

    Parameters
    ----------
    kind
        The dataclass.
    values
        As TOML or JSON give them.
    where
        What to call the table in an error.
    **made
        Fields that the table does not have, as they are.

    Raises
    ------
    InputError
        A key is no field, a value is not of its type or is missing, or the dataclass refuses them.
    """
    fields = [entry for entry in dataclasses.fields(cast(type, kind)) if entry.name not in made]
    hints = get_type_hints(kind)
    check_keys(values, [entry.name for entry in fields], where)
    read = {name: _read_field(name, value, hints[name], where) for name, value in values.items()}
    missing = [entry.name for entry in fields if entry.name not in read and _is_required(entry)]
    if missing:
        raise InputError(f"{where}: {' and '.join(missing)} must be given")
    try:
        return kind(**read, **made)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _read_field(name: str, value: Any, hint: Any, where: str) -> Any:
    if _is_table(hint) and isinstance(value, Mapping):
        return read_dataclass(hint, value, f"{where} [{name}]")
    return convert(value, hint, f"{where}: {name}")


def _is_required(entry: dataclasses.Field[Any]) -> bool:
    return all(one is dataclasses.MISSING for one in (entry.default, entry.default_factory))


def convert(value: Any, hint: Any, where: str) -> Any:
    """Return a value as its declared type, whether a whole number is written ``3`` or ``3.0``.

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
        raise InputError(f"{where} = {shorten(repr(value))}; expected {_name(hint)}") from None


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
    if hint in (int, float):
        _demand(isinstance(value, int | float) and not isinstance(value, bool), value)
        # A whole number that no float holds would only fail later, and worse.
        holds = value % 1 == 0 if hint is int else abs(value) < 1e300
        return hint(_demand(holds, value))
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
    if _is_table(hint):
        return _demand(isinstance(value, hint), value)
    # A type of its own checks itself.
    return tuple(value) if isinstance(value, list) else value


def _demand(holds: bool, value: Any) -> Any:
    if not holds:
        raise TypeError
    return value


def _is_table(hint: Any) -> bool:
    return dataclasses.is_dataclass(hint)


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
    if _is_table(hint):
        return "a table"
    names_of_types = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return names_of_types.get(hint, str(getattr(hint, "__name__", hint)))

"""Names that users give: one of those that are known, or the place of an object of their own.

A place is written ``module:object``, as Python's entry points are.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Collection, Iterable
from typing import Any

from protdiff.errors import InputError

__all__ = ["check_name", "find_object", "import_object", "suggest_name"]


def suggest_name(name: str, known: Iterable[str]) -> str:
    """Ask whether the nearest of the known names was meant; nothing if none is near.

    Examples
    --------
    >>> suggest_name("sede", ["seed", "out"])
    "did you mean 'seed'?"
    """
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]!r}?" if near else ""


def check_name(kind: str, name: str, names: Collection[str]) -> None:
    """Refuse a name that is not among ``names``, with the nearest one as a hint.

    Raises
    ------
    InputError
        The name is not there.

    Examples
    --------
    >>> check_name("sampler", "hen", ["heun", "ddim"])
    Traceback (most recent call last):
    protdiff.errors.InputError: there is no sampler 'hen', did you mean 'heun'? There are heun, ddim
    """
    if name in names:
        return
    hint = suggest_name(name, names)
    end = f", {hint}" if hint else "."
    raise InputError(f"there is no {kind} {name!r}{end} There are {', '.join(names)}")


def import_object(kind: str, place: str, asked: str) -> Any:
    """Import what a place names, ``module:object``.

    Parameters
    ----------
    kind, asked
        What to call it and what to ask for in an error.
    place
        Where it is.

    Raises
    ------
    InputError
        There is no such module, or no such object in it.
    """
    module, _, name = place.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    # A module's name that is empty is a ValueError, and one that begins with a dot a TypeError.
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f"there is no {kind} {place!r} ({error}); give the module as Python imports it (of "
            f"this folder with PYTHONPATH=.), a colon, and {asked} in it"
        ) from error


def find_object(kind: str, place: str, base: type) -> Any:
    """Import what a place names, and make it if it is a class.

    Raises
    ------
    InputError
        There is no such module or object in it, or it is of another kind.
    """
    asked = "a class that takes no arguments or an instance"
    found = import_object(kind, place, asked)
    try:
        # Nothing is called but what is known to be of the kind.
        made = found() if isinstance(found, type) and issubclass(found, base) else found
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise InputError(f"the {kind} {place!r} cannot be made ({error}); give {asked}") from error
    if not isinstance(made, base):
        raise InputError(f"{place!r} is no {kind}; give a {base.__name__}, as docs/examples has it")
    return made

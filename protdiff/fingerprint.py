"""What a function or an object of the user's computes by, as a hash.

Folders of designs are told apart by it. A function's source is half of what it does: the rest is in
the values that it was closed over, its defaults, the arguments of a ``functools.partial``, the
weights of a network, and what it reads of its module. All of that is hashed by value and nothing is
pickled, so that the hash is the same in the next process. Code of libraries goes by its name.
"""

from __future__ import annotations

import hashlib
import inspect
import secrets
import sys
import types
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from pathlib import PurePath
from typing import Any

import numpy as np
import torch

__all__ = ["fingerprint"]

_PLAIN = (
    *(type(None), bool, int, float, complex, str, bytes, slice, range, type(...), PurePath),
    *(torch.dtype, torch.device, torch.Size, np.dtype),
)
_LIBRARIES = sys.stdlib_module_names | {"e3nn", "numpy", "protdiff", "scipy", "torch"}


_UNKNOWN: dict[int, tuple[object, str]] = {}
"""What stands for objects that cannot be hashed. They are kept, for an id is theirs till then."""


class _UnknownContentError(RuntimeError):
    """What an object computes by does not show."""


def fingerprint(thing: object) -> str:
    """Return the SHA-256 of all that an object computes by: its code and its values.

    Returns
    -------
    str
        64 hexadecimal digits; or ``unknown`` and a random number, where some of that cannot be
        hashed: nobody could tell whether it is the same, but for the object itself.
    """
    try:
        return _hash(_Walk().describe(thing))
    except RuntimeError:  # of torch too, for tensors without plain bytes, and of too deep a nest
        unknown = f"unknown {secrets.token_hex(16)}"
        return _UNKNOWN.setdefault(id(thing), (thing, unknown))[1]


class _Walk:
    """One way through an object, on which nothing is entered twice."""

    def __init__(self) -> None:
        self.found: dict[int, str] = {}
        self.kept: list[object] = []  # an id is one's own as long as the object is there

    def describe(self, thing: Any) -> str:
        """Return a text that is the same for what computes the same."""
        if isinstance(thing, _PLAIN):
            return f"{type(thing).__name__} {thing!r}"
        if id(thing) not in self.found:
            self.kept.append(thing)
            self.found[id(thing)] = "what it is in"
            try:
                parts = _hash(", ".join(self._list_parts(thing)))
            except RuntimeError:
                del self.found[id(thing)]
                raise
            self.found[id(thing)] = f"{type(thing).__name__} {parts}"
        return self.found[id(thing)]

    def _list_values(self, function: types.FunctionType) -> Iterator[str]:
        """Give what a function computes by, but for its source."""
        code = function.__code__
        for value in (function.__defaults__, function.__kwdefaults__):
            if value:
                yield self.describe(value)
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            with suppress(ValueError):  # nothing was put in yet
                yield f"{name} = {self.describe(cell.cell_contents)}"
        # Several lambdas share a line of source, and what was typed in may have left none.
        if function.__name__ == "<lambda>" or _find_source(function) is None:
            yield _describe_code(code)
        for name in sorted(_list_names(code) & function.__globals__.keys()):
            try:
                read = self._describe_global(function.__globals__[name], function.__module__)
            except _UnknownContentError:  # a logger, say: no part of the result
                continue
            if read is not None:
                yield f"{name} = {read}"

    def _describe_global(self, value: Any, module: str) -> str | None:
        """Return what the module of a function says by a name; None of code that is elsewhere."""
        code = isinstance(value, type | types.FunctionType | types.BuiltinFunctionType)
        if isinstance(value, types.ModuleType) or (code and value.__module__ != module):
            return None
        return self.describe(value)

    def _list_parts(self, thing: Any) -> Iterator[str]:
        if isinstance(thing, torch.Tensor):
            yield f"{thing.dtype} {tuple(thing.shape)}"
            content = thing.detach().cpu().contiguous().flatten().view(torch.uint8)
            yield _hash(content.numpy().tobytes())
        elif isinstance(thing, np.ndarray | np.generic) and not thing.dtype.hasobject:
            yield f"{thing.dtype} {thing.shape}"
            yield _hash(thing.tobytes())
        elif isinstance(thing, Mapping):
            for key, value in thing.items():
                yield f"{self.describe(key)}: {self.describe(value)}"
        elif isinstance(thing, Sequence):
            yield from map(self.describe, thing)
        elif isinstance(thing, Set):
            yield from sorted(_Walk().describe(one) for one in thing)
        elif isinstance(thing, types.FunctionType | type) and _is_library(thing.__module__):
            yield f"{thing.__module__}.{thing.__qualname__}"
        elif isinstance(thing, types.FunctionType):
            yield _find_source(thing) or ""
            yield from self._list_values(thing)
        elif isinstance(thing, type):
            yield from self._list_class(thing)
        elif isinstance(thing, types.ModuleType):
            yield thing.__name__
        else:
            yield self.describe(type(thing))
            yield from map(self.describe, _take_apart(thing))

    def _list_class(self, kind: type) -> Iterator[str]:
        """Give the code of a class: its own, and that of what it is made of."""
        yield _find_source(kind) or kind.__qualname__  # of what was typed in there is the code
        yield from map(self.describe, kind.__bases__)
        for name, member in vars(kind).items():
            function = getattr(member, "__func__", getattr(member, "fget", member))
            if isinstance(function, types.FunctionType):
                yield from (f"{name}: {value}" for value in self._list_values(function))
            elif isinstance(member, _PLAIN) and not name.startswith("__"):
                yield f"{name} = {self.describe(member)}"


def _hash(content: str | bytes) -> str:
    data = content.encode() if isinstance(content, str) else content
    return hashlib.sha256(data).hexdigest()


def _find_source(thing: Any) -> str | None:
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError):
        return None


def _is_library(module: str | None) -> bool:
    return module is not None and module.partition(".")[0] in _LIBRARIES


def _take_apart(thing: Any) -> list[Any]:
    """Return what an object is made of, as it says itself to whoever copies it."""
    try:
        parts = thing.__reduce_ex__(2)
    except Exception as error:  # files, locks and what else cannot be copied
        raise _UnknownContentError(f"{type(thing).__name__}: {error}") from error
    parts = [parts] if isinstance(parts, str) else parts
    return [list(part) if isinstance(part, Iterator) else part for part in parts]


def _list_names(code: types.CodeType) -> set[str]:
    """Return the names that code, and the functions in it, may read of its module."""
    inner = [one for one in code.co_consts if isinstance(one, types.CodeType)]
    return set(code.co_names).union(*map(_list_names, inner))


def _describe_code(code: types.CodeType) -> str:
    consts = [
        _describe_code(one) if isinstance(one, types.CodeType) else repr(one)
        for one in code.co_consts
    ]
    return f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {consts}"

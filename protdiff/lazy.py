"""Public names that are imported at their first use (PEP 562).

``import protdiff`` and ``protdiff --help`` must be quick, and torch, e3nn and Biotite are not.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any

__all__ = ["make_lazy"]


def make_lazy(
    package: str, origins: Mapping[str, str], subpackages: Collection[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the ``__getattr__`` and ``__dir__`` of a package.

    Parameters
    ----------
    package
        Its name, for the error message.
    origins
        The module of each public name.
    subpackages
        Those that are imported by their use too, as ``protdiff.conditioning`` in
        ``protdiff.conditioning.Contacts``.
    """

    def get_attribute(name: str) -> Any:
        if name in origins:
            return getattr(importlib.import_module(origins[name]), name)
        if name in subpackages:
            return importlib.import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def list_attributes() -> list[str]:
        return sorted({*vars(sys.modules[package]), *origins, *subpackages})

    return get_attribute, list_attributes

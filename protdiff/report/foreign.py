"""The packages that only a report needs, and what to say where they are missing."""

from __future__ import annotations

import importlib

from protdiff.errors import DependencyError

__all__ = ["require_report_packages"]


def require_report_packages() -> None:
    """Make sure that matplotlib and Jinja2 are there, before any structure is read.

    Raises
    ------
    DependencyError
        One is not installed.
    """
    for module, name in (("matplotlib", "matplotlib"), ("jinja2", "Jinja2")):
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise DependencyError(
                f"a report needs the package {name}, which is not installed; "
                "run `pip install protdiff[report]`"
            ) from error

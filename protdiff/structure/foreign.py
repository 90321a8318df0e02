"""The one place that imports Biotite, at the moment it is needed.

`import protdiff.structure` must be quick and must work where Biotite is not installed, for all that
needs arrays only; files need Biotite, and say so when it is missing.
"""

from __future__ import annotations

import importlib
from typing import Any

from protdiff.errors import DependencyError

__all__ = ["import_biotite"]


def import_biotite(module: str) -> Any:
    """Return ``biotite.<module>``, or explain that Biotite is missing.

    Parameters
    ----------
    module
        A dotted name below ``biotite``, such as ``"structure.io.pdb"``.

    Raises
    ------
    DependencyError
        Biotite is not installed.
    """
    try:
        return importlib.import_module(f"biotite.{module}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "biotite":
            raise
        raise DependencyError(
            "structure files need the package biotite, which is not installed; "
            "run `pip install biotite`"
        ) from error

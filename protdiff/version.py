"""The version of protdiff that is installed."""

from __future__ import annotations

from importlib import metadata

__all__ = ["get_version"]


def get_version() -> str:
    """Return the version, ``"unknown"`` in a bare copy of the source tree."""
    try:
        return metadata.version("protdiff")
    except metadata.PackageNotFoundError:
        return "unknown"

"""What nature shows, as numbers that can be drawn: the one place where the plots ask for it."""

from __future__ import annotations

from protdiff.evaluation import NATIVE
from protdiff.evaluation.bands import load_native_bands

__all__ = ["get_native_band", "get_native_text"]

LARGEST_SHARE = ("links", "planar", "ramachandran")
"""Quantities that are shares, of which more is no fault."""


def get_native_text(quantity: str) -> str:
    """Return what natural proteins show in words, ``""`` where that is not known."""
    return NATIVE.get(quantity, "")


def get_native_band(quantity: str, length: float) -> tuple[float, float] | None:
    """Return the band in which natural proteins of a length lie.

    Parameters
    ----------
    quantity
        A field of :class:`protdiff.evaluation.Quality`.
    length
        Residues of the protein.

    Returns
    -------
    tuple of float or None
        Lower and upper end; None for a quantity or a length that there is no band for, and where
        more is a fault of no size that could be drawn.

    Examples
    --------
    >>> low, high = get_native_band("rg_ratio", 100)
    >>> 0.9 < low < 1.0 < high < 1.3
    True
    >>> get_native_band("clashes", 100)[0]
    0.0
    >>> get_native_band("cis", 1000) is None
    True
    """
    bands = load_native_bands().find(round(length))
    band = None if bands is None else bands.bands.get(quantity)
    if band is None:
        return None
    low = 0.0 if band.low is None else band.low
    if band.high is not None:
        return low, band.high
    return (low, 1.0) if quantity in LARGEST_SHARE else None

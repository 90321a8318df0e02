"""What nature shows, as numbers that can be drawn: the one place where the plots ask for it."""

from __future__ import annotations

import re

from protdiff.evaluation import NATIVE

__all__ = ["get_native_band", "get_native_text"]

_NUMBER = r"([−-]?\d*\.?\d+)"
_RANGE = re.compile(rf"{_NUMBER}–{_NUMBER}")
_SPREAD = re.compile(rf"{_NUMBER}±{_NUMBER}")
_AT_LEAST = re.compile(rf"≥ {_NUMBER}")
_UP_TO = re.compile(rf"{_NUMBER} \(95 %: {_NUMBER}\)")

MORE_IS_NO_FAULT = ("ramachandran",)

SPREADS = 2.0
"""A band about a mean reaches so many standard deviations to either side."""


def get_native_text(quantity: str) -> str:
    """Return what natural proteins show in words, ``""`` where that is not known."""
    return NATIVE.get(quantity, "")


def get_native_band(quantity: str, length: float | None = None) -> tuple[float, float] | None:
    """Return the band in which natural proteins lie.

    Parameters
    ----------
    quantity
        A field of :class:`protdiff.evaluation.Quality`.
    length
        Residues of the protein; the bands of today hold for every length.

    Returns
    -------
    tuple of float or None
        Lower and upper end; None for a quantity that nature has no band for.

    Examples
    --------
    >>> get_native_band("rg_ratio")
    (0.95, 1.25)
    >>> get_native_band("clashes")
    (0.0, 0.48)
    >>> get_native_band("longest_c_n") is None
    True
    """
    del length
    text = get_native_text(quantity)
    if found := _RANGE.fullmatch(text):
        high = 1.0 if quantity in MORE_IS_NO_FAULT else _number(found[2])
        return _number(found[1]), high
    if found := _SPREAD.fullmatch(text):
        mean, spread = _number(found[1]), _number(found[2])
        return mean - SPREADS * spread, mean + SPREADS * spread
    if found := _AT_LEAST.fullmatch(text):  # a share
        return _number(found[1]), 1.0
    if found := _UP_TO.fullmatch(text):
        return 0.0, _number(found[2])
    if text == "0":
        return 0.0, 0.0
    return None


def _number(text: str) -> float:
    return float(text.replace("−", "-"))

"""What nature shows, as numbers that can be drawn: the one place where the plots ask for it."""

from __future__ import annotations

from protdiff.evaluation.bands import Band, load_native_bands

__all__ = ["get_native_band", "get_native_text"]


def get_native_text(quantity: str, length: float) -> str:
    """Return the band in words, ``""`` where there is none.

    Examples
    --------
    >>> get_native_text("longest_atom", 100)
    ''
    """
    band = _find(quantity, length)
    return "" if band is None else str(band)


def get_native_band(quantity: str, length: float) -> tuple[float, float] | None:
    """Return the band in which 95 % of natural chains of about this length lie.

    Parameters
    ----------
    quantity
        A field of :class:`protdiff.evaluation.Quality`.
    length
        Residues of the protein, or the middle of several lengths.

    Returns
    -------
    tuple of float or None
        Lower and upper end. Of a band that is open below, as that of clashes, the lower end is 0;
        of one that is open above, which only shares are, the upper end is 1. None for a quantity
        or a length without a band.
    """
    band = _find(quantity, length)
    if band is None:
        return None
    return (0.0 if band.low is None else band.low, 1.0 if band.high is None else band.high)


def _find(quantity: str, length: float) -> Band | None:
    bands = load_native_bands().find(round(length))
    return None if bands is None else bands.bands.get(quantity)

"""Which of two mirror images a protein is: those who say it need not wait for torch or NumPy.

Callers say ``"L"`` or ``"D"``; the network and reflections take +1 or −1.
"""

from __future__ import annotations

from typing import Literal

from protdiff.errors import InputError, shorten

__all__ = ["Handedness", "get_sign"]

Handedness = Literal["L", "D"]
"""``"L"`` for natural proteins, ``"D"`` for their mirror images."""


def get_sign(handedness: Handedness) -> int:
    """Return a handedness as a number, +1 for L and −1 for D.

    Raises
    ------
    InputError
        It is neither.

    Examples
    --------
    >>> get_sign("D")
    -1
    >>> get_sign("X")
    Traceback (most recent call last):
    protdiff.errors.InputError: handedness is 'X'; give L or D
    """
    if handedness not in ("L", "D"):
        raise InputError(f"handedness is {shorten(repr(handedness))}; give L or D")
    return 1 if handedness == "L" else -1

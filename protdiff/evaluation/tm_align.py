"""TM-align through tmtools: the one file that imports it.

tmtools is under the GPL, so it is an optional extra (``pip install 'protdiff[evaluate]'``) that
nothing but an evaluation asks for, at the moment it asks.
"""

from __future__ import annotations

import numpy as np

from protdiff.evaluation.tm_score import Aligner, Coordinates, TMScore

__all__ = ["TMAlign"]


class TMAlign(Aligner):
    """TM-align (Zhang and Skolnick 2005) on the CA traces; the sequences play no part."""

    name = "tm-align"

    def score(self, first: Coordinates, second: Coordinates) -> TMScore:
        """Return the TM-score of two backbones."""
        from tmtools import tm_align

        one, other = (
            np.ascontiguousarray(np.asarray(x)[:, 1], dtype=np.float64) for x in (first, second)
        )
        found = tm_align(one, other, "A" * len(one), "A" * len(other))
        return TMScore(float(found.tm_norm_chain1), float(found.tm_norm_chain2))

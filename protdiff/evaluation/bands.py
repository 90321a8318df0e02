"""The ranges of nature, by length, and what of a backbone lies inside them.

A quantity of a backbone is inside its band if most natural single-domain chains of about its length
show as much: 95 of 100, from the 2.5th to the 97.5th percentile, or below the 95th or above the 5th
where only one side is a fault (nobody minds fewer clashes than nature has). The bands come with the
package as a table that ``scripts/native_bands.py`` makes of experimental structures; nothing in it
is chosen by hand but the sides.

One band says little: a chain with shuffled torsions is inside the local ones, a mirror image inside
all but those that have a hand; and a native is outside one or two of them by the bands' own making,
as :attr:`LengthBands.expected_share` says. So a backbone is called native-like if it passes the
quick checks and is inside as many bands as 95 % of natives are.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from protdiff.errors import InputError
from protdiff.evaluation.quality import Quality

__all__ = [
    "BANDED",
    "Band",
    "BandCheck",
    "LengthBands",
    "NativeBands",
    "load_native_bands",
    "summarise_bands",
]

BANDS_FILE = Path(__file__).with_name("native_bands.json")
_FORMAT, _VERSION = "protdiff-native-bands", 1

BOTH, UPPER, LOWER = "both", "upper", "lower"
BANDED: dict[str, str] = {
    "links": LOWER,
    "longest_c_n": UPPER,
    "longest_ca_ca": UPPER,
    "n_ca": BOTH,
    "n_ca_sd": UPPER,
    "ca_c": BOTH,
    "ca_c_sd": UPPER,
    "c_n": BOTH,
    "c_n_sd": UPPER,
    "ca_ca": BOTH,
    "ca_ca_sd": UPPER,
    "n_ca_c": BOTH,
    "n_ca_c_sd": UPPER,
    "ca_c_n": BOTH,
    "ca_c_n_sd": UPPER,
    "c_n_ca": BOTH,
    "c_n_ca_sd": UPPER,
    "omega": BOTH,
    "omega_sd": UPPER,
    "planar": LOWER,
    "cis": UPPER,
    "ramachandran": LOWER,
    "phi_positive": BOTH,
    "left_handed_runs": UPPER,
    "helix_right": BOTH,
    "helix_left": UPPER,
    "clashes": UPPER,
    "rg": BOTH,
    "rg_ratio": BOTH,
    "contacts": BOTH,
    "contact_order": BOTH,
    "helix": BOTH,
    "strand": BOTH,
}
"""The quantities with a band, and on which sides being outside of it is a fault."""

TAIL = 5.0
"""Percent of natives outside each band."""

_ENDS: dict[str, tuple[float | None, float | None]] = {
    BOTH: (TAIL / 2, 100 - TAIL / 2),
    UPPER: (None, 100 - TAIL),
    LOWER: (TAIL, None),
}
"""The percentiles between which a band lies, by the sides that matter."""

_ROUNDING = 1e-4
"""Quantities are rounded to four decimals in files; a value on the edge is inside."""


@dataclass(frozen=True)
class Band:
    """A range; None on a side that does not matter."""

    low: float | None
    high: float | None

    def __contains__(self, value: float) -> bool:
        if not math.isfinite(value):
            return False
        above = self.low is None or value >= self.low - _ROUNDING
        return above and (self.high is None or value <= self.high + _ROUNDING)

    def __str__(self) -> str:
        if self.low is None:
            return f"≤ {self.high:.4g}"
        if self.high is None:
            return f"≥ {self.low:.4g}"
        return f"{self.low:.4g} to {self.high:.4g}"


@dataclass(frozen=True)
class BandCheck:
    """Which quantities of a backbone lie inside the bands of its length.

    Attributes
    ----------
    inside
        By quantity; one that could not be measured (NaN) is not there. Empty for a backbone of a
        length without bands, or one that is not finite.
    """

    inside: Mapping[str, bool]

    @property
    def outside(self) -> tuple[str, ...]:
        """The quantities outside their bands."""
        return tuple(name for name, is_inside in self.inside.items() if not is_inside)

    @property
    def share(self) -> float:
        """Share of the quantities that are inside; NaN where there are none."""
        if not self.inside:
            return math.nan
        return sum(self.inside.values()) / len(self.inside)

    def to_dict(self) -> dict[str, Any] | None:
        """Return the check as JSON knows it; None where there was nothing to check."""
        if not self.inside:
            return None
        return {"share": round(self.share, 4), "outside": list(self.outside)}


@dataclass(frozen=True)
class LengthBands:
    """The bands of one range of lengths.

    Attributes
    ----------
    lengths
        The shortest and the longest chain, ends included.
    chains
        How many natural chains the bands were made of.
    bands
        By quantity.
    expected_share
        Mean share of quantities inside, over the natives that made the bands.
    least_share
        The share that 95 % of these natives reach.
    """

    lengths: tuple[int, int]
    chains: int
    bands: Mapping[str, Band]
    expected_share: float = math.nan
    least_share: float = math.nan

    @classmethod
    def from_qualities(cls, qualities: Sequence[Quality], lengths: tuple[int, int]) -> LengthBands:
        """Make bands of what natural chains of some range of lengths show."""
        bands = {}
        for name, side in BANDED.items():
            values = np.array([getattr(quality, name) for quality in qualities], dtype=float)
            values = values[np.isfinite(values)]
            if not len(values):
                raise InputError(f"no chain of {lengths[0]} to {lengths[1]} residues has {name}")
            low, high = (None if q is None else _percentile(values, q) for q in _ENDS[side])
            bands[name] = Band(low, high)
        made = cls(lengths, len(qualities), bands)
        shares = [made.check(quality).share for quality in qualities]
        return cls(
            lengths,
            len(qualities),
            bands,
            expected_share=round(float(np.mean(shares)), 4),
            least_share=round(float(np.percentile(shares, TAIL)), 4),
        )

    def check(self, quality: Quality) -> BandCheck:
        """Tell which quantities of a backbone are inside."""
        if not quality.finite:
            return BandCheck({})
        values = {name: float(getattr(quality, name)) for name in self.bands}
        return BandCheck(
            {
                name: value in self.bands[name]
                for name, value in values.items()
                if math.isfinite(value)
            }
        )

    def reaches(self, check: BandCheck) -> bool:
        """Whether a check is inside as many bands as 95 % of the natives."""
        return check.share >= self.least_share - _ROUNDING


@dataclass(frozen=True)
class NativeBands:
    """The bands of all lengths; get those of the package from :func:`load_native_bands`.

    Attributes
    ----------
    bins
        Bands by length, the shortest first.
    source
        What they were made of.
    """

    bins: tuple[LengthBands, ...]
    source: Mapping[str, Any]

    def find(self, length: int) -> LengthBands | None:
        """Return the bands of a length, or None if there are none."""
        for bands in self.bins:
            if bands.lengths[0] <= length <= bands.lengths[1]:
                return bands
        return None

    def check(self, quality: Quality) -> BandCheck:
        """Tell which quantities of a backbone are inside the bands of its length.

        Parameters
        ----------
        quality
            What was measured. For a D-protein, on its mirror image.

        Returns
        -------
        BandCheck
            Empty if the backbone is not finite, or of a length without bands.
        """
        bands = self.find(quality.length)
        return BandCheck({}) if bands is None else bands.check(quality)

    def is_native_like(self, quality: Quality) -> bool | None:
        """Whether a backbone passes the quick checks and is inside enough bands.

        Enough is what 95 % of natives of its length reach. None for a length without bands.
        """
        bands = self.find(quality.length)
        if bands is None:
            return None
        return quality.passes and bands.reaches(bands.check(quality))

    def to_dict(self) -> dict[str, Any]:
        """Return the table as JSON knows it."""
        return {
            "format": _FORMAT,
            "version": _VERSION,
            "source": dict(self.source),
            "bins": [
                {
                    "lengths": list(one.lengths),
                    "chains": one.chains,
                    "expected_share": one.expected_share,
                    "least_share": one.least_share,
                    "bands": {name: [band.low, band.high] for name, band in one.bands.items()},
                }
                for one in self.bins
            ],
        }

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> NativeBands:
        """Read a table; the inverse of :meth:`to_dict`.

        Raises
        ------
        InputError
            It is no table of bands.
        """
        if table.get("format") != _FORMAT or table.get("version") != _VERSION:
            raise InputError(
                f"this is no table of native bands of version {_VERSION}; make one with "
                "scripts/native_bands.py"
            )
        bins = [
            LengthBands(
                lengths=(int(row["lengths"][0]), int(row["lengths"][1])),
                chains=int(row["chains"]),
                bands={name: Band(low, high) for name, (low, high) in row["bands"].items()},
                expected_share=float(row["expected_share"]),
                least_share=float(row["least_share"]),
            )
            for row in table["bins"]
        ]
        return cls(tuple(bins), dict(table["source"]))


@functools.cache
def load_native_bands() -> NativeBands:
    """Return the bands that come with the package."""
    return NativeBands.from_dict(json.loads(BANDS_FILE.read_text(encoding="utf-8")))


def summarise_bands(
    qualities: Iterable[Quality], bands: NativeBands | None = None
) -> dict[str, float]:
    """Summarise how a set of backbones lies to the bands.

    Parameters
    ----------
    qualities
        What was measured on each.
    bands
        Default: those of the package.

    Returns
    -------
    dict of str to float
        ``native_like``, the share of backbones that are; ``in_bands``, the mean share of quantities
        inside; and for each quantity ``<quantity>_in_native_band``, the share of backbones with
        that quantity inside. Backbones of a length without bands count in none of them, and those
        that are not finite as not native-like only; NaN where nothing counts.
    """
    bands = load_native_bands() if bands is None else bands
    qualities = list(qualities)
    verdicts = [bands.is_native_like(quality) for quality in qualities]
    judged = [verdict for verdict in verdicts if verdict is not None]
    known = [check for quality in qualities if (check := bands.check(quality)).inside]
    shares = [check.share for check in known]
    rows = {
        "native_like": sum(judged) / len(judged) if judged else math.nan,
        "in_bands": math.fsum(shares) / len(shares) if shares else math.nan,
    }
    for name in BANDED:
        found = [check.inside[name] for check in known if name in check.inside]
        rows[f"{name}_in_native_band"] = sum(found) / len(found) if found else math.nan
    return rows


def _percentile(values: np.ndarray[Any, Any], percent: float) -> float:
    return round(float(np.percentile(values, percent)), 4)

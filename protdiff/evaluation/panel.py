"""A set of backbones in one table: means, and shares that pass.

The rows are those by which weights are judged. Spreads of bonds and angles are pooled over all
residues of all designs, so that designs that differ from each other show as spread too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from protdiff.evaluation.quality import BROKEN_ABOVE_CA_CA, Quality

__all__ = ["summarise_quality"]

MEAN_ROWS = (
    "links",
    "planar",
    "cis",
    "ramachandran",
    "phi_positive",
    "helix_right",
    "helix_left",
    "clashes",
    "rg_ratio",
    "contacts",
    "contact_order",
    "helix",
    "strand",
)
POOLED_ROWS = ("n_ca", "ca_c", "c_n", "ca_ca", "n_ca_c", "ca_c_n", "c_n_ca", "omega")

SHARE_ROWS: dict[str, Callable[[Quality], bool]] = {
    "passing": lambda q: q.passes,
    "unbroken": lambda q: q.longest_ca_ca <= BROKEN_ABOVE_CA_CA,
    "phi_positive_in_band": lambda q: 0.02 <= q.phi_positive <= 0.13,
    "without_left_handed_run": lambda q: q.left_handed_runs == 0,
    "without_clash": lambda q: q.clashes == 0,
    "rg_in_band": lambda q: 0.95 <= q.rg_ratio <= 1.25,
    "contacts_in_band": lambda q: 1.7 <= q.contacts <= 4.7,
    "strand_above_20": lambda q: q.strand >= 0.2,
    "all_helix": lambda q: q.helix > 0.2 and q.strand < 0.05,
}


def summarise_quality(qualities: Sequence[Quality]) -> dict[str, float]:
    """Summarise a set of backbones.

    Parameters
    ----------
    qualities
        What was measured on each.

    Returns
    -------
    dict of str to float
        ``designs`` and ``finite`` (share); ``*_share`` for each check over all designs, non-finite
        ones counting as failed; means over the finite ones, weighted by length for bonds, angles
        and their ``*_sd``. NaN where nothing was measured.
    """
    finite = [quality for quality in qualities if quality.finite]
    total = len(qualities)
    rows = {
        "designs": float(total),
        "length": _mean([float(q.length) for q in qualities]),
        "finite": len(finite) / total if total else math.nan,
    }
    for name, check in SHARE_ROWS.items():
        rows[name] = sum(map(check, finite)) / total if total else math.nan
    for name in MEAN_ROWS:
        rows[name] = _mean([getattr(q, name) for q in finite])
    for name in POOLED_ROWS:
        rows[name], rows[f"{name}_sd"] = _pool(
            [(getattr(q, name), getattr(q, f"{name}_sd"), q.length) for q in finite]
        )
    return rows


def _mean(values: Sequence[float]) -> float:
    numbers = [value for value in values if math.isfinite(value)]
    return math.fsum(numbers) / len(numbers) if numbers else math.nan


def _pool(groups: Sequence[tuple[float, float, int]]) -> tuple[float, float]:
    """Pool (mean, sd, count) of groups: the variance within plus the variance between."""
    known = [group for group in groups if math.isfinite(group[0])]
    weight = sum(count for _, _, count in known)
    if not weight:
        return math.nan, math.nan
    mean = math.fsum(m * count for m, _, count in known) / weight
    variance = math.fsum((sd**2 + (m - mean) ** 2) * count for m, sd, count in known) / weight
    return mean, math.sqrt(variance)

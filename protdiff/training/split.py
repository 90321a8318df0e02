"""What is trained on and what is held out: whole clusters of chains, the same ones everywhere."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from protdiff.errors import InputError

__all__ = ["number_clusters", "read_split", "split_chains"]


def read_split(table: Path) -> dict[str, bool]:
    """Return whether each chain of an earlier split is held out, by id.

    Raises
    ------
    InputError
        The table cannot be read, or a line of it does not name a part.
    """
    parts = {"train": False, "held-out": True}
    try:
        with table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read the split {table}: {error}") from error
    for number, row in enumerate(rows, start=2):
        if not row.get("id") or row.get("split") not in parts:
            raise InputError(
                f"line {number} of the split {table} says no part of a chain; expected a "
                "tab-separated table with the columns id and split (train or held-out)"
            )
    return {row["id"]: parts[row["split"]] for row in rows}


def split_chains(
    ids: Sequence[str],
    clusters: Sequence[str],
    parts: Mapping[str, bool],
    fraction: float,
) -> NDArray[np.uint8]:
    """Hold chains out by whole clusters: as an earlier split did, and new clusters by the hash.

    Parameters
    ----------
    ids, clusters
        Of each chain.
    parts
        From :func:`read_split`.
    fraction
        Share of the new clusters to hold out.

    Returns
    -------
    NDArray
        1 where a chain is held out, ``(chains,)``.

    Raises
    ------
    InputError
        Nothing would be left to train on.
    """
    known: dict[str, bool] = {}
    for id, cluster in zip(ids, clusters, strict=True):
        if id in parts:
            known[cluster] = known.get(cluster, False) or parts[id]
    held_out = [
        known[cluster] if cluster in known else _is_held_out(cluster, fraction)
        for cluster in clusters
    ]
    if all(held_out):
        raise InputError(
            f"every cluster of {len(ids)} chains would be held out; give more chains or a "
            "smaller held-out fraction"
        )
    return np.array(held_out, np.uint8)


def _is_held_out(cluster: str, fraction: float) -> bool:
    """Hold a cluster out by a hash of its name, uniform in [0, 1)."""
    digest = hashlib.sha256(f"protdiff held-out cluster {cluster}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < fraction


def number_clusters(names: Sequence[str]) -> NDArray[np.int64]:
    """Keep the manifest's numbers; number other names in their order."""
    if all(name.isdecimal() and len(name) < 19 for name in names):
        return np.array([int(name) for name in names], dtype=np.int64)
    order = {name: number for number, name in enumerate(sorted(set(names)))}
    return np.array([order[name] for name in names], dtype=np.int64)

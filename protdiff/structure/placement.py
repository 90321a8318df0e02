r"""Where a motif of unknown place fits a chain best.

Of an *unindexed* motif the shape is known, and neither the order of its segments nor where they
stand in the chain. For one choice of starts the misfit is the least sum of squared distances of N,
CA and C over all poses (Kabsch), for each rigid group by itself,

.. math:: E = \sum_a |p_a - \bar p|^2 + \sum_a |q_a - \bar q|^2
              - 2 (\sigma_1 + \sigma_2 + \mathrm{sign}(\det H)\, \sigma_3), \qquad
          H = \sum_a (p_a - \bar p) (q_a - \bar q)^T,

with the singular values :math:`\sigma` of *H*. All sums are sums over segments, so each is made
once for each segment and start. Segments are placed one after the other, the longest first; a
misfit never falls when a segment is added, and the best partial placements are kept (a beam; where
there are no more than it holds, the result is the best of all).

References
----------
Kabsch 1976, "A solution for the best rotation to relate two sets of vectors". Smith 1961,
"Eigenvalues of a symmetric 3 × 3 matrix".
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from protdiff.errors import InputError
from protdiff.structure.backbone import Backbone
from protdiff.structure.contig import Contig
from protdiff.structure.geometry import LINK_SPAN, LINK_TOLERANCE
from protdiff.structure.layout import Layout, PlacedSegment
from protdiff.structure.segments import MotifSegment

__all__ = ["MotifPlacer", "Placement"]

_REACH = 3.4
"""Å that each residue of a linker adds to the one link: few are extended."""
_BEAM = 2000
_MOST_ORDERED = 8
"""Segments of which all orders are looked at, 40,320 of eight."""


@dataclass(frozen=True)
class Placement:
    """One place for each segment.

    Attributes
    ----------
    starts
        The place of the first residue of each segment, from 0, in the order of the contig.
    rmsd
        Å, over N, CA and C of all segments, each group in its best pose.
    """

    starts: tuple[int, ...]
    rmsd: float


class MotifPlacer:
    """Finds where in a chain an unindexed motif fits best.

    Parameters
    ----------
    source
        The structure of the motif.
    contig
        Its segments, resolved against the structure; their order means nothing. Those of a group
        that are bonded there are one segment.
    spacing
        The least number of residues between two segments. Two that are far apart in a group have
        as many more as it takes to reach, and two that follow one another in the structure may be
        as near as they are there.

    Raises
    ------
    InputError
        The contig has other segments than given ones, or several chains.
    """

    def __init__(self, source: Backbone, contig: Contig, *, spacing: int = 2) -> None:
        segments = contig.motif_segments
        if len(segments) < len(contig.segments) or len(contig.chains) > 1 or not segments:
            raise InputError(
                f"an unindexed motif is a list of residues such as A93-97,A118-120; got "
                f"{contig.text!r}"
            )
        self.segments = _join_bonded(source, segments)
        places = [list(segment.places or ()) for segment in self.segments]
        self._given = [source.coordinates[chosen, :3].astype(float) for chosen in places]
        self._bodies = [segment.body for segment in self.segments]
        self.lengths = [len(points) for points in self._given]
        self._gaps = self._find_gaps(spacing, source.residue_index)
        self._tightest = self._find_tightest_order()
        self._order = self._find_order()

    def _find_gaps(self, spacing: int, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """(segment, segment) the least number of residues from one's end to another's start."""
        count = len(self.segments)
        gaps = np.full((count, count), spacing, dtype=np.int64)
        for i, first in enumerate(self.segments):
            for j, second in enumerate(self.segments):
                if i == j or first.body != second.body:
                    continue
                distance = np.linalg.norm(self._given[i][-1, 1] - self._given[j][0, 1])
                beyond = max(float(distance) - LINK_SPAN - LINK_TOLERANCE, 0.0)
                gaps[i, j] = max(spacing, math.ceil(beyond / _REACH))
                follow = first.residues.chain == second.residues.chain
                between = int(index[_get_places(second)[0]] - index[_get_places(first)[-1]]) - 1
                if follow and 0 <= between < gaps[i, j]:  # room enough there
                    gaps[i, j] = between
        return gaps

    def _find_tightest_order(self) -> NDArray[np.int64]:
        """Find the order of the segments that takes the fewest residues between them."""
        count = len(self.segments)
        if count > _MOST_ORDERED:
            return np.arange(count)  # surely one that has room, if not the tightest
        orders = np.array(list(itertools.permutations(range(count))))
        between = self._gaps[orders[:, :-1], orders[:, 1:]].sum(axis=1)
        found: NDArray[np.int64] = orders[between.argmin()]
        return found

    def _find_order(self) -> list[int]:
        """Group by group, the largest first, and in each the longest segment first."""
        sizes: dict[tuple[str, str], int] = {}
        for body, length in zip(self._bodies, self.lengths, strict=True):
            sizes[body] = sizes.get(body, 0) + length
        return sorted(
            range(len(self.segments)),
            key=lambda k: (-sizes[self._bodies[k]], self._bodies[k], -self.lengths[k], k),
        )

    @property
    def shortest(self) -> int:
        """The length of the shortest chain that surely has room for the motif."""
        between = self._gaps[self._tightest[:-1], self._tightest[1:]].sum()
        return sum(self.lengths) + int(between)

    def find(self, chain: ArrayLike) -> Placement:
        """Find the best placement.

        Parameters
        ----------
        chain
            (residue, 3 or 4, 3), N, CA, C in Å, finite.

        Raises
        ------
        InputError
            The chain is too short.
        """
        x = np.asarray(chain, dtype=float)[:, :3]
        x = x - x.mean(axis=(0, 1))
        beam = _Beam.start()
        placed: list[int] = []
        for number in self._order:
            if placed and self._bodies[placed[-1]] != self._bodies[number]:
                beam = beam.close_body()
            beam = self._extend(beam, placed, number, x)
            placed.append(number)
        if not len(beam.starts):
            return self._pack(x)
        best = int(beam.bound.argmin())
        starts = np.empty(len(placed), dtype=np.int64)
        starts[placed] = beam.starts[best]
        return Placement(tuple(starts.tolist()), self._to_rmsd(float(beam.bound[best])))

    def _pack(self, x: NDArray[np.float64]) -> Placement:
        """Place the segments as near to each other as they may be, in the order that needs least.

        In a chain with little room more, the best partial placements may leave none for the rest.
        """
        if len(x) < self.shortest:
            raise InputError(
                f"a chain of {len(x)} residues may have no room for the motif; give "
                f"{self.shortest} or more"
            )
        starts = [0] * len(self.segments)
        starts[self._tightest[0]] = (len(x) - self.shortest) // 2
        for before, after in itertools.pairwise(self._tightest):
            starts[after] = starts[before] + self.lengths[before] + int(self._gaps[before, after])
        misfit = 0.0
        for body in dict.fromkeys(self._bodies):
            sums = _Sums.zero(1)
            for k, start in enumerate(starts):
                if self._bodies[k] == body:
                    window = x[start : start + self.lengths[k]]
                    sums = sums.add(_Sums.of_segment(self._given[k], window))
            misfit += float(sums.measure_misfit()[0])
        return Placement(tuple(starts), self._to_rmsd(misfit))

    def _to_rmsd(self, misfit: float) -> float:
        return math.sqrt(max(misfit, 0.0) / (3 * sum(self.lengths)))

    def _extend(
        self, beam: _Beam, placed: Sequence[int], number: int, x: NDArray[np.float64]
    ) -> _Beam:
        """Put one more segment at every start that is free, and keep the best."""
        length = self.lengths[number]
        starts = np.arange(max(len(x) - length + 1, 0))
        free = np.ones((len(beam.starts), len(starts)), dtype=bool)
        for column, other in enumerate(placed):
            taken = beam.starts[:, column, None]
            after = starts - taken - self.lengths[other] >= self._gaps[other, number]
            before = taken - starts - length >= self._gaps[number, other]
            free &= after | before
        row, place = np.nonzero(free)
        return beam.extend(row, starts[place], _Sums.of_segment(self._given[number], x), place)

    def make_layout(self, placement: Placement, length: int) -> Layout:
        """Return the layout of a design of ``length`` residues with the motif so placed."""
        placed: list[PlacedSegment] = []
        stop = 0
        for start, segment in sorted(
            zip(placement.starts, self.segments, strict=True), key=lambda pair: pair[0]
        ):
            placed.append(PlacedSegment(stop, start - stop, 0, None))
            placed.append(_place(segment, start))
            stop = placed[-1].stop
        placed.append(PlacedSegment(stop, length - stop, 0, None))
        return Layout(tuple(placed))


def _place(segment: MotifSegment, start: int) -> PlacedSegment:
    return PlacedSegment(start, len(_get_places(segment)), 0, segment)


def _get_places(segment: MotifSegment) -> tuple[int, ...]:
    assert segment.places  # it is resolved
    return segment.places


def _join_bonded(source: Backbone, segments: Sequence[MotifSegment]) -> list[MotifSegment]:
    """Make one segment of those that follow without a break in the structure, in one group.

    Their pose to each other is given, and it is that of a bond: they have one place in a chain.
    """
    joined: list[MotifSegment] = []
    for segment in sorted(segments, key=lambda segment: _get_places(segment)[0]):
        before = joined[-1] if joined else None
        if before is not None and before.body == segment.body:
            end, start = _get_places(before)[-1], _get_places(segment)[0]
            same_chain = source.chain_id[start] == source.chain_id[end]
            if same_chain and source.residue_index[start] == source.residue_index[end] + 1:
                joined[-1] = before.extend(segment)
                continue
        joined.append(segment)
    return sorted(joined, key=lambda segment: segment.position)


@dataclass(frozen=True, eq=False)
class _Sums:
    """What the misfit of point sets is made of: sums over points p of a motif and q of a chain."""

    count: float
    p: NDArray[np.float64]  # (xyz,)
    q: NDArray[np.float64]  # (state, xyz)
    squares: NDArray[np.float64]  # (state,)
    products: NDArray[np.float64]  # (state, xyz, xyz)

    @classmethod
    def zero(cls, states: int) -> _Sums:
        return cls(
            0.0, np.zeros(3), np.zeros((states, 3)), np.zeros(states), np.zeros((states, 3, 3))
        )

    @classmethod
    def of_segment(cls, given: NDArray[np.float64], x: NDArray[np.float64]) -> _Sums:
        """Return the sums of a segment at each of its starts."""
        length = len(given)
        # (start, xyz, residue, atom)
        windows = np.lib.stride_tricks.sliding_window_view(x, length, axis=0)
        windows = np.moveaxis(windows, -1, 1)  # (start, residue, atom, xyz)
        return cls(
            3.0 * length,
            given.sum(axis=(0, 1)),
            windows.sum(axis=(1, 2)),
            np.square(windows).sum(axis=(1, 2, 3)) + np.square(given).sum(),
            np.einsum("rai,sraj->sij", given, windows),
        )

    def take(self, states: NDArray[np.int64]) -> _Sums:
        return _Sums(
            self.count, self.p, self.q[states], self.squares[states], self.products[states]
        )

    def add(self, other: _Sums) -> _Sums:
        return _Sums(
            self.count + other.count,
            self.p + other.p,
            self.q + other.q,
            self.squares + other.squares,
            self.products + other.products,
        )

    def measure_misfit(self) -> NDArray[np.float64]:
        """(state,) the least sum of squared distances, Å²."""
        if not self.count:
            return np.zeros(len(self.squares))
        covariance = self.products - self.p[:, None] * self.q[:, None] / self.count
        spread = self.squares - (self.p @ self.p + np.square(self.q).sum(-1)) / self.count
        misfit: NDArray[np.float64] = spread - 2 * _sum_singular_values(covariance)
        return misfit


def _sum_singular_values(h: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of the singular values, the last with the sign of det H, ``(state,)``.

    In closed form, which is quicker than LAPACK on so many small matrices: the squares of the two
    largest are eigenvalues of H^T H (Smith 1961), and the last is what the determinant leaves.
    """
    gram = h.transpose(0, 2, 1) @ h
    mean = np.trace(gram, axis1=1, axis2=2) / 3
    gram -= mean[:, None, None] * np.eye(3)
    spread = np.sqrt(np.square(gram).sum(axis=(1, 2)) / 6)
    ratio = _determinant(gram) / np.maximum(2 * spread**3, 1e-300)
    angle = np.arccos(np.clip(ratio, -1.0, 1.0)) / 3
    largest = mean + 2 * spread * np.cos(angle)
    smallest = mean + 2 * spread * np.cos(angle + 2 * np.pi / 3)
    first = np.sqrt(np.maximum(largest, 0.0))
    second = np.sqrt(np.maximum(3 * mean - largest - smallest, 0.0))
    total: NDArray[np.float64] = (
        first + second + _determinant(h) / np.maximum(first * second, 1e-300)
    )
    return total


def _determinant(m: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = (m[:, 0] * np.cross(m[:, 1], m[:, 2])).sum(-1)
    return found


@dataclass(frozen=True, eq=False)
class _Beam:
    """Partial placements: starts of the segments placed, the sums of the group under way."""

    starts: NDArray[np.int64]  # (state, placed segment)
    done: NDArray[np.float64]  # (state,) misfit of the groups that are complete
    sums: _Sums
    bound: NDArray[np.float64]  # (state,) misfit of all that is placed

    @classmethod
    def start(cls) -> _Beam:
        return cls(np.zeros((1, 0), np.int64), np.zeros(1), _Sums.zero(1), np.zeros(1))

    def close_body(self) -> _Beam:
        return _Beam(self.starts, self.bound, _Sums.zero(len(self.starts)), self.bound)

    def extend(
        self,
        row: NDArray[np.int64],
        start: NDArray[np.int64],
        segment: _Sums,
        place: NDArray[np.int64],
    ) -> _Beam:
        sums = self.sums.take(row).add(segment.take(place))
        bound = self.done[row] + sums.measure_misfit()
        kept = np.arange(len(row))
        if len(row) > _BEAM:
            kept = np.argpartition(bound, _BEAM)[:_BEAM]
        starts = np.concatenate([self.starts[row], start[:, None]], axis=1)
        return _Beam(starts[kept], self.done[row][kept], sums.take(kept), bound[kept])

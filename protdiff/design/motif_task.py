"""The task of designing around a motif, whether its places are given by a contig or to be found."""

from __future__ import annotations

from collections.abc import Sequence

from protdiff.conditioning import Conditioner
from protdiff.design.samplers import DEFAULT_HOLD, DEFAULT_METHOD, DEFAULT_PARTICLES
from protdiff.design.scaffold import Scaffolding
from protdiff.design.settings import SamplingSettings
from protdiff.design.unindexed import UnindexedScaffolding
from protdiff.errors import InputError
from protdiff.structure import Backbone, Contig
from protdiff.structure.lengths import LengthRange

__all__ = ["make_motif_task"]


def make_motif_task(
    source: Backbone,
    segments: Contig,
    seed: int,
    settings: SamplingSettings,
    *,
    unindexed: bool,
    total_length: LengthRange | None = None,
    method: str = DEFAULT_METHOD,
    hold: str = DEFAULT_HOLD,
    redesignable: str | None = None,
    groups: str | None = None,
    particles: int = DEFAULT_PARTICLES,
    conditioners: Sequence[Conditioner] = (),
) -> Scaffolding | UnindexedScaffolding:
    """Return what designs around a motif.

    Parameters
    ----------
    source, seed, settings
        As :class:`~protdiff.design.scaffold.Scaffolding` has them.
    segments
        The contig; of an unindexed motif its segments alone.
    unindexed
        Find the places of the segments in sampling. ``particles`` then says nothing.
    total_length, method, hold, redesignable, groups, particles, conditioners
        As :class:`~protdiff.design.scaffold.Scaffolding` has them.

    Raises
    ------
    InputError
        The motif cannot be used, or a choice does not exist; an unindexed motif has no length.
    """
    if not unindexed:
        return Scaffolding(
            source,
            segments,
            seed,
            settings,
            total_length=total_length,
            method=method,
            hold=hold,
            redesignable=redesignable,
            groups=groups,
            particles=particles,
            conditioners=conditioners,
        )
    if total_length is None:
        raise InputError("an unindexed motif needs a total_length, as 75 or (60, 90)")
    return UnindexedScaffolding(
        source,
        segments,
        total_length,
        seed,
        settings,
        method=method,
        hold=hold,
        redesignable=redesignable,
        groups=groups,
        conditioners=conditioners,
    )

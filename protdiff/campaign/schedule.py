"""Which chunks are to be made, now that these are finished.

Most jobs have a fixed number of designs. One that goes on until ``num`` designs pass is made in
rounds: the first has as many designs as are wanted; each further one as many as the share that
has passed so far lets one expect to need, and at most as many again as there are. A round depends
on the finished chunks before it and on nothing else, so the designs that are made do not depend on
how many processes make them, in what order they end, or how often they were stopped. The result is
the first ``num`` that pass, by index.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from protdiff.campaign.chunks import Chunk, Tally, cut_chunks, read_tally
from protdiff.campaign.config import Campaign, Job
from protdiff.design.run import RunTask
from protdiff.errors import InputError

__all__ = ["Schedule", "parse_shard"]


def parse_shard(text: str) -> tuple[int, int]:
    """Return (i, n) of ``"i/n"``: share i of n, counted from 0.

    Raises
    ------
    InputError
        It is no such thing.

    Examples
    --------
    >>> parse_shard("0/4")
    (0, 4)
    """
    number, slash, count = text.partition("/")
    valid = slash and number.isascii() and number.isdigit() and count.isascii() and count.isdigit()
    if not valid or len(text) > 20 or not int(number) < int(count):
        raise InputError(f"shard is {text!r}; give i/n with i from 0 to n - 1, as 0/4")
    return int(number), int(count)


class Schedule:
    """What a campaign still needs, kept up as chunks are finished.

    Parameters
    ----------
    campaign
        The campaign; its folder is read.
    tasks
        Its tasks by job.
    shard
        (i, n): the part of the work that is this process's own. Chunk c of job j, both counted
        from 0, is in part (c + j) mod n.
    """

    def __init__(
        self, campaign: Campaign, tasks: Mapping[str, RunTask], shard: tuple[int, int] = (0, 1)
    ) -> None:
        self.campaign = campaign
        self.shard = shard
        self.length_ranges = {name: task.length_range for name, task in tasks.items()}
        self.chunks = {
            job.name: cut_chunks(campaign, job, tasks[job.name]) for job in campaign.jobs
        }
        self._tallies: dict[Chunk, Tally] = {}
        self._taken: set[Chunk] = set()

    def take(self) -> list[Chunk]:
        """Return the chunks to be made next, each of them once; none when there are no more.

        What other processes have finished is read from the folder.
        """
        wanted = []
        for place, job in enumerate(self.campaign.jobs):
            for chunk in self.iterate_asked(job):
                mine = (chunk.number + place) % self.shard[1] == self.shard[0]
                if mine and chunk not in self._taken and not self.is_finished(chunk):
                    wanted.append(chunk)
        self._taken.update(wanted)
        return wanted

    def report(self, chunk: Chunk, tally: Tally) -> None:
        """Say what has become of a chunk."""
        self._tallies[chunk] = tally

    def get_tally(self, chunk: Chunk) -> Tally:
        """Return what there is of a chunk."""
        tally = self._tallies.get(chunk)
        if tally is None or tally.made < len(chunk.indices):
            tally = self._tallies[chunk] = read_tally(self.campaign.path, chunk)
        return tally

    def iterate_asked(self, job: Job) -> Iterator[Chunk]:
        """Give the chunks of a job that are to be made, as far as that is known."""
        yield from self.chunks[job.name][: self.count_asked(job)]

    def count_asked(self, job: Job) -> int:
        """Return how many chunks of a job, from its first, are to be made as far as is known."""
        chunks = self.chunks[job.name]
        if not job.filter.until_passing:
            return len(chunks)
        asked = min(math.ceil(job.num / self.campaign.chunk), len(chunks))
        while asked < len(chunks):
            total = sum(map(self.get_tally, chunks[:asked]), Tally())
            if total.made < sum(len(chunk.indices) for chunk in chunks[:asked]):
                return asked
            if total.kept >= job.num:
                return asked
            share = (total.kept + 1) / (total.made + 2)
            more = math.ceil((job.num - total.kept) / share / self.campaign.chunk)
            asked = min(asked + min(more, asked), len(chunks))
        return asked

    def is_settled(self, job: Job) -> bool:
        """Whether every chunk of a job that will ever be asked for is finished."""
        return all(map(self.is_finished, self.iterate_asked(job)))

    def is_finished(self, chunk: Chunk) -> bool:
        """Whether every design of a chunk is."""
        return self.get_tally(chunk).made == len(chunk.indices)

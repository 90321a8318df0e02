import dataclasses

import pytest

from protdiff.campaign import schedule as schedule_module
from protdiff.campaign.chunks import Tally, cut_chunks
from protdiff.campaign.schedule import Schedule, parse_shard
from protdiff.campaign.tasks import derive_job_seed, make_task
from protdiff.errors import InputError


def cut(campaign, job=0):
    return cut_chunks(campaign, campaign.jobs[job], make_task(campaign, campaign.jobs[job]))


def with_num(campaign, num):
    jobs = tuple(dataclasses.replace(job, num=num) for job in campaign.jobs)
    return dataclasses.replace(campaign, jobs=jobs)


@pytest.mark.parametrize("num", [1, 4, 63, 64, 65, 200])
@pytest.mark.parametrize("job", [0, 1])
def test_chunks_hold_every_design_once(make, num, job):
    chunks = cut(with_num(make(), num), job)
    assert sorted(k for chunk in chunks for k in chunk.indices) == list(range(num))
    assert len({chunk.folder for chunk in chunks}) == len(chunks)
    assert all(1 <= len(chunk.indices) <= 4 for chunk in chunks)


@pytest.mark.parametrize("job", [0, 1])
def test_raising_the_number_moves_no_design(make, job):
    def find_places(num):
        return {k: chunk.folder for chunk in cut(with_num(make(), num), job) for k in chunk.indices}

    small, large = find_places(50), find_places(130)
    assert small.items() <= large.items()


def test_a_chunk_of_a_mixture_has_few_lengths(make):
    campaign = with_num(make(), 64)
    task = make_task(campaign, campaign.jobs[0])
    lengths = [{task.plan(k).length for k in chunk.indices} for chunk in cut(campaign)]
    # 64 designs of four lengths in sixteen chunks: three borders between lengths at most.
    assert sum(map(len, lengths)) <= len(lengths) + 3


def test_jobs_have_seeds_of_their_own():
    seeds = {derive_job_seed(seed, name) for seed in range(20) for name in ("a", "b", "a-1")}
    assert len(seeds) == 60
    assert all(0 <= seed < 2**53 for seed in seeds)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shards_are_a_partition(make, count):
    campaign = with_num(make(), 50)
    tasks = {job.name: make_task(campaign, job) for job in campaign.jobs}
    shares = [Schedule(campaign, tasks, (i, count)).take() for i in range(count)]
    every = [chunk.folder for share in shares for chunk in share]
    assert len(set(every)) == len(every) == sum(len(cut(campaign, job)) for job in (0, 1))
    assert max(map(len, shares)) - min(map(len, shares)) <= 2


@pytest.mark.parametrize("text", ["", "1", "4/4", "-1/4", "a/b", "1/0", "1/2/3", "²/4", "0/" * 50])
def test_a_wrong_shard_is_refused(text):
    with pytest.raises(InputError, match="shard is"):
        parse_shard(text)


ASKED = {"strand": ">=0", "until_passing": True, "max_attempts": 400}


def simulate(campaign, passes, monkeypatch):
    """Run rounds with a made-up verdict on each design; return how many chunks were made."""
    done = set()

    def read(folder, chunk):
        if chunk not in done:
            return Tally()
        return Tally(made=len(chunk.indices), kept=sum(map(passes, chunk.indices)))

    monkeypatch.setattr(schedule_module, "read_tally", read)
    tasks = {job.name: make_task(campaign, job) for job in campaign.jobs}
    rounds = 0
    schedule = Schedule(campaign, tasks)
    while chunks := schedule.take():
        done.update(chunks)
        rounds += 1
    job = campaign.jobs[0]
    assert schedule.is_settled(job)
    # Rounds that are worked out anew, from what is finished, are the same.
    assert Schedule(campaign, tasks).take() == []
    return len(done), rounds, sum(passes(k) for chunk in done for k in chunk.indices)


@pytest.mark.parametrize(
    ("passes", "reached"),
    [(lambda k: True, True), (lambda k: k % 3 == 0, True), (lambda k: k > 100, True),
     (lambda k: False, False)],
    ids=["all", "a third", "late", "none"],
)  # fmt: skip
def test_rounds_go_on_until_enough_pass_and_no_further(make, monkeypatch, passes, reached):
    campaign = make(job=[{"name": "a", "num": 40, "length": "30-40"}], filter=ASKED)
    made, rounds, passing = simulate(campaign, passes, monkeypatch)
    assert (passing >= 40) == reached
    assert made <= 100  # of four designs: max_attempts
    assert rounds < 10
    if passes(0) and reached:
        assert passing < 60  # a third more than asked for, and a round of slack

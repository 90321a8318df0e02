import dataclasses

import numpy as np
import pytest

from protdiff.campaign import Campaign, JobFilter, load_campaign
from protdiff.campaign.tasks import make_task
from protdiff.design.filter import NUMBERS
from protdiff.design.settings import SamplingSettings
from protdiff.errors import InputError
from protdiff.structure import Backbone, build_backbone, write_backbone

JOB = {"name": "a", "num": 3, "length": 50}
MOTIF = {"name": "a", "num": 3, "motif": "x.pdb"}


def test_the_documented_file_is_read(tmp_path):
    from protdiff.campaign import config

    text = config.__doc__.split(".. code-block:: toml\n")[1].split("\nRelative paths")[0]
    path = tmp_path / "campaign.toml"
    path.write_text("\n".join(line[4:] for line in text.splitlines()))
    campaign = load_campaign(path, device="cpu", out=None)
    small, site = campaign.jobs
    assert (small.length, small.sampling.temperature, small.sampling.steps) == ("60-100", 0.9, 60)
    assert (site.motif, site.total_length) == ("5TPN.pdb", "50-75")
    assert small.filter.describe() == {"passing": True, "strand": [">=0.2"]}
    assert site.filter.describe() == small.filter.describe() | {"motif_rmsd_sampled": ["<=1"]}
    assert (campaign.device, campaign.out, small.most) == ("cpu", "campaign", 1000)


OTHER = {"sampler": "ddim", "grid": "cosine", "handedness": "D"}


@pytest.mark.parametrize("field", dataclasses.fields(SamplingSettings), ids=lambda f: f.name)
def test_every_sampling_setting_is_a_key_of_a_job_and_of_all_jobs(field):
    if isinstance(field.default, bool):
        value = not field.default
    elif isinstance(field.default, int | float):
        value = field.default + 1
    elif field.name in OTHER:
        value = OTHER[field.name]
    else:
        pytest.skip("a setting that this test knows no other value of")
    one = Campaign.from_dict({"job": [{**JOB, field.name: value}, {**JOB, "name": "b"}]})
    assert getattr(one.jobs[0].sampling, field.name) == value
    assert one.jobs[1].sampling == SamplingSettings()
    every = Campaign.from_dict({"sampling": {field.name: value}, "job": [JOB]})
    assert every.jobs[0].sampling == one.jobs[0].sampling


def test_a_job_overrides_what_holds_for_all():
    campaign = Campaign.from_dict(
        {
            "sampling": {"steps": 9},
            "filter": {"passing": True, "strand": ">=0.1"},
            "job": [JOB, {**JOB, "name": "b", "steps": 5, "filter": {"strand": [">0.2", "<0.5"]}}],
        }
    )
    assert [job.sampling.steps for job in campaign.jobs] == [9, 5]
    assert campaign.jobs[0].filter.describe() == {"passing": True, "strand": [">=0.1"]}
    assert campaign.jobs[1].filter.describe() == {"passing": True, "strand": [">0.2", "<0.5"]}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, r"give a \[\[job\]\]"),
        ({"job": {"name": "a"}}, "no list of tables"),
        ({"job": [3]}, "no list of tables"),
        ({"sede": 1, "job": [JOB]}, "unknown key 'sede'; did you mean 'seed'"),
        ({"job": [{**JOB, "lenght": 1}]}, r"\[\[job\]\] a: unknown key 'lenght'.*'length'"),
        ({"job": [JOB], "sampling": {"stesp": 1}}, "'steps'"),
        ({"job": [JOB], "filter": {"strnd": ">0"}}, "'strand'"),
        ({"job": [{**JOB, "seed": 1}]}, "unknown key 'seed'"),
        ({"job": [{"name": "a", "length": 50}]}, "num must be given"),
        ({"job": [{**JOB, "num": 0}]}, "num is 0"),
        ({"job": [{**JOB, "num": True}]}, "expected a whole number"),
        ({"job": [{**JOB, "num": "3"}]}, "expected a whole number"),
        ({"job": [{**JOB, "steps": 2.5}]}, "steps = 2.5; expected a whole number"),
        ({"job": [{**JOB, "temperature": "hot"}]}, "expected a number"),
        ({"job": [{**JOB, "temperature": 10**400}]}, "expected a number"),
        ({"job": [{**JOB, "temperature": float("nan")}]}, "temperature = nan; expected a number"),
        ({"job": [{**JOB, "handedness": "X"}]}, "expected L or D"),
        ({"job": [{**JOB, "sampler": "hen"}]}, r"\[\[job\]\] a: there is no sampler.*'heun'"),
        ({"job": [{**JOB, "length": "long"}]}, "a length is a number or a range"),
        ({"job": [{**JOB, "length": [60, 50]}]}, "ends before it begins"),
        ({"job": [{**JOB, "length": [1, 2, 3]}]}, r"length = \[1, 2, 3\]; expected"),
        ({"job": [{"name": "a", "num": 1}]}, "either length, or motif"),
        ({"job": [{**JOB, "motif": "x.pdb", "contig": "5"}]}, "either length, or motif"),
        ({"job": [MOTIF]}, "needs a contig"),
        ({"job": [{**MOTIF, "unindexed": "A1-3", "contig": "5/A1-3"}]}, "give one of them"),
        ({"job": [{**MOTIF, "unindexed": "A1-3"}]}, "needs a total_length"),
        ({"job": [{**JOB, "contig": "5/A1-3"}]}, "contig goes with a motif"),
        ({"job": [{**JOB, "unindexed": "A1-3"}]}, "unindexed goes with a motif"),
        ({"job": [{**JOB, "groups": "1"}]}, "groups goes with a motif"),
        ({"job": [{**JOB, "strict": True}]}, "strict goes with a motif"),
        (
            {"job": [{**JOB, "filter": {"motif_rmsd_sampled": "<1"}}]},
            "number of designs with a motif",
        ),
        ({"job": [JOB, JOB]}, "two jobs are called 'a'"),
        ({"job": [JOB, {**JOB, "name": "A"}]}, "two jobs are called 'A'"),
        *(
            ({"job": [{**JOB, "name": name}]}, "cannot be a folder's")
            for name in ("", "..", "../a", "a/b", "/a", "a\\b", ".a", "a b", "-a", "ä", "x" * 65)
        ),
        ({"job": [{**JOB, "name": "a\0"}]}, "expected text"),
        ({"job": [JOB], "out": ""}, "out is empty"),
        ({"job": [JOB], "out": "a\0b"}, "expected text"),
        ({"job": [JOB], "chunk": 0}, "chunk is 0"),
        ({"job": [JOB], "batch_size": 0}, "batch_size is 0"),
        ({"job": [JOB], "seed": -1}, "seed is -1"),
        ({"job": [JOB], "format": "xyz"}, "give pdb or cif"),
        ({"job": [JOB], "filter": 3}, "filter = 3; expected a table"),
        ({"job": [JOB], "filter": {"strand": 0.2}}, "expected a condition such as"),
        ({"job": [JOB], "filter": {"strand": ">=x"}}, "expected a condition such as"),
        ({"job": [JOB], "filter": {"strand": ">=1e999"}}, "expected a condition such as"),
        ({"job": [JOB], "filter": {"finite": ">0"}}, "unknown key 'finite'"),
        ({"job": [JOB], "filter": {"until_passing": True}}, "needs something to pass"),
        ({"job": [JOB], "filter": {"passing": True, "max_attempts": 5}}, "goes with until"),
        (
            {
                "job": [JOB],
                "filter": {"passing": True, "until_passing": True, "max_attempts": JOB["num"] - 1},
            },
            r"\[\[job\]\] a: .* attempts cannot give",
        ),
        ({"job": [JOB], "filter": {"passing": 1}}, "expected true or false"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(values, message):
    with pytest.raises(InputError, match=message) as caught:
        Campaign.from_dict(values, "c.toml")
    assert "\n" not in str(caught.value)
    assert str(caught.value).count("c.toml") == 1


@pytest.mark.parametrize("data", [b"a = ", b"\xff\xfe", b"a = " + b"[" * 5000, b"out = 2026-02-30"])
def test_a_file_that_is_no_toml_is_refused(tmp_path, data):
    (tmp_path / "c.toml").write_bytes(data)
    with pytest.raises(InputError, match="is no TOML"):
        load_campaign(tmp_path / "c.toml")
    with pytest.raises(InputError, match="cannot read"):
        load_campaign(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("limit", "inside", "outside"),
    [(">=0.2", 0.2, 0.19), ("<= .2", 0.2, 0.21), (">1e-1", 0.11, 0.1), ("< 2", 1.9, 2.0)],
)
@pytest.mark.parametrize("name", ["strand", NUMBERS[-1]])
def test_a_limit_holds_where_it_says(limit, inside, outside, name):
    asked = JobFilter.from_dict({name: limit})
    assert asked.find_faults({"quality": {name: inside, "failed": ["broken"]}}) == []
    assert asked.find_faults({"quality": {name: outside, "failed": []}}) == [name]
    assert asked.find_faults({"quality": {name: None, "failed": []}}) == [name]


def test_jobs_ask_for_conditions(tmp_path):
    jobs = [
        {"name": "rings", "num": 2, "length": 16, "symmetry": "C3"},
        {"name": "near", "num": 2, "start": "x.pdb", "noise": 0.3},
        {"name": "free", "num": 2, "length": 40, "potential": ["math:sin"]},
    ]
    rings, near, free = Campaign.from_dict({"job": jobs}).jobs
    assert (rings.conditions.symmetry, near.conditions.noise) == ("C3", 0.3)
    assert free.conditions.potential == ("math:sin",)
    task = make_task(Campaign((rings,)), rings)
    assert task.plan(0).length == 48
    assert task.describe()["conditioners"] == [{"kind": "symmetry", "group": "C3"}]
    for change, message in (
        ({"symmetry": "C1"}, "there is no symmetry"),
        ({"noise": 0.3}, "goes with a structure"),
        ({"symetry": "C3"}, "did you mean 'symmetry'"),
        ({"start": "x.pdb", "motif": "y.pdb", "contig": "5/A1-9/5"}, "or start"),
    ):
        with pytest.raises(InputError, match=message):
            Campaign.from_dict({"job": [{"name": "a", "num": 1, "length": 40, **change}]})


def test_a_start_may_stand_alone_or_beside_a_motif(tmp_path):
    helix = Backbone.from_coordinates(build_backbone(np.full(40, -60.0), -45.0))
    write_backbone(tmp_path / "helix.pdb", helix)
    file = str(tmp_path / "helix.pdb")
    jobs = [
        {"name": "alone", "num": 1, "start": file},
        {"name": "beside", "num": 1, "start": file, "motif": file, "contig": "10/A11-20/20"},
    ]
    alone, beside = Campaign.from_dict({"job": jobs}).jobs
    tasks = [make_task(Campaign((job,)), job) for job in (alone, beside)]
    assert [task.describe()["task"] for task in tasks] == ["generate", "scaffold"]
    assert [task.plan(0).length for task in tasks] == [40, 40]


def test_weights_for_single_chains_do_not_see_the_target_of_a_job(helix_file):
    asked = {"name": "binders", "num": 1, "length": 40, "target": str(helix_file), "hotspots": "A5"}
    (job,) = Campaign.from_dict({"job": [asked]}).jobs
    seen = [make_task(Campaign((job,), weights=name), job).chains for name in (None, "mine")]
    assert seen == [2, 2]
    with pytest.warns(UserWarning, match="take protdiff-complex"):
        kept = make_task(Campaign((job,), weights="protdiff-long"), job)
    assert kept.chains == 1

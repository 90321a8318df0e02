"""``protdiff campaign`` as users and pipelines use it."""

import json
import sys

import pytest

from protdiff.campaign import ray_engine
from protdiff.campaign.config import load_campaign
from protdiff.campaign.run import run_campaign

CONFIG = """
out = {out}
weights = {weights}
device = "cpu"
chunk = 4
[sampling]
steps = 2
excluded_volume = false
{more}
[[job]]
name = "mixed"
num = 6
length = "30-33"
[[job]]
name = "cool"
num = 5
length = 31
temperature = 0.5
"""


@pytest.fixture
def campaign(run, tiny_weights, tmp_path):
    """Return a function that runs a campaign of 6 + 5 designs in ``tmp_path/out``."""

    def campaign(*options, more=""):
        values = {
            "out": json.dumps(str(tmp_path / "out")),
            "weights": json.dumps(str(tiny_weights)),
        }
        (tmp_path / "campaign.toml").write_text(CONFIG.format(**values, more=more))
        return run("campaign", tmp_path / "campaign.toml", *options)

    return campaign


def list_designs(out):
    return {path.relative_to(out): path.stat().st_mtime_ns for path in out.glob("*/*/design_*")}


def test_json_counts_what_is_there(campaign, tmp_path):
    told = json.loads(campaign("--json").stdout)
    assert (told["made_now"], told["complete"], told["damaged"]) == (11, True, 0)
    assert {job["name"]: (job["wanted"], job["kept"]) for job in told["jobs"]} == {
        "mixed": (6, 6),
        "cool": (5, 5),
    }
    listed = (tmp_path / "out" / "campaign.jsonl").read_text().splitlines()
    files = {json.loads(line)["file"] for line in listed}
    assert files == {str(path) for path in list_designs(tmp_path / "out")}
    # Again: nothing is made; the status is the same, and also makes nothing.
    again, status = (json.loads(campaign(*o, "--json").stdout) for o in ((), ("--status",)))
    assert again == status == {**told, "made_now": 0}


def test_words_for_people_and_none_when_quiet(campaign):
    assert campaign("--quiet").stdout == ""
    result = campaign("--status")
    assert result.stdout.splitlines()[-1].startswith("all done, in ")
    assert "mixed" in result.stdout


def test_a_dry_run_writes_nothing(campaign, tmp_path):
    plan = json.loads(campaign("--dry-run", "--json").stdout)
    assert [(job["name"], job["asked"], job["made"]) for job in plan["jobs"]] == [
        ("mixed", 6, 0),
        ("cool", 5, 0),
    ]
    assert "nothing was made" in campaign("--dry-run").stdout
    assert not (tmp_path / "out").exists()


def test_a_dry_run_refuses_what_a_run_would(campaign, tmp_path):
    (tmp_path / "file").write_text("no folder")
    for options, expected in (
        (("--out", tmp_path / "file" / "out"), "file is a file"),
        (("--device", "abacus"), "abacus"),
    ):
        result = campaign("--dry-run", *options)
        assert (result.exit_code, result.stdout) == (2, "")
        assert expected in result.stderr


def test_the_status_writes_nothing(campaign, tmp_path):
    campaign("--quiet")
    (tmp_path / "out" / "campaign.jsonl").unlink()
    assert campaign("--status").exit_code == 0
    assert not (tmp_path / "out" / "campaign.jsonl").exists()


def test_shards_make_the_whole_between_them(campaign, tmp_path):
    first = json.loads(campaign("--shard", "0/2", "--json").stdout)
    assert not first["complete"]
    assert 0 < first["made_now"] < 11
    before = list_designs(tmp_path / "out")
    assert len(before) == first["made_now"]
    second = json.loads(campaign("--shard", "1/2", "--json").stdout)
    assert second["complete"]
    assert first["made_now"] + second["made_now"] == len(list_designs(tmp_path / "out")) == 11
    assert before.items() <= list_designs(tmp_path / "out").items()


def test_overwriting_makes_all_again_and_a_shard_may_not(campaign, tmp_path):
    campaign("--quiet")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    before = list_designs(tmp_path / "out")
    refused = campaign("--overwrite", "--shard", "0/2")
    assert refused.exit_code == 2
    assert list_designs(tmp_path / "out") == before
    assert json.loads(campaign("--overwrite", "--json").stdout)["made_now"] == 11
    after = list_designs(tmp_path / "out")
    assert after.keys() == before.keys()
    assert all(after[name] > before[name] for name in before)
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_another_campaign_in_the_folder_is_refused(campaign, tmp_path):
    campaign("--quiet")
    before = list_designs(tmp_path / "out")
    result = campaign(more="temperature = 0.7")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert list_designs(tmp_path / "out") == before


def test_a_job_that_never_passes_fails_by_name(campaign):
    # An untrained network makes no protein.
    never = '[filter]\nlinks = ">=1"\nuntil_passing = true\nmax_attempts = 6'
    result = campaign(more=never)
    assert result.exit_code == 1
    assert "job mixed: 0 of 6 designs pass after 6 attempts" in result.stderr
    assert "job cool: 0 of 5 designs" in result.stderr


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--shard", "2/2"), "shard is '2/2'"),
        (("--shard", "one"), "shard is 'one'"),
        (("--engine", "rya"), "ray"),
        (("--engine", "ray", "--shard", "0/2"), "give one of them"),
        (("--address", "auto"), "--engine ray"),
        (("--weights", "missing.safetensors"), "missing.safetensors"),
        (("--device", "abacus"), "abacus"),
    ],
)
def test_wrong_options_are_one_line_and_make_nothing(campaign, tmp_path, options, expected):
    result = campaign(*options)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert expected in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["../up", "/etc/cron", "a/b", "..", "", "a\\\\b", "x" * 65, "ä"])
def test_a_job_cannot_leave_the_folder(campaign, tmp_path, name):
    result = campaign(more=f'[[job]]\nname = "{name}"\nnum = 1\nlength = 30')
    assert result.exit_code == 2
    assert "cannot be a folder's" in result.stderr
    assert not (tmp_path / "out").exists()


def test_an_interrupt_is_130_and_says_how_to_go_on(campaign, tmp_path, monkeypatch):
    from protdiff.campaign import run

    made = []

    def make_one_chunk(*arguments, make=run.make_chunk, **options):
        if made:
            raise KeyboardInterrupt
        made.append(make(*arguments, **options))
        return made[0]

    with monkeypatch.context() as patch:
        patch.setattr(run, "make_chunk", make_one_chunk)
        result = campaign()
    assert result.exit_code == 130
    assert f"what is finished is in {tmp_path / 'out'}" in result.stderr
    assert len(list_designs(tmp_path / "out")) == made[0].made > 0
    assert json.loads(campaign("--json").stdout)["made_now"] == 11 - made[0].made


def test_the_engine_ray_is_given_what_was_asked(campaign, monkeypatch):
    asked = []

    def run_here(loaded, *, workers, address, overwrite, on_total, on_progress):
        asked.append((workers, address, overwrite))
        return run_campaign(loaded, on_total=on_total, on_progress=on_progress)

    monkeypatch.setattr(ray_engine, "run_campaign_with_ray", run_here)
    options = ("--engine", "ray", "--workers", 3, "--address", "auto", "--json")
    assert json.loads(campaign(*options).stdout)["complete"]
    assert asked == [(3, "auto", False)]


def test_without_ray_the_engine_says_what_to_install(campaign, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    result = campaign("--engine", "ray")
    assert result.exit_code != 0
    assert "pip install 'protdiff[ray]'" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_options_of_the_command_go_before_the_file(campaign, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    assert json.loads(campaign("--out", elsewhere, "--json").stdout)["out"] == str(elsewhere)
    assert not (tmp_path / "out").exists()
    loaded = load_campaign(tmp_path / "campaign.toml", out=str(elsewhere), batch_size=2)
    assert (loaded.path, loaded.batch_size) == (elsewhere, 2)

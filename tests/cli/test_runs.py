"""What the commands that judge designs make of runs, of folders above them, and of doubles."""

import json
import shutil

import numpy as np
import pytest

from protdiff.structure import Backbone, build_backbone, write_backbone, write_trajectory

FAST = ("--rtol", 0.5, "--atol", 0.5, "--noise-floor", 10, "--probes", 2)


def make_run(folder, hand):
    """Write a run of a helix of 40 residues of one hand and a rejected design."""
    x = build_backbone(np.full(40, -57.0), -47.0)
    helix = Backbone.from_coordinates(x * ([-1, 1, 1] if hand == "D" else 1))
    write_backbone(folder / "design_0000.pdb", helix)
    for kind in ("noisy", "denoised"):
        write_trajectory(folder / "trajectories" / f"design_0000_{kind}.pdb", [helix] * 2)
    lines = [
        {"index": 0, "file": "design_0000.pdb", "handedness": hand},
        {"index": 1, "file": None, "handedness": hand, "rejected": ["strand"]},
    ]
    (folder / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture
def campaign(tmp_path):
    """Return a folder with a run of D-proteins and one of L-proteins, two floors down."""
    for hand in "DL":
        make_run(tmp_path / "campaign" / hand / "chunk-0000", hand)
    return tmp_path / "campaign"


@pytest.fixture(params=["campaign", "runs", "doubles"])
def given(request, campaign):
    """Return the same designs as a user may name them."""
    runs = [campaign / hand / "chunk-0000" for hand in "DL"]
    doubles = [runs[0] / "design_0000.pdb", *runs, runs[1] / "design_0000.pdb", campaign]
    return {"campaign": [campaign], "runs": runs, "doubles": doubles}[request.param]


def test_evaluate_judges_each_design_once_and_by_its_hand(run, given):
    result = run("evaluate", *given, "--json")
    assert result.exit_code == 0, result.output
    designs = json.loads(result.stdout)["designs"]
    assert [design["file"].split("/")[-3] for design in designs] == ["D", "L"]
    assert not any("left_handed" in design["failed"] for design in designs)


def test_likelihood_takes_each_design_once_and_by_its_hand(run, given, tiny_weights):
    as_d, as_l = (measure(run, tiny_weights, *given, "--handedness", hand) for hand in "DL")
    assert len(as_d) == len(as_l) == 2
    assert as_d[0] != as_l[0]
    assert measure(run, tiny_weights, *given) == [as_d[0], as_l[1]]


def measure(run, weights, *arguments):
    result = run("likelihood", "--weights", weights, *arguments, "--json", *FAST)
    assert result.exit_code == 0, result.output
    return [json.loads(line)["log_likelihood_nats"] for line in result.stdout.splitlines()]


def test_likelihood_refuses_a_hand_that_nobody_knows(run, campaign, tiny_weights):
    manifest = campaign / "L" / "chunk-0000" / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace('"L"', '"X"'))
    result = run("likelihood", "--weights", tiny_weights, campaign, "--json", *FAST)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "handedness is 'X'; give L or D" in result.stderr
    assert len(measure(run, tiny_weights, campaign, "--handedness", "D")) == 2


def test_report_counts_each_design_once_and_says_what_was_rejected(run, given, tmp_path):
    result = run("report", *given, "--out", tmp_path / "page.html", "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert (said["made"], said["shown"]) == (4, 2)
    assert said["problems"] == ["2 designs were rejected by the filter (strand)"]


def test_a_run_is_measured_alike_from_above(run, campaign, tmp_path):
    alone = shutil.copytree(campaign / "D" / "chunk-0000", tmp_path / "alone" / "run")
    above, below = (
        json.loads(run("evaluate", folder, "--json").stdout)["summary"]
        for folder in (alone.parent, alone)
    )
    assert above == below

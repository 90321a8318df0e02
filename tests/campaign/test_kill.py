"""A campaign that is killed; twenty times: python scripts/kill_campaign.py --kills 20."""

import json
import os
import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs signals and fork")
def test_kills_at_random_moments_lose_and_repeat_nothing(killer, tiny_weights):
    command = [sys.executable, killer.__file__, "--weights", str(tiny_weights)]
    ran = subprocess.run(
        [*command, "--kills", "5", "--num", "24", "--steps", "4"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    assert (report["kills"], report["designs"], report["identical"]) == (5, 48, True)
    assert report["kills_after_new_designs"] > 0
    assert 0 < report["kept"] < 48

import os
import sys

import pytest

from protdiff.checkpoint import read_header
from protdiff.weights import find_weights


@pytest.mark.skipif(sys.platform == "win32", reason="users have names")
def test_info_needs_no_name_of_the_user(run, monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)  # which no user is called by
    assert run("info", "--json").exit_code == 0


def test_info_shows_the_cards_of_weights_and_of_their_experts(run):
    lines = run("info").stdout.splitlines()
    start = lines.index("    expert:")
    steps = read_header(find_weights("protdiff-base"))["metadata"]["expert"]["steps"]
    assert f"      steps: {steps}" in lines[start:]
    assert not any("{" in line for line in lines)

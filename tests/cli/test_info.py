import os
import sys

import pytest


@pytest.mark.skipif(sys.platform == "win32", reason="users have names")
def test_info_needs_no_name_of_the_user(run, monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)  # which no user is called by
    assert run("info", "--json").exit_code == 0

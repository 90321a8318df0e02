"""Two thousand hostile inputs: refused in one line or read, and nothing else happens.

``scripts/fuzz.py`` gives the same targets as many as wanted.
"""

import pytest
from hostile.harness import Target, attempt, fuzz
from hostile.mutations import PLANTED, make_pickle
from hostile.targets import make_targets
from hypothesis import strategies as st

from protdiff.errors import InputError

INPUTS = 2_000


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    """Return the targets, by name."""
    folder = tmp_path_factory.mktemp("hostile") / "sound"
    folder.mkdir()
    return {target.name: target for target in make_targets(folder)}


NAMES = (
    *("pdb", "cif", "bcif", "bcif-values", "mixed", "gzip", "bomb", "bytes", "contig", "names"),
    *("points", "condition-words"),
    *("training-toml", "options-toml", "prepare-manifest", "problem", "run-folder", "evaluate"),
    *("read-designs", "report-designs", "report-page", "report-plots", "campaign"),
    *("campaign-record", "sequences", "training-log", "checkpoint", "training-state", "prepared"),
)
FORGIVING = ("report-designs", "report-page", "report-plots", "training-log")
"""These leave out what cannot be read, and say so."""


@pytest.mark.parametrize("name", NAMES)
def test_hostile_input_is_refused_or_read(targets, tmp_path, name):
    assert set(targets) == set(NAMES)
    share = targets[name].share / sum(target.share for target in targets.values())
    report = fuzz(targets[name], max(1, round(INPUTS * share)), tmp_path)
    assert not report.faults, "\n\n".join(report.faults.values())
    assert report.outcomes["accepted" if name in FORGIVING else "refused"] > 0


def run_one(tmp_path, act):
    return attempt(Target("one", st.nothing(), act), b"", tmp_path)[0]


def test_the_harness_sees_what_it_should(tmp_path, monkeypatch):
    import pickle

    from hostile import harness

    def refuse(_, place):
        raise InputError("no")

    def crash(_, place):
        raise ValueError

    def loop(_, place):
        while True:
            pass

    def warn(_, place):
        import warnings

        warnings.warn("careless", RuntimeWarning, stacklevel=1)

    monkeypatch.setattr(harness, "LONGEST", 0.2)
    assert run_one(tmp_path, lambda *_: None) == "accepted"
    assert run_one(tmp_path, refuse) == "refused"
    assert run_one(tmp_path, crash).startswith("ValueError at")
    assert run_one(tmp_path, loop).startswith("Hang at")
    assert run_one(tmp_path, warn).startswith("RuntimeWarning at")
    assert run_one(tmp_path, lambda _, place: bytearray(1 << 33)).startswith("MemoryError")
    outside = run_one(tmp_path, lambda _, place: (place.parent / "x").write_text("x"))
    assert outside.startswith("wrote outside")
    loaded = run_one(tmp_path, lambda *_: pickle.loads(make_pickle(tmp_path)).close())
    assert loaded.startswith("wrote outside")
    assert not (tmp_path / PLANTED).exists()

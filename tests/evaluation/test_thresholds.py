import math

import pytest

from protdiff.errors import InputError
from protdiff.evaluation.thresholds import parse_threshold

KNOWN = ["passing", "clashes", "in_bands"]


@pytest.mark.parametrize(
    ("text", "value", "met"),
    [
        ("passing<0.9", 0.9, False),
        ("passing<=0.9", 0.9, True),
        ("clashes>1", 1.0, False),
        ("clashes >= 1", 1.0, True),
        ("clashes>1e-3", 0.1, True),
        ("passing<.5", 0.4, True),
    ],
)
def test_a_condition_is_met_as_it_reads(text, value, met):
    threshold = parse_threshold(text, KNOWN)
    assert threshold.is_met({threshold.name: value}) is met


def test_what_could_not_be_measured_is_not_fine():
    assert parse_threshold("passing<0.9", KNOWN).is_met({"passing": math.nan})
    assert parse_threshold("passing>0.9", KNOWN).is_met({})


@pytest.mark.parametrize(
    "text",
    ["", "passing", "passing=0.9", "passing==1", "passing<", "passing<x", "<3", "passing<nan"],
)
def test_what_cannot_be_read_is_refused(text):
    with pytest.raises(InputError, match="no condition"):
        parse_threshold(text, KNOWN)


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'passing'"):
        parse_threshold("pasing<0.9", KNOWN)
    with pytest.raises(InputError, match="needs --novelty"):
        parse_threshold("known_tm>0.9", KNOWN, {"known_tm": "--novelty"})
    with pytest.raises(InputError, match="summary"):
        parse_threshold("qqqqqq<1", KNOWN)

import math

import numpy as np
import pytest

from protdiff.errors import InputError
from protdiff.evaluation.thresholds import Threshold, find_met, parse_threshold

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
    assert threshold.holds({threshold.name: value}) is met
    assert find_met([threshold], {threshold.name: value}) == [threshold] * met


@pytest.mark.parametrize("number", [None, "0.5", [0.5]])
def test_what_is_no_number_meets_nothing(number):
    assert not Threshold("strand", ">=", 0.0).holds({"strand": number})


@pytest.mark.parametrize("make", [float, np.float32, np.float64])
def test_a_number_may_be_of_numpy(make):
    assert Threshold("strand", ">=", 0.0).holds({"strand": make(0.5)})
    assert not Threshold("strand", ">=", 0.75).holds({"strand": make(0.5)})


def test_what_could_not_be_measured_is_not_fine():
    asked = [parse_threshold(text, KNOWN) for text in ("passing<0.9", "passing>0.9")]
    for summary in ({"passing": math.nan}, {}):
        assert find_met(asked, summary) == asked
        assert not any(threshold.holds(summary) for threshold in asked)
    assert not asked[0].holds({"passing": None})


def test_a_condition_is_written_as_it_is_read():
    threshold = parse_threshold("clashes >= 1e-3", KNOWN)
    assert threshold == Threshold("clashes", ">=", 0.001)
    assert (str(threshold), threshold.bound) == ("clashes>=0.001", ">=0.001")
    assert parse_threshold(str(threshold), KNOWN) == threshold


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
    with pytest.raises(InputError, match="summary"):
        parse_threshold("qqqqqq<1", KNOWN, {"known_tm": "--novelty"})

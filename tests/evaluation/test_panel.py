import math

import numpy as np
import pytest

from protdiff.evaluation import measure_quality, summarise_quality


def test_spread_between_designs_counts(helix):
    short, long = measure_quality(helix), measure_quality(helix * 1.01)
    rows = summarise_quality([short, long])
    assert rows["n_ca"] == pytest.approx(1.459 * 1.005)
    assert rows["n_ca_sd"] == pytest.approx(1.459 * 0.005)


def test_a_design_that_is_not_finite_counts_as_failed_and_in_no_mean(helix):
    spoilt = measure_quality(np.full_like(helix, np.nan))
    rows = summarise_quality([measure_quality(helix), spoilt])
    assert rows["designs"] == 2
    assert rows["finite"] == 0.5
    assert rows["unbroken"] == 0.5
    assert rows["links"] == 1.0


def test_nothing_is_nan_not_an_error():
    rows = summarise_quality([])
    assert rows["designs"] == 0
    assert math.isnan(rows["links"])

"""Tables of designs."""

import numpy as np
import pytest

from protdiff.design.table import is_missing


@pytest.mark.parametrize("kind", [float, np.float16, np.float32, np.float64])
def test_nan_is_no_number_whatever_library_it_is_of(kind):
    assert is_missing(kind("nan"))
    assert not is_missing(kind(0))


def test_what_is_missing_sorts_last_of_any_precision(designer):
    designs = designer.generate(40, 3, steps=2, step_scale=1.0)
    values = {0: np.float32("nan"), 1: np.float32(2), 2: np.float32(1)}
    ordered = designs.sort(lambda design: values[design.index])
    assert [design.index for design in ordered.designs] == [2, 1, 0]

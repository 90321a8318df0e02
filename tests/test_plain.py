"""Numbers become Python's own, and what is none is refused by name."""

import json
from fractions import Fraction

import numpy as np
import pytest
import torch

from protdiff.errors import InputError
from protdiff.plain import take_integer, take_number


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), np.array(3), torch.tensor(3)])
def test_whole_numbers_of_any_library_are_taken(value):
    assert json.dumps(take_integer("seed", value)) == "3"


@pytest.mark.parametrize("value", [3.0, np.float64(3), "3", None, [3], np.arange(3), 1j])
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(InputError, match=r"^seed is .*; give a whole number"):
        take_integer("seed", value)


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.array(0.5), torch.tensor(0.5)])
def test_numbers_of_any_library_are_taken(value):
    assert json.dumps(take_number("temperature", value)) == "0.5"
    assert take_number("temperature", Fraction(1, 2)) == 0.5


@pytest.mark.parametrize("value", ["0.5", b"1", None, [0.5], np.zeros(2), 1j, 10**400])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(InputError, match=r"^temperature is .*; give a number"):
        take_number("temperature", value)

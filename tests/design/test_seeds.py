import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from protdiff.design.seeds import derive_seed, make_generator, make_layout_generator
from protdiff.errors import InputError

SEEDS = st.integers(-(2**40), 2**40)


@given(SEEDS, st.integers(0, 10**6))
def test_a_seed_fits_every_generator(seed, index):
    assert 0 <= derive_seed(seed, index) < 2**63


@pytest.mark.parametrize("seed", [None, 3.0, "3"])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(InputError, match="seed is"):
        derive_seed(seed, 0)
    assert derive_seed(np.int64(3), 0) == derive_seed(3, 0)


def test_designs_and_seeds_do_not_share_streams():
    seeds = {derive_seed(seed, index) for seed in range(50) for index in range(50)}
    assert len(seeds) == 2500


def test_noise_and_layout_are_independent():
    assert derive_seed(0, 0, "noise") != derive_seed(0, 0, "layout")


def test_a_stream_is_the_same_in_another_process():
    code = "from protdiff.design.seeds import derive_seed; print(derive_seed(5, 7))"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert int(printed) == derive_seed(5, 7)


def test_generators_are_of_the_seed_of_their_design():
    assert make_generator(3, 1).initial_seed() == derive_seed(3, 1)
    assert make_generator(3, 1, "motif").initial_seed() == derive_seed(3, 1, "motif")
    expected = np.random.default_rng(derive_seed(3, 1, "layout"))
    assert make_layout_generator(3, 1).random() == expected.random()


def test_generators_repeat():
    assert torch.equal(
        torch.randn(5, generator=make_generator(3, 1)),
        torch.randn(5, generator=make_generator(3, 1)),
    )
    assert make_layout_generator(3, 1).random() == make_layout_generator(3, 1).random()

"""Conditions together: what each design of a batch is asked, by itself."""

import pytest
import torch

from protdiff.conditioning import Conditions, Contacts
from protdiff.diffusion import Denoiser
from protdiff.diffusion.guidance import LikelihoodTerm


class Still(Denoiser):
    """What is there stays as it is."""

    def __init__(self, sde):
        self.sde = sde

    def __call__(self, x_t, t):
        return x_t


class Pull(LikelihoodTerm):
    """A likelihood that is far steeper than can be meant."""

    def __call__(self, estimate):
        return -1e6 * estimate.denoised.square().sum(dim=(1, 2, 3))


@pytest.mark.parametrize("through_network", [None, Pull()])
def test_the_limit_of_a_shift_is_that_of_the_design(laws, tiny_model, through_network):
    """Short designs are not moved further where longer ones are made beside them."""
    lengths = [40, 24]
    walks = laws.make_walks(lengths, step=0.9)
    t = tiny_model.sde.time_of_noise_ratio(torch.tensor(0.1, dtype=torch.float64))
    pull = Contacts("1-24:4, 5-20:4, 2-23:4, 8-15:4", tolerance=0.01)

    def measure(lengths, walks):
        conditions = Conditions(laws.make_scene(tiny_model, lengths), [pull])
        guided = conditions.guide(Still(tiny_model.sde), through_network)
        return (guided(walks, t) - walks).flatten(1).norm(dim=1)

    together = measure(lengths, walks)
    alone = torch.cat([measure([n], walks[k : k + 1, :n]) for k, n in enumerate(lengths)])
    assert torch.allclose(together, alone, rtol=1e-9)
    # All of it is cut, to the same root mean square.
    assert float(together[0] / together[1]) == pytest.approx((40 / 24) ** 0.5, rel=1e-9)

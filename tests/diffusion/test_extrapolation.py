"""Classifier-free guidance and autoguidance: denoisers of tilted densities."""

import pytest
import torch

from protdiff.diffusion.analytic import GaussianDenoiser
from protdiff.diffusion.denoiser import FunctionDenoiser, score
from protdiff.diffusion.guidance import Autoguidance, ClassifierFreeGuidance, NoiseSpan
from protdiff.diffusion.sde import CosineVPSDE, LinearVPSDE
from protdiff.errors import InputError

SDE = LinearVPSDE()
BROAD = GaussianDenoiser(SDE, torch.zeros(2).double(), 1.5 * torch.eye(2).double())
NARROW = GaussianDenoiser(
    SDE, torch.tensor([0.5, -0.5]).double(), torch.tensor([[0.5, 0.2], [0.2, 0.4]]).double()
)
EVERY_KIND = pytest.mark.parametrize(
    "guide",
    [
        lambda weight: ClassifierFreeGuidance(BROAD, NARROW, weight),
        lambda weight: Autoguidance(NARROW, BROAD, weight),
    ],
    ids=["classifier-free", "autoguidance"],
)


@EVERY_KIND
@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("t", [0.05, 0.4, 1.0])
def test_score_of_the_tilted_marginal(guide, weight, t):
    """The score is that of p_0(x_t)^(1 − w) p_1(x_t)^w."""
    t = torch.tensor(t).double()
    x_t = torch.randn(4, 2, dtype=torch.float64).requires_grad_()
    density = (1 - weight) * BROAD.log_prob(x_t, t) + weight * NARROW.log_prob(x_t, t)
    (expected,) = torch.autograd.grad(density.sum(), x_t)
    torch.testing.assert_close(score(guide(weight), x_t.detach(), t), expected)


@EVERY_KIND
def test_a_run_ends_on_a_posterior_mean(guide):
    t, x_t = torch.tensor(0.1).double(), torch.randn(4, 2, dtype=torch.float64)
    torch.testing.assert_close(guide(3.0).finish(x_t, t), NARROW(x_t, t))


def test_span_evaluates_only_the_denoiser_in_force():
    calls = []
    inside = FunctionDenoiser(SDE, lambda x_t, t: calls.append("in") or torch.ones_like(x_t))
    outside = FunctionDenoiser(SDE, lambda x_t, t: calls.append("out") or torch.zeros_like(x_t))
    span = NoiseSpan(inside, outside, low=0.5, high=2.0)
    x_t = torch.zeros(3, 2)
    times = SDE.time_of_noise_ratio(torch.tensor([0.1, 1.0, 10.0]).double())
    values = [float(span(x_t, t).mean()) for t in times]
    assert (values, calls) == ([0.0, 1.0, 0.0], ["out", "in", "out"])
    assert span(x_t, times).mean(1).tolist() == [0.0, 1.0, 0.0]
    assert [float(span.finish(x_t, t).mean()) for t in times] == values
    with pytest.raises(InputError, match="empty"):
        NoiseSpan(inside, outside, low=2.0, high=1.0)


def test_span_is_the_denoiser_in_force_and_holds_at_its_ends():
    low, high = SDE.noise_ratio(torch.tensor([0.2, 0.6]).double()).tolist()
    span = NoiseSpan(NARROW, BROAD, low, high)
    x_t = torch.randn(5, 2, dtype=torch.float64)
    for t, denoiser in ((0.1, BROAD), (0.2, NARROW), (0.4, NARROW), (0.6, NARROW), (0.7, BROAD)):
        time = torch.tensor(t).double()
        assert torch.equal(span(x_t, time), denoiser(x_t, time))
        assert torch.equal(span.finish(x_t, time), denoiser.finish(x_t, time))


def test_a_span_finishes_each_sample_by_its_own_time():
    span = NoiseSpan(NARROW, BROAD, *SDE.noise_ratio(torch.tensor([0.2, 0.6]).double()).tolist())
    x_t = torch.randn(3, 2, dtype=torch.float64)
    times = torch.tensor([0.1, 0.4, 0.7], dtype=torch.float64)
    for give in (span, span.finish):
        each = [give(x_t[k : k + 1], times[k]) for k in range(3)]
        torch.testing.assert_close(give(x_t, times), torch.cat(each))


def test_models_of_two_sdes_are_refused():
    other = GaussianDenoiser(CosineVPSDE(), torch.zeros(2), torch.eye(2))

    def make_span(inside, outside, high):
        return NoiseSpan(inside, outside, 0.0, high)

    for combine in (ClassifierFreeGuidance, Autoguidance, make_span):
        with pytest.raises(InputError, match="SDE"):
            combine(BROAD, other, 2.0)


def test_reordering_reaches_both():
    class Counting(FunctionDenoiser):
        count = 0

        def reorder(self, indices):
            self.count += 1

    for combine in (
        lambda a, b: ClassifierFreeGuidance(a, b, 2.0),
        lambda a, b: Autoguidance(a, b, 2.0),
        lambda a, b: NoiseSpan(a, b, 0.0, 1.0),
    ):
        pair = [Counting(SDE, lambda x_t, t: x_t) for _ in range(2)]
        combine(*pair).reorder(torch.tensor([0]))
        assert [denoiser.count for denoiser in pair] == [1, 1]

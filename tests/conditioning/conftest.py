"""What the tests of the conditioners share: a scene, and laws that every likelihood keeps."""

import pytest
import torch

from protdiff.conditioning import Scene
from protdiff.diffusion import (
    ExponentialSDE,
    KarrasGrid,
    LinearVPSDE,
    PerSampleNoise,
    ProjectedNoise,
)
from protdiff.diffusion.analytic import GaussianDenoiser
from protdiff.diffusion.guidance import Estimate, FrozenGuided
from protdiff.diffusion.polymer import PolymerMap
from protdiff.diffusion.sampler import draw_prior
from protdiff.model import make_residue_mask

SDE = LinearVPSDE()


def make_scene(model, lengths, chains=1):
    """Make a scene of designs of the given lengths, each cut into equal chains."""
    mask = make_residue_mask(lengths)
    count = mask.shape[1]
    chain = (torch.arange(count) * chains // count).repeat(len(mask), 1)
    return Scene(model, mask, torch.arange(count) + 200 * chain, chain)


def make_walks(lengths, seed=0, step=0.45):
    """Make random walks in float64, centred and padded, ``(batch, residue, 3, 3)``."""
    mask = make_residue_mask(lengths)
    generator = torch.Generator().manual_seed(seed)
    steps = torch.randn(*mask.shape, 3, 3, generator=generator, dtype=torch.float64)
    steps[:, :, 1:] *= 0.3
    walks = step * torch.cat([steps[:, :, :1].cumsum(1), steps[:, :, 1:]], 2)
    walks[:, :, 1:] += walks[:, :, :1]
    walks = torch.where(mask[..., None, None], walks, 0.0)
    centre = walks.sum((1, 2), keepdim=True) / (3 * mask.sum(1))[:, None, None, None]
    return torch.where(mask[..., None, None], walks - centre, 0.0)


def evaluate(term, denoised, noise=0.5):
    """Evaluate a term on a denoised mean, ``(batch,)``."""
    t = SDE.time_of_noise_ratio(torch.tensor(noise, dtype=torch.float64))
    return term(Estimate(denoised, t, denoised, SDE))


def random_rotation(seed):
    generator = torch.Generator().manual_seed(seed)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    return turn * torch.linalg.det(turn).sign()


class Polymers:
    """Chains of 40 residues whose law is known, so that their denoiser is exact.

    Parameters
    ----------
    scene
        The batch of them.
    decay
        Of the correlation from atom to atom.
    variance
        Of a coordinate, in model units.
    """

    def __init__(self, scene, decay=0.98, variance=0.6):
        self.scene, self.sde = scene, scene.model.sde
        covariance = PolymerMap(120, decay).covariance * variance
        prior = torch.kron(covariance, torch.eye(3, dtype=torch.float64)).float()
        self.free = GaussianDenoiser(self.sde, torch.zeros(40, 3, 3), prior)
        self.subspace = scene.model.subspace(scene.residue_mask)
        generators = [
            torch.Generator().manual_seed(seed) for seed in range(len(scene.residue_mask))
        ]
        self.noise = ProjectedNoise(PerSampleNoise(generators), self.subspace)
        self.start = draw_prior(self.sde, self.noise, torch.zeros(len(generators), 40, 3, 3))

    def guide(self, conditioner):
        """Return the denoiser guided by what a conditioner asks."""
        with torch.inference_mode():  # as designs are sampled
            term = conditioner.make_term(self.scene)
        return FrozenGuided(self.free, term, subspace=self.subspace)

    def sample(self, denoiser, steps=25):
        """Sample the batch in model units, from the same start each time and with new noise."""
        times = KarrasGrid()(self.sde, steps)
        with torch.inference_mode():
            return ExponentialSDE()(denoiser, self.start, times, noise=self.noise)


class Laws:
    """The laws of a likelihood of backbones of free pose."""

    make_polymers = Polymers
    make_scene = staticmethod(make_scene)
    make_walks = staticmethod(make_walks)
    evaluate = staticmethod(evaluate)
    random_rotation = staticmethod(random_rotation)

    def hold_gradient(self, term, denoised, *, tolerance=1e-5, noises=(0.05, 0.5, 3.0)):
        """The gradient is that of finite differences, along five random directions."""
        generator = torch.Generator().manual_seed(9)
        for noise in noises:
            x = denoised.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(evaluate(term, x, noise).sum(), x)
            assert gradient.abs().max() > 0
            for _ in range(5):
                way = torch.randn(x.shape, generator=generator, dtype=x.dtype)
                way = way * (denoised != 0)
                way, small = way / way.norm(), 1e-5
                ahead, behind = (
                    evaluate(term, denoised + sign * small * way, noise).sum() for sign in (1, -1)
                )
                found, expected = (gradient * way).sum(), (ahead - behind) / (2 * small)
                assert abs(found - expected) < tolerance * gradient.norm(), noise

    def hold_pose(self, term, denoised, *, tolerance=1e-8):
        """A rotation or a translation changes nothing, and the gradient turns along."""
        turn = random_rotation(3)
        for noise in (0.05, 0.5, 3.0):
            x = denoised.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(evaluate(term, x, noise).sum(), x)
            moved = (denoised @ turn.mT).requires_grad_()
            (turned,) = torch.autograd.grad(evaluate(term, moved, noise).sum(), moved)
            largest = gradient.abs().max()
            assert (turned - gradient @ turn.mT).abs().max() < tolerance * largest
            plain = evaluate(term, denoised, noise)
            for other in (denoised @ turn.mT, denoised + 2.0):
                assert torch.allclose(evaluate(term, other, noise), plain, rtol=tolerance)

    def hold_batch(self, make_term, model, lengths, denoised):
        """A design depends neither on its neighbours in the batch nor on padding."""
        for noise in (0.05, 0.5, 3.0):
            whole = evaluate(make_term(make_scene(model, lengths)), denoised, noise)
            for row, length in enumerate(lengths):
                alone = denoised[row : row + 1, :length]
                term = make_term(make_scene(model, [length]))
                assert torch.allclose(evaluate(term, alone, noise), whole[row], rtol=1e-9)

    def hold_silence(self, term, denoised):
        """Nothing is asked where the noise hides everything."""
        assert (evaluate(term, denoised, 50.0) == 0).all()


@pytest.fixture
def laws():
    return Laws()

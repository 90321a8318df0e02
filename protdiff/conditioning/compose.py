r"""Conditioners put together: one denoiser, one noise and one start for a batch.

From the inside to the outside,

1. the network's denoiser, :math:`D`;
2. all likelihoods at once, :math:`D' = D + v_t \sum_k \nabla_D \log p(y_k \mid x_t)`, or through
   the network where a motif's method asks for its Jacobian;
3. excluded volume;
4. what wraps: symmetry and whatever projects; a motif's own projection comes last.

Guidance comes before projections, so that a run ends on a sample that satisfies what is exact, and
what is soft is asked for as far as that allows.

The shift is held to what Bayes' rule can mean by it. The conditional mean is some posterior
standard deviations from the unconditional one, and these shrink with the noise: a potential that is
steeper than the denoiser can follow then moves a structure by about its noise, and does not
tear it in the last steps. Through the network, whose Jacobian shrinks with the noise by itself, the
bound is one length, in the root of the squares with that of the motif.

A step scale above 1 (:class:`~protdiff.diffusion.ScaledScore`) stands outside of all this, so it
sharpens the conditional law as a whole, likelihoods with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from protdiff.conditioning.conditioner import Conditioner, Scene
from protdiff.diffusion import SDE, Denoiser, Noise
from protdiff.diffusion.guidance import FrozenGuided, Guided, LikelihoodTerm, SumOfTerms
from protdiff.errors import InputError
from protdiff.model import DIFFUSED_ATOMS

__all__ = ["Conditions"]

# Posterior standard deviations that guidance may move a design by, root mean square.
_MOST_DEVIATIONS = 2.0
# The same through the network, whose Jacobian has errors at large noise, in model units.
_LARGEST_SHIFT = 0.5


@dataclass(frozen=True, eq=False)
class Conditions:
    """The conditioners of a batch, in their scene.

    Parameters
    ----------
    scene
        The batch.
    conditioners
        What is asked of it; with none, every method gives back what it was given.
    """

    scene: Scene
    conditioners: Sequence[Conditioner] = ()

    def guide(
        self,
        denoiser: Denoiser,
        through_network: LikelihoodTerm | None = None,
        *,
        max_shift: float | Tensor = 0.0,
    ) -> Denoiser:
        """Return the denoiser guided by all likelihoods that there are.

        Parameters
        ----------
        denoiser
            Of ``(batch, residue, 3, 3)``.
        through_network
            A likelihood whose gradient has to pass through the denoiser; the others then do too.
        max_shift
            The largest norm of its shift, of all designs or ``(batch,)``.
        """
        made = [one.make_term(self.scene) for one in self.conditioners]
        terms = [term for term in made if term is not None]
        # The root of the number of each design's coordinates: a norm by it is a root mean square.
        size = (3 * len(DIFFUSED_ATOMS) * self.scene.residue_mask.sum(dim=1).double()).sqrt()
        if through_network is not None:
            if not terms:
                return Guided(denoiser, through_network, max_shift=max_shift)
            most = torch.hypot(torch.as_tensor(max_shift).to(size), _LARGEST_SHIFT * size)
            return Guided(denoiser, SumOfTerms(through_network, *terms), max_shift=most)
        if not terms:
            return denoiser
        return FrozenGuided(
            denoiser,
            SumOfTerms(*terms),
            subspace=self.scene.model.subspace(self.scene.residue_mask),
            max_deviations=_MOST_DEVIATIONS * size,
        )

    def wrap(self, denoiser: Denoiser) -> Denoiser:
        """Return the denoiser with all that wraps around it, the first conditioner innermost."""
        for conditioner in self.conditioners:
            denoiser = conditioner.wrap(denoiser, self.scene)
        return denoiser

    def make_noise(self, noise: Noise) -> Noise:
        """Return the noise that the designs are made of."""
        for conditioner in self.conditioners:
            noise = conditioner.make_noise(noise, self.scene)
        return noise

    def begin(self, sde: SDE, times: Tensor, noise: Noise) -> tuple[Tensor, Tensor] | None:
        """Return where sampling starts and the times that are left; None for the prior.

        Parameters
        ----------
        sde
            The forward process.
        times
            ``(steps + 1,)``, those of a run from the prior.
        noise
            From :meth:`make_noise`.

        Raises
        ------
        InputError
            Two conditioners want to start elsewhere.
        """
        found = [one.begin(sde, times, noise, self.scene) for one in self.conditioners]
        starts = [start for start in found if start is not None]
        if len(starts) > 1:
            raise InputError("sampling can start in one place only; give one start")
        return starts[0] if starts else None

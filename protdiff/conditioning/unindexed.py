"""Unindexed motifs: a condition that is settled while sampling goes on.

Of an unindexed motif the place in the chain is not given. While the noise is large the denoised
mean is no structure yet, and is left as it is; the first time that it is one, the place where the
motif fits it best is looked up, once and for all, and from then on the motif is one of known place.

So the place is a function of the design's own noise: designs of one run have their motifs in
different places, and a design that is made again has it in the same.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from protdiff.diffusion import Denoiser

__all__ = ["UnindexedMotif"]


class UnindexedMotif(Denoiser):
    """A denoiser that becomes another, chosen by what it sees, when the noise is small enough.

    It remembers what it has become, so make a new one for each sampling run; and the noise may not
    rise again, as it does under an adaptive solver.

    Parameters
    ----------
    denoiser
        Of backbones ``(batch, residue, 3 atoms, 3)``, that knows no motif.
    settle
        Makes the denoiser that knows the motif and its place of the first estimate that is taken
        for a structure, in model units.
    scale
        Å per model unit.
    noise_limit
        The noise, in Å, from which on the estimate is taken for a structure. Earlier, the estimate
        fits worse; later, less can be mended.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        settle: Callable[[Tensor], Denoiser],
        *,
        scale: float,
        noise_limit: float = 8.0,
    ) -> None:
        self.sde = denoiser.sde
        self.denoiser = denoiser
        self.settle = settle
        self.scale = scale
        self.noise_limit = noise_limit
        self.settled: Denoiser | None = None

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Denoise, ``(batch, residue, 3, 3)``."""
        if self.settled is None:
            noise = float(self.sde.noise_ratio(t.double()).max()) * self.scale
            if noise > self.noise_limit:
                return self.denoiser(x_t, t)
            self.settled = self.settle(self.denoiser(x_t, t))
        return self.settled(x_t, t)

    def finish(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give the estimate that ends a run."""
        if self.settled is None:
            self.settled = self.settle(self.denoiser(x_t, t))
        return self.settled.finish(x_t, t)

    def reorder(self, indices: Tensor) -> None:
        """Hand the resampling on."""
        self.denoiser.reorder(indices)
        if self.settled is not None:
            self.settled.reorder(indices)

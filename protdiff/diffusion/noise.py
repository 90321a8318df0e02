"""Sources of standard normal noise: an argument of everything that is random.

A noise is a callable that is given a tensor and returns noise of its shape, place and precision, in
the subspace that the data live in. A sampler asks for nothing else, so the temperature (the noise's
scale), independence of the batch (one generator for each element) and correlation (a linear
map) are all made by wrapping.

References
----------
Anderson (1982), Reverse-time diffusion equation models (the noise of a reverse process);
Hoogeboom et al. (2022), Equivariant diffusion for molecule generation in 3D (noise in a subspace).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from protdiff.device import send
from protdiff.diffusion.subspace import Subspace
from protdiff.errors import InputError

__all__ = ["GaussianNoise", "Noise", "PerSampleNoise", "ProjectedNoise", "ScaledNoise"]


class Noise(ABC):
    """A source of noise, ε ~ N(0, P): ``noise(like)`` has the shape and place of ``like``."""

    @abstractmethod
    def __call__(self, like: Tensor) -> Tensor:
        """Draw noise, ``(batch, *event)`` as ``like``."""

    def reorder(self, indices: Tensor) -> None:  # noqa: B027, nothing to do is the rule
        """Follow a resampling of the batch; fresh noise has nothing to follow."""


class GaussianNoise(Noise):
    """Independent standard normal numbers from one generator, ε ~ N(0, I).

    Parameters
    ----------
    generator
        On the device of the tensors; None takes torch's own generator.

    Examples
    --------
    >>> GaussianNoise(torch.Generator().manual_seed(0))(torch.zeros(2, 3)).shape
    torch.Size([2, 3])
    """

    def __init__(self, generator: torch.Generator | None = None) -> None:
        self.generator = generator

    def __call__(self, like: Tensor) -> Tensor:
        """Draw noise, ``(batch, *event)`` as ``like``."""
        return torch.randn(
            like.shape, generator=self.generator, dtype=like.dtype, device=like.device
        )


class PerSampleNoise(Noise):
    """Standard normal numbers, ε ~ N(0, I), from a generator for each element of the batch.

    What an element receives does not depend on the rest of the batch, nor on how far the batch is
    padded; numbers are drawn on the CPU in single precision, so not on the device either.

    Parameters
    ----------
    generators
        One CPU generator for each element.
    lengths
        How many entries of each element's first axis exist; the rest, padding, receives zeros.
        None: all.

    Examples
    --------
    >>> def noise(seed):
    ...     return PerSampleNoise([torch.Generator().manual_seed(seed)])
    >>> both = PerSampleNoise([torch.Generator().manual_seed(seed) for seed in (3, 4)])
    >>> torch.equal(both(torch.zeros(2, 5))[1:], noise(4)(torch.zeros(1, 5)))
    True
    """

    def __init__(
        self, generators: Sequence[torch.Generator], lengths: Sequence[int] | None = None
    ) -> None:
        if lengths is not None and len(lengths) != len(generators):
            raise InputError(
                f"{len(generators)} generators and {len(lengths)} lengths; give one length for "
                "each generator"
            )
        self.generators = list(generators)
        self.lengths = None if lengths is None else [int(length) for length in lengths]

    def __call__(self, like: Tensor) -> Tensor:
        """Draw noise, ``(batch, *event)`` as ``like``."""
        if like.shape[0] != len(self.generators):
            raise InputError(
                f"a batch of {like.shape[0]} asks for noise from {len(self.generators)} "
                "generators; give one generator for each element"
            )
        drawn = torch.zeros(like.shape, dtype=torch.float32)
        for index, generator in enumerate(self.generators):
            # Exactly the element's own numbers are drawn: torch's stream for a longer tensor
            # does not begin with its stream for a shorter one.
            if self.lengths is None:
                drawn[index] = torch.randn(like.shape[1:], generator=generator, dtype=drawn.dtype)
            else:
                length = self.lengths[index]
                drawn[index, :length] = torch.randn(
                    length, *like.shape[2:], generator=generator, dtype=drawn.dtype
                )
        return send(drawn, like)


class ScaledNoise(Noise):
    """Noise of another size, c ε: the temperature of a stochastic sampler.

    A reverse SDE whose noise is scaled by c < 1 samples a sharper law than the model's, and with
    c = 0 follows the drift alone.

    Parameters
    ----------
    noise
        The noise to scale.
    scale
        c.

    References
    ----------
    Yim et al. (2023), SE(3) diffusion model with application to protein backbone generation (its
    noise scale ζ).
    """

    def __init__(self, noise: Noise, scale: float) -> None:
        self.noise = noise
        self.scale = scale

    def __call__(self, like: Tensor) -> Tensor:
        """Draw noise, ``(batch, *event)`` as ``like``."""
        return self.scale * self.noise(like)

    def reorder(self, indices: Tensor) -> None:
        """Hand the resampling on."""
        self.noise.reorder(indices)


class ProjectedNoise(Noise):
    """Noise in a subspace, P ε ~ N(0, P): standard normal there.

    Parameters
    ----------
    noise
        Noise in the whole space.
    subspace
        Where to project it.
    """

    def __init__(self, noise: Noise, subspace: Subspace) -> None:
        self.noise = noise
        self.subspace = subspace

    def __call__(self, like: Tensor) -> Tensor:
        """Draw noise, ``(batch, *event)`` as ``like``."""
        return self.subspace.project(self.noise(like))

    def reorder(self, indices: Tensor) -> None:
        """Hand the resampling on."""
        self.noise.reorder(indices)

r"""The discrete processes that came first, as discretisations of SDEs.

DDPM is a Markov chain, x_i = sqrt(1 - β_i) x_{i-1} + sqrt(β_i) ξ. With N steps and β_i = β(i/N)/N
it is, for large N, the VP SDE with that β (Song et al. 2021, appendix B):

.. math::  \sqrt{1 - β_i}\, x \approx x - \tfrac12 β(t)\, x\, Δt, \qquad
           \barα_i = \prod_{j \le i} (1 - β_j) \to e^{-\int_0^t β} = α_t^2 .

NCSN has no chain but a ladder of noise levels σ_1 < ... < σ_N; in geometric progression they are
the marginals of the VE SDE, up to the σ_min that the ladder starts with.

References
----------
Ho et al. (2020), Denoising diffusion probabilistic models; Song and Ermon (2019), Generative
modeling by estimating gradients of the data distribution; Song et al. (2021), Score-based
generative modeling through stochastic differential equations, appendix B.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from protdiff.diffusion.noise import Noise
from protdiff.diffusion.sde import SDE, VESDE, LinearVPSDE
from protdiff.errors import InputError

__all__ = ["DDPMSchedule", "NoiseLadder"]


@dataclass(frozen=True, eq=False)
class DDPMSchedule:
    r"""The Markov chain of DDPM, x_i = sqrt(1 - β_i) x_{i-1} + sqrt(β_i) ξ for i = 1 ... N.

    Parameters
    ----------
    betas
        β_1 ... β_N, ``(step,)``, each between 0 and 1.

    References
    ----------
    Ho et al. (2020), Denoising diffusion probabilistic models.

    Examples
    --------
    >>> schedule = DDPMSchedule.make_linear(1000)
    >>> schedule.make_sde()
    LinearVPSDE(beta_min=0.1, beta_max=20.0)
    """

    betas: Tensor

    def __post_init__(self) -> None:
        betas = self.betas
        if betas.ndim != 1 or not betas.numel() or not bool(((betas > 0) & (betas < 1)).all()):
            given = f" from {betas.min():g} to {betas.max():g}" if betas.numel() else ""
            raise InputError(
                f"βs of shape {tuple(betas.shape)}{given} make no DDPM schedule; give "
                "(step,), at least one, each between 0 and 1 (make_linear's shrink with its steps)"
            )

    @classmethod
    def make_linear(
        cls, steps: int, *, beta_min: float = 0.1, beta_max: float = 20.0
    ) -> DDPMSchedule:
        """Make the paper's schedule, β_i from beta_min/N to beta_max/N in equal steps.

        The defaults at N = 1000 are the paper's 1e-4 and 0.02.
        """
        if steps < 1:
            raise InputError(f"{steps} steps make no DDPM schedule; give at least 1")
        return cls(torch.linspace(beta_min / steps, beta_max / steps, steps, dtype=torch.float64))

    @classmethod
    def discretise(cls, sde: SDE, steps: int) -> DDPMSchedule:
        """Make the chain whose marginals at i/N are exactly those of a VP SDE.

        β_i = 1 - α²(t_i) / α²(t_{i-1}).

        Raises
        ------
        InputError
            The SDE is not variance-preserving, α² + σ² = 1 without a shift, as the chain is.
        """
        times = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
        excess = sde.marginal_sigma(times) - 1
        if bool((excess.abs() > 1e-6).any()) or bool(sde.shift(times).any()):
            raise InputError(
                f"{sde} is no DDPM chain, whose α² + σ² is 1 without a shift at every time; give "
                "an SDE that preserves variance, as LinearVPSDE or CosineVPSDE"
            )
        return cls(-torch.expm1(2 * sde.log_alpha(times).diff()))

    def make_sde(self) -> LinearVPSDE:
        """Give the VP SDE that a linear schedule becomes as its steps are refined.

        Raises
        ------
        InputError
            The βs do not lie on a line.
        """
        steps = len(self.betas)
        ends = float(self.betas[0]), float(self.betas[-1])
        line = torch.linspace(*ends, steps, dtype=torch.float64)
        # Single precision is let through, the curve of a discretised SDE is not.
        if not torch.allclose(self.betas.cpu().double(), line, rtol=1e-5, atol=0):
            raise InputError(
                "the βs of this schedule do not lie on a line, so LinearVPSDE is not what they "
                "become; keep the SDE that they were made of, or use make_linear"
            )
        beta_min, beta_max = (round(steps * end, 12) for end in ends)
        return LinearVPSDE(beta_min=beta_min, beta_max=beta_max)

    @property
    def alpha_bars(self) -> Tensor:
        """ᾱ_i, the products of 1 - β_j, ``(step,)``."""
        return torch.log1p(-self.betas).cumsum(0).exp()

    def find_times(self, sde: SDE) -> Tensor:
        """Give the times, rising, at which an SDE has the chain's noise ratios, ``(step,)``.

        k_i = √((1 - ᾱ_i) / ᾱ_i): what a network of the chain knows as step i is the time of
        entry ``i - 1``.
        """
        squared = torch.expm1(-torch.log1p(-self.betas.cpu().double()).cumsum(0))
        return sde.time_of_noise_ratio(squared.sqrt()).clamp(max=sde.t_max)

    def run(self, x_0: Tensor, noise: Noise) -> Tensor:
        """Run the chain from data, ``(batch, *event)``, to x_N."""
        x = x_0
        for beta in self.betas:
            x = (1 - beta).sqrt() * x + beta.sqrt() * noise(x)
        return x


@dataclass(frozen=True)
class NoiseLadder:
    r"""The noise levels of NCSN in geometric progression, σ_i = σ_min (σ_max/σ_min)^{(i-1)/(N-1)}.

    Parameters
    ----------
    sigma_min, sigma_max
        The ends.
    levels
        N, at least 2.

    References
    ----------
    Song and Ermon (2019), Generative modeling by estimating gradients of the data distribution.
    """

    sigma_min: float = 0.01
    sigma_max: float = 50.0
    levels: int = 10

    def __post_init__(self) -> None:
        if self.levels < 2 or not 0 < self.sigma_min < self.sigma_max:
            raise InputError(
                f"{self.levels} levels from {self.sigma_min} to {self.sigma_max} make no ladder; "
                "give at least 2 levels and 0 < sigma_min < sigma_max"
            )

    @property
    def sigmas(self) -> Tensor:
        """σ_1 ... σ_N, increasing, ``(level,)``."""
        fractions = torch.linspace(0, 1, self.levels, dtype=torch.float64)
        return self.sigma_min * (self.sigma_max / self.sigma_min) ** fractions

    def make_sde(self) -> VESDE:
        """Give the VE SDE of which the ladder is the discretisation."""
        return VESDE(self.sigma_min, self.sigma_max)

    def find_times(self, sde: SDE) -> Tensor:
        """Give the times, decreasing, at which an SDE has the ladder's noise ratios."""
        return sde.time_of_noise_ratio(self.sigmas.flip(0)).clamp(max=sde.t_max)

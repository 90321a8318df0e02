"""Measure the bias of every guidance against exact posteriors, and print it as a table.

Two laws of two coordinates are conditioned on a noisy value of the first: a correlated Gaussian and
a mixture of three Gaussians. Each method draws from the posterior on one grid of steps, and its
draws are held against the exact posterior: error of the mean and of the covariance in units of the
posterior's own spread, and half the sum of the errors of the components' weights. The row "exact
draws" is what the number of draws allows, the row "exact likelihood" what the number of steps does.
Replacement and its kin know no measurement noise and are held against the posterior without it.

    python scripts/guidance_bias.py --draws 20000 --steps 200 --out guidance_bias.md
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from protdiff.diffusion import (
    CosineVPSDE,
    Denoiser,
    ExponentialSDE,
    GaussianNoise,
    LogSNRGrid,
    MixtureDenoiser,
    draw_prior,
)
from protdiff.diffusion.guidance import (
    FrozenGuided,
    Guided,
    KnownCoordinates,
    MaskedObservation,
    MixturePosterior,
    MomentMatching,
    NoisyClassifier,
    ProjectedMean,
    ProportionalVariance,
    RePaint,
    Replacement,
    SMCDiff,
    TwistedSMC,
    ZeroVariance,
    mixture_posterior,
)

SDE = CosineVPSDE()
MASK = torch.tensor([True, False])
MATRIX = torch.tensor([[1.0, 0.0]])
PARTICLES = 50


@dataclass(frozen=True, eq=False)
class Case:
    """A law to be conditioned on its first coordinate, y = x + N(0, noise_std²)."""

    name: str
    weights: Tensor  # (component,)
    means: Tensor  # (component, 2)
    covariances: Tensor  # (component, 2, 2)
    observed: float
    noise_std: float

    def denoiser(self) -> MixtureDenoiser:
        """Give the exact unconditional denoiser."""
        return MixtureDenoiser(SDE, self.weights, self.means, self.covariances)

    def posterior(self, noise_std: float) -> MixturePosterior:
        """Give the exact posterior for a measurement of this noise."""
        observed = torch.tensor([self.observed])
        return mixture_posterior(
            self.weights, self.means, self.covariances, MATRIX, observed, noise_std
        )


CASES = (
    Case(
        "correlated Gaussian",
        torch.ones(1),
        torch.zeros(1, 2),
        torch.tensor([[[1.0, 0.7], [0.7, 0.8]]]),
        observed=1.2,
        noise_std=0.3,
    ),
    Case(
        "mixture of three",
        torch.tensor([0.4, 0.35, 0.25]),
        torch.tensor([[-0.9, -0.8], [0.4, 1.1], [0.9, -0.7]]),
        torch.tensor(
            [[[0.15, 0.08], [0.08, 0.12]], [[0.2, -0.1], [-0.1, 0.12]], [[0.1, 0.0], [0.0, 0.2]]]
        ),
        observed=0.6,
        noise_std=0.3,
    ),
)

Method = Callable[[Case, int, int, int], tuple[Tensor, Tensor]]


def guide(wrap: Callable[[Case, Denoiser], Denoiser]) -> Method:
    """Make a method of a denoiser around a denoiser, sampled ancestrally."""
    return replace(lambda case: ExponentialSDE(), wrap)


def replace(
    make_sampler: Callable[[Case], ExponentialSDE | Replacement | RePaint],
    wrap: Callable[[Case, Denoiser], Denoiser] = lambda case, denoiser: denoiser,
) -> Method:
    """Make a method of a sampler around a sampler, and a denoiser around a denoiser."""

    def draw(case: Case, draws: int, steps: int, seed: int) -> tuple[Tensor, Tensor]:
        noise = GaussianNoise(torch.Generator().manual_seed(seed))
        x_T = draw_prior(SDE, noise, torch.zeros(draws, 2))
        denoiser = wrap(case, case.denoiser())
        sample = make_sampler(case)(denoiser, x_T, LogSNRGrid()(SDE, steps), noise=noise)
        return sample, torch.full((draws,), 1.0 / draws)

    return draw


def observe(case: Case, **options: object) -> MaskedObservation:
    """Give the likelihood of the measurement."""
    value = torch.tensor([case.observed, 0.0])
    return MaskedObservation(MASK, value, case.noise_std, **options)  # type: ignore[arg-type]


def know_exactly(case: Case, denoiser: Denoiser) -> Denoiser:
    """Guide by the exact p(y | x_t), as the ratio of two noisy marginals."""
    posterior = case.posterior(case.noise_std)
    conditional = MixtureDenoiser(SDE, posterior.weights, posterior.means, posterior.covariances)
    prior = case.denoiser()
    return Guided(
        denoiser,
        NoisyClassifier(lambda x_t, t: conditional.log_prob(x_t, t) - prior.log_prob(x_t, t)),
    )


def twist(case: Case, draws: int, steps: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw by twisted SMC around the isotropic guidance."""
    noise = GaussianNoise(torch.Generator().manual_seed(seed))
    result = TwistedSMC(PARTICLES)(
        Guided(case.denoiser(), observe(case)),
        draw_prior(SDE, noise, torch.zeros(draws, 2)),
        LogSNRGrid()(SDE, steps),
        noise=noise,
        generator=torch.Generator().manual_seed(seed + 1),
    )
    return result.samples, result.weights.flatten() * PARTICLES / draws


def filter_path(case: Case, draws: int, steps: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw by SMCDiff."""
    noise = GaussianNoise(torch.Generator().manual_seed(seed))
    result = SMCDiff(PARTICLES)(
        case.denoiser(),
        MASK,
        torch.tensor([case.observed, 0.0]),
        draw_prior(SDE, noise, torch.zeros(draws, 2)),
        LogSNRGrid()(SDE, steps),
        noise=noise,
        generator=torch.Generator().manual_seed(seed + 1),
    )
    return result.samples, result.weights.flatten() * PARTICLES / draws


def draw_exactly(case: Case, draws: int, steps: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw from the posterior itself."""
    posterior = case.posterior(case.noise_std)
    law = MixtureDenoiser(SDE, posterior.weights, posterior.means, posterior.covariances)
    generator = torch.Generator().manual_seed(seed)
    return law.sample(draws, generator), torch.full((draws,), 1.0 / draws)


def measure_first(x_0: Tensor) -> Tensor:
    """Apply the linear operator of the measurement."""
    return x_0[:, :1]


# Method, and whether it knows of measurement noise.
METHODS: dict[str, tuple[Method, bool]] = {
    "exact draws": (draw_exactly, True),
    "exact likelihood": (guide(know_exactly), True),
    "ΠGDM (isotropic variance)": (guide(lambda c, d: Guided(d, observe(c))), True),
    "ΠGDM, frozen denoiser": (guide(lambda c, d: FrozenGuided(d, observe(c))), True),
    "reconstruction guidance, w = 1": (
        guide(lambda c, d: Guided(d, observe(c, variance=ProportionalVariance(1.0)))),
        True,
    ),
    "reconstruction guidance, w = 4": (
        guide(lambda c, d: Guided(d, observe(c, variance=ProportionalVariance(4.0)))),
        True,
    ),
    "DPS (no variance)": (guide(lambda c, d: Guided(d, observe(c, variance=ZeroVariance()))), True),
    "moment matching": (
        guide(
            lambda c, d: MomentMatching(
                d, measure_first, torch.tensor([c.observed]), c.noise_std, iterations=1
            )
        ),
        True,
    ),
    f"twisted SMC, {PARTICLES} particles": (twist, True),
    "projected mean": (
        guide(
            lambda c, d: ProjectedMean(d, KnownCoordinates(MASK, torch.tensor([c.observed, 0.0])))
        ),
        False,
    ),
    "replacement": (
        replace(lambda c: Replacement(ExponentialSDE(), MASK, torch.tensor([c.observed, 0.0]))),
        False,
    ),
    "RePaint, 10 resamplings": (
        replace(lambda c: RePaint(ExponentialSDE(), MASK, torch.tensor([c.observed, 0.0]))),
        False,
    ),
    f"SMCDiff, {PARTICLES} particles": (filter_path, False),
}


@dataclass(frozen=True)
class Bias:
    """How far weighted draws are from a posterior."""

    mean: float
    covariance: float
    mode_weights: float
    seconds: float


def measure_bias(
    samples: Tensor, weights: Tensor, posterior: MixturePosterior, seconds: float
) -> Bias:
    """Hold weighted draws against a posterior, along the axes in which it has any width."""
    mean = weights @ samples
    centred = samples - mean
    covariance = torch.einsum("n,ni,nj->ij", weights, centred, centred)
    eigenvalues, eigenvectors = torch.linalg.eigh(posterior.covariance)
    scale = eigenvectors[:, eigenvalues > 1e-6] / eigenvalues[eigenvalues > 1e-6].sqrt()
    mean_error = float(((mean - posterior.mean) @ scale).norm())
    white = scale.mT @ covariance @ scale
    covariance_error = float((white - torch.eye(len(white))).norm()) / len(white) ** 0.5
    # Of a posterior without noise the known coordinate is a point, and has no density there.
    smooth = MixturePosterior(
        posterior.weights,
        posterior.means,
        posterior.covariances + 1e-4 * torch.eye(2),
        posterior.log_evidence,
    )
    shares = weights @ smooth.responsibilities(samples)
    mode_error = float((shares - posterior.weights).abs().sum()) / 2
    return Bias(mean_error, covariance_error, mode_error, seconds)


def main() -> None:
    """Print the table, and write it where it was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=20_000)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write the table here too (Markdown)")
    arguments = parser.parse_args()
    lines = [
        f"{arguments.draws} draws, {arguments.steps} ancestral steps, seed {arguments.seed}",
        "",
        "| law | method | mean error | covariance error | mode-weight error | seconds |",
        "|---|---|---:|---:|---:|---:|",
    ]
    print("\n".join(lines), flush=True)
    for case in CASES:
        for name, (method, knows_noise) in METHODS.items():
            start = time.perf_counter()
            samples, weights = method(case, arguments.draws, arguments.steps, arguments.seed)
            seconds = time.perf_counter() - start
            posterior = case.posterior(case.noise_std if knows_noise else 0.0)
            bias = measure_bias(samples, weights, posterior, seconds)
            modes = f"{bias.mode_weights:.3f}" if len(case.weights) > 1 else ""
            lines.append(
                f"| {case.name} | {name} | {bias.mean:.3f} | {bias.covariance:.3f} | {modes} "
                f"| {bias.seconds:.1f} |"
            )
            print(lines[-1], flush=True)
    if arguments.out is not None:
        arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

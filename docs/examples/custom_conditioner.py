"""A conditioner of one's own: proteins whose two ends meet, as for a circular permutation.

A conditioner is a subclass of ``Conditioner``. ``describe`` says what it asks for, which is kept
with the designs, and ``make_term`` gives a log-likelihood of the denoised mean; there is no
sampler, no noise and no network in it. It works with every sampler and beside every other
conditioner. Run this file to see the distance of the ends with and without it; on the command line
it is

    PYTHONPATH=docs/examples protdiff generate --conditioner custom_conditioner:EndsMeet
"""

from typing import Any

from torch import Tensor

import protdiff
from protdiff.conditioning import Conditioner, Scene
from protdiff.diffusion.guidance import Estimate, LikelihoodTerm


class EndsMeet(Conditioner, LikelihoodTerm):
    """The first and the last CA are ``distance`` Å apart, give or take 1 Å."""

    distance = 8.0

    def describe(self) -> dict[str, Any]:
        """Return what is kept with the designs."""
        return {"kind": "ends meet", "distance": self.distance}

    def make_term(self, scene: Scene) -> LikelihoodTerm:
        """Return the condition as a likelihood: itself."""
        self.scale = scene.scale  # Å in a model unit
        return self

    def __call__(self, estimate: Estimate) -> Tensor:
        """Return log N(distance; |CA_1 - CA_L|, 1 Å² + what the noise still hides)."""
        ends = (estimate.denoised[:, 0, 1] - estimate.denoised[:, -1, 1]).norm(dim=1)
        variance = 1.0 + 2 * estimate.isotropic_variance() * self.scale**2
        return -0.5 * (ends * self.scale - self.distance).square() / variance


def main(number: int = 8, length: int = 60) -> tuple[list[float], list[float]]:
    """Measure the distance (Å) of the ends of designs without the condition, and with it."""
    model = protdiff.load()
    free = model.generate(length, number)
    bound = model.generate(length, number, conditioners=[EndsMeet()])
    return measure_ends(free), measure_ends(bound)


def measure_ends(designs: protdiff.DesignSet) -> list[float]:
    """Measure the distance (Å) of the first and the last CA of each design."""
    ends = [backbone.coordinates[[0, -1], 1] for backbone in designs]
    return [float(((first - last) ** 2).sum() ** 0.5) for first, last in ends]


if __name__ == "__main__":
    for word, distances in zip(("without", "with"), main(), strict=True):
        print(f"{word}: {sum(distances) / len(distances):.1f} Å")

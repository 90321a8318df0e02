"""A sampler of one's own: the probability flow by a third-order rule, three evaluations a step.

A sampler is a subclass of ``Sampler`` with one method: the step from a time t to a smaller time s.
The loop, callbacks, trajectories, the step budget and the final denoising step are there already.
With q = 1/k = α/σ and z = x/σ the flow is as simple as a differential equation can be,

    dz/dq = D(x_t, t),

because all that is stiff in it has gone into the variables. Euler's rule makes DDIM of it; the
step below is Ralston's rule of third order. Run this file to see the error fall.

To make backbones with it: ``protdiff generate --sampler custom_sampler:RalstonODE --steps 20``,
with this file where Python finds it (PYTHONPATH). Nothing else needs to be touched.
"""

import torch
from torch import Tensor

from protdiff.diffusion import (
    Denoiser,
    GaussianDenoiser,
    GaussianNoise,
    LinearVPSDE,
    LogSNRGrid,
    Noise,
    Sampler,
    StepInfo,
    draw_prior,
)


class RalstonODE(Sampler):
    """Ralston's third-order rule on dz/dq = D.

    References
    ----------
    Ralston (1962), Runge-Kutta methods with minimum error bounds.
    """

    order = 3
    evaluations_per_step = 3

    def step(
        self,
        denoiser: Denoiser,
        x_t: Tensor,
        t: Tensor,
        s: Tensor,
        *,
        noise: Noise,
        previous: StepInfo | None,
    ) -> tuple[Tensor, Tensor]:
        """Go from time t to a smaller time s."""
        sde = denoiser.sde
        q_t, q_s = 1 / sde.noise_ratio(t), 1 / sde.noise_ratio(s)
        h, z = q_s - q_t, x_t / sde.sigma(t)

        def denoise(z: Tensor, q: Tensor) -> Tensor:
            time = sde.time_of_noise_ratio(1 / q)
            return denoiser(sde.sigma(time) * z, time)

        first = denoiser(x_t, t)
        second = denoise(z + h / 2 * first, q_t + h / 2)
        third = denoise(z + 3 * h / 4 * second, q_t + 3 * h / 4)
        return sde.sigma(s) * (z + h / 9 * (2 * first + 3 * second + 4 * third)), first


def main(steps: int = 30, number: int = 2_000) -> Tensor:
    """Draw from a Gaussian whose variances are 0.05, 0.8 and 2, ``(number, 3)``."""
    sde = LinearVPSDE()
    noise = GaussianNoise(torch.Generator().manual_seed(0))
    denoiser = GaussianDenoiser(sde, torch.zeros(3), torch.diag(torch.tensor([0.05, 0.8, 2.0])))
    x_T = draw_prior(sde, noise, torch.zeros(number, 3))
    return RalstonODE()(denoiser, x_T, LogSNRGrid()(sde, steps), noise=noise)


if __name__ == "__main__":
    for steps in (5, 10, 20, 40):
        print(steps, "steps: variances", [f"{v:.3f}" for v in main(steps).var(0).tolist()])

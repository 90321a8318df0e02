r"""The loss: denoising score matching in Karras et al.'s form.

With :math:`y = x_0 + s\epsilon` the weighted denoising loss

.. math:: E\, \frac{|D(y, s) - x_0|^2}{c_{out}(s)^2}

has unit size at every noise level before training. Its minimiser is the posterior mean, hence, by
Tweedie's formula, the score. The estimate of the network's first half is held to the same target
with a small weight, which brings gradients to the early layers by a short way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from protdiff.diffusion import CentredSubspace
from protdiff.network import ScoreNetwork, get_preconditioning
from protdiff.training.dataset import Batch

__all__ = ["NoisyBatch", "get_denoising_losses"]


@dataclass(frozen=True)
class NoisyBatch:
    """Everything that one evaluation of the loss needs; model units.

    Parameters
    ----------
    clean, noise
        x0 and the standard normal noise, ``(batch, residue, 3, 3)``, mean-free, zero on padding.
    residue_mask
        ``(batch, residue)``.
    residue_index
        ``(batch, residue)`` integers; a jump is a chain break.
    noise_ratio
        s, ``(batch,)``.
    motif_group
        ``(batch, residue)`` integers, or None; see
        :meth:`protdiff.network.ScoreNetwork.forward`.
    secondary, composition
        What is told of the secondary structure, or None; see there too.
    """

    clean: Tensor
    noise: Tensor
    residue_mask: Tensor
    residue_index: Tensor
    noise_ratio: Tensor
    motif_group: Tensor | None = None
    secondary: Tensor | None = None
    composition: Tensor | None = None

    @classmethod
    def add_noise(
        cls, batch: Batch, noise: Tensor, noise_ratio: Tensor, scale: float, **told: Tensor | None
    ) -> NoisyBatch:
        """Put noise on backbones.

        Parameters
        ----------
        batch
            Backbones, Å.
        noise
            Standard normal, ``(batch, residue, 3, 3)``; its mean is taken off and its padding.
        noise_ratio
            s in model units, ``(batch,)``.
        scale
            Å per model unit.
        told
            ``motif_group``, ``secondary``, ``composition``.
        """
        return cls(
            clean=batch.positions / scale,
            noise=CentredSubspace(batch.residue_mask).project(noise),
            residue_mask=batch.residue_mask,
            residue_index=batch.residue_index,
            noise_ratio=noise_ratio,
            **told,
        )

    def to(self, device: torch.device) -> NoisyBatch:
        """Return the batch on another device; copies do not wait for the device."""
        moved: dict[str, Any] = {
            name: None if value is None else value.to(device, non_blocking=True)
            for name, value in vars(self).items()
        }
        return NoisyBatch(**moved)

    def denoise(self, network: ScoreNetwork, previous: Tensor | None) -> list[Tensor]:
        """Return the network's half-way and final estimate of x0."""
        noisy = self.clean + self.noise_ratio[:, None, None, None] * self.noise
        estimates: list[Tensor] = network(
            noisy,
            self.noise_ratio,
            self.residue_index,
            self.residue_mask,
            torch.ones_like(self.noise_ratio),
            previous,
            self.motif_group,
            None if self.motif_group is None else self.clean,
            self.secondary,
            self.composition,
        )
        return estimates

    def get_losses(self, estimate: Tensor) -> Tensor:
        """Return each sample's weighted squared error, summed over coordinates, ``(batch,)``."""
        weight = get_preconditioning(self.noise_ratio).out ** -2
        return (estimate - self.clean).square().sum(dim=(1, 2, 3)) * weight

    @property
    def coordinates(self) -> Tensor:
        """Number of coordinates of each sample, ``(batch,)``."""
        return self.residue_mask.sum(dim=1) * (self.clean.shape[2] * self.clean.shape[3])


def get_denoising_losses(
    network: ScoreNetwork,
    batch: NoisyBatch,
    *,
    self_condition: bool,
    coordinates: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the loss per coordinate of the final and of the half-way estimate.

    Parameters
    ----------
    network
        The score network.
    batch
        Noisy backbones.
    self_condition
        Show the network its own estimate, made without one (Chen et al. 2022).
    coordinates
        Number of coordinates to divide by: of the whole batch, where this is a part of it.

    Returns
    -------
    final, halfway : Tensor
        Scalars: means over the coordinates of the batch; of a part, what it adds to them.
    """
    previous = None
    if self_condition:
        with torch.no_grad():
            previous = batch.denoise(network, None)[-1]
    halfway, final = batch.denoise(network, previous)
    total = batch.coordinates.sum() if coordinates is None else torch.tensor(coordinates)
    return batch.get_losses(final).sum() / total, batch.get_losses(halfway).sum() / total

r"""The loss: denoising score matching in Karras et al.'s form.

With :math:`y = x_0 + s\epsilon` the weighted denoising loss

.. math:: E\, \frac{|D(y, s) - x_0|^2}{c_{out}(s)^2}

has unit size at every noise level before training. Its minimiser is the posterior mean, hence, by
Tweedie's formula, the score. The estimate of the network's first half is held to the same target
with a small weight, which brings gradients to the early layers by a short way.

A network may learn along with it which residue types would stand on the noisy backbone, by the
cross-entropy of those that it is not told: masked diffusion of the sequence beside that of the
coordinates. What it is told of types then tells it of the coordinates too.

References
----------
Karras, Aittala, Aila, Laine 2022, "Elucidating the design space of diffusion-based generative
models". Campbell, Yim, Barzilay, Rainforth, Jaakkola 2024, "Generative flows on discrete
state-spaces: enabling multimodal flows with applications to protein co-design".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from protdiff.diffusion import CentredSubspace
from protdiff.network import RESIDUE_TYPES, Estimates, ScoreNetwork, get_preconditioning
from protdiff.training.dataset import Batch

__all__ = ["Losses", "NoisyBatch", "get_denoising_losses"]


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
    residue_type
        ``(batch, residue)`` integers, one more than the place in
        :data:`~protdiff.network.RESIDUE_TYPES`, 0 for none of these; or None.
    told_types
        ``(batch, residue)``, True where the type is told; or None.
    """

    clean: Tensor
    noise: Tensor
    residue_mask: Tensor
    residue_index: Tensor
    noise_ratio: Tensor
    motif_group: Tensor | None = None
    secondary: Tensor | None = None
    composition: Tensor | None = None
    residue_type: Tensor | None = None
    told_types: Tensor | None = None

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
            ``motif_group``, ``secondary``, ``composition``, ``residue_type``, ``told_types``.
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

    def denoise(self, network: ScoreNetwork, previous: Tensor | None) -> Estimates:
        """Return the network's estimates."""
        noisy = self.clean + self.noise_ratio[:, None, None, None] * self.noise
        told = None
        if self.residue_type is not None and self.told_types is not None:
            places = torch.arange(1, len(RESIDUE_TYPES) + 1, device=noisy.device)
            told = (self.residue_type * self.told_types)[..., None] == places
        estimates: Estimates = network(
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
            None if told is None else told.to(noisy),
        )
        return estimates

    def get_losses(self, estimate: Tensor) -> Tensor:
        """Return each sample's weighted squared error, summed over coordinates, ``(batch,)``."""
        weight = get_preconditioning(self.noise_ratio).out ** -2
        return (estimate - self.clean).square().sum(dim=(1, 2, 3)) * weight

    def get_type_losses(self, residue_types: Tensor) -> Tensor:
        """Return each sample's cross-entropy of types that are not told, summed, ``(batch,)``.

        Parameters
        ----------
        residue_types
            The network's, ``(batch, residue, 20)``.
        """
        if self.residue_type is None:
            return residue_types.new_zeros(len(residue_types))
        asked = self.residue_type
        if self.told_types is not None:
            asked = asked.masked_fill(self.told_types, 0)
        losses = cross_entropy(
            residue_types.mT.float(), asked - 1, ignore_index=-1, reduction="none"
        )
        return losses.sum(dim=1)

    @property
    def coordinates(self) -> Tensor:
        """Number of coordinates of each sample, ``(batch,)``."""
        return self.residue_mask.sum(dim=1) * (self.clean.shape[2] * self.clean.shape[3])


class Losses(NamedTuple):
    """The terms of the loss: means over a batch; of a part of it, what it adds to them.

    Attributes
    ----------
    final, halfway
        Weighted squared error of the final and of the half-way estimate, per coordinate.
    residue_types
        Cross-entropy of the types that are not told, per residue, in nats.
    """

    final: Tensor
    halfway: Tensor
    residue_types: Tensor


def get_denoising_losses(
    network: ScoreNetwork,
    batch: NoisyBatch,
    *,
    self_condition: bool,
    coordinates: int | None = None,
) -> Losses:
    """Return the terms of the loss.

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
    Losses
        Scalars.
    """
    previous = None
    if self_condition:
        with torch.no_grad():
            previous = batch.denoise(network, None).final
    estimates = batch.denoise(network, previous)
    total = batch.coordinates.sum() if coordinates is None else torch.tensor(coordinates)
    per_residue = batch.clean.shape[2] * batch.clean.shape[3]
    return Losses(
        final=batch.get_losses(estimates.final).sum() / total,
        halfway=batch.get_losses(estimates.halfway).sum() / total,
        residue_types=batch.get_type_losses(estimates.residue_types).sum() * per_residue / total,
    )

r"""Residue types that appear as the noise goes: a backbone whose sequence is decided along with it.

What is left to decide at low noise, the fine detail of a backbone, depends on its sequence. So the
network's own idea of the sequence is told to it again, residue by residue, as in sampling by masked
diffusion: at first nothing, in the end every type, and what was said stays. A residue's turn comes
when its place among others, the fractional part of :math:`k / \phi` for the k-th of its chain, is
under the share

.. math:: r(\sigma) = \frac{\ln \sigma_{first} - \ln \sigma}{\ln \sigma_{first} - \ln \sigma_{last}}

of residues told at noise :math:`\sigma`. Multiples of the golden ratio :math:`\phi` fall evenly,
so that those told together are neighbours as seldom as can be. A type is told as probabilities,
sharper than the network's by a temperature. Nothing is drawn: noise goes into coordinates alone.

References
----------
Chu, Kim, Cheng, El Nesr, Xu, Shuai, Huang 2024, "An all-atom protein generative model" (backbones
denoised along with the network's own sequence). Campbell, Yim, Barzilay, Rainforth, Jaakkola 2024,
"Generative flows on discrete state-spaces: enabling multimodal flows with applications to protein
co-design".
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from protdiff.device import send

__all__ = ["RevealedTypes"]

NOISE_RANGE = (1.5, 0.4)
"""Å of noise at which the first and the last types are told."""
TEMPERATURE = 0.1
_GOLDEN_RATIO = (1.0 + math.sqrt(5.0)) / 2.0


class RevealedTypes:
    """The types of residues that have been told in one sampling run.

    Parameters
    ----------
    residue_mask
        ``(batch, residue)``, True where the residue exists.
    residue_index
        ``(batch or 1, residue)``, places along the chain; a jump is a chain break.

    Attributes
    ----------
    told
        ``(batch, residue, 20)``, probabilities of the types; zeros where none is told. None before
        any is.
    """

    def __init__(self, residue_mask: Tensor, residue_index: Tensor) -> None:
        place = torch.arange(residue_index.shape[1], device=residue_index.device)
        begins = torch.ones_like(residue_index, dtype=torch.bool)
        begins[:, 1:] = residue_index.diff(dim=1) != 1
        first = torch.where(begins, place, 0).cummax(dim=1).values
        turn = ((place - first + 1).double() / _GOLDEN_RATIO).frac().float()
        self._turn = turn.masked_fill(~residue_mask, torch.inf)[..., None]
        self._expected: Tensor | None = None
        self.told: Tensor | None = None

    def reveal(self, noise: Tensor) -> Tensor | None:
        """Return what is told at some noise; where noise came back, what was told is forgotten.

        Parameters
        ----------
        noise
            Å, ``()`` or ``(batch,)``.

        Returns
        -------
        Tensor or None
            :attr:`told`.
        """
        if self._expected is not None:
            first, last = (math.log(edge) for edge in NOISE_RANGE)
            share = send(((first - noise.double().log()) / (first - last)).float(), self._turn)
            told = self._expected if self.told is None else self.told
            told = torch.where(told.sum(dim=-1, keepdim=True) > 0, told, self._expected)
            self.told = torch.where(self._turn < share.reshape(-1, 1, 1), told, 0.0)
        return self.told

    def expect(self, residue_types: Tensor) -> None:
        """Take the network's idea of the types, ``(batch, residue, 20)`` log-probabilities."""
        self._expected = (residue_types.detach().float() / TEMPERATURE).softmax(dim=-1)

    def forget(self) -> None:
        """Take back all that was told and expected."""
        self._expected = self.told = None

    def reorder(self, indices: Tensor) -> None:
        """Follow a resampling of the batch: element k becomes what element ``indices[k]`` was."""
        if len(self._turn) > 1:
            self._turn = self._turn[indices]
        self._expected = None if self._expected is None else self._expected[indices]
        self.told = None if self.told is None else self.told[indices]

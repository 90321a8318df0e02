r"""The denoiser of one batch of backbones: the theory meets the network here.

At time t the network is shown :math:`y = x_t / \alpha_t` and the noise ratio
:math:`s = \sigma_t / \alpha_t`, and returns :math:`E[x_0 \mid x_t]`. Because *s* is all that it is
told of the schedule, one network serves every linear SDE.

A second network, an expert for low noise, may take over where folds are made and what is left is
their detail. The detail of a backbone is that of its sequence, so the expert says which types of
residues it sees, and is told them again (:mod:`protdiff.model.residue_types`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from protdiff.device import send
from protdiff.diffusion import SDE, Denoiser
from protdiff.diffusion.broadcasting import expand
from protdiff.errors import InputError
from protdiff.model.residue_types import RevealedTypes
from protdiff.network import CompiledNetwork, Estimates, ScoreNetwork

__all__ = [
    "AUTOGUIDED_ABOVE",
    "DIFFUSED_ATOMS",
    "BackboneDenoiser",
    "ExpertNetwork",
    "MotifInput",
    "SecondaryStructureInput",
]

DIFFUSED_ATOMS = ("N", "CA", "C")
AUTOGUIDED_ABOVE = 2.0
"""Å of noise under which autoguidance is off: bonds are decided there, which it would stretch."""


@dataclass(frozen=True)
class MotifInput:
    """What the network is told of a motif: which residues, and their shape but not their pose.

    Parameters
    ----------
    group
        ``(batch, residue)`` integers: 0 for designed residues, k > 0 for residues of the k-th
        rigid motif.
    positions
        ``(batch, residue, 3, 3)``, N, CA, C in model units; read where ``group`` is not 0.
    """

    group: Tensor
    positions: Tensor

    def to(self, device: torch.device) -> MotifInput:
        """Return it on a device."""
        return MotifInput(self.group.to(device), self.positions.to(device))


@dataclass(frozen=True)
class SecondaryStructureInput:
    """What the network is told of the secondary structure; either part may be left out.

    Parameters
    ----------
    states
        ``(batch, residue)`` integers, places in :data:`protdiff.network.SECONDARY_STATES`: 0 not
        told, 1 loop, 2 helix, 3 strand.
    composition
        ``(batch, 2)``, shares of helix and strand of each protein; NaN where they are not told.
    """

    states: Tensor | None = None
    composition: Tensor | None = None

    def to(self, device: torch.device) -> SecondaryStructureInput:
        """Return it on a device."""
        parts = (self.states, self.composition)
        return SecondaryStructureInput(*(None if one is None else one.to(device) for one in parts))


@dataclass(frozen=True)
class ExpertNetwork:
    """A network that takes over from another where the noise is low (Balaji et al. 2022).

    Parameters
    ----------
    network
        A score network that learned of residue types. Its unit of length is the other's.
    below
        Å of noise under which it is asked.
    compiled
        The network, compiled.

    Raises
    ------
    InputError
        The noise is none.
    """

    network: ScoreNetwork
    below: float = 2.0
    compiled: CompiledNetwork | None = None

    def __post_init__(self) -> None:
        if not 0 < self.below < math.inf:
            raise InputError(f"an expert for noise below {self.below} Å; expected a number above 0")


class BackboneDenoiser(Denoiser):
    """E[x0 | x_t] of a batch of backbones, ``(batch, residue, 3 atoms, 3)`` in model units.

    With self-conditioning (Chen et al. 2022) it remembers its last estimate and shows it to the
    network in the next evaluation, so make a new one for each sampling run. Without it, it is a
    function of (x_t, t), as likelihoods and adaptive solvers need. An expert is told residue types
    where estimates are remembered.

    Half-way through its layers the network makes a first estimate, from which it describes pairs
    anew. It is a worse model of the same data, with the same faults in larger measure, and is
    there anyway: autoguidance by it costs nothing.

    Parameters
    ----------
    network
        The score network.
    sde
        The process whose x_t it denoises.
    residue_mask
        ``(batch, residue)``, True where the residue exists.
    residue_index
        ``(batch or 1, residue)``, places along the chain.
    handedness
        ``(batch,)``, +1 for L-proteins and -1 for D-proteins.
    self_condition
        Remember the last estimate.
    motif
        Shape of the motif, if the network is to know one.
    secondary_structure
        Secondary structure, if the network is to know of it.
    autoguidance
        Weight w of autoguidance above 2 Å of noise, :math:`D_{half} + w (D - D_{half})`; 1 is the
        network's own estimate. A run ends with that one, and the network is shown that one.
    compiled
        The network, compiled. It is asked instead where no gradients are recorded; not for the
        first of a run's self-conditioned estimates, which would be a program of its own.
    expert
        A network for low noise.

    References
    ----------
    Chen, Zhang, Hinton 2022, "Analog bits: generating discrete data using diffusion models with
    self-conditioning". Karras, Aittala, Kynkäänniemi, Lehtinen, Aila, Laine 2024, "Guiding a
    diffusion model with a bad version of itself". Kynkäänniemi, Aittala, Karras, Laine, Aila,
    Lehtinen 2024, "Applying guidance in a limited interval improves sample and distribution quality
    in diffusion models". Balaji et al. 2022, "eDiff-I: text-to-image diffusion models with an
    ensemble of expert denoisers".
    """

    def __init__(
        self,
        network: ScoreNetwork,
        sde: SDE,
        residue_mask: Tensor,
        residue_index: Tensor,
        handedness: Tensor,
        *,
        self_condition: bool = True,
        motif: MotifInput | None = None,
        secondary_structure: SecondaryStructureInput | None = None,
        autoguidance: float = 1.0,
        compiled: CompiledNetwork | None = None,
        expert: ExpertNetwork | None = None,
    ) -> None:
        self.network = network
        self.compiled = compiled
        self.sde = sde
        self.residue_mask = residue_mask
        self.residue_index = residue_index
        self.handedness = handedness
        self.self_condition = self_condition
        self.motif = motif
        self.secondary_structure = secondary_structure or SecondaryStructureInput()
        self.autoguidance = autoguidance
        self.expert = expert
        self.previous: Tensor | None = None
        self.types = RevealedTypes(residue_mask, residue_index)

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Denoise ``x_t`` of shape ``(batch, residue, 3, 3)`` at time ``t``, ``()`` or (batch,)."""
        halfway, estimate = self._estimate(x_t, t)
        if self.autoguidance == 1.0:
            return estimate
        weight = 1.0 + (self.autoguidance - 1.0) * (self._measure(t) > AUTOGUIDED_ABOVE).double()
        return torch.lerp(halfway, estimate, expand(send(weight, x_t), x_t))

    def finish(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give the network's own estimate, which ends a run."""
        return self._estimate(x_t, t)[1]

    def _estimate(self, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return the half-way and the final estimate; the final one is remembered."""
        expert = self.expert
        noise = self._measure(t)
        low = noise < (0.0 if expert is None else expert.below)
        if expert is None or not bool(low.any()):
            self.types.forget()  # what is made anew from here may be of another sequence
            halfway, estimate, _ = self._ask(self.network, self.compiled, x_t, t)
        else:
            halfway, estimate = self._ask_expert(expert, x_t, t, noise)
            if not bool(low.all()):  # times that differ within the batch
                others = self._ask(self.network, self.compiled, x_t, t)
                is_low = expand(send(low, x_t.device), x_t).bool()
                halfway = torch.where(is_low, halfway, others.halfway)
                estimate = torch.where(is_low, estimate, others.final)
        if self.self_condition:
            self.previous = estimate.detach()
        return halfway, estimate

    def _ask_expert(
        self, expert: ExpertNetwork, x_t: Tensor, t: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the expert's estimates; with a memory, it is told the types that it expected."""
        told = self.types.reveal(noise) if self.self_condition else None
        halfway, estimate, types = self._ask(expert.network, expert.compiled, x_t, t, told)
        if self.self_condition:
            self.types.expect(types)
        return halfway, estimate

    def _ask(
        self,
        network: ScoreNetwork,
        compiled: CompiledNetwork | None,
        x_t: Tensor,
        t: Tensor,
        residue_types: Tensor | None = None,
    ) -> Estimates:
        """Show the noisy backbones and all that is told of them to a network."""
        time = t.double()
        alpha, shift = (
            expand(send(of_time(time), x_t), x_t) for of_time in (self.sde.alpha, self.sde.shift)
        )
        begins = self.self_condition and self.previous is None
        evaluate = network if compiled is None or begins or torch.is_grad_enabled() else compiled
        estimates: Estimates = evaluate(
            (x_t - shift) / alpha,
            send(self.sde.noise_ratio(time), x_t).expand(x_t.shape[0]),
            self.residue_index,
            self.residue_mask,
            self.handedness,
            self.previous,
            None if self.motif is None else self.motif.group,
            None if self.motif is None else self.motif.positions,
            self.secondary_structure.states,
            self.secondary_structure.composition,
            residue_types,
        )
        return estimates

    def _measure(self, t: Tensor) -> Tensor:
        """Return the noise in Å, of the shape of ``t`` and where that is."""
        return self.sde.noise_ratio(t.double()) * self.network.config.scale

    def reorder(self, indices: Tensor) -> None:
        """Follow a resampling of the batch: element k becomes what element ``indices[k]`` was."""
        if self.previous is not None:
            self.previous = self.previous[indices]
        self.types.reorder(indices)

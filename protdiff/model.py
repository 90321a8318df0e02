r"""A score network, an SDE and a unit of length: a denoiser of backbones.

This is the one door between Å and model units, and the one place where the theory meets the
network: at time t the network is shown :math:`y = x_t / \alpha_t` and the noise ratio
:math:`s = \sigma_t / \alpha_t`, and returns :math:`E[x_0 \mid x_t]`. Because *s* is all that it is
told of the schedule, one network serves every linear SDE.

Everything lives in the centre-of-mass-free subspace: the noise, the prior and the network's output
have zero mean over the atoms that exist, and are zero on padding.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from protdiff.device import send
from protdiff.diffusion import SDE, CentredSubspace, Denoiser, LinearVPSDE
from protdiff.diffusion.broadcasting import expand
from protdiff.errors import InputError
from protdiff.fingerprint import fingerprint
from protdiff.network import CompiledNetwork, ScoreNetwork

__all__ = [
    "DIFFUSED_ATOMS",
    "LENGTH_RANGE",
    "BackboneDenoiser",
    "BackboneModel",
    "MotifInput",
    "SecondaryStructureInput",
    "make_residue_mask",
]

DIFFUSED_ATOMS = ("N", "CA", "C")
AUTOGUIDED_ABOVE = 2.0
"""Å of noise under which autoguidance is off: bonds are decided there, which it would stretch."""
LENGTH_RANGE = (30, 512)  # residues that the network is built for; checkpoints name what they saw


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


class BackboneDenoiser(Denoiser):
    """E[x0 | x_t] of a batch of backbones, ``(batch, residue, 3 atoms, 3)`` in model units.

    With self-conditioning (Chen et al. 2022) it remembers its last estimate and shows it to the
    network in the next evaluation, so make a new one for each sampling run. Without it, it is a
    function of (x_t, t), as likelihoods and adaptive solvers need.

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

    References
    ----------
    Chen, Zhang, Hinton 2022, "Analog bits: generating discrete data using diffusion models with
    self-conditioning". Karras, Aittala, Kynkäänniemi, Lehtinen, Aila, Laine 2024, "Guiding a
    diffusion model with a bad version of itself". Kynkäänniemi, Aittala, Karras, Laine, Aila,
    Lehtinen 2024, "Applying guidance in a limited interval improves sample and distribution quality
    in diffusion models".
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
        self.previous: Tensor | None = None

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Denoise ``x_t`` of shape ``(batch, residue, 3, 3)`` at time ``t``, ``()`` or (batch,)."""
        halfway, estimate = self._estimate(x_t, t)
        if self.autoguidance == 1.0:
            return estimate
        noise = send(self.sde.noise_ratio(t.double()), x_t) * self.network.config.scale
        weight = 1.0 + (self.autoguidance - 1.0) * (noise > AUTOGUIDED_ABOVE).to(x_t)
        return torch.lerp(halfway, estimate, expand(weight, x_t))

    def finish(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Give the network's own estimate, which ends a run."""
        return self._estimate(x_t, t)[1]

    def _estimate(self, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return the half-way and the final estimate; the final one is remembered."""
        time = t.double()
        alpha, shift = (
            expand(send(of_time(time), x_t), x_t) for of_time in (self.sde.alpha, self.sde.shift)
        )
        noise_ratio = send(self.sde.noise_ratio(time), x_t)
        halfway, estimate = self._choose_network()(
            (x_t - shift) / alpha,
            noise_ratio.expand(x_t.shape[0]),
            self.residue_index,
            self.residue_mask,
            self.handedness,
            self.previous,
            None if self.motif is None else self.motif.group,
            None if self.motif is None else self.motif.positions,
            self.secondary_structure.states,
            self.secondary_structure.composition,
        )
        if self.self_condition:
            self.previous = estimate.detach()
        return halfway, estimate

    def _choose_network(self) -> ScoreNetwork | CompiledNetwork:
        begins = self.self_condition and self.previous is None
        if self.compiled is None or begins or torch.is_grad_enabled():
            return self.network
        return self.compiled

    def reorder(self, indices: Tensor) -> None:
        """Follow a resampling of the batch: element k becomes what element ``indices[k]`` was."""
        if self.previous is not None:
            self.previous = self.previous[indices]


@dataclass(frozen=True)
class BackboneModel:
    """A trained score network with the process and the unit it was trained for.

    Parameters
    ----------
    network
        The score network; ``network.config.scale`` is the number of Å in a model unit.
    sde
        The default process for sampling.
    metadata
        The model card's machine-readable part: lengths, data, steps, samples seen, ...
    name, sha256
        Of the checkpoint it came from.
    digest
        What :meth:`measure_digest` gave when it came; empty if nobody looked.
    compiled
        The network as :meth:`compile` has made it for sampling.
    """

    network: ScoreNetwork
    sde: SDE = field(default_factory=LinearVPSDE)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    name: str = "untrained"
    sha256: str = ""
    digest: str = ""
    compiled: CompiledNetwork | None = None

    def __post_init__(self) -> None:
        if self.compiled is not None and self.compiled.network is not self.network:
            raise InputError("the compiled network is another one; compile this model anew")

    def __repr__(self) -> str:
        """Say in a line which model it is: its tensors would fill a page."""
        shortest, longest = self.trained_lengths
        return f"{type(self).__name__}({self.name}, {shortest}-{longest} residues, {self.device})"

    @property
    def scale(self) -> float:
        """Å per model unit."""
        return self.network.config.scale

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.network.parameters()).device

    @property
    def trained_lengths(self) -> tuple[int, int]:
        """The shortest and longest protein seen in training."""
        shortest, longest = self.metadata.get("lengths", LENGTH_RANGE)
        return int(shortest), int(longest)

    @property
    def knows_secondary_structure(self) -> bool:
        """Whether the network learned to be told of secondary structure."""
        return bool((self.network.secondary.weight != 0).any())

    @property
    def knows_chains(self) -> bool:
        """Whether the network was trained on several chains side by side."""
        return bool(self.metadata.get("cut"))

    def measure_digest(self) -> str:
        """Return the SHA-256 of all that the model computes with: sizes, process and weights."""
        return fingerprint((self.network.config, self.sde, self.network.state_dict()))

    def identify(self) -> BackboneModel:
        """Return the model under the name and the hash by which its designs are to be known.

        One that is as it was loaded has those of its file. One whose weights or process were
        changed since is called ``modified``, with :meth:`measure_digest` for a hash: what it makes
        does not get into a folder of the other's.
        """
        if self.sha256 and not self.digest:  # whoever gave the hash answers for it
            return self
        digest = self.measure_digest()
        if digest == self.digest:
            return self
        name = f"modified {self.name}" if self.sha256 else self.name
        return replace(self, name=name, sha256=digest, digest=digest)

    def in_full_precision(self) -> torch.autocast:
        """Suspend a ``torch.autocast`` that the caller is in: designs would be others by it."""
        return torch.autocast(self.device.type, enabled=False)

    def to(self, device: torch.device | str) -> BackboneModel:
        """Return the model on another device; this one stays where it is."""
        if torch.empty(0, device=device).device == self.device:
            return self
        moved = replace(self, network=copy.deepcopy(self.network).to(device), compiled=None)
        return moved if self.compiled is None else moved.compile(self.compiled.backend)

    def compile(self, backend: str = "inductor") -> BackboneModel:
        """Return the model with its network compiled, by which sampling on a CPU is faster.

        Parameters
        ----------
        backend
            Of ``torch.compile``.

        Raises
        ------
        InputError
            There is no compiler of C++.
        """
        return replace(self, compiled=CompiledNetwork(self.network, backend))

    def to_angstrom(self, positions: Tensor) -> Tensor:
        """Change model units into Å."""
        return positions * self.scale

    def from_angstrom(self, positions: Tensor) -> Tensor:
        """Change Å into model units."""
        return positions / self.scale

    def subspace(self, residue_mask: Tensor) -> CentredSubspace:
        """Return the centre-of-mass-free subspace of a ``(batch, residue)`` mask."""
        return CentredSubspace(residue_mask.to(self.device), atoms=len(DIFFUSED_ATOMS))

    def denoiser(
        self,
        residue_mask: Tensor,
        *,
        residue_index: Tensor | None = None,
        handedness: float | Tensor = 1.0,
        self_condition: bool = True,
        motif: MotifInput | None = None,
        secondary_structure: SecondaryStructureInput | None = None,
        autoguidance: float = 1.0,
        sde: SDE | None = None,
    ) -> BackboneDenoiser:
        """Make the denoiser of one batch, for one sampling run.

        Parameters
        ----------
        residue_mask
            ``(batch, residue)``, True where the residue exists.
        residue_index
            ``(batch or 1, residue)``, places along the chain; 0, 1, 2, ... if not given. A jump is
            a chain break.
        handedness
            +1 (L-proteins), -1 (D-proteins), or one of them for each element.
        self_condition
            See :class:`BackboneDenoiser`.
        motif
            See :class:`MotifInput`.
        secondary_structure
            See :class:`SecondaryStructureInput`.
        autoguidance
            See :class:`BackboneDenoiser`.
        sde
            Another process than the model's own.

        Raises
        ------
        InputError
            The number of residues is out of range.
        """
        batch, count = residue_mask.shape
        shortest, longest = LENGTH_RANGE
        fewest = int(residue_mask.sum(dim=1).min())
        if count > longest or fewest < shortest:
            odd = count if count > longest else fewest
            raise InputError(
                f"{odd} residues asked for; this network makes {shortest} to {longest} residues"
            )
        if residue_index is None:
            residue_index = torch.arange(count)[None]
        elif bool((residue_index == residue_index[:1]).all()):
            residue_index = residue_index[:1]  # the network then works it out once for all
        hands = torch.as_tensor(handedness, dtype=torch.float32).expand(batch)
        if not bool((hands.abs() == 1).all()):
            raise InputError(f"handedness is {handedness}; expected +1 (L) or -1 (D)")
        return BackboneDenoiser(
            self.network,
            sde or self.sde,
            residue_mask.to(self.device),
            residue_index.to(self.device),
            hands.to(self.device),
            self_condition=self_condition,
            motif=motif and motif.to(self.device),
            secondary_structure=secondary_structure and secondary_structure.to(self.device),
            autoguidance=autoguidance,
            compiled=self.compiled,
        )


def make_residue_mask(lengths: Sequence[int]) -> Tensor:
    """Return the ``(batch, longest)`` mask of proteins of the given numbers of residues.

    Examples
    --------
    >>> make_residue_mask([2, 3]).int().tolist()
    [[1, 1, 0], [1, 1, 1]]
    """
    return torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]

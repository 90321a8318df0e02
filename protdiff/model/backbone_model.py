"""The trained model: networks, the process and the unit that they were trained for.

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

from protdiff.diffusion import SDE, CentredSubspace, LinearVPSDE
from protdiff.errors import InputError
from protdiff.fingerprint import fingerprint
from protdiff.model.denoiser import (
    DIFFUSED_ATOMS,
    BackboneDenoiser,
    ExpertNetwork,
    MotifInput,
    SecondaryStructureInput,
)
from protdiff.network import CompiledNetwork, ScoreNetwork

__all__ = ["LENGTH_RANGE", "BackboneModel", "make_residue_mask"]

LENGTH_RANGE = (30, 512)  # residues that the network is built for; checkpoints name what they saw


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
    expert
        A second network, for low noise, if there is one.
    """

    network: ScoreNetwork
    sde: SDE = field(default_factory=LinearVPSDE)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    name: str = "untrained"
    sha256: str = ""
    digest: str = ""
    compiled: CompiledNetwork | None = None
    expert: ExpertNetwork | None = None

    def __post_init__(self) -> None:
        pairs = [(self.network, self.compiled)]
        if self.expert is not None:
            pairs.append((self.expert.network, self.expert.compiled))
            theirs = self.expert.network.config.scale
            if theirs != self.scale:
                raise InputError(
                    f"the expert's unit of length is {theirs} Å and the network's {self.scale} Å; "
                    "give an expert that was trained with the same scale"
                )
        if any(compiled and compiled.network is not network for network, compiled in pairs):
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
    def networks(self) -> tuple[ScoreNetwork, ...]:
        """The network, and the expert's if there is one."""
        return (self.network,) if self.expert is None else (self.network, self.expert.network)

    def get_network(self, noise: float) -> ScoreNetwork:
        """Return the network that is asked for estimates at so many Å of noise."""
        below = 0.0 if self.expert is None else self.expert.below
        return self.networks[-1] if noise < below else self.network

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
        parts = [self.network.config, self.sde, self.network.state_dict()]
        if self.expert is not None:
            network = self.expert.network
            parts += [self.expert.below, network.config, network.state_dict()]
        return fingerprint(tuple(parts))

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
        network = copy.deepcopy(self.network).to(device)
        expert = self.expert
        if expert is not None:
            theirs = copy.deepcopy(expert.network).to(device)
            expert = replace(expert, network=theirs, compiled=None)
        moved = replace(self, network=network, expert=expert, compiled=None)
        return moved if self.compiled is None else moved.compile(self.compiled.backend)

    def compile(self, backend: str = "inductor") -> BackboneModel:
        """Return the model with its networks compiled, by which sampling on a CPU is faster.

        Parameters
        ----------
        backend
            Of ``torch.compile``.

        Raises
        ------
        InputError
            There is no compiler of C++.
        """
        expert = self.expert
        if expert is not None:
            expert = replace(expert, compiled=CompiledNetwork(expert.network, backend))
        return replace(self, compiled=CompiledNetwork(self.network, backend), expert=expert)

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
            expert=self.expert,
        )


def make_residue_mask(lengths: Sequence[int]) -> Tensor:
    """Return the ``(batch, longest)`` mask of proteins of the given numbers of residues.

    Examples
    --------
    >>> make_residue_mask([2, 3]).int().tolist()
    [[1, 1, 0], [1, 1, 1]]
    """
    return torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]

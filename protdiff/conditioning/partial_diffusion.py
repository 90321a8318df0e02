r"""Partial diffusion: start from a structure, blurred, and denoise it anew.

With a run of n steps, :math:`t_0 > t_1 > \dots > t_n`, and a noise level :math:`\lambda`, the last
:math:`m = \max(1, \mathrm{round}(\lambda n))` steps are left to do: the run starts at
:math:`t_{n-m}`, from a draw of the forward kernel,

.. math:: x_t = \alpha_t x_0 + \sigma_t \epsilon, \qquad t = t_{n-m},

with :math:`x_0` the structure, centred. With :math:`\lambda = 1` all steps are left, and of the
structure hardly anything. What :math:`\lambda` means in Å depends on the time grid; the manifest
says how far each design came from where it started, ``rmsd_to_start``. A motif that the designs
hold is written in by its own projection, whatever the structure has in its place. With a symmetry
the structure is one of that symmetry, standing anywhere: it is turned onto the axes.

References
----------
Watson et al. 2023, "De novo design of protein structure and function with RFdiffusion" (partial
diffusion). Meng et al. 2022, "SDEdit: guided image synthesis and editing with stochastic
differential equations".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from protdiff.conditioning.conditioner import Conditioner, Scene
from protdiff.conditioning.symmetry import Symmetry
from protdiff.diffusion import SDE, Noise
from protdiff.errors import InputError
from protdiff.model import DIFFUSED_ATOMS
from protdiff.structure import Backbone, Motif, read_backbone, superimpose
from protdiff.structure.chain_layout import ChainLayout

__all__ = ["PartialDiffusion"]


class PartialDiffusion(Conditioner):
    """Designs that start from a structure, and have its length and its chains.

    Parameters
    ----------
    start
        The structure, or its file.
    noise
        The share of the steps that are left to do, above 0 and up to 1: near 0 the structure comes
        back, at 1 it is all but forgotten.

    Raises
    ------
    InputError
        The noise is out of its range, or the structure cannot be used.
    """

    beside = "start"

    def __init__(self, start: str | Path | Backbone, noise: float = 0.4) -> None:
        if not 0.0 < noise <= 1.0:
            raise InputError(f"noise is {noise}; give a share of the steps above 0, up to 1")
        self.start = start if isinstance(start, Backbone) else read_backbone(start)
        if not self.start.is_finite:
            raise InputError(
                f"{self.start.name} has coordinates that are not finite; give a whole structure"
            )
        self.noise = noise
        self.length = len(self.start)

    def describe(self) -> dict[str, Any]:
        """Return the noise, and the structure by name and by its digest."""
        return {
            "kind": "partial diffusion",
            "start": self.start.name,
            "start_sha256": self.start.digest,
            "noise": self.noise,
        }

    def join(self, others: Sequence[Conditioner]) -> PartialDiffusion:
        """Let the structure stand about the axes of a symmetry, if one is asked for."""
        start = self.start
        for one in others:
            if isinstance(one, Symmetry):
                start = one.place_start(start)
        return self if start is self.start else PartialDiffusion(start, self.noise)

    def check(self, length: int) -> None:
        """Refuse another length than that of the structure."""
        if length != self.length:
            raise InputError(
                f"{self.start.name}, where the designs start, has {self.length} residues, and "
                f"designs of {length} are asked for; leave the length to it"
            )

    def check_motif(self, motif: Motif | None) -> None:
        """Refuse the layout of a motif that has another length or other breaks."""
        if motif is None:
            return
        if motif.length != self.length:
            raise InputError(
                f"{self.start.name}, where the designs start, has {self.length} residues, and the "
                f"layout {motif.layout} has {motif.length}; give the layout of the structure"
            )
        self._compare_breaks("the layout", motif.residue_index)

    def check_chains(self, chains: ChainLayout) -> None:
        """Refuse chains with other breaks, as those of a symmetry that the structure has not."""
        self._compare_breaks("the design", chains.residue_index)

    def _compare_breaks(self, name: str, residue_index: NDArray[np.int64]) -> None:
        broken = [np.diff(index) != 1 for index in (self.start.residue_index, residue_index)]
        differing = np.flatnonzero(broken[0] != broken[1])
        if len(differing):
            place = int(differing[0])
            names = self.start.name, name
            has, lacks = names if broken[0][place] else names[::-1]
            raise InputError(
                f"{has} has a chain break after residue {place + 1} and {lacks} has none there; "
                f"give a structure of the same chains as {name}, without gaps"
            )

    def lay_out(self, chains: ChainLayout) -> ChainLayout:
        """Take the structure's chains and breaks, if it has the length."""
        return ChainLayout.of_backbone(self.start) if len(chains) == self.length else chains

    def begin(self, sde: SDE, times: Tensor, noise: Noise, scene: Scene) -> tuple[Tensor, Tensor]:
        """Draw from the forward kernel, at the time at which the share of the steps is left."""
        steps = len(times) - 1
        left = max(1, round(self.noise * steps))
        times = times[steps - left :]
        model = scene.model
        atoms = torch.from_numpy(self.start.coordinates[:, : len(DIFFUSED_ATOMS)].copy())
        # Far from the origin, single precision would be lost on the distance to it.
        atoms = (atoms.double() - atoms.double().mean(dim=(0, 1))).float()
        clean = model.from_angstrom(atoms).to(model.device)
        clean = clean.expand(len(scene.residue_mask), -1, -1, -1)
        return sde.perturb(clean, times[0], noise(clean)), times

    def measure(self, backbone: Backbone) -> dict[str, Any]:
        """Return the RMSD (Å) of N, CA and C to the structure, superimposed."""
        if not backbone.is_finite:
            return {"rmsd_to_start": None}
        count = len(DIFFUSED_ATOMS)
        motion = superimpose(backbone.coordinates[:, :count], self.start.coordinates[:, :count])
        return {"rmsd_to_start": round(motion.rmsd, 3)}

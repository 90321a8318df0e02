"""A network that torch has compiled for sampling: one program for all lengths and batches.

``torch.compile`` fuses the many small operations between the matrix products, which on a CPU take
about as long as the products. It takes minutes of its own, and less, but not nothing, where torch
finds on the disk what it made before. So what would make it begin again is kept from it: sizes of
batch and protein are marked as free, everything comes without gaps in memory and outside of
inference mode, and what is not told of secondary structure comes as the network's own words for
"not told", which add exact zeros. What is left are programs for a batch of one and for larger ones
(torch takes a size of one for a constant), with and without a motif, and a previous estimate.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path

import torch
from torch import Tensor, nn

from protdiff.errors import InputError
from protdiff.network.embedding import RESIDUE_TYPES
from protdiff.network.score_network import Estimates, ScoreNetwork

__all__ = ["CompiledNetwork", "allow_programs", "check_compiler"]

_PROGRAMS = 64
"""Programs of all networks of a process, each of which has up to eight."""


class CompiledNetwork(nn.Module):
    """Evaluate a network as :class:`~protdiff.network.ScoreNetwork` does, compiled.

    Compilation begins with the first evaluation. There is no program for gradients: ask the network
    itself for those.

    Parameters
    ----------
    network
        In evaluation mode. Its weights are shared, not copied.
    backend
        Of ``torch.compile``.

    Raises
    ------
    InputError
        The backend needs a compiler of C++, and there is none.
    """

    def __init__(self, network: ScoreNetwork, backend: str = "inductor") -> None:
        super().__init__()
        if backend == "inductor":
            check_compiler(next(network.parameters()).device)
        self.network = network
        self.backend = backend
        allow_programs(_PROGRAMS)
        self._evaluate = torch.compile(network.forward, backend=backend)

    def forward(
        self,
        noisy: Tensor,
        noise_ratio: Tensor,
        residue_index: Tensor,
        residue_mask: Tensor,
        handedness: Tensor,
        previous: Tensor | None = None,
        motif_group: Tensor | None = None,
        motif: Tensor | None = None,
        secondary: Tensor | None = None,
        composition: Tensor | None = None,
        residue_types: Tensor | None = None,
    ) -> Estimates:
        """Denoise; arguments and result are those of the network."""
        batch, count = residue_mask.shape
        if secondary is None:
            secondary = torch.zeros_like(residue_mask, dtype=torch.long)
        if composition is None:
            composition = noisy.new_full((batch, 2), torch.nan)
        if residue_types is None:
            residue_types = noisy.new_zeros(batch, count, len(RESIDUE_TYPES))
        of_protein, of_residue = (0,), (0, 1)  # the axes whose sizes are free: batch, and residue
        with torch.inference_mode(False), torch.no_grad():
            estimates: Estimates = self._evaluate(
                _make_uniform(noisy, of_residue),
                _make_uniform(noise_ratio.expand(batch), of_protein),
                _make_uniform(residue_index.expand(batch, count), of_residue),
                _make_uniform(residue_mask, of_residue),
                _make_uniform(handedness.expand(batch), of_protein),
                None if previous is None else _make_uniform(previous, of_residue),
                None if motif_group is None else _make_uniform(motif_group, of_residue),
                None if motif is None else _make_uniform(motif, of_residue),
                _make_uniform(secondary, of_residue),
                _make_uniform(composition, of_protein),
                _make_uniform(residue_types, of_residue),
            )
        return estimates


def _make_uniform(tensor: Tensor, free: tuple[int, ...]) -> Tensor:
    """Copy a tensor as the compiler likes it, with the sizes of some axes free.

    To set all free, ``dynamic=True``, would be too much: two or three proteins would be taken to be
    as many as there are coordinates, or shares, and their number would be free no longer.
    """
    copied = tensor.clone(memory_format=torch.contiguous_format)
    for axis in free:
        torch._dynamo.maybe_mark_dynamic(copied, axis)
    return copied


def allow_programs(count: int) -> None:
    """Let torch compile a function so many times; after eight it would give up on it."""
    import torch._dynamo

    settings = torch._dynamo.config
    name = "recompile_limit" if hasattr(settings, "recompile_limit") else "cache_size_limit"
    for limit in (name, f"accumulated_{name}"):
        setattr(settings, limit, max(count, getattr(settings, limit)))


def check_compiler(device: torch.device) -> None:
    """Refuse to compile for a device where torch could not, before it has been tried for long.

    Raises
    ------
    InputError
        On a CPU: there is no compiler of C++, or Python's headers are not there.
    """
    if device.type != "cpu":
        return
    usual = {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")
    command = shlex.split(os.environ.get("CXX") or usual)[0]
    if shutil.which(command) is None:
        raise InputError(
            f"torch compiles with a C++ compiler, and there is no {command}; install one, name it "
            "in the environment variable CXX, or do without --compile"
        )
    headers = Path(sysconfig.get_path("include"))
    if not (headers / "Python.h").is_file():
        raise InputError(
            f"torch compiles with Python's headers, and there is no Python.h in {headers}; install "
            "them (python3-dev), or do without --compile"
        )

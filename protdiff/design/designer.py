"""The Python interface: a trained model that makes backbones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import torch

from protdiff.conditioning.conditioner import Conditioner, list_conditioners
from protdiff.design.beside_target import keep_target
from protdiff.design.binding import make_generation
from protdiff.design.collect import collect_designs
from protdiff.design.design_set import DesignSet
from protdiff.design.engine import Design, DesignTask, OnProgress, make_designs
from protdiff.design.filter import DesignFilter, as_filter
from protdiff.design.motif_task import make_motif_task
from protdiff.design.samplers import DEFAULT_HOLD, DEFAULT_METHOD, DEFAULT_PARTICLES
from protdiff.design.settings import (
    LikelihoodOptions,
    SamplingOptions,
    SamplingSettings,
    make_settings,
)
from protdiff.device import find_device
from protdiff.errors import InputError
from protdiff.handedness import Handedness
from protdiff.plain import take_integer
from protdiff.structure import (
    Backbone,
    Contig,
    join_backbones,
    parse_contig,
    read_backbone,
)
from protdiff.structure.lengths import LengthRange

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from protdiff.evaluation.likelihood import Likelihood
    from protdiff.model import BackboneModel

__all__ = ["Designer"]

CPU_BATCH = 8
CUDA_BATCH, CUDA_PAIRS = 256, 1 << 21
"""Designs to sample at once. On a CPU more gain little and hold designs back; on a GPU a step takes
as long for one as for many, until it is busy. There they have some two million pairs of residues
together, which is 128 designs of 128 residues: 2 GB, and 7 GB where a network is differentiated."""


@dataclass(frozen=True, eq=False)
class Designer:
    """A trained model that makes backbones; get one with :func:`protdiff.load`.

    Parameters
    ----------
    model
        Network, process and unit of length.

    Examples
    --------
    >>> import protdiff
    >>> model = protdiff.load()  # doctest: +SKIP
    >>> designs = model.generate(length=100, num=8, seed=0)  # doctest: +SKIP
    """

    model: BackboneModel

    def __repr__(self) -> str:
        """Say in a line which model it has."""
        return f"{type(self).__name__}({self.model!r})"

    def to(self, device: str | torch.device) -> Designer:
        """Return a designer on another device; this one stays where it is.

        Parameters
        ----------
        device
            As :func:`protdiff.load` takes it.
        """
        return replace(self, model=self.model.to(find_device(device)))

    def generate(
        self,
        length: LengthRange | None = None,
        num: int = 1,
        seed: int = 0,
        *,
        conditioners: Conditioner | Iterable[Conditioner] = (),
        filter: DesignFilter | str | Sequence[str] | None = None,
        max_draws: int | None = None,
        batch_size: int | None = None,
        progress: bool = False,
        on_progress: OnProgress | None = None,
        settings: SamplingSettings | None = None,
        **options: Unpack[SamplingOptions],
    ) -> DesignSet:
        """Generate backbones.

        Parameters
        ----------
        length
            Residues, or a law of which each design draws its own length: (shortest, longest),
            ``"64:2,100:1"``, ``"natural"``; see :mod:`protdiff.design.lengths`.
            With a symmetry it is the length of one chain. Without it 100, or the length of the
            structure that designs start from.
        num
            How many.
        seed
            Design k of a seed is the same backbone whatever ``num`` and ``batch_size`` are.
        conditioners
            What is asked of the designs, from :mod:`protdiff.conditioning` or of one's own:
            ``[Symmetry("C3"), SecondaryStructure("mainly-beta")]``. All hold at once. One alone
            needs no list.
        filter
            Draw until ``num`` designs meet it, and keep only those: ``"pass"`` for every quick
            check, conditions on numbers of the quality, as ``"pass, strand>=0.2"``, or a
            :class:`~protdiff.design.filter.DesignFilter`. The set's ``drawn`` says how many
            were drawn.
        max_draws
            How many are drawn at most; 10 times ``num`` without it. The set is smaller than
            ``num``, with a warning, where that is too few.
        batch_size
            Most designs to sample at once: 8 on a CPU, as many as suit the length on a GPU.
        progress
            Show a bar: text in a terminal, a widget in a notebook.
        on_progress
            Called as sampling goes on with what has been done since the last call, in designs.
        settings
            How to sample.
        **options
            Fields of :class:`~protdiff.design.settings.SamplingSettings`: sampler, steps,
            temperature, step_scale, autoguidance, grid, handedness. They win over those of
            ``settings``.

        Returns
        -------
        DesignSet
            A sequence of :class:`~protdiff.Backbone` with their qualities.

        Raises
        ------
        InputError
            An argument is out of its range.
        Interrupted
            The user interrupted it. The designs of the batches that were done are in the
            exception; it is a ``KeyboardInterrupt``.
        """
        asked = make_settings(SamplingSettings, options, settings)
        task = make_generation(
            length,
            seed,
            asked,
            keep_target(self.model.name, asked, list_conditioners(conditioners)),
        )
        return collect_designs(
            self,
            task,
            num,
            filter=as_filter(filter),
            max_draws=max_draws,
            batch_size=batch_size,
            progress=progress,
            on_progress=on_progress,
        )

    def scaffold(
        self,
        motif: str | Path | Backbone | Sequence[str | Path | Backbone],
        contig: str | Contig | None = None,
        num: int = 1,
        seed: int = 0,
        *,
        unindexed: str | Contig | None = None,
        total_length: LengthRange | None = None,
        method: str = DEFAULT_METHOD,
        redesignable: str | None = None,
        groups: str | None = None,
        conditioners: Conditioner | Iterable[Conditioner] = (),
        filter: DesignFilter | str | Sequence[str] | None = None,
        max_draws: int | None = None,
        hold: str = DEFAULT_HOLD,
        particles: int = DEFAULT_PARTICLES,
        batch_size: int | None = None,
        progress: bool = False,
        on_progress: OnProgress | None = None,
        settings: SamplingSettings | None = None,
        **options: Unpack[SamplingOptions],
    ) -> DesignSet:
        """Build proteins around a motif.

        Parameters
        ----------
        motif
            A structure or its file, or several: the contig then names their residues as
            ``5TPN.A163-181``, and each is a rigid body of its own.
        contig
            What is given and what is made, such as ``"10-40/A163-181/10-40"``.
        num, seed, filter, max_draws, batch_size, progress, on_progress, settings, **options
            As in :meth:`generate`.
        unindexed
            Instead of a contig: motif segments whose order and places are found in sampling, such
            as ``"A93-97,A118-120,A198-200"``. It needs ``total_length``.
        total_length
            Residues of the whole design (of one chain, with a symmetry), a number or a range; any
            that the contig allows without it.
        method
            How the motif is imposed, one of :data:`~protdiff.design.samplers.METHODS`.
        redesignable
            Motif residues whose amino acid is free, such as ``"A163-168,A171"``; their positions
            are held all the same.
        groups
            Which segments are rigid bodies of their own, such as ``"A16-35;A52-71"``; as the
            contig has it (``A16-35#1/10/A52-71#2``) without it, and one body if it says nothing.
        conditioners
            What else is asked of the designs. With a symmetry the contig describes one chain.
        hold
            ``"hard"``: the motif of a design is the input's, to 0.01 Å. ``"soft"`` lets it go at
            the last noise levels, and says how far it drifted.
        particles
            Of each design by ``method="twisted-smc"``, of which one is drawn in the end.

        Returns
        -------
        DesignSet
            Of backbones with ``motif_mask`` True on the motif.

        Raises
        ------
        InputError
            The motif or the contig cannot be used, or an argument is out of its range.
        Interrupted
            As in :meth:`generate`.
        """
        if (contig is None) == (unindexed is None):
            raise InputError("give either a contig, as 10-40/A163-181/10-40, or unindexed residues")
        segments = contig if unindexed is None else unindexed
        assert segments is not None
        asked = make_settings(SamplingSettings, options, settings)
        task = make_motif_task(
            _join(motif),
            _parse(segments),
            seed,
            asked,
            unindexed=unindexed is not None,
            total_length=total_length,
            method=method,
            hold=hold,
            redesignable=redesignable,
            groups=groups,
            particles=particles,
            conditioners=keep_target(self.model.name, asked, list_conditioners(conditioners)),
        )
        return collect_designs(
            self,
            task,
            num,
            filter=as_filter(filter),
            max_draws=max_draws,
            batch_size=batch_size,
            progress=progress,
            on_progress=on_progress,
        )

    def log_likelihood(
        self,
        backbone: str | Path | Backbone,
        *,
        handedness: Handedness = "L",
        **settings: Unpack[LikelihoodOptions],
    ) -> Likelihood:
        """Measure how likely a structure is under the model.

        Parameters
        ----------
        backbone
            A structure, or its file.
        handedness
            Take it for an L- or a D-protein.
        **settings
            Fields of :class:`~protdiff.evaluation.likelihood.LikelihoodSettings`: probes, seed,
            rtol, atol, noise_floor.

        Returns
        -------
        Likelihood
            Its ``nats`` are the log density of the positions in Å, with their ``standard_error``.

        Raises
        ------
        InputError
            The structure cannot be used, or an argument is out of its range.
        """
        from protdiff.evaluation.likelihood import LikelihoodSettings, measure_likelihood

        return measure_likelihood(
            self.model,
            _read(backbone),
            make_settings(LikelihoodSettings, settings),
            handedness=handedness,
        )

    def encode(
        self,
        backbone: str | Path | Backbone,
        *,
        handedness: Handedness = "L",
        **settings: Unpack[LikelihoodOptions],
    ) -> torch.Tensor:
        """Carry a structure along the probability flow to its latent code.

        Parameters are those of :meth:`log_likelihood`. A great circle between two codes of one
        length, :func:`protdiff.diffusion.interpolate`, stays where codes of proteins are.

        Returns
        -------
        torch.Tensor
            (residue, 3, 3); of a natural protein it looks standard normal.
        """
        from protdiff.evaluation.likelihood import LikelihoodSettings, encode_backbone

        return encode_backbone(
            self.model,
            _read(backbone),
            make_settings(LikelihoodSettings, settings),
            handedness=handedness,
        )

    def decode(
        self,
        code: torch.Tensor,
        *,
        residue_index: ArrayLike | None = None,
        handedness: Handedness = "L",
        **settings: Unpack[LikelihoodOptions],
    ) -> Backbone:
        """Carry a latent code back to a structure: the inverse of :meth:`encode`.

        Parameters
        ----------
        code
            (residue, 3, 3).
        residue_index
            (residue,), of a chain that is broken.
        handedness, **settings
            As in :meth:`encode`.
        """
        from protdiff.evaluation.likelihood import LikelihoodSettings, decode_backbone

        return decode_backbone(
            self.model,
            code,
            make_settings(LikelihoodSettings, settings),
            residue_index=residue_index,
            handedness=handedness,
        )

    def make(
        self,
        task: DesignTask,
        indices: Iterable[int],
        *,
        batch_size: int | None = None,
        frames: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Iterator[Design]:
        """Make designs one after the other, with their quality and, on request, trajectories.

        They come as their batches are done: by index where all are of one length; else those of a
        batch together, and batches by their first design. None is planned long before it is made.

        Parameters
        ----------
        task
            A :class:`~protdiff.design.generate.Generation` or
            :class:`~protdiff.design.scaffold.Scaffolding`.
        indices
            Which designs of it; ``itertools.count()`` goes on as long as designs are taken.
        batch_size, on_progress
            As in :meth:`generate`.
        frames
            Keep the trajectories.
        """
        return make_designs(
            self.model,
            task,
            indices,
            batch_size=self.get_batch_size(batch_size, task.length_range[1]),
            frames=frames,
            on_progress=on_progress,
        )

    def get_batch_size(self, batch_size: int | None, longest: int) -> int:
        """Return how many designs to sample at once: what is asked for, or what suits the device.

        Parameters
        ----------
        batch_size
            What is asked for.
        longest
            Residues of the longest design.

        Raises
        ------
        InputError
            It is under 1, or no whole number.
        """
        if batch_size is None:
            if self.model.device.type != "cuda":
                return CPU_BATCH
            return max(1, min(CUDA_BATCH, CUDA_PAIRS // longest**2))
        size = take_integer("batch size", batch_size)
        if size < 1:
            raise InputError(f"batch size is {size}; give at least 1")
        return size


def _join(motif: str | Path | Backbone | Sequence[str | Path | Backbone]) -> Backbone:
    sources = [motif] if isinstance(motif, str | Path | Backbone) else motif
    return join_backbones([_read(source) for source in sources])


def _read(source: str | Path | Backbone) -> Backbone:
    return source if isinstance(source, Backbone) else read_backbone(source)


def _parse(contig: str | Contig) -> Contig:
    return contig if isinstance(contig, Contig) else parse_contig(contig)

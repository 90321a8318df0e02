"""The one seam between scaffolding and the conditioners of motifs."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from protdiff.conditioning.compose import Conditions
from protdiff.conditioning.motif import MotifConditions, make_motif_conditions
from protdiff.design.secondary_structure import SecondaryStructure, make_network_input
from protdiff.design.settings import SamplingSettings
from protdiff.model import BackboneModel
from protdiff.structure import Motif

__all__ = ["make_motif_parts"]


def make_motif_parts(
    model: BackboneModel,
    residue_mask: torch.Tensor,
    *,
    motifs: Sequence[Motif],
    method: str,
    settings: SamplingSettings,
    wanted: Sequence[SecondaryStructure] = (),
    conditions: Conditions | None = None,
    free_below: float = 0.0,
) -> MotifConditions:
    """Return what the denoiser of a batch is made of in which each element knows its motif.

    Its ``project`` puts them together; particles take them apart.

    Parameters
    ----------
    model
        The trained model.
    residue_mask
        (batch, residue), True where a residue exists.
    motifs
        One for each element of the batch.
    method
        One of :data:`~protdiff.design.samplers.METHODS`.
    settings
        How to sample.
    wanted
        Secondary structure asked for, one for each element of the batch; none without it.
    conditions
        What else is asked of the batch; nothing, if not given.
    free_below
        Noise in Å below which nothing holds the motif.
    """
    return make_motif_conditions(
        model,
        residue_mask,
        motifs,
        method=method,
        handedness=settings.sign,
        self_condition=settings.self_conditioned,
        excluded_volume=settings.excluded_volume,
        secondary_structure=make_network_input(wanted, residue_mask),
        autoguidance=settings.autoguidance,
        conditions=conditions,
        free_below=free_below,
    )

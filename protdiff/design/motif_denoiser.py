"""The one seam between scaffolding and the conditioners of motifs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from protdiff.design.secondary_structure import SecondaryStructure, make_network_input
from protdiff.design.settings import SamplingSettings
from protdiff.diffusion import Denoiser
from protdiff.structure import Motif

if TYPE_CHECKING:
    from protdiff.conditioning.compose import Conditions
    from protdiff.conditioning.motif import MotifConditions
    from protdiff.model import BackboneModel

__all__ = ["make_motif_denoiser", "make_motif_parts"]


def make_motif_denoiser(
    model: BackboneModel,
    residue_mask: torch.Tensor,
    *,
    motifs: Sequence[Motif],
    method: str,
    settings: SamplingSettings,
    wanted: Sequence[SecondaryStructure] = (),
    conditions: Conditions | None = None,
    free_below: float = 0.0,
) -> Denoiser:
    """Return the denoiser of a batch in which each element knows its motif.

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
    from protdiff.conditioning.motif import make_motif_conditions

    options = _translate(residue_mask, method, settings, wanted, conditions)
    made = make_motif_conditions(model, residue_mask, motifs, free_below=free_below, **options)
    return made.project()


def make_motif_parts(
    model: BackboneModel,
    residue_mask: torch.Tensor,
    *,
    motifs: Sequence[Motif],
    method: str,
    settings: SamplingSettings,
    wanted: Sequence[SecondaryStructure] = (),
    conditions: Conditions | None = None,
) -> MotifConditions:
    """Return what the denoiser of a batch is made of, for a method that puts it together itself.

    Parameters are those of :func:`make_motif_denoiser`.
    """
    from protdiff.conditioning.motif import make_motif_conditions

    options = _translate(residue_mask, method, settings, wanted, conditions)
    return make_motif_conditions(model, residue_mask, motifs, **options)


def _translate(
    residue_mask: torch.Tensor,
    method: str,
    settings: SamplingSettings,
    wanted: Sequence[SecondaryStructure],
    conditions: Conditions | None,
) -> dict[str, Any]:
    """Return the settings as the conditioners of motifs take them."""
    return {
        "method": method,
        "handedness": settings.sign,
        "self_condition": settings.self_conditioned,
        "excluded_volume": settings.excluded_volume,
        "secondary_structure": make_network_input(wanted, residue_mask),
        "conditions": conditions,
    }

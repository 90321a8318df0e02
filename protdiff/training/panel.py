"""The quality panel: a few structures sampled from the averaged weights while training goes on."""

from __future__ import annotations

import torch

from protdiff.diffusion import (
    ExponentialSDE,
    KarrasGrid,
    PerSampleNoise,
    ProjectedNoise,
    ScaledScore,
)
from protdiff.diffusion.sampler import draw_prior
from protdiff.evaluation.panel import summarise_quality
from protdiff.evaluation.quality import measure_quality
from protdiff.model import BackboneModel, make_residue_mask

__all__ = ["PANEL_COLUMNS", "measure_panel"]

PANEL_COLUMNS = (
    "links",
    "unbroken",
    "ramachandran",
    "helix",
    "strand",
    "helix_left",
    "clashes",
    "rg_ratio",
    "contacts",
)


def measure_panel(
    model: BackboneModel, *, designs: int, length: int, steps: int = 60, step_scale: float = 1.4
) -> dict[str, float]:
    """Sample ``designs`` backbones of ``length`` residues and return their mean quality numbers.

    The seeds are the same in every call, so that a change is a change of the weights.

    Returns
    -------
    dict of str to float
        The columns :data:`PANEL_COLUMNS` of :func:`protdiff.evaluation.panel.summarise_quality`.
    """
    residue_mask = make_residue_mask([length] * designs).to(model.device)
    generators = [torch.Generator().manual_seed(seed) for seed in range(designs)]
    noise = ProjectedNoise(PerSampleNoise(generators), model.subspace(residue_mask))
    like = torch.zeros(designs, length, 3, 3, device=model.device)
    sampled = ExponentialSDE()(
        ScaledScore(model.denoiser(residue_mask), step_scale),
        draw_prior(model.sde, noise, like),
        KarrasGrid()(model.sde, steps),
        noise=noise,
    )
    coordinates = model.to_angstrom(sampled).float().cpu().numpy()
    summary = summarise_quality([measure_quality(backbone) for backbone in coordinates])
    return {name: summary[name] for name in PANEL_COLUMNS}

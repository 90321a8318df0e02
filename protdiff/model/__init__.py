"""A score network, an SDE and a unit of length: a model that denoises backbones.

This is the one door between Å and model units, and the one place where the theory meets the
network.
"""

from protdiff.model.backbone_model import LENGTH_RANGE, BackboneModel, make_residue_mask
from protdiff.model.denoiser import (
    AUTOGUIDED_ABOVE,
    DIFFUSED_ATOMS,
    BackboneDenoiser,
    ExpertNetwork,
    MotifInput,
    SecondaryStructureInput,
)
from protdiff.model.residue_types import RevealedTypes

__all__ = [
    "AUTOGUIDED_ABOVE",
    "DIFFUSED_ATOMS",
    "LENGTH_RANGE",
    "BackboneDenoiser",
    "BackboneModel",
    "ExpertNetwork",
    "MotifInput",
    "RevealedTypes",
    "SecondaryStructureInput",
    "make_residue_mask",
]

"""Conditions on backbones, each a Denoiser made of a Denoiser, so that they nest and compose."""

from protdiff.conditioning.compose import Conditions
from protdiff.conditioning.conditioner import Conditioner, Scene
from protdiff.conditioning.excluded_volume import ExcludedVolume, relieve_overlaps
from protdiff.conditioning.motif import MotifTerm, PosedMotif, condition_on_motifs
from protdiff.conditioning.secondary_structure import SecondaryStructure
from protdiff.conditioning.unindexed import UnindexedMotif

__all__ = [
    "Conditioner",
    "Conditions",
    "ExcludedVolume",
    "MotifTerm",
    "PosedMotif",
    "Scene",
    "SecondaryStructure",
    "UnindexedMotif",
    "condition_on_motifs",
    "relieve_overlaps",
]

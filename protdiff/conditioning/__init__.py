"""Conditions on backbones, each a Denoiser made of a Denoiser, so that they nest and compose."""

from protdiff.conditioning.conditioner import Conditioner, Scene
from protdiff.conditioning.contacts import Contacts
from protdiff.conditioning.excluded_volume import ExcludedVolume, relieve_overlaps
from protdiff.conditioning.motif import MotifTerm, PosedMotif, condition_on_motifs
from protdiff.conditioning.partner import Partner
from protdiff.conditioning.radius_of_gyration import RadiusOfGyration
from protdiff.conditioning.shape import Shape

__all__ = [
    "Conditioner",
    "Contacts",
    "ExcludedVolume",
    "MotifTerm",
    "Partner",
    "PosedMotif",
    "RadiusOfGyration",
    "Scene",
    "Shape",
    "condition_on_motifs",
    "relieve_overlaps",
]

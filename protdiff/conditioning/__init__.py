"""Conditions on backbones, each a Denoiser made of a Denoiser, so that they nest and compose."""

from protdiff.conditioning.compose import Conditions
from protdiff.conditioning.conditioner import Conditioner, Scene
from protdiff.conditioning.contacts import Contacts
from protdiff.conditioning.excluded_volume import ExcludedVolume, relieve_overlaps
from protdiff.conditioning.motif import MotifConditions, MotifTerm, make_motif_conditions
from protdiff.conditioning.partial_diffusion import PartialDiffusion
from protdiff.conditioning.partner import Partner
from protdiff.conditioning.posed_motif import PosedMotif
from protdiff.conditioning.potential import UserPotential
from protdiff.conditioning.radius_of_gyration import RadiusOfGyration
from protdiff.conditioning.secondary_structure import SecondaryStructure
from protdiff.conditioning.shape import Shape
from protdiff.conditioning.symmetry import Symmetry
from protdiff.conditioning.unindexed import UnindexedMotif

__all__ = [
    "Conditioner",
    "Conditions",
    "Contacts",
    "ExcludedVolume",
    "MotifConditions",
    "MotifTerm",
    "PartialDiffusion",
    "Partner",
    "PosedMotif",
    "RadiusOfGyration",
    "Scene",
    "SecondaryStructure",
    "Shape",
    "Symmetry",
    "UnindexedMotif",
    "UserPotential",
    "make_motif_conditions",
    "relieve_overlaps",
]

"""Conditions on backbones, each a Denoiser made of a Denoiser, so that they nest and compose."""

from protdiff.conditioning.motif import MotifTerm, PosedMotif, condition_on_motifs

__all__ = ["MotifTerm", "PosedMotif", "condition_on_motifs"]

"""How good is a backbone: numbers that need nobody else's weights, compared with nature."""

from protdiff.evaluation.panel import summarise_quality
from protdiff.evaluation.quality import NATIVE, Quality, measure_backbone, measure_quality
from protdiff.evaluation.secondary_structure import assign_secondary_structure

__all__ = [
    "NATIVE",
    "Quality",
    "assign_secondary_structure",
    "measure_backbone",
    "measure_quality",
    "summarise_quality",
]

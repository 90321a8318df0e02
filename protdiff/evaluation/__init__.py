"""How good is a backbone: numbers that need nobody else's weights, compared with nature."""

from protdiff.evaluation.bands import NativeBands, load_native_bands, summarise_bands
from protdiff.evaluation.diversity import Diversity, measure_diversity
from protdiff.evaluation.measure import (
    index_by_number,
    measure_backbone,
    measure_quality,
    measure_recorded,
)
from protdiff.evaluation.novelty import Novelty, Reference, measure_novelty
from protdiff.evaluation.panel import summarise_quality
from protdiff.evaluation.quality import NATIVE, Quality
from protdiff.evaluation.secondary_structure import assign_secondary_structure

__all__ = [
    "NATIVE",
    "Diversity",
    "NativeBands",
    "Novelty",
    "Quality",
    "Reference",
    "assign_secondary_structure",
    "index_by_number",
    "load_native_bands",
    "measure_backbone",
    "measure_diversity",
    "measure_novelty",
    "measure_quality",
    "measure_recorded",
    "summarise_bands",
    "summarise_quality",
]

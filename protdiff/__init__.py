"""Score-based generation of protein backbones.

>>> import protdiff
>>> model = protdiff.load()  # doctest: +SKIP
>>> designs = model.generate(length=100, num=8, seed=0)  # doctest: +SKIP
>>> designs.filter(passing=True).write("designs")  # doctest: +SKIP
"""

from typing import TYPE_CHECKING

from protdiff.lazy import make_lazy
from protdiff.version import get_version

if TYPE_CHECKING:
    from protdiff.design.design_set import DesignSet, Interrupted
    from protdiff.design.designer import Designer
    from protdiff.design.filter import DesignFilter, parse_filter
    from protdiff.design.generate import Generation
    from protdiff.design.loading import load
    from protdiff.design.reading import read_designs
    from protdiff.design.run import OutputSettings, run_designs
    from protdiff.design.scaffold import Scaffolding
    from protdiff.design.settings import SamplingSettings
    from protdiff.design.unindexed import UnindexedScaffolding
    from protdiff.errors import CheckpointError, DependencyError, InputError, ProtdiffError
    from protdiff.evaluation.measure import measure_quality
    from protdiff.evaluation.panel import summarise_quality
    from protdiff.evaluation.quality import Quality
    from protdiff.structure import (
        Backbone,
        fetch_structures,
        parse_contig,
        read_backbone,
        read_backbones,
        read_protein_mpnn,
        write_backbone,
        write_fasta,
        write_trajectory,
    )
    from protdiff.weights import list_weights

__all__ = [
    "Backbone",
    "CheckpointError",
    "DependencyError",
    "DesignFilter",
    "DesignSet",
    "Designer",
    "Generation",
    "InputError",
    "Interrupted",
    "OutputSettings",
    "ProtdiffError",
    "Quality",
    "SamplingSettings",
    "Scaffolding",
    "UnindexedScaffolding",
    "__version__",
    "fetch_structures",
    "list_weights",
    "load",
    "measure_quality",
    "parse_contig",
    "parse_filter",
    "read_backbone",
    "read_backbones",
    "read_designs",
    "read_protein_mpnn",
    "run_designs",
    "summarise_quality",
    "write_backbone",
    "write_fasta",
    "write_trajectory",
]

__version__ = get_version()

__getattr__, __dir__ = make_lazy(
    __name__,
    {
        "Backbone": "protdiff.structure",
        "CheckpointError": "protdiff.errors",
        "DependencyError": "protdiff.errors",
        "DesignFilter": "protdiff.design.filter",
        "DesignSet": "protdiff.design.design_set",
        "Designer": "protdiff.design.designer",
        "Generation": "protdiff.design.generate",
        "InputError": "protdiff.errors",
        "Interrupted": "protdiff.design.design_set",
        "OutputSettings": "protdiff.design.run",
        "ProtdiffError": "protdiff.errors",
        "Quality": "protdiff.evaluation.quality",
        "SamplingSettings": "protdiff.design.settings",
        "Scaffolding": "protdiff.design.scaffold",
        "UnindexedScaffolding": "protdiff.design.unindexed",
        "fetch_structures": "protdiff.structure",
        "list_weights": "protdiff.weights",
        "load": "protdiff.design.loading",
        "measure_quality": "protdiff.evaluation.measure",
        "parse_contig": "protdiff.structure",
        "parse_filter": "protdiff.design.filter",
        "read_backbone": "protdiff.structure",
        "read_backbones": "protdiff.structure",
        "read_designs": "protdiff.design.reading",
        "read_protein_mpnn": "protdiff.structure",
        "run_designs": "protdiff.design.run",
        "summarise_quality": "protdiff.evaluation.panel",
        "write_backbone": "protdiff.structure",
        "write_fasta": "protdiff.structure",
        "write_trajectory": "protdiff.structure",
    },
    subpackages=(
        "campaign",
        "checkpoint",
        "conditioning",
        "design",
        "device",
        "diffusion",
        "errors",
        "evaluation",
        "model",
        "network",
        "report",
        "structure",
        "training",
        "weights",
    ),
)

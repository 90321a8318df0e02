"""Making designs: what users call."""

from typing import TYPE_CHECKING

from protdiff.lazy import make_lazy

if TYPE_CHECKING:
    from protdiff.design.design_set import DesignSet, Interrupted
    from protdiff.design.designer import Designer
    from protdiff.design.engine import Design, make_designs
    from protdiff.design.filter import DesignFilter, parse_filter
    from protdiff.design.generate import Generation
    from protdiff.design.loading import load
    from protdiff.design.reading import read_designs
    from protdiff.design.run import OutputSettings, RunResult, run_designs
    from protdiff.design.run_folder import RunFolder, read_manifest
    from protdiff.design.scaffold import Scaffolding
    from protdiff.design.settings import SamplingSettings

__all__ = [
    "Design",
    "DesignFilter",
    "DesignSet",
    "Designer",
    "Generation",
    "Interrupted",
    "OutputSettings",
    "RunFolder",
    "RunResult",
    "SamplingSettings",
    "Scaffolding",
    "load",
    "make_designs",
    "parse_filter",
    "read_designs",
    "read_manifest",
    "run_designs",
]

__getattr__, __dir__ = make_lazy(
    __name__,
    {
        "Design": "protdiff.design.engine",
        "DesignFilter": "protdiff.design.filter",
        "DesignSet": "protdiff.design.design_set",
        "Designer": "protdiff.design.designer",
        "Generation": "protdiff.design.generate",
        "Interrupted": "protdiff.design.design_set",
        "OutputSettings": "protdiff.design.run",
        "RunFolder": "protdiff.design.run_folder",
        "RunResult": "protdiff.design.run",
        "SamplingSettings": "protdiff.design.settings",
        "Scaffolding": "protdiff.design.scaffold",
        "load": "protdiff.design.loading",
        "make_designs": "protdiff.design.engine",
        "parse_filter": "protdiff.design.filter",
        "read_designs": "protdiff.design.reading",
        "read_manifest": "protdiff.design.run_folder",
        "run_designs": "protdiff.design.run",
    },
)

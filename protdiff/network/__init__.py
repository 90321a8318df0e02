"""The E(3)-equivariant score network; the only importer of e3nn. It knows no schedule, no file."""

from protdiff.network.compiled import CompiledNetwork, allow_programs
from protdiff.network.embedding import RESIDUE_TYPES, SECONDARY_STATES
from protdiff.network.precondition import Preconditioning, get_preconditioning
from protdiff.network.score_network import Estimates, NetworkConfig, ScoreNetwork

__all__ = [
    "RESIDUE_TYPES",
    "SECONDARY_STATES",
    "CompiledNetwork",
    "Estimates",
    "NetworkConfig",
    "Preconditioning",
    "ScoreNetwork",
    "allow_programs",
    "get_preconditioning",
]

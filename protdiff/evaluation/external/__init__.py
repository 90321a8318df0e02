"""Programs of others, run as they are: found on PATH, by import or by an option, or left out.

One file a program. Each says what it writes, how it calls the program, and what it reads; what goes
wrong with the program becomes an :class:`ExternalError` of one line. Nothing here is needed for
anything else in the package, and nothing is downloaded or installed.
"""

from protdiff.evaluation.external.command import ExternalError
from protdiff.evaluation.external.esmfold import ESMFold
from protdiff.evaluation.external.folding import Folder, FoldingCommand, find_folder
from protdiff.evaluation.external.foldseek import Foldseek, Hit
from protdiff.evaluation.external.inverse_folding import SequenceDesigner
from protdiff.evaluation.external.ligand_mpnn import LigandMPNN
from protdiff.evaluation.external.predictions import read_predictions
from protdiff.evaluation.external.protein_mpnn import ProteinMPNN
from protdiff.structure import DesignedSequence

__all__ = [
    "DesignedSequence",
    "ESMFold",
    "ExternalError",
    "Folder",
    "FoldingCommand",
    "Foldseek",
    "Hit",
    "LigandMPNN",
    "ProteinMPNN",
    "SequenceDesigner",
    "find_folder",
    "read_predictions",
]

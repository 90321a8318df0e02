"""Proteins as data: backbones in Å, their geometry, and structure files in and out.

The only part of the package that touches Biotite, and only when a file is read or written.
"""

from protdiff.handedness import Handedness
from protdiff.structure.backbone import ATOM_NAMES, Backbone
from protdiff.structure.contig import Contig, ContigError
from protdiff.structure.contig_language import parse_contig
from protdiff.structure.designed_sequence import DesignedSequence, read_protein_mpnn
from protdiff.structure.explain import SegmentRow, explain_contig
from protdiff.structure.fasta import write_fasta
from protdiff.structure.fetch import fetch_structures
from protdiff.structure.geometry import (
    backbone_dihedrals,
    bond_angles,
    bond_lengths,
    build_backbone,
    count_contacts,
    find_links,
    place_cbeta,
    place_oxygen,
    radius_of_gyration,
)
from protdiff.structure.groups import group_segments
from protdiff.structure.join import join_backbones, read_joined
from protdiff.structure.layout import Layout
from protdiff.structure.lengths import parse_length
from protdiff.structure.motif import Motif, sample_motif
from protdiff.structure.numbering import CHAIN_JUMP
from protdiff.structure.problem import (
    MotifProblem,
    read_genie2_problem,
    read_motifbench_problems,
)
from protdiff.structure.protein_mpnn import (
    thread_sequence,
    write_chain_ids,
    write_fixed_positions,
    write_parsed_backbones,
    write_tied_positions,
)
from protdiff.structure.read import (
    count_models,
    find_structure_files,
    get_structure_name,
    read_backbone,
    read_backbones,
    read_models,
    read_trajectory,
)
from protdiff.structure.residues import StructureWarning
from protdiff.structure.screen import ChainFilter
from protdiff.structure.selection import ResidueRange, parse_selection, select_residues
from protdiff.structure.superposition import Superposition, rmsd, superimpose
from protdiff.structure.write import write_backbone, write_trajectory

__all__ = [
    "ATOM_NAMES",
    "CHAIN_JUMP",
    "Backbone",
    "ChainFilter",
    "Contig",
    "ContigError",
    "DesignedSequence",
    "Handedness",
    "Layout",
    "Motif",
    "MotifProblem",
    "ResidueRange",
    "SegmentRow",
    "StructureWarning",
    "Superposition",
    "backbone_dihedrals",
    "bond_angles",
    "bond_lengths",
    "build_backbone",
    "count_contacts",
    "count_models",
    "explain_contig",
    "fetch_structures",
    "find_links",
    "find_structure_files",
    "get_structure_name",
    "group_segments",
    "join_backbones",
    "parse_contig",
    "parse_length",
    "parse_selection",
    "place_cbeta",
    "place_oxygen",
    "radius_of_gyration",
    "read_backbone",
    "read_backbones",
    "read_genie2_problem",
    "read_joined",
    "read_models",
    "read_motifbench_problems",
    "read_protein_mpnn",
    "read_trajectory",
    "rmsd",
    "sample_motif",
    "select_residues",
    "superimpose",
    "thread_sequence",
    "write_backbone",
    "write_chain_ids",
    "write_fasta",
    "write_fixed_positions",
    "write_parsed_backbones",
    "write_tied_positions",
    "write_trajectory",
]

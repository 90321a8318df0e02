"""Reading structure files: PDB, mmCIF and BinaryCIF, each also gzipped.

The format is told from the content, not from the name. Whatever is wrong with a file is said in
one line by an :class:`~protdiff.errors.InputError`; no traceback of the parser reaches the user.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protdiff.errors import DependencyError, InputError
from protdiff.structure.backbone import Backbone
from protdiff.structure.content import FORMAT_NAMES, check_whole, detect_format, read_bytes
from protdiff.structure.foreign import import_biotite
from protdiff.structure.residues import assemble_backbone
from protdiff.structure.selection import parse_selection, select_residues

__all__ = [
    "STRUCTURE_SUFFIXES",
    "count_models",
    "find_structure_files",
    "get_structure_name",
    "is_structure_file",
    "read_backbone",
    "read_backbones",
    "read_models",
    "read_trajectory",
]

#: The names of structure files end so, or so and ``.gz``.
STRUCTURE_SUFFIXES = (".pdb", ".ent", ".cif", ".mmcif", ".bcif")
# The columns of mmCIF that the parser asks for and a file may lack, and what that means.
_OPTIONAL = {
    "pdbx_PDB_model_num": "1",
    "pdbx_PDB_ins_code": "?",
    "label_alt_id": ".",
    "occupancy": "1.00",
}
_READERS = {"pdb": "PDBFile", "cif": "CIFFile", "bcif": "BinaryCIFFile"}


def read_backbone(
    path: str | Path,
    *,
    chains: str | Sequence[str] | None = None,
    residues: str | Sequence[str] | None = None,
    model: int = 1,
    strict: bool = False,
) -> Backbone:
    """Read the protein backbone of a structure file.

    Waters, ligands and nucleic acids are left out; see :mod:`protdiff.structure.residues` for the
    rules on alternate locations, modified residues, chain breaks and missing atoms.

    Parameters
    ----------
    path
        A PDB, mmCIF or BinaryCIF file, gzipped or not.
    chains
        The chains wanted, by the author's ids: ``"A"``, ``"A,B"`` or ``["A", "B"]``. All without
        it.
    residues
        The residues wanted, in the author's numbering with insertion codes, both ends included:
        ``"A10-50,A52A-60,B"``, or a list of such pieces.
    model
        Which model of an NMR ensemble or a trajectory, counted from 1.
    strict
        Refuse residues without a full backbone instead of dropping them with a warning.

    Returns
    -------
    Backbone
        Named after the file.

    Raises
    ------
    InputError
        The file is missing, empty, damaged or cut off; it holds no protein, or CA atoms only; a
        coordinate is not a number; a chain, residue or model is not there.

    Warns
    -----
    StructureWarning
        Residues were dropped, or oxygens placed by geometry.
    """
    source = _StructureFile(Path(path))
    return source.read_backbone(model, chains, residues, strict)


def read_models(
    path: str | Path,
    *,
    chains: str | Sequence[str] | None = None,
    residues: str | Sequence[str] | None = None,
    strict: bool = False,
) -> list[Backbone]:
    """Read every model of a file, such as an NMR ensemble or a sampled trajectory.

    Parameters and errors are those of :func:`read_backbone`.
    """
    source = _StructureFile(Path(path))
    return [
        source.read_backbone(model, chains, residues, strict)
        for model in range(1, source.count_models() + 1)
    ]


def read_trajectory(path: str | Path) -> NDArray[np.float32]:
    """Read the coordinates of all models of a file, which are to have the same residues.

    Several times faster than :func:`read_models` where each model is N, CA, C, O of each residue
    in turn, as protdiff writes trajectories; the atoms of all models are then taken to be those of
    the first.

    Returns
    -------
    (model, residue, 4, 3) coordinates of N, CA, C, O in Å.

    Raises
    ------
    InputError
        As in :func:`read_backbone`, or the models differ in their number of residues.
    """
    source = _StructureFile(Path(path))
    first = source.read_backbone(1, None, None, False).coordinates
    plain = source.read_coordinates()
    if plain is not None and plain.shape[1] == 4 * len(first):
        frames = plain.reshape(len(plain), len(first), 4, 3).astype(np.float32)
        if np.array_equal(frames[0], first) and np.isfinite(frames).all():
            return frames
    models = [
        source.read_backbone(model, None, None, False).coordinates
        for model in range(1, source.count_models() + 1)
    ]
    if any(len(model) != len(first) for model in models):
        raise InputError(f"the models of {path} differ in their number of residues")
    return np.stack(models)


def count_models(path: str | Path) -> int:
    """Return how many models a structure file holds."""
    return _StructureFile(Path(path)).count_models()


def read_backbones(
    sources: str | Path | Iterable[str | Path],
    *,
    chains: str | Sequence[str] | None = None,
    residues: str | Sequence[str] | None = None,
    model: int = 1,
    strict: bool = False,
) -> Iterator[Backbone]:
    """Read the structure files of a folder, or a list of files and folders, one by one.

    Parameters and errors are those of :func:`read_backbone`; folders are searched to the bottom
    and files come in the order of their names.
    """
    for path in find_structure_files(sources):
        yield read_backbone(path, chains=chains, residues=residues, model=model, strict=strict)


def find_structure_files(sources: str | Path | Iterable[str | Path]) -> list[Path]:
    """List the structure files among files and folders.

    Parameters
    ----------
    sources
        A path or several; a folder stands for every file below it whose name ends in one of
        :data:`STRUCTURE_SUFFIXES`, gzipped or not, but for hidden ones and the trajectories of
        runs.

    Raises
    ------
    InputError
        A path does not exist, or a folder holds no structure file.
    """
    paths = [sources] if isinstance(sources, str | Path) else list(sources)
    files: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            if not path.exists():
                raise InputError(f"there is no file or folder {path}; check the path")
            files.append(path)
            continue
        below = sorted(
            file
            for file in path.rglob("*")
            if is_structure_file(file) and (file.parent == path or not _is_of_trajectory(file))
        )
        if not below:
            raise InputError(
                f"the folder {path} holds no structure file; expected names that end in "
                f"{', '.join(STRUCTURE_SUFFIXES)}, or these and .gz"
            )
        files.extend(below)
    return list(dict.fromkeys(files))


def is_structure_file(path: Path) -> bool:
    """Whether a path is a file that is a structure by its name, and not hidden."""
    name = path.name.lower().removesuffix(".gz")
    return name.endswith(STRUCTURE_SUFFIXES) and not name.startswith(".") and path.is_file()


def _is_of_trajectory(file: Path) -> bool:
    """Whether a file holds states on the way to a design; names are those of a run's folder."""
    return file.parent.name == "trajectories" and (file.parents[1] / "manifest.jsonl").is_file()


class _StructureFile:
    """A parsed file, from which models can be taken."""

    def __init__(self, path: Path) -> None:
        self.path = path
        data = read_bytes(path)
        self.format = detect_format(path, data)
        text = "" if self.format == "bcif" else data.decode("utf-8-sig", errors="replace")
        check_whole(path, self.format, text)
        self._module = import_biotite(f"structure.io.{'pdb' if self.format == 'pdb' else 'pdbx'}")
        stream = io.BytesIO(data) if self.format == "bcif" else io.StringIO(text)
        reader = getattr(self._module, _READERS[self.format])
        self._file = self._guard(lambda: reader.read(stream))
        self._guard(self._fill_pdb if self.format == "pdb" else self._fill_cif)

    def _fill_pdb(self) -> None:
        """Fill the columns behind the coordinates, which the parser reads and some files lack."""
        lines = self._file.lines
        for k, line in enumerate(lines):
            if line.startswith(("ATOM  ", "HETATM")):
                occupancy = line[54:60].strip() or "1.00"
                lines[k] = f"{line[:54]}{occupancy:>6}  0.00{line[66:]}"

    def _fill_cif(self) -> None:
        """Take the block with the atoms, and fill the columns that the dictionary leaves open."""
        # A refinement writes restraints of its ligands into blocks of their own.
        block = next((one for one in self._file.values() if "atom_site" in one), None)
        if block is None:
            return  # the parser says so
        self._file, site = block, block["atom_site"]
        for name, value in _OPTIONAL.items():
            if name not in site:
                site[name] = np.full(site.row_count, value)

    def _guard(self, action: Any) -> Any:
        """Run a step of the parser; what it complains of becomes one line."""
        try:
            with warnings.catch_warnings():
                # Guessed elements and absent columns do not touch the backbone.
                warnings.simplefilter("ignore")
                return action()
        except (InputError, DependencyError, MemoryError):
            raise
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(
                f"{self.path} is not a readable {FORMAT_NAMES[self.format]} file, it may be "
                f"damaged or cut off ({reason[:120]}); get the file again"
            ) from error

    def count_models(self) -> int:
        if self.format == "pdb":
            count = self._guard(self._file.get_model_count)
        else:
            count = self._guard(lambda: self._module.get_model_count(self._file))
        if not count:
            raise InputError(f"{self.path} holds no atoms; give a structure file with a protein")
        return int(count)

    def read_coordinates(self) -> NDArray[np.float32] | None:
        """Return (model, atom, 3) of all atoms; None if models differ in them."""
        try:
            if self.format == "pdb":
                return np.asarray(self._guard(self._file.get_coord))
            stack = self._guard(lambda: self._module.get_structure(self._file, altloc="all"))
            return np.asarray(stack.coord)
        except InputError:
            return None

    def read_backbone(
        self,
        model: int,
        chains: str | Sequence[str] | None,
        residues: str | Sequence[str] | None,
        strict: bool,
    ) -> Backbone:
        wanted = None if chains is None else _list_chains(chains)
        selection = None if residues is None else parse_selection(residues)
        count = self.count_models()
        if not 1 <= model <= count:
            plural = "model" if count == 1 else "models"
            raise InputError(
                f"{self.path} has {count} {plural}, and model {model} was asked for; "
                f"give a number from 1 to {count}"
            )
        if wanted is None and selection is not None:
            wanted = list(dict.fromkeys(piece.chain for piece in selection))
        atoms = self._guard(lambda: self._get_atoms(model))
        name = str(self.path)
        backbone = assemble_backbone(atoms, name=name, chains=wanted, strict=strict)
        if selection is not None:
            backbone = backbone.select(select_residues(backbone, selection))
        bad = ~np.isfinite(backbone.coordinates).all((1, 2))
        if bad.any():
            place = int(np.flatnonzero(bad)[0])
            raise InputError(
                f"residue {backbone.label(place)} of {self.path} has a coordinate that is not a "
                f"number ({int(bad.sum())} such residues); repair the file or leave them out"
            )
        return backbone.select(slice(None), name=get_structure_name(self.path))

    def _get_atoms(self, model: int) -> Any:
        options: dict[str, Any] = {"model": model, "altloc": "all", "extra_fields": ["occupancy"]}
        if self.format == "pdb":
            return self._file.get_structure(**options)
        return self._module.get_structure(self._file, **options)


def _list_chains(chains: str | Sequence[str]) -> list[str]:
    names = chains.split(",") if isinstance(chains, str) else list(chains)
    names = [name.strip() for name in names]
    if not names or not all(names):
        raise InputError(f"chains are ids such as A or A,B; got {chains!r}")
    return list(dict.fromkeys(names))


def get_structure_name(path: str | Path) -> str:
    """Return what a structure is called after its file: the name without the suffixes.

    Examples
    --------
    >>> get_structure_name("1abc/1abc_A.2.bcif.gz")
    '1abc_A.2'
    """
    path = Path(path)
    name = path.name
    for suffix in (".gz", *STRUCTURE_SUFFIXES):
        if name.lower().endswith(suffix):
            name = name[: -len(suffix)]
    return name or path.name

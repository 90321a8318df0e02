"""Clouds of points: reading them, and filling the shape that they outline.

What comes is a sample of a body or of its surface: the vertices of a mesh, the voxels of a density,
the atoms of a structure. The body is everything that cannot be reached from outside of it on a grid
as fine as the points are dense, so a closed surface and a filled cloud give the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError  # numpy's own, of a header that is cut off

import numpy as np
from numpy.typing import ArrayLike, NDArray

from protdiff.errors import InputError
from protdiff.structure.read import STRUCTURE_SUFFIXES, read_backbone

__all__ = ["FilledShape", "fill_shape", "read_points"]


FloatArray = NDArray[np.float64]

_FEWEST, _MOST = 10, 1_000_000
_LARGEST_FILE = 1 << 28
_SPACING = 1.3  # cells over the points' spacing: random clouds of 300 points and more close
_NEIGHBOUR = 6
_GRID = 40  # cells along the longest side, at most
_TABLES = (".xyz", ".csv", ".txt", ".pts")


@dataclass(frozen=True, eq=False)
class FilledShape:
    """A body on a grid.

    Attributes
    ----------
    points
        (point, 3), spread evenly over the body; their mean is zero.
    volume
        Of the cells of the grid, in the unit of the points, cubed: a little more than that of the
        body itself, by half a cell all around.
    """

    points: FloatArray
    volume: float


def read_points(path: str | Path) -> FloatArray:
    """Read a cloud of points.

    Parameters
    ----------
    path
        ``.npy``; ``.xyz``, ``.csv``, ``.txt`` or ``.pts``, three numbers a line, with an element's
        symbol before them or not; ``.obj`` or ``.ply`` (as text), whose vertices are read; or a
        structure file, whose backbone atoms are.

    Returns
    -------
    numpy.ndarray
        (point, 3).

    Raises
    ------
    InputError
        The file is not there, is of no such kind, or does not hold from ten to a million points.
    """
    path = Path(path)
    name = path.name.lower()
    suffix = path.suffix.lower()
    if name.removesuffix(".gz").endswith(STRUCTURE_SUFFIXES):
        return check_points(read_backbone(path).coordinates.reshape(-1, 3), path.name)
    if suffix not in (*_TABLES, ".npy", ".obj", ".ply"):
        raise InputError(
            f"{path.name} is no cloud of points that can be read; give .npy, "
            f"{', '.join(_TABLES)}, .obj, .ply or a structure file"
        )
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise InputError(f"{path.name} is larger than 256 MiB; give fewer points")
        if suffix == ".npy":
            # Not np.load, which takes any archive for one of arrays and leaves it open.
            with path.open("rb") as file:
                found = np.lib.format.read_array(file, allow_pickle=False)
        else:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
            found = np.array(_READERS.get(suffix, _read_table)(lines), dtype=float)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, IndexError, EOFError, MemoryError, SyntaxError, TokenError) as error:
        raise InputError(f"{path.name} holds no cloud of points: {error}") from error
    return check_points(found, path.name)


def check_points(points: ArrayLike, name: str = "the cloud") -> FloatArray:
    """Return points as (point, 3) float64.

    Raises
    ------
    InputError
        They are not, or too few, too many, not finite, or all in one plane.
    """
    try:
        given = np.asarray(points)
    except (TypeError, ValueError) as error:  # rows of different lengths, say
        raise InputError(f"{name} is no array; give (point, 3)") from error
    if given.dtype.kind not in "iuf":
        raise InputError(f"{name} holds no real numbers but {given.dtype}; give (point, 3)")
    # What float64 cannot hold becomes what is no finite number, and is refused as that.
    with np.errstate(over="ignore", invalid="ignore"):
        found = given.astype(np.float64)
    if found.ndim != 2 or found.shape[1] != 3 or not _FEWEST <= len(found) <= _MOST:
        raise InputError(
            f"{name} is of shape {found.shape}; give (point, 3) with {_FEWEST} to {_MOST} points"
        )
    if not (np.abs(found) < 1e9).all():
        raise InputError(f"{name} has a coordinate that is no finite number")
    spread = np.linalg.eigvalsh(np.cov((found - found.mean(0)).T))
    if spread[0] <= 1e-6 * spread[2]:
        raise InputError(f"{name} lies in a plane, which has no volume to fill")
    return found


def _read_table(lines: list[str]) -> list[list[float]]:
    """Read three numbers a line; the header of XYZ files, comments and symbols are passed over."""
    rows = []
    start = 2 if lines and re.fullmatch(r"\s*[0-9]+\s*", lines[0]) else 0
    for number, line in enumerate(lines[start:], start + 1):
        words = re.split(r"[\s,;]+", line.split("#")[0].strip())
        if words and not re.match(r"[-+.0-9]", words[0]):
            words = words[1:]
        if len(words) < 3:
            if number > start + 1 and words not in ([], [""]):
                raise ValueError(f"line {number} has no three numbers")
            continue
        try:
            rows.append([float(word) for word in words[:3]])
        except ValueError:
            if number > start + 1:  # a first line may name the columns
                raise
    return rows


def _read_obj(lines: list[str]) -> list[list[float]]:
    """Read the vertices of a Wavefront OBJ file."""
    return [_three(line.split()[1:4]) for line in lines if line.startswith("v ")]


def _read_ply(lines: list[str]) -> list[list[float]]:
    """Read the vertices of a PLY file in text form, whose first three properties are x, y, z."""
    if lines[:1] != ["ply"] or not any(line.startswith("format ascii") for line in lines[:9]):
        raise ValueError("it is no PLY file in text form (format ascii)")
    end = next((k for k, line in enumerate(lines) if line.strip() == "end_header"), len(lines))
    header = [line.split() for line in lines[:end]]
    elements = [words for words in header if words[:1] == ["element"]]
    names = [words[-1] for words in header if words[:1] == ["property"]]
    if not elements or elements[0][1:2] != ["vertex"] or names[:3] != ["x", "y", "z"]:
        raise ValueError("its first element has to be vertex, with x, y and z first")
    count = int(elements[0][2])
    if count < 0:
        raise ValueError(f"it says that it has {count} vertices")
    return [_three(line.split()[:3]) for line in lines[end + 1 : end + 1 + count]]


def _three(words: list[str]) -> list[float]:
    if len(words) != 3:
        raise ValueError(f"{' '.join(words)!r} is no point")
    return [float(word) for word in words]


_READERS = {".obj": _read_obj, ".ply": _read_ply}


def fill_shape(points: ArrayLike, count: int = 400) -> FilledShape:
    """Fill the body that a cloud of points outlines.

    Parameters
    ----------
    points
        (point, 3), any unit.
    count
        About how many points to fill it with, at most.

    Returns
    -------
    FilledShape
        Points of a grid that turns with the cloud, so that the pose of the cloud matters little.

    Examples
    --------
    >>> ball = np.random.default_rng(0).normal(size=(2000, 3))
    >>> ball /= np.linalg.norm(ball, axis=1, keepdims=True)  # a sphere's surface
    >>> filled = fill_shape(ball)
    >>> 1.0 < filled.volume / (4 / 3 * np.pi) < 1.5
    True
    """
    cloud = check_points(points)
    cloud = cloud - cloud.mean(0)
    axes = np.linalg.eigh(cloud.T @ cloud)[1]
    own = cloud @ axes
    low, high = own.min(0), own.max(0)
    # Cells so large that chance leaves no holes in a surface.
    step = max(_SPACING * _measure_spacing(own), float((high - low).max()) / _GRID)
    cells = np.floor((own - low) / step).astype(int) + 2
    size = cells.max(0) + 3
    taken = np.zeros(size, dtype=bool)
    taken[tuple(cells.T)] = True
    closed = _grow(taken)
    outside = np.zeros(size, dtype=bool)
    outside[0] = outside[-1] = True
    reached = 0
    while reached != (reached := int(outside.sum())):
        outside = _grow(outside) & ~closed
    # What was grown to close the surface is taken back, but for the cells of the points.
    body = ~_grow(outside) | taken
    filled = (np.argwhere(body) - 1.5) * step + low
    volume = len(filled) * step**3
    if len(filled) > count:
        filled = filled[np.linspace(0, len(filled) - 1, count).astype(int)]
    filled = filled @ axes.T
    return FilledShape(filled - filled.mean(0), float(volume))


def _measure_spacing(points: FloatArray, sample: int = 200) -> float:
    """Return the median distance of a point to its sixth neighbour: no chance pair is as far."""
    if len(points) > 20_000:
        points = points[:: len(points) // 20_000 + 1]
    some = points[:: max(len(points) // sample, 1)]
    apart = np.stack([np.linalg.norm(points - point, axis=1) for point in some])
    return float(np.median(np.partition(apart, _NEIGHBOUR, axis=1)[:, _NEIGHBOUR]))


def _grow(body: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Add the six neighbours of each cell."""
    grown = body.copy()
    for axis in range(3):
        along, wide = np.moveaxis(body, axis, 0), np.moveaxis(grown, axis, 0)
        wide[1:] |= along[:-1]
        wide[:-1] |= along[1:]
    return grown

"""Draw designs as cartoons: the picture at the head of the README.

The designs are the first of a seed, good or bad, with the bundled weights and default settings;
the last two are scaffolds of ``data/demo_motif.pdb``, the motif in a colour of its own. Ribbons are
drawn by matplotlib alone, so that one command makes the picture wherever the package runs:

    python scripts/gallery_designs.py --out docs/images

A ribbon's cross-section is an ellipse that is swept along a spline through the alpha carbons, its
wide axis along the carbonyls, as in Carson's ribbons; strands are smoothed and end in an arrow.

References
----------
Carson 1987, "Ribbon models of macromolecules".
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from PIL import Image
from scipy.interpolate import CubicSpline

import protdiff
from protdiff.evaluation import assign_secondary_structure
from protdiff.structure import Backbone

Array = NDArray[np.floating]

COLORS = {"H": "#d1495b", "E": "#edae49", "-": "#c3cad1"}
MOTIF = "#00798c"
# Half axes of the cross-section, Å: along the carbonyls, and across.
SECTIONS = {"H": (1.35, 0.22), "E": (1.15, 0.24), "-": (0.32, 0.32)}
ARROW_WIDTH = 2.0
STEPS = 8  # along a residue
SIDES = 14  # around a section
LIGHT = np.array([-0.45, 0.65, 0.75]) / np.linalg.norm([-0.45, 0.65, 0.75])
OUTLINE_DEPTH = 1.6  # Å; outlines show over what lies deeper than this


@dataclass(frozen=True)
class Ribbon:
    """A closed tube: the corners of its faces (face, 4, xyz), their normals and colours."""

    corners: Array
    normals: Array
    colors: Array


def orient(coordinates: Array) -> Array:
    """Turn a backbone so that its longest axis lies across the page and its shortest into it."""
    x = coordinates.astype(float) - coordinates[:, 1].mean(0)
    _, axes = np.linalg.eigh(np.cov(x[:, 1].T))
    turn = axes[:, ::-1]
    # The first half goes to the left and up, and no picture is a mirror image.
    half = len(x) // 2
    turn = turn * np.where((x[:half, 1].mean(0) @ turn) > 0, -1.0, 1.0) * [1, -1, 1]
    if np.linalg.det(turn) < 0:
        turn[:, 2] *= -1.0
    turned: Array = x @ turn
    return turned


def smooth_strands(ca: Array, structure: NDArray[np.str_]) -> Array:
    """Take the zigzag out of strands by two passes of a three-point mean."""
    smoothed = ca.copy()
    inside = np.flatnonzero(structure[1:-1] == "E") + 1
    for _ in range(2):
        mean = (smoothed[inside - 1] + 2 * smoothed[inside] + smoothed[inside + 1]) / 4
        smoothed[inside] = mean
    return smoothed


def find_sides(coordinates: Array) -> Array:
    """Give the wide axis of the ribbon at each residue: along C=O, never flipping."""
    side = coordinates[:, 3] - coordinates[:, 2]
    for place in range(1, len(side)):
        if side[place] @ side[place - 1] < 0:
            side[place] *= -1.0
    padded = np.concatenate([side[:1], side, side[-1:]])
    smooth: Array = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    return smooth / np.linalg.norm(smooth, axis=1, keepdims=True)


def find_sections(structure: NDArray[np.str_], places: Array) -> Array:
    """Give the half axes (place, 2) along the chain; a strand ends in an arrow."""
    nearest = np.clip(np.floor(places + 0.5).astype(int), 0, len(structure) - 1)
    section = np.array([SECTIONS[structure[k]] for k in nearest])
    # Helices and coil run into each other; the ends of strands are sharp.
    kernel = np.hanning(STEPS + 3)[1:-1]
    blurred = np.stack(
        [
            np.convolve(np.pad(axis, len(kernel) // 2, mode="edge"), kernel / kernel.sum(), "valid")
            for axis in section.T
        ],
        axis=1,
    )
    is_strand = structure[nearest] == "E"
    section = np.where(is_strand[:, None], section, blurred[: len(section)])
    ends = [
        k
        for k in range(len(structure))
        if structure[k] == "E" and "E" not in structure[k + 1 : k + 2]
    ]
    for end in ends:
        head = (places >= end - 1.0) & (places <= end + 0.5)
        section[head, 0] = ARROW_WIDTH * (end + 0.5 - places[head]) / 1.5 + 0.1
    return section


def make_ribbon(backbone: Backbone) -> Ribbon:
    """Sweep the ribbon of one unbroken chain."""
    x = orient(backbone.coordinates)
    structure = assign_secondary_structure(backbone.coordinates)
    count = len(x)
    place = np.arange(count)
    along = np.linspace(0, count - 1, (count - 1) * STEPS + 1)
    path = CubicSpline(place, smooth_strands(x[:, 1], structure))
    centre, tangent = path(along), path(along, 1)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    side = CubicSpline(place, find_sides(x))(along)
    side -= (side * tangent).sum(1, keepdims=True) * tangent
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    up = np.cross(tangent, side)
    wide, thick = find_sections(structure, along).T
    angle = np.linspace(0, 2 * np.pi, SIDES, endpoint=False)
    cosine, sine = np.cos(angle), np.sin(angle)
    # (along, around, xyz)
    surface = (
        centre[:, None]
        + (wide[:, None] * cosine)[..., None] * side[:, None]
        + (thick[:, None] * sine)[..., None] * up[:, None]
    )
    normal = (thick[:, None] * cosine)[..., None] * side[:, None] + (wide[:, None] * sine)[
        ..., None
    ] * up[:, None]
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    around = np.roll(surface, -1, axis=1)
    corners = np.stack([surface[:-1], surface[1:], around[1:], around[:-1]], axis=2)
    middle = normal[:-1] + np.roll(normal, -1, axis=1)[:-1]
    middle /= np.linalg.norm(middle, axis=-1, keepdims=True)
    nearest = np.floor(along[:-1] + 0.5 / STEPS + 0.5).astype(int).clip(0, count - 1)
    colors = np.array(
        [
            to_rgb(MOTIF if backbone.motif_mask[k] else COLORS[str(structure[k])])
            for k in nearest.tolist()
        ]
    )
    return Ribbon(
        corners.reshape(-1, 4, 3), middle.reshape(-1, 3), np.repeat(colors, SIDES, axis=0)
    )


def shade(ribbon: Ribbon) -> Array:
    """Light the faces: ambient, diffuse and specular light, and mist with depth."""
    facing = np.where(ribbon.normals[:, 2:] < 0, -ribbon.normals, ribbon.normals)
    diffuse = np.clip(facing @ LIGHT, 0, 1)[:, None]
    half = LIGHT + np.array([0, 0, 1.0])
    specular = np.clip(facing @ (half / np.linalg.norm(half)), 0, 1)[:, None] ** 24
    lit = ribbon.colors * (0.50 + 0.55 * diffuse) + 0.16 * specular
    depth = ribbon.corners[..., 2].mean(1)
    mist = 0.5 * (depth.max() - depth) / np.ptp(depth)
    return np.clip(lit * (1 - mist[:, None]) + mist[:, None], 0, 1)


def draw(axes: Axes, backbone: Backbone, size: Array) -> None:
    """Draw a backbone in a frame of ``size`` (width, height) Å, farthest faces first."""
    ribbon = make_ribbon(backbone)
    depth = ribbon.corners[..., 2].mean(1)
    flat = ribbon.corners[..., :2]
    colors = shade(ribbon)
    # An outline is a wider dark face that lies deeper: its neighbours hide all of it but the edge.
    order = np.argsort(np.concatenate([depth - OUTLINE_DEPTH, depth]), kind="stable")
    faces = np.concatenate([flat, flat])[order]
    filled = np.concatenate([0.42 * colors, colors])[order]
    width = np.repeat([1.9, 0.35], len(depth))[order]
    axes.add_collection(
        PolyCollection(faces, facecolors=filled, edgecolors=filled, linewidths=width)
    )
    low = (flat.min((0, 1)) + flat.max((0, 1)) - size) / 2
    axes.set(xlim=(low[0], low[0] + size[0]), ylim=(low[1], low[1] + size[1]), aspect="equal")
    axes.set_axis_off()


def make_designs(seed: int, steps: int) -> list[Backbone]:
    """Sample six backbones of 60 to 128 residues and two scaffolds: the first, unpicked."""
    model = protdiff.load(device="cpu")
    designs = model.generate((60, 128), num=6, seed=seed, steps=steps)
    motif = Path(__file__).parents[1] / "data" / "demo_motif.pdb"
    scaffolds = model.scaffold(
        motif, "20-45/A1-16/20-45", num=2, seed=seed, total_length=(70, 90), steps=steps
    )
    return [*designs, *scaffolds]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=60)
    options = parser.parse_args(arguments)
    backbones = make_designs(options.seed, options.steps)
    size = np.max([np.ptp(make_ribbon(b).corners[..., :2], axis=(0, 1)) for b in backbones], 0) + 2
    captioned = size * [1.0, 1.1]
    width = 12.0
    figure = plt.figure(figsize=(width, width * 2 * captioned[1] / (4 * size[0])), dpi=130)
    for place, backbone in enumerate(backbones):
        row, column = divmod(place, 4)
        axes = figure.add_axes((column / 4, (1 - row) / 2 + 0.5 / 11, 0.25, 5 / 11))
        draw(axes, backbone, size)
        what = "residues around a motif" if backbone.motif_mask.any() else "residues"
        figure.text(
            *((column + 0.5) / 4, (1 - row) / 2 + 0.04, f"{len(backbone)} {what}"),
            ha="center",
            color="0.35",
            fontsize=11,
        )
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "designs.png"
    # A palette makes the file a third as large; without a date in it, it is the same each time.
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    Image.fromarray(np.ascontiguousarray(pixels)).quantize(256).save(path, optimize=True)
    plt.close(figure)
    print(path)


if __name__ == "__main__":
    main()

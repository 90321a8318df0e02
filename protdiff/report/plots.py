"""The plots of a report: each drawn once, for the page and for print, with nature behind it.

A plot is a function from a collection to a :class:`Drawing`. Passing designs are filled markers,
faulty ones hollow, so that the difference survives a black-and-white printer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from protdiff.report.collect import ReportDesign
from protdiff.report.diversity import DiversityMap
from protdiff.report.native import get_native_band
from protdiff.report.theme import Palette
from protdiff.structure.size import expect_radius

__all__ = [
    "CONTACT_CUTOFF",
    "CONTACT_SEPARATION",
    "FARTHEST_SHOWN",
    "HISTOGRAMS",
    "RAMACHANDRAN_BOXES",
    "Drawing",
    "draw_contact_maps",
    "draw_diversity",
    "draw_histogram",
    "draw_radius",
    "draw_ramachandran",
    "draw_ternary",
]

Array = NDArray[np.float64]

RAMACHANDRAN_BOXES: dict[str, list[tuple[float, float, float, float]]] = {
    "α": [(-160, -45, -75, 15)],
    "β": [(-180, -45, 80, 180), (-180, -45, -180, -165)],
    "αL": [(40, 100, -5, 75)],
}
"""(φ low, φ high, ψ low, ψ high) in degrees: the boxes of :func:`protdiff.evaluation` as shapes."""

HISTOGRAMS: dict[str, str] = {
    "links": "peptide links in band (share)",
    "ramachandran": "favoured torsions (share)",
    "phi_positive": "φ > 0 (share)",
    "clashes": "clashes per 100 residues",
    "rg_ratio": "Rg / (2.2 L$^{0.38}$)",
    "contacts": "contacts per residue",
    "helix": "helix (share)",
    "strand": "strand (share)",
}

SHARES = ("links", "ramachandran", "phi_positive", "helix", "strand")
BINS = 20
DEGREES_A_CELL = 5
CONTACT_CUTOFF, CONTACT_SEPARATION = 8.0, 6
"""Å between alpha carbons, and residues along the chain: what counts as a contact."""

FARTHEST_SHOWN = 24.0
"""Å: where the shading of a distance map ends."""

TERNARY_HEIGHT = 3**0.5 / 2


@dataclass(frozen=True)
class Drawing:
    """A finished figure.

    Attributes
    ----------
    figure
        At 72 dots an inch.
    label
        One sentence on what it shows.
    points
        The designs behind each group of markers, by its gid.
    """

    figure: Figure
    label: str
    points: dict[str, list[int]] = field(default_factory=dict)


def draw_ramachandran(designs: Sequence[ReportDesign], palette: Palette) -> Drawing:
    """Draw the density of all torsions over the boxes that hold 93–95 % of native residues."""
    figure, axes = _start(3.7, 3.5)
    phi = np.concatenate([design.phi for design in designs])
    psi = np.concatenate([design.psi for design in designs])
    both = np.isfinite(phi) & np.isfinite(psi)
    for name, boxes in RAMACHANDRAN_BOXES.items():
        for left, right, low, high in boxes:
            box = Rectangle(
                (left, low), right - left, high - low, facecolor=palette.band, alpha=0.16, lw=0
            )
            axes.add_patch(box)
        left, right, _, high = boxes[0]
        axes.text(left + 4, min(high, 176) - 5, name, color=palette.band, va="top", fontsize=10)
    edges = np.arange(-180, 181, DEGREES_A_CELL)
    counts, _, _ = np.histogram2d(phi[both], psi[both], bins=[edges, edges])
    density = np.where(counts > 0, np.log1p(counts), np.nan).T
    axes.imshow(
        density,
        origin="lower",
        extent=(-180, 180, -180, 180),
        cmap=_fade(palette),
        interpolation="nearest",
        aspect="equal",
        zorder=2,
    )
    axes.set(xlim=(-180, 180), ylim=(-180, 180), xlabel="φ (°)", ylabel="ψ (°)")
    axes.set_xticks(range(-180, 181, 90))
    axes.set_yticks(range(-180, 181, 90))
    for position in (axes.axhline, axes.axvline):
        position(0.0, color=palette.line, lw=0.8, zorder=1)
    return Drawing(figure, f"Ramachandran plot of {int(both.sum())} residues")


def draw_radius(designs: Sequence[ReportDesign], palette: Palette) -> Drawing:
    """Draw the radius of gyration against length, over the band of globular proteins."""
    figure, axes = _start(3.7, 3.5)
    lengths = np.array([design.quality.length for design in designs], dtype=float)
    radii = np.array([design.quality.rg for design in designs])
    pad = max(5.0, 0.1 * float(np.ptp(lengths)))
    grid = np.linspace(max(lengths.min() - pad, 1.0), lengths.max() + pad, 60)
    law = np.array([expect_radius(length) for length in grid])
    bands = [get_native_band("rg_ratio", length) for length in grid]
    if all(band is not None for band in bands):
        low, high = np.array([band for band in bands if band is not None]).T
        axes.fill_between(grid, low * law, high * law, color=palette.band, alpha=0.16, lw=0)
    axes.plot(grid, law, color=palette.band, lw=1.2, ls=(0, (4, 3)))
    points = _scatter(axes, designs, lengths, radii, palette)
    axes.set(xlim=(grid[0], grid[-1]), xlabel="residues", ylabel="radius of gyration (Å)")
    return Drawing(figure, "Radius of gyration against length", points)


def draw_ternary(designs: Sequence[ReportDesign], palette: Palette) -> Drawing:
    """Draw the shares of helix, strand and loop as points of a triangle."""
    figure, axes = _start(3.7, 3.5)
    axes.set_axis_off()
    for share in np.arange(0.2, 0.81, 0.2):
        for ends in (
            [(share, 0.0), (share, 1.0 - share)],
            [(0.0, share), (1.0 - share, share)],
            [(share, 0.0), (0.0, share)],
        ):
            x, y = _to_triangle(*np.array(ends).T)
            axes.plot(x, y, color=palette.line, lw=0.7, zorder=1)
    middle = float(np.median([design.quality.length for design in designs]))
    helix_band, strand_band = (get_native_band(name, middle) for name in ("helix", "strand"))
    if helix_band is not None and strand_band is not None:
        ends = [(h, s) for h in helix_band for s in strand_band]
        x, y = _to_triangle(*np.array([ends[i] for i in (0, 1, 3, 2)]).T)
        native = Polygon(np.stack([x, y], -1), facecolor=palette.band, alpha=0.22, lw=0, zorder=1)
        axes.add_patch(native)
        # The shares of helix and strand are no more than one together.
        corners = np.stack(_to_triangle(np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])), -1)
        native.set_clip_path(Polygon(corners, transform=axes.transData))
    x, y = _to_triangle(np.array([0.0, 1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0, 0.0]))
    axes.plot(x, y, color=palette.muted, lw=1.0, zorder=2)
    for place, text, shift in (
        ((0.0, 0.0), "loop", (0.0, -0.06)),
        ((1.0, 0.0), "helix", (0.0, -0.06)),
        ((0.5, TERNARY_HEIGHT), "strand", (0.0, 0.05)),
    ):
        axes.text(place[0] + shift[0], place[1] + shift[1], text, ha="center", va="center")
    helix = np.array([design.quality.helix for design in designs])
    strand = np.array([design.quality.strand for design in designs])
    points = _scatter(axes, designs, *_to_triangle(helix, strand), palette)
    axes.set(xlim=(-0.08, 1.08), ylim=(-0.12, TERNARY_HEIGHT + 0.1), aspect="equal")
    return Drawing(figure, "Shares of helix, strand and loop", points)


def draw_diversity(
    designs: Sequence[ReportDesign], diversity: DiversityMap, palette: Palette
) -> Drawing:
    """Draw the map of designs on which alike is near."""
    figure, axes = _start(3.7, 3.5)
    points = _scatter(axes, designs, diversity.points[:, 0], diversity.points[:, 1], palette)
    reach = 1.15 * float(np.abs(diversity.points).max()) or 1.0
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    axes.set(xlabel=diversity.distance, ylabel=diversity.distance)
    axes.grid(color=palette.line, lw=0.6)
    axes.set_axisbelow(True)
    return Drawing(figure, f"Map of designs by {diversity.distance}", points)


def draw_histogram(designs: Sequence[ReportDesign], quantity: str, palette: Palette) -> Drawing:
    """Draw how a quantity is spread over the designs, with its native band behind."""
    figure, axes = _start(2.6, 1.75)
    values = np.array([getattr(design.quality, quantity) for design in designs], dtype=float)
    values = values[np.isfinite(values)]
    band = get_native_band(quantity, float(np.median([d.quality.length for d in designs])))
    low, high = _choose_limits(values, quantity, band)
    if band is not None:
        # A band of no width still shows, as a line.
        axes.axvspan(*band, facecolor=palette.band, edgecolor=palette.band, alpha=0.18, lw=1.0)
    axes.hist(values, bins=np.linspace(low, high, BINS + 1).tolist(), color=palette.accent)
    axes.set(xlim=(low, high), xlabel=HISTOGRAMS.get(quantity, quantity))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=3))
    return Drawing(figure, f"Histogram of {quantity}")


def _start(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure, in inches, and its axes; without pyplot there is no global state."""
    figure = Figure(figsize=(width, height), dpi=72, layout="constrained")
    return figure, figure.add_subplot()


def _scatter(
    axes: Axes, designs: Sequence[ReportDesign], x: Array, y: Array, palette: Palette
) -> dict[str, list[int]]:
    """Draw a marker a design; return who is who, for those that have a place."""
    points: dict[str, list[int]] = {}
    there = np.isfinite(x) & np.isfinite(y)
    passing = np.array([design.quality.passes for design in designs], dtype=bool)
    for gid, chosen, fill, edge in (
        ("faulty", there & ~passing, palette.surface, palette.fault),
        ("passing", there & passing, palette.accent, palette.surface),
    ):
        if not chosen.any():
            continue
        points[gid] = np.flatnonzero(chosen).tolist()
        axes.plot(
            x[chosen],
            y[chosen],
            "o",
            gid=gid,
            markersize=6.0,
            markerfacecolor=fill,
            markeredgecolor=edge,
            markeredgewidth=1.0,
            zorder=4,
            clip_on=False,
        )
    return points


def _to_triangle(helix: Array, strand: Array) -> tuple[Array, Array]:
    """Return the place in the triangle: loop left, helix right, strand on top."""
    return helix + strand / 2.0, strand * TERNARY_HEIGHT


def _choose_limits(
    values: Array, quantity: str, band: tuple[float, float] | None
) -> tuple[float, float]:
    """Return a range that holds all values and the band, with some air around a single value."""
    ends = [*values.tolist(), *(band or ())] or [0.0, 1.0]
    low, high = min(ends), max(ends)
    pad = 0.06 * (high - low) or 0.05 * abs(high) or 0.5
    low, high = low - pad, high + pad
    if quantity in SHARES:
        high = min(high, 1.0)
    return (max(low, 0.0), high) if quantity != "rg_ratio" else (low, high)


def _fade(palette: Palette) -> LinearSegmentedColormap:
    """Return a colour map from nearly clear to full; a picture cannot follow the page's colours."""
    # The middle of the page's two accents serves on light and on dark ground.
    colour = to_rgba("#5170e6" if palette.accent.startswith("#0") else palette.accent)
    return LinearSegmentedColormap.from_list("fade", [(*colour[:3], 0.35), (*colour[:3], 1.0)])


def draw_contact_maps(designs: Sequence[ReportDesign], palette: Palette) -> Drawing:
    """Draw contact maps side by side: CA distances above the diagonal, contacts below."""
    columns = min(4, len(designs))
    rows = -(-len(designs) // columns)
    figure = Figure(figsize=(2.3 * columns, 2.5 * rows), dpi=72, layout="constrained")
    for place, design in enumerate(designs):
        axes = figure.add_subplot(rows, columns, place + 1)
        alpha = design.backbone.coordinates[:, 1].astype(float)
        distance = np.linalg.norm(alpha[:, None] - alpha[None], axis=-1)
        i, j = np.indices(distance.shape)
        contact = (distance < CONTACT_CUTOFF) & (np.abs(i - j) >= CONTACT_SEPARATION)
        nearness = (1.0 - distance / FARTHEST_SHOWN).clip(0.0, 1.0)
        shown = np.where(j > i, nearness, contact.astype(float))
        shown[(j == i) | (shown == 0.0)] = np.nan
        extent = (0.5, len(alpha) + 0.5, len(alpha) + 0.5, 0.5)
        axes.imshow(shown, cmap=_fade(palette), vmin=0.0, vmax=1.0, extent=extent)
        # Names come from files: no mathematics is to be found in them.
        axes.set_title(design.name, parse_math=False, fontsize=8.0)
        axes.spines[["top", "right"]].set_visible(True)
        axes.tick_params(labelsize=7.0)
    return Drawing(figure, "Contact maps")

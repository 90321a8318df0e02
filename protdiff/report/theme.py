"""One look for two media: figures on the page, which follow its colours, and figures for print.

A figure is drawn once, by matplotlib, in the colours of its medium. For the page these are codes
that stand for roles; the finished SVG gets the page's own variables in their place, so that the
reader's choice of light or dark holds for the plots too.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.figure import Figure

__all__ = ["PAGE", "PRINT", "Palette", "render_svg", "styled"]

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


@dataclass(frozen=True)
class Palette:
    """Colours by role."""

    ink: str
    muted: str
    line: str
    band: str
    accent: str
    surface: str
    fault: str


PRINT = Palette(
    ink="#1b2330",
    muted="#5c6675",
    line="#d7dce3",
    band="#2a9d8f",
    accent="#3553c9",
    surface="#ffffff",
    fault="#b4472f",
)
PAGE = Palette("#010203", "#020304", "#030405", "#040506", "#050607", "#060708", "#070809")
"""Codes that become the variables ``--ink``, ``--muted`` and so on of the page."""


@contextlib.contextmanager
def styled(palette: Palette) -> Iterator[None]:
    """Draw in this palette while the block runs; matplotlib's own settings stay as they were."""
    with matplotlib.rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "protdiff",
            "font.family": "sans-serif",
            "font.size": 9.0,
            "axes.titlesize": 10.0,
            "axes.labelsize": 9.0,
            "axes.edgecolor": palette.muted,
            "axes.labelcolor": palette.ink,
            "axes.linewidth": 0.8,
            "axes.facecolor": "none",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "figure.facecolor": "none" if palette is PAGE else palette.surface,
            "text.color": palette.ink,
            "xtick.color": palette.muted,
            "ytick.color": palette.muted,
            "xtick.labelsize": 8.0,
            "ytick.labelsize": 8.0,
            "legend.frameon": False,
            "legend.fontsize": 8.0,
        }
    ):
        yield


def render_svg(figure: Figure, prefix: str, label: str, points: Mapping[str, Sequence[int]]) -> str:
    """Render a figure as an SVG element to stand in a page.

    Parameters
    ----------
    figure
        Drawn in :data:`PAGE`, at 72 dots an inch.
    prefix
        Put before every id, which must be unique in a page.
    label
        What the figure shows, for those who cannot see it.
    points
        For each group of markers, by its gid, the designs that its markers stand for; they get an
        attribute ``data-design``.

    Returns
    -------
    str
        The element. ``data-axes`` holds the affine map from data to the SVG's own units, as
        [x scale, x offset, y scale, y offset], for what the page draws into it.
    """
    buffer = io.StringIO()
    # Without date and creator, the same designs give the same page.
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    root = ET.fromstring(buffer.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if _local(child.tag) in ("metadata", "style"):
                parent.remove(child)
    for gid, designs in points.items():
        _mark(root, gid, designs)
    for element in root.iter():
        element.tag = _local(element.tag)
        attributes = {_local(name): value for name, value in element.attrib.items()}
        element.attrib.clear()
        element.attrib.update(
            {name: _adopt(name, value, prefix) for name, value in attributes.items()}
        )
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", label)
    root.set("data-axes", json.dumps(_measure_axes(figure)))
    return ET.tostring(root, encoding="unicode")


def _local(name: str) -> str:
    return name.removeprefix(f"{{{_SVG}}}").removeprefix(f"{{{_XLINK}}}")


def _mark(root: ET.Element, gid: str, designs: Sequence[int]) -> None:
    (group,) = (element for element in root.iter() if element.get("id") == gid)
    markers = [element for element in group.iter() if _local(element.tag) == "use"]
    if len(markers) != len(designs):
        raise RuntimeError(f"{gid} has {len(markers)} markers for {len(designs)} designs")
    for marker, design in zip(markers, designs, strict=True):
        marker.set("data-design", str(design))
        marker.set("class", "point")


def _adopt(name: str, value: str, prefix: str) -> str:
    """Return an attribute as it stands in the page: ids its own, colours the page's variables."""
    if name == "id":
        return f"{prefix}-{value}"
    if name == "href" and value.startswith("#"):
        return f"#{prefix}-{value[1:]}"
    value = _REFERENCE.sub(rf"url(#{prefix}-\1)", value)
    if name in ("style", "fill", "stroke"):
        for role, code in vars(PAGE).items():
            value = value.replace(code, f"var(--{role})")
    return value


def _measure_axes(figure: Figure) -> list[float] | None:
    """Return the affine map of the first axes, which are linear."""
    if not figure.axes:
        return None
    transform: Any = figure.axes[0].transData
    (x0, y0), (x1, y1) = transform.transform([(0.0, 0.0), (1.0, 1.0)])
    height = figure.bbox.height
    return [round(float(value), 6) for value in (x1 - x0, x0, y0 - y1, height - y0)]

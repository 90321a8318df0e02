"""The plots of a report as PNG files for papers, from the same code as those on the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from protdiff.files import write_atomically
from protdiff.report.collect import Collection
from protdiff.report.plots import (
    HISTOGRAMS,
    Drawing,
    draw_contact_maps,
    draw_diversity,
    draw_histogram,
    draw_radius,
    draw_ramachandran,
    draw_ternary,
)
from protdiff.report.theme import PRINT, styled

__all__ = ["FIGURES", "write_figures"]

DOTS_PER_INCH = 300
MOST_CONTACT_MAPS = 12

FIGURES = (
    "ramachandran",
    "radius_of_gyration",
    "secondary_structure",
    "diversity",
    "contact_maps",
    *(f"histogram_{quantity}" for quantity in HISTOGRAMS),
)
"""The names of the files, less ``.png``."""


def write_figures(collection: Collection, folder: Path, software: str) -> list[Path]:
    """Write every plot as a PNG of 300 dots an inch.

    Parameters
    ----------
    collection
        What to show; contact maps of the first twelve designs.
    folder
        Where to; files of these names are replaced.
    software
        What the files say that they were made by.

    Returns
    -------
    list of pathlib.Path
    """
    designs = collection.designs
    draw: dict[str, Callable[[], Drawing]] = {
        "ramachandran": lambda: draw_ramachandran(designs, PRINT),
        "radius_of_gyration": lambda: draw_radius(designs, PRINT),
        "secondary_structure": lambda: draw_ternary(designs, PRINT),
        "diversity": lambda: draw_diversity(designs, collection.diversity, PRINT),
        "contact_maps": lambda: draw_contact_maps(designs[:MOST_CONTACT_MAPS], PRINT),
    }
    paths: list[Path] = []
    with styled(PRINT):
        for name in FIGURES:
            if name in draw:
                drawing = draw[name]()
            else:
                drawing = draw_histogram(designs, name.removeprefix("histogram_"), PRINT)
            path = folder / f"{name}.png"
            with write_atomically(path, overwrite=True) as temporary:
                drawing.figure.savefig(
                    temporary, format="png", dpi=DOTS_PER_INCH, metadata={"Software": software}
                )
            paths.append(path)
    return paths

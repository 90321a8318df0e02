"""The quality panel: a few structures sampled from the averaged weights while training goes on."""

from __future__ import annotations

from protdiff.design.designer import Designer
from protdiff.evaluation.panel import summarise_quality
from protdiff.model import BackboneModel

__all__ = ["PANEL_COLUMNS", "measure_panel"]

PANEL_COLUMNS = (
    "links",
    "unbroken",
    "ramachandran",
    "helix",
    "strand",
    "helix_left",
    "clashes",
    "rg_ratio",
    "contacts",
)


def measure_panel(model: BackboneModel, *, designs: int, length: int) -> dict[str, float]:
    """Make ``designs`` backbones of ``length`` residues and return their mean quality numbers.

    They are sampled as by default, but for excluded volume: clashes are to be the network's own.
    The seed is 0 in every call, so that a change is a change of the weights.

    Returns
    -------
    dict of str to float
        The columns :data:`PANEL_COLUMNS` of :func:`protdiff.evaluation.panel.summarise_quality`.
    """
    made = Designer(model).generate(length, designs, excluded_volume=False)
    summary = summarise_quality(made.qualities)
    return {name: summary[name] for name in PANEL_COLUMNS}

"""Backbones in 3-D, in a notebook, by 3Dmol.js.

The one place that imports py3Dmol, which is optional (``pip install 'protdiff[notebook]'``). It
makes a page's fragment that loads 3Dmol.js from the net when it is shown.

References
----------
Rego, Koes 2015, "3Dmol.js: molecular visualization with WebGL".
"""

from __future__ import annotations

import itertools
import string
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from protdiff.errors import DependencyError, InputError

if TYPE_CHECKING:
    from protdiff.structure.backbone import Backbone

__all__ = ["COLORS", "ViewColor", "render_html", "show_backbone", "view_backbone"]

ViewColor = Literal["structure", "motif", "chain"]
COLORS: tuple[str, ...] = get_args(ViewColor)

HELIX, STRAND, COIL = "#d1495b", "#edae49", "#b8bfc6"
MOTIF, DESIGNED = "#00798c", "#d3d8dd"
SIZE = (480, 360)
"""Width and height in pixels."""


def view_backbone(
    backbone: Backbone,
    color: ViewColor | None = None,
    *,
    width: int = SIZE[0],
    height: int = SIZE[1],
) -> Any:
    """Return a cartoon as a ``py3Dmol.view``, which a notebook shows and which takes more styles.

    Parameters
    ----------
    backbone
        What to show.
    color
        ``"structure"``: helices, strands and coil, as 3Dmol.js finds them by hydrogen bonds;
        ``"motif"``: given against designed residues; ``"chain"``. Without it, by motif if there is
        one and by structure if not.
    width, height
        In pixels.

    Raises
    ------
    DependencyError
        py3Dmol or Biotite is not installed.
    InputError
        There is no such colouring, or a coordinate is not finite.
    """
    color = color or ("motif" if backbone.motif_mask.any() else "structure")
    if color not in COLORS:
        raise InputError(f"color is {color!r}; give {', '.join(COLORS)}")
    if not backbone.is_finite:
        raise InputError(f"{backbone.name} has coordinates that are not finite; nothing to show")
    try:
        import py3Dmol
    except ModuleNotFoundError as error:
        raise DependencyError(
            "3-D views need the package py3Dmol, which is not installed; "
            "run `pip install 'protdiff[notebook]'`"
        ) from error
    view = py3Dmol.view(width=width, height=height)
    view.addModel(_format_for_view(backbone), "pdb")
    if color == "structure":
        scheme = {"prop": "ss", "map": {"h": HELIX, "s": STRAND, "c": COIL}}
        view.setStyle({"cartoon": {"colorscheme": scheme}})
    elif color == "motif":
        view.setStyle({"cartoon": {"color": DESIGNED}})
        given = _number_for_view(backbone)[backbone.motif_mask].tolist()
        if given:
            view.setStyle({"resi": given}, {"cartoon": {"color": MOTIF}})
    else:
        view.setStyle({"cartoon": {"colorscheme": "chain"}})
    view.zoomTo()
    return view


def show_backbone(
    backbone: Backbone, color: ViewColor | None, *, width: int = SIZE[0], height: int = SIZE[1]
) -> None:
    """Show a cartoon in the notebook that runs this; arguments as :func:`view_backbone`.

    Raises
    ------
    DependencyError
        py3Dmol is not installed, or this is no notebook.
    InputError
        As :func:`view_backbone`.
    """
    view = view_backbone(backbone, color, width=width, height=height)
    try:
        view.show()
    except ImportError as error:
        raise DependencyError(
            "a 3-D view is shown in a notebook, and IPython is not installed; "
            "write it with `backbone.view().write_html('view.html')` instead"
        ) from error


def render_html(backbone: Backbone) -> str | None:
    """Return a notebook's HTML of a backbone; None where it cannot be drawn, for text to serve."""
    try:
        html: str = view_backbone(backbone).write_html()
    except (DependencyError, InputError):
        return None
    return html


def _format_for_view(backbone: Backbone) -> str:
    """Format a PDB text under plain names: what a file calls things must not reach a web page."""
    from protdiff.structure.amino_acids import AMINO_ACIDS
    from protdiff.structure.write import format_pdb

    names = [name if name in AMINO_ACIDS else "UNK" for name in backbone.residue_name.tolist()]
    letters = dict(zip(backbone.chains, itertools.cycle(string.ascii_uppercase), strict=False))
    plain = type(backbone).from_coordinates(
        backbone.coordinates - backbone.coordinates.mean((0, 1)),
        residue_index=backbone.residue_index,
        chain_id=[letters[chain] for chain in backbone.chain_id.tolist()],
        residue_name=names,
        residue_number=_number_for_view(backbone),
    )
    return format_pdb(plain)


def _number_for_view(backbone: Backbone) -> NDArray[np.int64]:
    """Count residues through all chains, with jumps where the chain is broken."""
    # Four columns hold the number; what is too long for them loses its jumps.
    index = backbone.residue_index + 1
    return index if index[-1] <= 9999 else np.arange(1, len(backbone) + 1)

"""The page: template, style, scripts and data in one file that asks the network for nothing.

Whatever comes from files (names, settings, messages) reaches the page in one of two ways: as text
that Jinja2 escapes, or as JSON with <, >, & and ' written as escapes, which no parser of HTML can
take for markup. The scripts put it on the page as text only. On top of that the page forbids
itself, by its content security policy, every script but the ones written here, and all traffic.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from protdiff.evaluation import summarise_quality
from protdiff.report.collect import Collection
from protdiff.report.embed import describe_columns, embed_design
from protdiff.report.native import get_native_band, get_native_text
from protdiff.report.plots import (
    CONTACT_CUTOFF,
    CONTACT_SEPARATION,
    FARTHEST_SHOWN,
    HISTOGRAMS,
    Drawing,
    draw_diversity,
    draw_histogram,
    draw_radius,
    draw_ramachandran,
    draw_ternary,
)
from protdiff.report.theme import PAGE, render_svg, styled
from protdiff.version import get_version

__all__ = ["GENERATOR", "build_page", "read_asset"]

GENERATOR = "protdiff report"
"""How a page says what wrote it, so that it may be written anew."""

SCRIPTS = ("data.js", "state.js", "gallery.js", "viewer.js", "panel.js", "plots.js", "table.js")
START = "main.js"
VENDOR, VENDOR_LICENSE = "3Dmol-min.js", "3Dmol-LICENSE.txt"

SUMMARY_ROWS: dict[str, str] = {
    "links": "Peptide links in band",
    "ca_ca": "CA–CA, trans (Å)",
    "n_ca_c": "N–CA–C (°)",
    "omega": "ω − 180 (°)",
    "ramachandran": "Favoured torsions",
    "phi_positive": "φ > 0",
    "clashes": "Clashes per 100 residues",
    "rg_ratio": "Rg / (2.2 L^0.38)",
    "contacts": "Contacts per residue",
    "helix": "Helix",
    "strand": "Strand",
}

MOST_PROBLEMS = 30
LONGEST_SETTING = 400


def read_asset(name: str) -> str:
    """Return a file of this package's ``assets``."""
    return (resources.files(__package__) / "assets" / name).read_text(encoding="utf-8")


def build_page(collection: Collection, title: str) -> str:
    """Return the whole page.

    Parameters
    ----------
    collection
        What to show.
    title
        Its heading.
    """
    columns = describe_columns(collection.designs)
    data = {
        "title": title,
        "columns": columns,
        "designs": [embed_design(design, columns) for design in collection.designs],
        "contact": {
            "cutoff": CONTACT_CUTOFF,
            "separation": CONTACT_SEPARATION,
            "farthest": FARTHEST_SHOWN,
        },
        "version": get_version(),
    }
    # Separate functions would see each other's names; one scope keeps the page's own names clean.
    program = "\n".join(map(read_asset, (*SCRIPTS, START)))
    scripts = [read_asset(VENDOR), f'"use strict";\n(() => {{\n{program}\n}})();']
    environment = Environment(
        autoescape=True,
        loader=FunctionLoader(read_asset),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return environment.get_template("report.html.j2").render(
        generator=f"{GENERATOR} {get_version()}",
        title=title,
        collection=collection,
        policy=_make_policy(scripts),
        style=Markup(read_asset("report.css")),
        scripts=[Markup(script) for script in scripts],
        licence=read_asset(VENDOR_LICENSE),
        vendor=json.loads(read_asset("3Dmol.json")),
        data=data,
        tiles=_make_tiles(collection),
        settings=[(str(k), _shorten(v)) for k, v in collection.settings.items()],
        problems=collection.problems[:MOST_PROBLEMS],
        more_problems=max(0, len(collection.problems) - MOST_PROBLEMS),
        summary=_summarise(collection),
        plots=_render_plots(collection),
        version=get_version(),
        has_motif=any(design.backbone.motif_mask.any() for design in collection.designs),
        trajectories=sum(design.trajectory is not None for design in collection.designs),
    )


def _make_policy(scripts: Sequence[str]) -> str:
    """Allow these scripts by their hashes, and nothing that comes from elsewhere."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _make_tiles(collection: Collection) -> list[tuple[str, str, str]]:
    """Return the numbers at the top: (what, value, remark)."""
    designs = collection.designs
    lengths = [len(design.backbone) for design in designs]
    shown = "" if len(designs) == collection.made else f"{len(designs)} shown here"
    summary = summarise_quality([design.quality for design in designs])
    share = f"{collection.passing / collection.made:.0%} of all"
    span = f"{min(lengths)}–{max(lengths)}" if min(lengths) < max(lengths) else str(lengths[0])
    tiles = [
        ("designs", str(collection.made), shown),
        ("without a fault", str(collection.passing), share),
        ("residues", span, ""),
        ("helix", _percent(summary["helix"]), _native_percent("helix", summary["length"])),
        ("strand", _percent(summary["strand"]), _native_percent("strand", summary["length"])),
    ]
    weights = collection.settings.get("weights")
    if isinstance(weights, str) and weights:
        digest = collection.settings.get("weights_sha256")
        remark = f"sha256 {digest[:12]}" if isinstance(digest, str) else ""
        tiles.append(("weights", weights[:40], remark))
    return tiles


def _native_percent(quantity: str, length: float) -> str:
    band = get_native_band(quantity, length)
    return f"nature {band[0]:.0%}–{band[1]:.0%}".replace("%–", "–") if band is not None else ""


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{share:.0%}"


def _shorten(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_SETTING else text[:LONGEST_SETTING] + "…"


def _summarise(collection: Collection) -> list[dict[str, Any]]:
    """Return the rows of the comparison with nature: what, here, nature, whether inside."""
    summary = summarise_quality([design.quality for design in collection.designs])
    rows: list[dict[str, Any]] = []
    for key, label in SUMMARY_ROWS.items():
        value, band = summary[key], get_native_band(key, summary["length"])
        here = "–" if math.isnan(value) else f"{value:.3g}"
        if f"{key}_sd" in summary and not math.isnan(value):
            here = f"{value:.2f} ± {summary[f'{key}_sd']:.2f}"
        inside = None if band is None or math.isnan(value) else band[0] <= value <= band[1]
        rows.append(
            {
                "label": label,
                "here": here,
                "native": get_native_text(key, summary["length"]),
                "inside": inside,
            }
        )
    return rows


def _render_plots(collection: Collection) -> Mapping[str, Markup]:
    designs = collection.designs
    with styled(PAGE):
        drawings: dict[str, Drawing] = {
            "ramachandran": draw_ramachandran(designs, PAGE),
            "radius": draw_radius(designs, PAGE),
            "ternary": draw_ternary(designs, PAGE),
            "diversity": draw_diversity(designs, collection.diversity, PAGE),
            **{
                f"histogram-{quantity}": draw_histogram(designs, quantity, PAGE)
                for quantity in HISTOGRAMS
            },
        }
        return {
            name: Markup(render_svg(drawing.figure, name, drawing.label, drawing.points))
            for name, drawing in drawings.items()
        }

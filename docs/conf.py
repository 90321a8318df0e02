"""How the documents are built: ``scripts/docs``, or ``sphinx -W -b html docs build/docs``."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import protdiff

project = "protdiff"
author = "The protdiff developers"
release = version = protdiff.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
# README.md is the list of pages for readers of the repository.
exclude_patterns = ["README.md", "examples", "_build"]

html_theme = "furo"
html_title = "protdiff"
html_show_sourcelink = False
copybutton_exclude = ".linenos, .gp, .go"

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

napoleon_google_docstring = False
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True

# A reference to something of ours that is not there is an error. Names of other packages are not
# looked up, so that documents build without a network.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!protdiff\.).*")]

linkcheck_timeout = 20
linkcheck_retries = 2


def resolve_alias(app: Any, env: Any, node: Any, contnode: Any) -> Any:
    """Resolve a name of ours that is documented under another one.

    A public name is at home in the module that defines it and is known by the package that exports
    it; docstrings may use either.
    """
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py" or not target.startswith("protdiff."):
        return None
    found = find_object(target)
    if found is None:
        return None
    domain = env.get_domain("py")
    for name, entry in domain.objects.items():
        if (
            name != target
            and name.endswith(target.rpartition(".")[2])
            and found is find_object(name)
        ):
            return domain.resolve_xref(
                env,
                node["refdoc"],
                app.builder,
                "obj",
                entry.node_id and name,
                node,
                contnode,
            )
    # A module, or a name that is not worth a page: there is nothing to link to, but it is there.
    return contnode


def find_object(name: str) -> Any:
    """Import what a dotted name stands for; None if there is no such thing."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:count]))
        except ImportError:
            continue
        for part in parts[count:]:
            found = getattr(found, part, None)
        return found
    return None


def setup(app: Any) -> None:
    """Connect the hook."""
    app.connect("missing-reference", resolve_alias)

"""``protdiff info``."""

from __future__ import annotations

import getpass
import os
import platform
import re
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import typer

from protdiff.cli import options
from protdiff.cli.display import format_value, print_json
from protdiff.cli.failure import explain_failures
from protdiff.errors import CheckpointError

__all__ = ["info"]

PACKAGES = (
    *("torch", "e3nn", "biotite", "numpy", "einops", "safetensors", "torchdiffeq", "pydssp"),
    *("rich", "tqdm", "typer"),
)
OPTIONAL = (
    *("tmtools", "matplotlib", "jinja2", "py3Dmol", "ipywidgets", "ray", "lightning-fabric"),
    "playwright",
)
"""Of the extras for users."""


@explain_failures
def info(
    json: options.Json = False, quiet: options.Quiet = False, debug: options.Debug = False
) -> None:
    """Show versions, devices, weights and caches, for a bug report.

    Example: protdiff info --json
    """
    facts = _gather()
    if json:
        print_json(facts)
    elif not quiet:
        _print_facts(facts)


def _print_facts(facts: dict[str, Any]) -> None:
    typer.echo(f"protdiff {facts['protdiff']}")
    typer.echo(f"Python   {facts['python']} on {facts['platform']}")
    packages = facts["packages"]
    there = [f"{name} {version}" for name, version in packages.items() if version is not None]
    typer.echo(f"packages {', '.join(there)}")
    lacking = [name for name, version in packages.items() if version is None]
    typer.echo(f"absent   {', '.join(lacking) or 'none'}")
    typer.echo(f"threads  {facts['threads']}")
    typer.echo(f"devices  {', '.join(facts['devices'])}")
    typer.echo("weights")
    for name, weights in facts["weights"].items():
        typer.echo(f"  {name}: {weights['size_mib']} MiB, sha256 {weights['sha256']}")
        typer.echo(f"    {weights['file']}")
        if weights["trained_on"] is None:
            typer.echo("    damaged: it cannot be read")
            continue
        _print_card(weights["trained_on"], "    ")
    if not facts["weights"]:
        typer.echo("  none in this installation")
    typer.echo("caches   protdiff keeps none; torch keeps what it compiled")
    for name, path in facts["caches"].items():
        typer.echo(f"  {name}: {path or 'none yet'}")


def _print_card(card: dict[str, Any], indent: str) -> None:
    for key, value in card.items():
        name = indent + key.replace("_", " ")
        if isinstance(value, dict) and any(isinstance(one, dict) for one in value.values()):
            typer.echo(f"{name}:")  # the card of an expert
            _print_card(value, indent + "  ")
        else:
            typer.echo(f"{name}: {format_value(value)}")


def _gather() -> dict[str, Any]:
    import torch

    from protdiff.files import hash_file
    from protdiff.version import get_version
    from protdiff.weights import list_weights

    devices = ["cpu"]
    devices += [
        f"cuda:{index} ({torch.cuda.get_device_name(index)})"
        for index in range(torch.cuda.device_count())
    ]
    return {
        "protdiff": get_version(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _get_version(name) for name in (*PACKAGES, *OPTIONAL)},
        "threads": torch.get_num_threads(),
        "devices": devices,
        "weights": {
            name: {
                "file": str(path),
                "size_mib": round(path.stat().st_size / 2**20, 1),
                "sha256": hash_file(path),
                "trained_on": _read_card(path),
            }
            for name, path in list_weights().items()
        },
        "caches": {"torch.compile": _find_compile_cache()},
    }


def _read_card(path: Path) -> dict[str, Any] | None:
    """Return what a checkpoint says of its training, without reading its tensors."""
    from protdiff.checkpoint import read_header

    try:
        return dict(read_header(path)["metadata"])
    except CheckpointError:
        return None


def _find_compile_cache() -> str | None:
    # Where torch puts it without being asked otherwise; asking torch imports its compiler.
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # as in a container whose user has a number only
        user = f"uid_{os.getuid()}" if hasattr(os, "getuid") else "unknown_user"
    name = re.sub(r"[\\/:*?\"<>|]", "_", f"torchinductor_{user}")
    default = Path(tempfile.gettempdir()) / name
    folder = Path(os.environ.get("TORCHINDUCTOR_CACHE_DIR", default))
    return str(folder) if folder.is_dir() else None


def _get_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None

"""``protdiff info``."""

from __future__ import annotations

import importlib.util
import platform
from importlib import metadata
from typing import Any

import typer

from protdiff.cli import options
from protdiff.cli.display import print_json
from protdiff.cli.failure import explain_failures

__all__ = ["info"]

PACKAGES = ("torch", "e3nn", "biotite", "numpy", "einops", "safetensors", "torchdiffeq", "pydssp")
OPTIONAL = ("tmtools", "matplotlib")


@explain_failures
def info(json: options.Json = False, debug: options.Debug = False) -> None:
    """Show versions, devices and weights, for a bug report."""
    facts = _gather()
    if json:
        print_json(facts)
        return
    typer.echo(f"protdiff {facts['protdiff']}")
    typer.echo(f"Python   {facts['python']} on {facts['platform']}")
    packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
    typer.echo(f"packages {packages}")
    typer.echo(f"threads  {facts['threads']}")
    typer.echo(f"devices  {', '.join(facts['devices'])}")
    typer.echo("weights")
    for name, weights in facts["weights"].items():
        typer.echo(f"  {name}: {weights['size_mib']} MiB, sha256 {weights['sha256']}")
        typer.echo(f"    {weights['file']}")
    if not facts["weights"]:
        typer.echo("  none in this installation")


def _gather() -> dict[str, Any]:
    import torch

    from protdiff.design.weights import list_weights
    from protdiff.files import hash_file
    from protdiff.version import get_version

    devices = ["cpu"]
    devices += [
        f"cuda:{index} ({torch.cuda.get_device_name(index)})"
        for index in range(torch.cuda.device_count())
    ]
    packages = {name: metadata.version(name) for name in PACKAGES if _is_installed(name)}
    packages |= {
        name: metadata.version(name) if _is_installed(name) else "not installed"
        for name in OPTIONAL
    }
    return {
        "protdiff": get_version(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages,
        "threads": torch.get_num_threads(),
        "devices": devices,
        "weights": {
            name: {
                "file": str(path),
                "size_mib": round(path.stat().st_size / 2**20, 1),
                "sha256": hash_file(path),
            }
            for name, path in list_weights().items()
        },
    }


def _is_installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None

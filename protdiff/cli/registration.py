"""What every command gets: ``--config``, ``--verbose``, and a help page that is set as a page."""

from __future__ import annotations

import functools
import inspect
import sys
import time
from collections.abc import Callable
from typing import Annotated, Any

import typer

from protdiff.cli.config_file import CONFIG_OPTION, Config, get_source
from protdiff.cli.options import GENERAL

__all__ = ["register"]

Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        help="Say on stderr what is used and what it took.",
        rich_help_panel=GENERAL,
    ),
]


def register(app: typer.Typer, command: Callable[..., None], *, panel: str) -> None:
    """Add a command to the application.

    Parameters
    ----------
    app
        The application.
    command
        A function as typer takes it. One that has a parameter ``config`` reads a file of its own,
        and gets no ``--config``.
    panel
        The heading under which ``protdiff --help`` lists it.
    """
    app.command(help=_set_page(command.__doc__ or ""), rich_help_panel=panel)(_extend(command))


def _extend(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that all commands have."""
    signature = inspect.signature(command, eval_str=True)
    given = signature.parameters
    keyword = inspect.Parameter.KEYWORD_ONLY
    added = [inspect.Parameter("verbose", keyword, default=False, annotation=Verbose)]
    if "config" not in given:
        added.insert(0, inspect.Parameter("config_file", keyword, default=None, annotation=Config))
    context = inspect.Parameter("context", keyword, annotation=typer.Context)

    @functools.wraps(command)
    def wrapped(*, context: typer.Context, **values: Any) -> None:
        ours = {parameter.name: values.pop(parameter.name) for parameter in added}
        if not ours["verbose"]:
            command(**values)
            return
        if values.get("quiet"):
            raise typer.BadParameter("--quiet and --verbose exclude each other; give one of them")
        _tell_settings(context)
        started = time.perf_counter()
        try:
            command(**values)
        finally:
            _tell_cost(time.perf_counter() - started)

    # typer reads both; functools.wraps has made them those of the command itself.
    parameters = [parameter.replace(kind=keyword) for parameter in given.values()]
    whole = signature.replace(parameters=[*parameters, *added, context])
    wrapped.__signature__ = whole  # type: ignore[attr-defined]
    wrapped.__annotations__ = {name: p.annotation for name, p in whole.parameters.items()}
    return wrapped


def _set_page(text: str) -> str:
    r"""Join the lines of each paragraph, which a terminal breaks anew, and mark the example.

    Examples
    --------
    >>> _set_page("Do it.\n\n    It takes\n    time.\n\n    Example: protdiff do it")
    'Do it.\n\nIt takes time.\n\n[bold]Example:[/bold] protdiff do it'
    """
    paragraphs = [" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n")]
    return "\n\n".join(
        part.replace("Example:", "[bold]Example:[/bold]", 1)
        if part.startswith("Example:")
        # Square brackets are markup to rich.
        else part.replace("[", r"\[")
        for part in paragraphs
    )


def _tell_settings(context: typer.Context) -> None:
    from protdiff.version import get_version

    _note(f"protdiff {get_version()} {context.info_name}")
    for parameter in context.command.params:
        name = max(parameter.opts, key=len)
        if parameter.name not in context.params or name == CONFIG_OPTION:
            continue
        source = get_source(context, parameter.name)
        value = context.params[parameter.name]
        _note(f"{name} {getattr(value, 'value', value)}" + f" ({source})" * (source != "default"))


def _tell_cost(seconds: float) -> None:
    text = f"took {seconds:.1f} s"
    try:
        import resource
    except ImportError:  # Windows
        _note(text)
        return
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts KiB, macOS bytes.
    mib = peak / 2**20 if sys.platform == "darwin" else peak / 2**10
    _note(f"{text}, and at most {mib:.0f} MiB of memory")


def _note(text: str) -> None:
    typer.echo(f"protdiff: {text}", err=True)

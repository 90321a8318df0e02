"""Options from a TOML file: ``--config FILE``, the same for every command.

A key is the long name of an option of the command, with dashes or underscores; the values pass
through the parser of the command line, which they stand for. One file can serve several commands:
a table named after a command holds for that command alone, and over the keys at the top. ::

    seed = 1

    [generate]
    length = "60-128"
    num = 32

What the command line says wins over the file, and the file over the defaults.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from protdiff.cli.options import GENERAL
from protdiff.errors import InputError
from protdiff.names import suggest_name
from protdiff.toml import read_toml

__all__ = ["CONFIG_OPTION", "Config", "get_source", "name_config"]

CONFIG_OPTION = "--config"
_ORIGIN = "protdiff.config"
"""Where a context keeps the file and the parameters that have their values from it."""
_LARGEST_FILE = 1 << 20  # bytes


def _load(context: typer.Context, path: Path | None) -> Path | None:
    """Make the file's values the defaults of this command; called before other options are read."""
    if path is None or context.resilient_parsing:
        return path
    values = _choose(context, _read(path), path)
    context.default_map = {**(context.default_map or {}), **values}
    context.meta[_ORIGIN] = str(path), frozenset(values)
    return path


Config = Annotated[
    Path | None,
    typer.Option(
        CONFIG_OPTION,
        metavar="FILE.toml",
        help="Take options from a file: their long names, or a table [COMMAND] of them. "
        "What is given on the command line wins.",
        rich_help_panel=GENERAL,
        callback=_load,
        is_eager=True,
    ),
]


def name_config(context: Any, parameter: str) -> str | None:
    """Return the file that an option's value came from; None if it did not come from one."""
    return context.meta[_ORIGIN][0] if get_source(context, parameter) == "file" else None


def get_source(context: Any, parameter: str) -> str:
    """Return where a value came from: ``"command line"``, ``"file"`` or ``"default"``."""
    source = getattr(context.get_parameter_source(parameter), "name", "")
    if source == "COMMANDLINE":
        return "command line"
    # --fast changes defaults by the same way as a file does.
    _, from_file = context.meta.get(_ORIGIN, ("", frozenset()))
    return "file" if source == "DEFAULT_MAP" and parameter in from_file else "default"


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise typer.BadParameter(f"{path} has over a megabyte, and is no file of options")
        return read_toml(path)
    except OSError as error:
        raise typer.BadParameter(f"cannot read {path}: {error.strerror or error}") from error
    except InputError as error:
        raise typer.BadParameter(str(error)) from error


def _choose(context: typer.Context, content: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return the values for this command by the names of its parameters."""
    command = context.info_name or ""
    siblings = getattr(context.parent.command, "commands", {}) if context.parent else {}
    top = {key: value for key, value in content.items() if not isinstance(value, dict)}
    tables = {key: value for key, value in content.items() if isinstance(value, dict)}
    for key in tables:
        if key != command and key not in siblings:
            hint = suggest_name(key, siblings) or f"the commands are {', '.join(siblings)}"
            raise typer.BadParameter(f"{path}: unknown table [{key}]; {hint}")
    options = dict(_list_options(context))
    chosen: dict[str, Any] = {}
    for where, part in (("", top), (f" [{command}]", tables.get(command, {}))):
        seen: dict[str, str] = {}
        for key, value in part.items():
            name = key.replace("_", "-")
            if name not in options:
                hint = suggest_name(name, options) or f"protdiff {command} --help lists them"
                raise typer.BadParameter(
                    f"{path}{where}: {key!r} is no option of protdiff {command}; {hint}"
                )
            parameter, inverted = options[name]
            if parameter.name in seen:
                raise typer.BadParameter(
                    f"{path}{where}: {seen[parameter.name]!r} and {key!r} are one option; "
                    "give it once"
                )
            seen[parameter.name] = key
            where_key = f"{path}{where}: {key}"
            chosen[parameter.name] = _as_on_command_line(value, parameter, inverted, where_key)
    return chosen


def _list_options(context: typer.Context) -> Iterator[tuple[str, tuple[Any, bool]]]:
    """Give the long name of each option, its parameter, and whether the name means its opposite."""
    for parameter in context.command.params:
        names = [*parameter.opts, *parameter.secondary_opts]
        if parameter.param_type_name != "option" or CONFIG_OPTION in names:
            continue
        for name in names:
            if name.startswith("--"):
                yield name.removeprefix("--"), (parameter, name in parameter.secondary_opts)


def _as_on_command_line(value: Any, parameter: Any, inverted: bool, where: str) -> Any:
    """Return a TOML value as what the parser would have been given for it."""
    if parameter.is_flag:
        if not isinstance(value, bool):
            raise typer.BadParameter(f"{where} = {value!r}; expected true or false")
        return value != inverted
    if isinstance(value, list) and parameter.multiple:
        return [_to_text(item, where) for item in value]
    text = _to_text(value, where)
    return [text] if parameter.multiple else text


def _to_text(value: Any, where: str) -> str:
    if isinstance(value, bool | list | dict):
        raise typer.BadParameter(f"{where} = {value!r}; expected one value, a number or a text")
    text = str(value)
    # The command line cannot hold it either; as a part of a path it is a way around checks.
    if not text.isprintable():
        raise typer.BadParameter(f"{where} = {text!r}; expected characters that can be printed")
    return text

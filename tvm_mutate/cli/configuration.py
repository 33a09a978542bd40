"""Options from a file: ``[tool.tvm-mutate]`` in ``pyproject.toml``, or ``tvm-mutate.toml``; ``tvm-mutate config``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from tvm_mutate.documents import read_document
from tvm_mutate.errors import UsageError, suggestion

OWN_FILE, PROJECT_FILE = "tvm-mutate.toml", "pyproject.toml"
_Options = dict[str, click.Parameter]


def find_configuration(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """The file with options for this folder and its content: of the folder, else of the nearest folder above.

    None if no folder has one. Raises UsageError for a file that cannot be read.
    """
    for each in (folder, *folder.parents):
        if (each / OWN_FILE).is_file():
            return each / OWN_FILE, read_document(each / OWN_FILE)
        if (each / PROJECT_FILE).is_file():
            tools = read_document(each / PROJECT_FILE).get("tool")
            table = tools.get("tvm-mutate") if isinstance(tools, dict) else None
            if isinstance(table, dict):
                return each / PROJECT_FILE, table
            if table is not None:
                raise UsageError(
                    f"{each / PROJECT_FILE}: tool.tvm-mutate is {table!r}; write a table, [tool.tvm-mutate]"
                )
    return None


def values_of(name: str, context: click.Context, found: tuple[Path, dict[str, Any]]) -> dict[str, Any]:
    """What a file says for the command with this name, by the names of parameters, as click takes it.

    ``context`` is that of the group of commands. A key is an option without dashes in front, for every command that has
    the option, or in a table with the name of a command for this one. A list is for an option that is repeatable or has
    commas. Raises UsageError for a key that no command has.
    """
    path, content = found
    options = _options(context, name)
    values: dict[str, Any] = {}
    # Tables of single commands come after the keys for all of them.
    for key, value in sorted(content.items(), key=lambda item: isinstance(item[1], dict)):
        if isinstance(value, dict):
            if key not in _names(context):
                raise UsageError(f"{path}: there is no command {key!r}{suggestion(key, _names(context))}")
            for inner, each in value.items() if key == name else ():
                if inner not in options:
                    raise UsageError(f"{path}: {key} has no option {inner!r}{suggestion(inner, options)}")
                values |= _value(options[inner], each, f"{path}: {key}.{inner}")
        elif key in options:
            values |= _value(options[key], value, f"{path}: {key}")
        else:
            known = {option for each in _names(context) for option in _options(context, each)}
            if key not in known:
                raise UsageError(f"{path}: no command has the option {key!r}{suggestion(key, known)}")
    return values


def _names(context: click.Context) -> list[str]:
    assert isinstance(context.command, click.Group)
    return context.command.list_commands(context)


def _options(context: click.Context, name: str) -> _Options:
    """The options of a command by their key."""
    assert isinstance(context.command, click.Group)
    command = context.command.get_command(context, name)
    if command is None:
        raise UsageError(f"there is no command {name!r}{suggestion(name, _names(context))}")
    return {each.opts[0].lstrip("-"): each for each in command.params if isinstance(each, click.Option)}


def _value(option: click.Parameter, value: Any, where: str) -> dict[str, Any]:
    assert isinstance(option, click.Option) and option.name is not None
    if option.is_flag and not isinstance(value, bool):
        raise UsageError(f"{where} is {value!r}; write true or false")
    single = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str | int | float) for each in single):
        raise UsageError(f"{where} is {value!r}; write text, a number, true, false, or a list of these")
    if option.multiple:
        return {option.name: single}
    return {option.name: ",".join(map(str, single)) if isinstance(value, list) else value}


@click.command("config")
@click.argument("name", metavar="COMMAND", default="run")
@click.pass_context
def config(context: click.Context, name: str) -> None:
    """Print the options of COMMAND (default: run) that hold in this folder, and where each comes from.

    They come from [tool.tvm-mutate] in pyproject.toml or from tvm-mutate.toml, of this folder or the nearest one above.
    """
    assert context.parent is not None
    found = find_configuration(Path.cwd())
    options = _options(context.parent, name)
    given = values_of(name, context.parent, found) if found else {}
    for key, option in options.items():
        if option.name in given and found:
            click.echo(f"{key} = {json.dumps(given[option.name], ensure_ascii=False)}  # {found[0]}")
        elif isinstance(option.default, str | int | float):
            click.echo(f"{key} = {json.dumps(option.default)}  # default")
        else:
            click.echo(f"# {key} is not set")

"""Shell completion that does not import TVM: the words of all commands are kept in the user's cache."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any

import click
import platformdirs
from click.shell_completion import BashComplete, CompletionItem, add_completion_class

import tvm_mutate
from tvm_mutate.errors import UsageError
from tvm_mutate.mutant import ENTRY_POINT_GROUP

_FILE = "completion.json"
_Load = Callable[[str], click.Command]


class CompletableCommand(click.Command):
    """A stand-in for a command while a shell completes: its parameters without code, read at their first use.

    ``load`` gives the command of a name. It is called, for all ``names``, if the cache has no words of this version.
    """

    def __init__(self, name: str, summary: str, names: Iterable[str], load: _Load) -> None:
        super().__init__(name, help=summary)
        self._names, self._load = names, load

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The parameters of the command, and ``--help``."""
        if not self.params:
            self.params = [_parameter(**each) for each in _all_words(self._names, self._load)[self.name or ""]]
        return super().get_params(ctx)


@add_completion_class
class WholeWords(BashComplete):
    """Completion for bash where a colon, as in ``zoo://``, does not end a word."""

    source_template = BashComplete.source_template + "\nCOMP_WORDBREAKS=${COMP_WORDBREAKS//:}\n"


def _all_words(names: Iterable[str], load: _Load) -> Mapping[str, list[dict[str, Any]]]:
    """The parameters of each command, from the cache; if they are not there, from the commands, which takes seconds."""
    file, stamp = platformdirs.user_cache_path("tvm_mutate") / _FILE, _stamp()
    with contextlib.suppress(OSError, ValueError, KeyError):
        content = json.loads(file.read_bytes())
        if content["stamp"] == stamp:
            kept: dict[str, list[dict[str, Any]]] = content["commands"]
            return kept
    from tvm_mutate.results.files import write_whole  # imports TVM, as the commands do

    commands = {name: [*map(_described, load(name).params)] for name in names}
    with contextlib.suppress(UsageError):  # the next completion is slow, too
        write_whole(file, [json.dumps({"stamp": stamp, "commands": commands})])
    return commands


def _stamp() -> list[Any]:
    """What the words depend on: this package, and packages that register operators."""
    folder = Path(tvm_mutate.__file__).parent
    others = [[each.value, each.dist.version if each.dist else ""] for each in entry_points(group=ENTRY_POINT_GROUP)]
    return [version("tvm-mutate"), max(path.stat().st_mtime_ns for path in folder.rglob("*.py")), sorted(others)]


def _described(parameter: click.Parameter) -> dict[str, Any]:
    """The parameter as JSON can hold it, with all the words that it completes."""
    items = parameter.shell_complete(click.Context(click.Command(None)), "")
    words = [[item.value, item.type] for item in items]
    common = {"declarations": [*parameter.opts, *parameter.secondary_opts], "nargs": parameter.nargs, "words": words}
    if isinstance(parameter, click.Option):
        more = {"is_flag": parameter.is_flag, "multiple": parameter.multiple, "help": parameter.help}
        return {**common, **more, "nargs": 1} if parameter.is_flag else {**common, **more}
    return common


def _parameter(declarations: list[str], words: list[list[str]], **more: Any) -> click.Parameter:
    def complete(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        return matching(words, incomplete)

    if "is_flag" in more:
        return click.Option(declarations, shell_complete=complete, **more)
    return click.Argument(declarations, shell_complete=complete, **more)


def matching(words: Iterable[Iterable[str]], incomplete: str) -> list[CompletionItem[str]]:
    """The words, each with its type, that complete the text behind the last comma and ``!``; files are the shell's."""
    *_, last = incomplete.replace(",", "!").split("!")
    before = incomplete.removesuffix(last)
    return [
        CompletionItem(before + value if kind == "plain" else incomplete, kind)
        for value, kind in words
        if kind != "plain" or value.startswith(last)
    ]

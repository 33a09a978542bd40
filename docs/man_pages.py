"""Writes the man pages of tvm-mutate and of its commands into a folder: python docs/man_pages.py FOLDER."""

import sys
from importlib.metadata import version
from pathlib import Path

import click
from click_man.core import write_man_pages

from tvm_mutate.cli.main import COMMANDS, cli


def write(folder: Path) -> None:
    """Writes a page for each command and one for all; needs click-man, which is in the extra ``docs``."""
    context = click.Context(cli, info_name="tvm-mutate")
    pages = click.Group("tvm-mutate", help=cli.help, short_help=(cli.help or "").partition(".")[0], params=cli.params)
    for name, (_, _, summary) in COMMANDS.items():
        command = cli.get_command(context, name)
        assert command
        command.short_help = summary
        pages.add_command(command, name)
    folder.mkdir(parents=True, exist_ok=True)
    write_man_pages("tvm-mutate", pages, version=version("tvm-mutate"), target_dir=str(folder))


if __name__ == "__main__":
    write(Path(sys.argv[1]))

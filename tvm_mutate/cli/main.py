"""The ``tvm-mutate`` command; the modules of its subcommands, and TVM, are imported when a subcommand needs them."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType

import click

from tvm_mutate.cli.configuration import find_configuration, values_of
from tvm_mutate.cli.console import run_command

# Before TVM is imported: code runs in forked children. They cannot use a thread pool of their parent, nor a GPU that
# their parent has initialised, which tvm_ffi does if PyTorch is installed.
os.environ.setdefault("TVM_NUM_THREADS", "1")
os.environ.setdefault("TVM_FFI_DISABLE_TORCH_C_DLPACK", "1")

# The module, the name in the module, and the summary of each subcommand.
COMMANDS = MappingProxyType(
    {
        "operators": ("operators", "operators", "List the operators"),
        "list": ("campaign", "list_mutants", "List every mutant of a model"),
        "show": ("show", "show", "Show what a mutant changes in IR and code"),
        "run": ("campaign", "run", "Run a campaign: judge the mutants of a model"),
        "report": ("results", "report", "Write reports for browsers, CI and pull requests"),
        "browse": ("results", "browse", "Filter, look at and accept mutants in the terminal"),
        "diff": ("results", "diff", "Compare the results of two campaigns"),
        "merge": ("results", "merge_results", "Make one result of shards or of several devices"),
        "accept": ("results", "accept_mutants", "Accept survivors, which later campaigns report apart"),
        "part": ("studies", "part", "Find where two devices diverge on a mutant"),
        "test": ("command", "test_command", "Judge mutants by the exit code of a command"),
        "critical": ("studies", "critical", "Find the smallest fault that is noticed at each site"),
        "config": ("configuration", "config", "Print the options that hold here, and where they come from"),
        "doctor": ("doctor", "doctor", "Say what works on this machine"),
    }
)


class Commands(click.Group):
    """The subcommands, each imported when it is run or shows its help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the subcommands, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand with this name, or None."""
        if cmd_name not in COMMANDS:
            return None
        if ctx.resilient_parsing:  # a shell asks for completions
            from tvm_mutate.cli.completion import CompletableCommand

            return CompletableCommand(cmd_name, COMMANDS[cmd_name][2], COMMANDS, self._load)
        return self._load(cmd_name)

    def _load(self, cmd_name: str) -> click.Command:
        module, name, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"tvm_mutate.cli.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the names and summaries of the subcommands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, _, summary) in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("tvm-mutate"), prog_name="tvm-mutate")
@click.pass_context
def cli(context: click.Context) -> None:
    """Mutation testing and fault injection inside Apache TVM: faults as compiler passes.

    Exit codes: 0 fine, 1 usage, 2 below --fail-under, 3 baseline or canary failed, 4 interrupted (the same command
    resumes), 70 internal error.
    """
    command = context.invoked_subcommand
    if command is not None and command in COMMANDS and (found := find_configuration(Path.cwd())):
        context.default_map = {command: values_of(command, context, found)}


_COMPLETE = "_TVM_MUTATE_COMPLETE"
# Click takes its hints for a misspelt name from here.
cli.commands.update({name: click.Command(name) for name in COMMANDS})


def main() -> None:
    """Runs the command line and exits with a documented code."""
    if _COMPLETE in os.environ:  # a shell asks for its script, or for completions
        import_module("tvm_mutate.cli.completion")
    sys.exit(run_command(cli, name="tvm-mutate"))

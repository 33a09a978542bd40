"""``tvm-mutate test``: any command as the oracle."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import click

from tvm_mutate.campaign import make_reporter
from tvm_mutate.campaign.runner import LEAST_SECONDS
from tvm_mutate.campaign.survey import check_sites
from tvm_mutate.cli.door import output_console, progress_console, quiet_closed_pipe
from tvm_mutate.cli.options import OPERATORS_HELP, Number, quiet_option, words
from tvm_mutate.cli.run import held_against
from tvm_mutate.device import held_folder
from tvm_mutate.operators import load_catalogue
from tvm_mutate.report.command import command_score, render_command, write_command
from tvm_mutate.suite import SuiteJournal
from tvm_mutate.suite.command import Asked, CommandSession
from tvm_mutate.suite.command_run import Command

_SITES = "all (of all kernels at once), each, first (of each kernel), or sample:N."
_LIMIT = "Seconds of a run, or five times the unmutated one where that is longer."
_OUTPUT = "Folder for the journal and command.json; the same command resumes what it holds."


@click.command("test", context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--mutants", default="default", show_default=True, help=OPERATORS_HELP)
@click.option("--sites", default="first", show_default=True, help=_SITES)
@click.option("--seed", default=0, show_default=True, help="Seed of --sites sample:N.")
@click.option("--timeout", type=Number(min=0, min_open=True), default=LEAST_SECONDS, show_default=True, help=_LIMIT)
@click.option("--workers", type=click.IntRange(min=0), default=0, help="Runs at a time. Default: one a core.")
@click.option("--output", type=click.Path(path_type=Path), help=_OUTPUT)
@click.option("--fail-under", type=Number(0, 100), metavar="PERCENT", help="Exit with 2 if the score is below.")
@quiet_option
def test_command(
    command: tuple[str, ...],
    mutants: str,
    sites: str,
    seed: int,
    timeout: float,
    workers: int,
    output: Path | None,
    fail_under: float | None,
    quiet: bool,
) -> int:
    """Ask which mutants COMMAND notices: of the kernels that it builds, by its exit code.

    COMMAND is run once as it is, which has to pass and tells what it builds; then with a mutant at a time, in every
    process that imports TVM: a test runner, a fuzzer, a whole application. Write -- before it.
    """
    asked = Asked(words(mutants), check_sites(sites), seed, timeout, workers or os.cpu_count() or 1)
    catalogue = load_catalogue()
    catalogue.select(asked.operators)
    reporter = make_reporter(quiet, progress_console())
    with _folder(output) as folder:
        journal = SuiteJournal(folder)
        try:
            results = CommandSession(Command(command), asked, catalogue, journal, reporter).run()
        finally:
            reporter.close()
            journal.close()
        written = write_command(results, folder)
    with quiet_closed_pipe():
        console = output_console()
        for part in render_command(results):
            console.print(part)
        if output is not None:
            click.echo(f"written: {written}")
    return int(held_against(fail_under, command_score(results).value))


@contextlib.contextmanager
def _folder(output: Path | None) -> Iterator[Path]:
    """The folder for results: the one to keep, or one that goes when all is done."""
    if output is not None:
        yield output
    else:
        with held_folder("test") as folder:
            yield Path(folder)

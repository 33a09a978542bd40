"""``tvm-mutate test``: a command as the oracle."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

import click

from tvm_mutate.campaign import LEAST_SECONDS, Reporter, check_sites, golden_bytes
from tvm_mutate.cli.console import exit_code_of, print_results
from tvm_mutate.cli.options import OPERATORS_HELP, Number, fail_under_option, operator_names, progress_options, words
from tvm_mutate.device import held_folder
from tvm_mutate.operators import load_catalogue
from tvm_mutate.report.command import render_command, write_command
from tvm_mutate.suite import SuiteJournal
from tvm_mutate.suite.command import Command, CommandRun

_SITES = "all (of all kernels at once), each, first (of each kernel), or sample:N."
_LIMIT = "Seconds of a run, or five times the unmutated run if that is longer."
_OUTPUT = "Folder for the journal and command.json; the same command resumes there."


@click.command("test", context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--operators", shell_complete=operator_names, default="default", show_default=True, help=OPERATORS_HELP)
@click.option("--sites", default="first", show_default=True, help=_SITES)
@click.option("--seed", default=0, show_default=True, help="Seed of --sites sample:N.")
@click.option("--timeout", type=Number(min=0, min_open=True), default=LEAST_SECONDS, show_default=True, help=_LIMIT)
@click.option("--workers", type=click.IntRange(min=0), default=0, help="Runs at a time. Default: 0, one a core.")
@click.option("--output", type=click.Path(path_type=Path), help=_OUTPUT)
@fail_under_option
@progress_options
def test_command(
    command: tuple[str, ...],
    operators: str,
    sites: str,
    seed: int,
    timeout: float,
    workers: int,
    output: Path | None,
    fail_under: float | None,
    reporter: Reporter,
) -> int:
    """Judge mutants by the exit code of COMMAND: of all kernels that COMMAND builds.

    COMMAND is a test runner, a fuzzer or an application. It runs once unmutated, which must pass and records the
    builds, then once for each mutant, which is active in every process that imports TVM. Write -- before COMMAND.
    """
    globs, sites = words(operators), check_sites(sites)
    golden_bytes(None, workers)  # refuses more workers than the machine has memory for
    catalogue = load_catalogue()
    catalogue.select(globs)
    with held_folder("test") if output is None else nullcontext(output) as folder:
        journal = SuiteJournal(folder)
        try:
            results = CommandRun(
                command=Command(command),
                operators=globs,
                sites=sites,
                seed=seed,
                timeout=timeout,
                workers=workers or os.cpu_count() or 1,
                catalogue=catalogue,
                journal=journal,
                reporter=reporter,
            ).run()
        finally:
            reporter.close()
            journal.close()
        written = write_command(results, folder)
    print_results(render_command(results), [] if output is None else [written])
    return int(exit_code_of(results.score.value, fail_under))

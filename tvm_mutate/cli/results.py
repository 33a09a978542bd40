"""``tvm-mutate report``, ``browse``, ``diff``, ``merge`` and ``accept``: work with the results of campaigns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import RenderableType
from rich.text import Text

from tvm_mutate.campaign import Reporter, merge
from tvm_mutate.cli.console import print_results, print_written, terminal_stderr
from tvm_mutate.cli.options import one_of, progress_options, words
from tvm_mutate.errors import UsageError
from tvm_mutate.operators import load_catalogue
from tvm_mutate.report import (
    FORMATS,
    Places,
    Report,
    check_formats,
    compare,
    cross_devices,
    render_comparison,
    render_score,
    render_summary,
    render_survivors,
    report_of_campaign,
    report_of_suite,
    write_cross_devices,
    write_csv,
    write_reports,
)
from tvm_mutate.results import ACCEPTED_FILE, Results, accept, read_json, read_suite_json, write_json
from tvm_mutate.results.files import RESULTS_FILE, SUITE_FILE
from tvm_mutate.studies.paper import paper_comparison, paper_table

_SURVIVORS_SHOWN = 10

_folder = click.Path(path_type=Path)
_file_option = click.option(
    "--file", type=_folder, default=ACCEPTED_FILE, show_default=True, help="The list; keep it with the code."
)


def campaign_report(results: Results, reporter: Reporter, base: Path | None = None) -> Report:
    """The report of a campaign; the reporter hears of each mutant. ``base`` has the results to compare with."""
    change = None if base is None else compare(read_json(base), results)
    reporter.phase("places of mutants", len(results.mutants))
    try:
        return report_of_campaign(results, change, Places(results, lambda: reporter.step("")))
    finally:
        reporter.close()


def publish(results: Results, folder: Path, reports: Sequence[Path] = (), bench: bool = False) -> None:
    """Writes CSV files beside the ``results.json`` of a campaign, and prints its tables, verdicts and score last.

    Several devices have a table of their differences as well. ``reports`` are paths that were written before. The
    ``bench`` prints empty categories, all canaries, and the figures of the paper.
    """
    written = [folder / RESULTS_FILE, *write_csv(results, folder)]
    if len(results.devices) > 1:
        written += write_cross_devices(cross_devices(results), folder)
    categories = {name: str(operator.category) for name, operator in load_catalogue().items()}
    paper: list[RenderableType] = [paper_table(paper_comparison(results)), Text()] if bench else []
    survivors = render_survivors(results, _SURVIVORS_SHOWN)
    tables: list[RenderableType] = [*render_summary(results, categories, bench), Text(), *paper, *survivors]
    print_results(tables, list(dict.fromkeys([*written, *reports])))
    print_results([Text(), *render_score(results, categories)])


@click.command("report")
@click.argument("folder", type=_folder)
@click.option(
    "--format",
    "formats",
    shell_complete=one_of(FORMATS),
    required=True,
    metavar="FORMATS",
    help=f"Several: {', '.join(FORMATS)}.",
)
@click.option("--base", type=_folder, help="Results of an earlier campaign, whose difference the Markdown shows.")
@click.option("--output", type=_folder, help="Folder for the reports. Default: FOLDER.")
@progress_options
def report(folder: Path, formats: str, base: Path | None, output: Path | None, reporter: Reporter) -> None:
    """Write reports on the results in FOLDER, for browsers, CI and pull requests.

    FOLDER holds the results.json of a campaign, or the suite.json of a test suite.
    """
    chosen = check_formats(words(formats))
    if not chosen:
        raise UsageError(f"--format names no format; there are {', '.join(FORMATS)}")
    if (folder / SUITE_FILE).exists() and not (folder / RESULTS_FILE).exists():
        if base is not None:
            raise UsageError("--base is for campaigns; leave it out for a test suite")
        content = report_of_suite(read_suite_json(folder))
    else:
        content = campaign_report(read_json(folder), reporter, base)
    print_written(write_reports(content, chosen, output or folder))


@click.command("browse")
@click.argument("folder", type=_folder)
@_file_option
def browse(folder: Path, file: Path) -> None:
    """Browse the mutants of the results in FOLDER in the terminal: filter, sort, see differences, accept survivors.

    Keys: / filters by text, v by verdict; 1 to 5 sort; Enter opens the difference of a mutant; a accepts it; q ends.
    """
    results = read_json(folder)
    try:
        from tvm_mutate.cli.browse import Browser
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "textual":
            raise
        raise UsageError("browse needs Textual: pip install 'tvm-mutate[browse]'") from None
    with terminal_stderr():
        Browser(results, file).run()


@click.command("diff")
@click.argument("old", type=_folder)
@click.argument("new", type=_folder)
def diff(old: Path, new: Path) -> None:
    """Show how the results in NEW differ from OLD: newly surviving, newly killed, gone and new mutants, both scores."""
    print_results(render_comparison(compare(read_json(old), read_json(new))))


@click.command("merge")
@click.argument("shards", nargs=-1, required=True, type=_folder)
@click.option("--output", required=True, type=_folder, help="Folder for the results.json and the tables of all.")
def merge_results(shards: tuple[Path, ...], output: Path) -> None:
    """Make one result of SHARDS: the parts of a campaign, or campaigns on other devices.

    Each of SHARDS is a results.json or its folder. Devices that no campaign compared are compared by labels.
    """
    results = merge([read_json(each) for each in shards])
    write_json(results, output)
    publish(results, output)


@click.command("accept")
@click.argument("mutants", nargs=-1, required=True, metavar="ID...")
@click.option("--reason", required=True, help="Why this survivor is right or not worth a check.")
@click.option("--results", "folder", type=_folder, default="tvm_mutate.out", show_default=True, help="Results with ID.")
@_file_option
def accept_mutants(mutants: tuple[str, ...], reason: str, folder: Path, file: Path) -> None:
    """Accept the survivors with these IDs: later campaigns report them apart, and their score leaves them out.

    An acceptance holds for every device, as long as the functions that the mutant changes stay the same.
    """
    if not reason.strip():
        raise UsageError("--reason is empty; write for the next reader why this survivor is accepted")
    kept = accept(read_json(folder), mutants, reason, file)
    click.echo(f"{file}: {len(kept)} accepted")

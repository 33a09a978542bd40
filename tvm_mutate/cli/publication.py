"""How the doors publish results: files in the output folder, and tables on the console."""

from __future__ import annotations

from pathlib import Path

import click

from tvm_mutate.campaign import Results
from tvm_mutate.cli.door import output_console, quiet_closed_pipe
from tvm_mutate.operators import load_catalogue
from tvm_mutate.report import (
    cross_devices,
    render_mutants,
    render_summary,
    write_cross_devices,
    write_csv,
    write_heat_maps,
)
from tvm_mutate.results import write_json
from tvm_mutate.studies.paper import paper_comparison, paper_table

_SURVIVORS_SHOWN = 20


def publish(results: Results, folder: Path) -> None:
    """Writes the results into the folder, as JSON and CSV, and prints the tables where somebody reads them.

    For several devices there are the table of what differs between them, and its picture.
    """
    written = [write_json(results, folder), *write_csv(results, folder)]
    if len(results.devices) > 1:
        table = cross_devices(results)
        devices = [row.name for row in results.devices]
        written += [*write_cross_devices(table, folder), *write_heat_maps(table, devices, folder)]
    categories = {name: str(operator.category) for name, operator in load_catalogue().items()}
    with quiet_closed_pipe():  # a reader that has gone changes no exit code
        console = output_console()
        studies = [paper_table(paper_comparison(results))]
        for part in render_summary(results, categories, studies) + render_mutants(results.mutants, _SURVIVORS_SHOWN):
            console.print(part)
        click.echo(f"written: {', '.join(str(path) for path in written)}")

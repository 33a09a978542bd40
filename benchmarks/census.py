"""What became of the mutants of finished campaigns: proved, duplicate, not infected, masked, noticed.

Run from the repository's root: `python benchmarks/census.py OUTPUT...`, each the output folder of a campaign.
"""

from __future__ import annotations

from pathlib import Path

import click
from measuring.campaigns import read_results
from measuring.counts import census, maskers
from measuring.output import begin, end, json_option, listed, say, table


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@json_option
def main(folders: tuple[Path, ...], json_file: str | None) -> None:
    """Counts the mutants in the results of FOLDERS; a mutant can count in several lines."""
    report = begin("census")
    report["folders"] = {}
    everything = []
    for folder in folders:
        rows = read_results(folder)["mutants"]
        everything += rows
        report["folders"][str(folder)] = {"counts": census(rows), "masked_by": dict(maskers(rows).most_common())}
    names = [folder.name for folder in folders]
    counts = [each["counts"] for each in report["folders"].values()]
    if len(folders) > 1:
        names, counts = [*names, "all"], [*counts, census(everything)]
    last = counts[-1]
    say(
        table(
            ("", *names, "%"),
            [
                (line, *(each[line] for each in counts), f"{100 * last[line] / max(last['mutants'], 1):.1f}")
                for line in last
            ],
        ),
        listed("masked by", [f"{count} x {kernel}" for kernel, count in maskers(everything).most_common()]),
    )
    end(report, json_file)


if __name__ == "__main__":
    main()

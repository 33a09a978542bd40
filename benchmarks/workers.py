"""One worker against two on the same campaign: how well the work is shared.

Run from the repository's root, on an idle machine: `python benchmarks/workers.py zoo://mobilenetv2 --sample 200`.
"""

from __future__ import annotations

import shlex
import statistics
from typing import Any

import click
from measuring.campaigns import Finished, Subject, run_campaign, workplace
from measuring.comparison import row_differences
from measuring.output import begin, campaign_options, end, listed, say, table


@click.command()
@click.argument("model")
@click.option("--sample", default=200, show_default=True, help="Mutants of single sites.")
@click.option("--workers", default=2, show_default=True, help="So many against one.")
@click.option("--rounds", default=3, show_default=True, help="Run each so often, in turns.")
@campaign_options(inputs=10)
def main(model: str, sample: int, workers: int, rounds: int, **options: Any) -> None:
    """Times the mutants of MODEL with one worker and with more."""
    report = begin("workers")
    subject = Subject.parse(model)
    arguments = [*subject.arguments(options["inputs"]), "--target", options["target"], "--sites", f"sample:{sample}"]
    arguments += ["--seed", str(options["seed"]), *shlex.split(options["more"])]
    runs: dict[int, list[Finished]] = {1: [], workers: []}
    with workplace(options["keep"]) as folder:
        for number in range(rounds):
            for count in sorted(runs, reverse=bool(number % 2)):
                output = folder / f"workers-{subject.name}-{count}-{number}"
                runs[count].append(run_campaign([*arguments, "--workers", str(count)], output))
    phases = {count: [each.mutants_seconds for each in ended] for count, ended in runs.items()}
    totals = {count: statistics.median(each.seconds for each in ended) for count, ended in runs.items()}
    rows = [
        (count, len(runs[count][0].rows), statistics.median(own), min(own), max(own), totals[count])
        for count, own in phases.items()
    ]
    ratio = statistics.median(phases[1]) / statistics.median(phases[workers])
    differ = [str(each) for each in row_differences(runs[1][0].results, runs[workers][0].results)]
    say(
        table(("workers", "mutants", "phase s", "least", "most", "campaign s"), rows),
        f"  {ratio:.2f}x in the mutants phase, {totals[1] / totals[workers]:.2f}x in the whole campaign",
        listed("rows differ", differ),
    )
    end({**report, "phases": phases, "campaigns": totals, "ratio": ratio, "differ": differ}, options["json_file"])


if __name__ == "__main__":
    main()

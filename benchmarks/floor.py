"""How far a campaign is from its floor: the time of its mutants beside that of their builds and runs alone.

Run from the repository's root, on an idle machine: `python benchmarks/floor.py zoo://mobilenetv2 --sample 200`.
"""

from __future__ import annotations

import shlex
from typing import Any

import click
from measuring.campaigns import Subject, run_campaign, workplace
from measuring.counts import times
from measuring.output import begin, campaign_options, end, say, table

HEAD = ("model", "workers", "mutants", "phase s", "build s", "run s", "above floor", "own ms a mutant")


@click.command()
@click.argument("models", nargs=-1, required=True)
@click.option("--sample", default=200, show_default=True, help="Mutants of single sites a model.")
@click.option("--workers", default=1, show_default=True, help="Worker processes.")
@campaign_options(inputs=10)
def main(models: tuple[str, ...], sample: int, workers: int, **options: Any) -> None:
    """Sets the mutants phase of MODELS against the builds and runs in it; times of all workers are summed."""
    report = begin("floor")
    rows = []
    with workplace(options["keep"]) as folder:
        for subject in map(Subject.parse, models):
            arguments = [*subject.arguments(options["inputs"]), "--target", options["target"]]
            arguments += ["--sites", f"sample:{sample}", "--seed", str(options["seed"]), "--workers", str(workers)]
            arguments += shlex.split(options["more"])
            finished = run_campaign(arguments, folder / f"floor-{subject.name}-{workers}")
            spent = times(finished.rows, finished.mutants_seconds, workers)
            rows.append((subject.name, workers, spent.mutants, spent.phase, spent.build, spent.run, spent.above_floor,
                         spent.own_milliseconds))  # fmt: skip
    say(table(HEAD, rows))
    end({**report, "models": [dict(zip(HEAD, row, strict=True)) for row in rows]}, options["json_file"])


if __name__ == "__main__":
    main()

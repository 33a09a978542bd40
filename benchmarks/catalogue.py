"""What becomes of the mutants of every operator: single sites of several models, sampled alike from all operators.

Run from the repository's root: `python benchmarks/catalogue.py mobilenetv2.onnx=images/ cifar10_resnet20.onnx=more/`.
Finished models of an interrupted run are kept with `--keep`, and their campaigns go on where they were.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click
from measuring.by_operator import OperatorCounts, always_killed, by_operator, nearly_always_equivalent
from measuring.campaigns import Subject, run_campaign, workplace
from measuring.output import begin, campaign_options, end, say, table

HEAD = ("operator", "mutants", "killed", "survived", "killed %", "95 %", "proved", "same code", "equiv. 95 %",
        "crashed", "timed out", "other")  # fmt: skip


@click.command()
@click.argument("models", nargs=-1, required=True)
@click.option("--sample", default=200, show_default=True, help="Mutants of single sites a model.")
@click.option("--operators", default="default", show_default=True, help="Globs of operators, as `run` takes them.")
@click.option("--workers", default=0, help="Worker processes. Default: one a core.")
@campaign_options(inputs=10)
def main(models: tuple[str, ...], sample: int, operators: str, workers: int, **options: Any) -> None:
    """Runs a campaign on each of MODELS (MODEL or MODEL=IMAGES) and counts by operator what became of the mutants.

    Killed % is the share of the mutants that were killed or survived. A crash or timeout counts as killed, too; other
    mutants did not compile or were not applied.
    """
    report = begin("catalogue")
    rows = []
    with workplace(options["keep"]) as folder:
        for subject in map(Subject.parse, models):
            arguments = [*subject.arguments(options["inputs"]), "--target", options["target"], "--operators", operators]
            arguments += ["--sample", str(sample), "--seed", str(options["seed"]), "--workers", str(workers)]
            arguments += shlex.split(options["more"])
            rows += run_campaign(arguments, folder / f"catalogue-{subject.name}", resume=True).rows
    counts = by_operator(rows)
    together = by_operator({**row, "operator": "all"} for row in rows)
    say(
        table(HEAD, [figures(each) for each in [*counts, *together]]),
        named("nearly always equivalent", nearly_always_equivalent(counts)),
        named("always killed", always_killed(counts)),
    )
    end({**report, "models": list(models), "operators": [asdict(each) for each in counts]}, options["json_file"])


def figures(counts: OperatorCounts) -> list[object]:
    """The row of an operator under HEAD."""
    decided = counts.killed + counts.survived
    share = f"{100 * counts.killed / decided:.0f}" if decided else None
    return [
        counts.operator, counts.mutants, counts.killed, counts.survived, share, percent(counts.interval),
        counts.proved, counts.same_code, percent(counts.equivalent_interval), counts.crashed, counts.timed_out,
        counts.other,
    ]  # fmt: skip


def percent(interval: tuple[float, float]) -> str:
    """An interval of shares in percent."""
    return f"{100 * interval[0]:.0f}-{100 * interval[1]:.0f}"


def named(title: str, counts: Sequence[OperatorCounts]) -> str:
    """A line with the names of operators and their mutants."""
    return f"  {title}: {', '.join(f'{each.operator} ({each.mutants})' for each in counts) or 'none'}"


if __name__ == "__main__":
    main()

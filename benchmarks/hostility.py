"""A campaign among whose mutants are some that crash, hang, or overwrite 16 MiB: nothing else may come out otherwise.

Run from the repository's root:
`python benchmarks/hostility.py zoo://mobilenetv2 --mutants 500 --crashes 20 --hangs 5`.
The hostile mutants come from a small package that is put on the path for the campaign. The exit code is 1 if a hostile
mutant has another outcome than its own, if any other row differs from a campaign without them, or if one is missing.
"""

from __future__ import annotations

import random
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from measuring.campaigns import Subject, chosen, list_mutants, run_campaign, workplace
from measuring.comparison import UNDEFINED, Row, row_differences, section_differences
from measuring.output import begin, campaign_options, end, listed, say, table

FAMILY = "tir.hostile-"
MODULE = Path(__file__).with_name("measuring") / "hostile_operators.py"
OUTCOMES = {"crash": {"crash"}, "hang": {"timeout"}, "overwrite": {"completed", "crash"}}


def installed(folder: Path) -> dict[str, str]:
    """The hostile operators as an installed package, by what has to be added to the environment."""
    information = folder / "hostile-1.0.dist-info"
    information.mkdir(parents=True, exist_ok=True)
    (folder / "hostile_package.py").write_text(MODULE.read_text())
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: hostile\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[tvm_mutate.operators]\nhostile = hostile_package:OPERATORS\n")
    return {"PYTHONPATH": str(folder)}


def kind_of(mutant: str) -> str:
    """Which kind of hostile mutant an id is of; empty for the others."""
    return mutant.partition("@")[0].removeprefix(FAMILY) if mutant.startswith(FAMILY) else ""


def hostile_mutants(model: str, counts: Mapping[str, int], more: Mapping[str, str], options: list[str]) -> list[str]:
    """So many single-site mutants of each hostile kind."""
    return [
        mutant
        for kind, count in counts.items()
        if count
        for mutant in list_mutants(
            model, "--operators", f"{FAMILY}{kind}", "--sites", f"sample:{count}", *options, more=more
        )
    ]


def wrongly_attributed(hostile: list[Row], alone: Mapping[str, Any]) -> list[str]:
    """Hostile mutants with another outcome than theirs, and crashes and hangs that are no hostile mutant's."""
    own = {row["id"] for row in alone["mutants"] if row["outcome"] in ("crash", "timeout")}
    wrong = [row for row in hostile if kind_of(row["id"]) and row["outcome"] not in OUTCOMES[kind_of(row["id"])]]
    wrong += [
        row
        for row in hostile
        if not kind_of(row["id"]) and row["outcome"] in ("crash", "timeout") and row["id"] not in own
    ]
    return [f"{row['id']}: {row['outcome']}, {row['reason']}" for row in wrong]


def told(row: Row) -> str:
    """What became of a hostile mutant."""
    return f"{row['id']}: {row['outcome']}, {row['reason']}; undefined: {row['undefined']}"


@click.command()
@click.argument("model", default="zoo://mobilenetv2")
@click.option("--mutants", "total", default=500, show_default=True, help="So many in all.")
@click.option("--crashes", default=20, show_default=True, help="Mutants that crash.")
@click.option("--hangs", default=5, show_default=True, help="Mutants that hang.")
@click.option("--overwrites", default=1, show_default=True, help="Mutants that overwrite 16 MiB behind a buffer.")
@click.option("--timeout", default=5.0, show_default=True, help="The least time limit of a mutant in seconds.")
@click.option("--workers", default=0, help="Worker processes. Default: one a core.")
@campaign_options(inputs=5)
@click.pass_context
def main(context: click.Context, model: str, total: int, timeout: float, workers: int, **options: Any) -> None:
    """Runs a campaign on MODEL with hostile mutants and one without, and compares the rows of all others."""
    report = begin("hostility")
    subject, seed, target = Subject.parse(model), options["seed"], ["--target", options["target"]]
    seeded = ["--seed", str(seed), *target]
    counts = {"crash": options["crashes"], "hang": options["hangs"], "overwrite": options["overwrites"]}
    with workplace(options["keep"]) as folder:
        more = installed(folder / "package")
        hostile = hostile_mutants(subject.model, counts, more, seeded)
        harmless = list_mutants(subject.model, "--sites", f"sample:{total - len(hostile)}", *seeded)
        mixed = random.Random(seed).sample([*harmless, *hostile], len(harmless) + len(hostile))
        arguments = [*subject.arguments(options["inputs"]), *target, "--timeout", str(timeout)]
        arguments += ["--workers", str(workers), *shlex.split(options["more"])]
        # In the same order: which of two duplicates is the first depends on that.
        others_alone = [mutant for mutant in mixed if not kind_of(mutant)]
        alone = run_campaign([*arguments, *chosen(others_alone)], folder / f"hostility-{subject.name}-alone", more=more)
        among = run_campaign([*arguments, *chosen(mixed)], folder / f"hostility-{subject.name}-mixed", more=more)
    rows = [row for row in among.rows if kind_of(row["id"])]
    others = {**among.results, "mutants": [row for row in among.rows if not kind_of(row["id"])]}
    wrong = wrongly_attributed(among.rows, alone.results)
    differ = row_differences(alone.results, others)
    sections = [name for name in section_differences(alone.results, others) if name != "absent"]
    defined = [each for each in differ if each.behaviour != UNDEFINED]
    head = ("model", "mutants", "hostile", "wrongly attributed", "others", "differ", "of these undefined", "alone s",
            "mixed s")  # fmt: skip
    row = (subject.name, len(among.rows), len(rows), len(wrong), len(others["mutants"]), len(differ),
           len(differ) - len(defined), alone.mutants_seconds, among.mutants_seconds)  # fmt: skip
    say(
        table(head, [row]),
        listed("wrongly attributed", wrong),
        listed("rows that differ", [str(each) for each in differ]),
        listed("other parts of the results that differ", sections),
        listed("overwriting", [told(row) for row in rows if kind_of(row["id"]) == "overwrite"]),
        listed("hanging", [told(row) for row in rows if kind_of(row["id"]) == "hang"]),
        listed("crashing", [told(row) for row in rows if kind_of(row["id"]) == "crash"]),
    )
    figures = dict(zip(head, row, strict=True))
    end({**report, **figures, "wrong": wrong, "rows that differ": [str(each) for each in differ]}, options["json_file"])
    complete = len(among.rows) == len(mixed) and len(rows) == sum(counts.values())
    context.exit(int(bool(wrong or defined or sections or not complete)))


if __name__ == "__main__":
    main()

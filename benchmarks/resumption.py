"""Campaigns that are killed again and again beside one that is left alone: the results have to be the same.

Run from the repository's root:
`python benchmarks/resumption.py zoo://alexnet --kills 50 --seed 1`.
Each kill is a SIGKILL of the campaign's process group at a random moment of what is left of it, survey and unmutated
builds included. The exit code is 1 if any mutant that is not named undefined differs, or if a process is left over.
"""

from __future__ import annotations

import contextlib
import random
import shlex
import shutil
import sqlite3
import subprocess
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
from measuring.campaigns import Finished, Subject, follow, read_results, run_campaign, start, workplace
from measuring.comparison import UNDEFINED, Difference, row_differences, section_differences
from measuring.output import begin, campaign_options, end, listed, say, table
from measuring.processes import Marked, kill_group

JOURNAL = "journal.sqlite"


@dataclass
class Tally:
    """What has been seen over all campaigns."""

    campaigns: int = 0
    kills: int = 0
    before_mutants: int = 0
    rows: int = 0
    differences: list[Difference] = field(default_factory=list)
    sections: Counter[str] = field(default_factory=Counter)
    processes: list[str] = field(default_factory=list)
    left_by_kills: Counter[str] = field(default_factory=Counter)
    left_at_the_end: Counter[str] = field(default_factory=Counter)

    @property
    def unexplained(self) -> list[Difference]:
        """The differences of mutants that are not named undefined."""
        return [each for each in self.differences if each.behaviour != UNDEFINED]


def decided(output: Path) -> int:
    """How many rows a journal has, read from a copy: recovering it is the campaign's business."""
    with tempfile.TemporaryDirectory() as folder:
        for path in output.glob(f"{JOURNAL}*"):
            shutil.copy(path, folder)
        if not Path(folder, JOURNAL).exists():
            return 0
        with contextlib.closing(sqlite3.connect(Path(folder, JOURNAL))) as connection:
            with contextlib.suppress(sqlite3.DatabaseError):
                return int(connection.execute("SELECT count(*) FROM outcome").fetchone()[0])
            return 0


def time_left(undisturbed: Finished, rows: int) -> float:
    """The seconds that a campaign takes which has so many rows already."""
    share = 1 - rows / max(len(undisturbed.rows), 1)
    return undisturbed.seconds - undisturbed.mutants_seconds + share * undisturbed.mutants_seconds


def killed(arguments: list[str], output: Path, marked: Marked, seconds: float) -> bool:
    """Whether the campaign was killed after so many seconds; if not, it has ended by itself."""
    process = start([*arguments, "--output", str(output)], marked.environment)
    try:
        process.communicate(timeout=seconds)
        return False
    except subprocess.TimeoutExpired:
        return True
    finally:
        kill_group(process)


def disturbed(arguments: list[str], output: Path, left: int, undisturbed: Finished, tally: Tally, dice: random.Random):
    """One campaign that is killed up to so many times and then left alone; what is seen goes into the tally."""
    marked = Marked(output.with_name("temporary"))
    tally.campaigns += 1
    for _ in range(left):
        rows = decided(output)
        if not killed(arguments, output, marked, dice.uniform(0, time_left(undisturbed, rows))):
            break
        tally.kills += 1
        tally.before_mutants += decided(output) == rows
        tally.processes += marked.left_over()
    tally.left_by_kills += marked.temporary()
    follow(start([*arguments, "--output", str(output)], marked.environment))
    tally.processes += marked.left_over()
    tally.left_at_the_end += marked.temporary()
    marked.clear()
    results = read_results(output)
    tally.rows += len(results["mutants"])
    tally.differences += row_differences(undisturbed.results, results)
    tally.sections.update(section_differences(undisturbed.results, results))


@click.command()
@click.argument("model")
@click.option("--kills", default=50, show_default=True, help="Kill so often in all.")
@click.option("--kills-each", default=5, show_default=True, help="Kill one campaign at most so often.")
@click.option("--sample", default=100, show_default=True, help="Mutants of single sites.")
@click.option("--workers", default=0, help="Worker processes. Default: one a core.")
@campaign_options(inputs=5)
@click.pass_context
def main(context: click.Context, model: str, kills: int, kills_each: int, sample: int, workers: int, **options: Any):
    """Kills campaigns on MODEL at random moments, resumes them, and compares their results with undisturbed ones."""
    report = begin("resumption")
    subject, dice, tally = Subject.parse(model), random.Random(options["seed"]), Tally()
    arguments = [*subject.arguments(options["inputs"]), "--target", options["target"], "--sites", f"sample:{sample}"]
    arguments += ["--seed", str(options["seed"]), "--workers", str(workers), *shlex.split(options["more"])]
    with workplace(options["keep"]) as folder:
        undisturbed = run_campaign(arguments, folder / f"resumption-{subject.name}-undisturbed")
        while tally.kills < kills:
            output = folder / f"resumption-{subject.name}-{tally.campaigns}"
            disturbed(arguments, output, min(kills_each, kills - tally.kills), undisturbed, tally, dice)
            click.echo(f"{tally.kills} kills, {len(tally.differences)} differences", err=True)
    counts = Counter({f"{name}*": count for name, count in tally.left_by_kills.items()}).most_common()
    ends = Counter({f"{name}*": count for name, count in tally.left_at_the_end.items()}).most_common()
    head = ("model", "campaigns", "kills", "without a new row", "rows compared", "differ", "of these undefined",
            "processes left over")  # fmt: skip
    named = len(tally.differences) - len(tally.unexplained)
    row = (subject.name, tally.campaigns, tally.kills, tally.before_mutants, tally.rows, len(tally.differences), named,
           len(tally.processes))  # fmt: skip
    say(
        table(head, [row]),
        listed("rows that differ", [str(each) for each in tally.differences]),
        listed("other parts of the results that differ", [f"{n} x {name}" for name, n in tally.sections.items()]),
        listed("processes left over", tally.processes),
        listed("temporary folders left by kills", [f"{count} x {name}" for name, count in counts]),
        listed("of these, still there when the campaign had ended", [f"{count} x {name}" for name, count in ends]),
    )
    told = {**asdict(tally), "sections": dict(tally.sections), "left_by_kills": dict(tally.left_by_kills)}
    end({**report, **told, "left_at_the_end": dict(tally.left_at_the_end)}, options["json_file"])
    context.exit(int(bool(tally.unexplained or tally.sections or tally.processes)))


if __name__ == "__main__":
    main()

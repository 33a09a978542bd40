"""How much faster content-addressed evaluation is than rebuilding everything, on the same mutants, one worker each.

Run from the repository's root, on an idle machine:
`python benchmarks/throughput.py zoo://resnet mobilenetv2.onnx=images/ --sample 100 --inputs 10 --inputs-more 50`.
The mutants are dealt into blocks, which both ways run in turns, so that both see the same moods of the machine. What
comes before the mutants (survey, baselines, canaries) happens in every block and is counted once in a campaign. With
`--rpc` both ways run over TVM's RPC on a server of this machine, by content in sessions on it; with `--emulated` on
aarch64 under qemu.
"""

from __future__ import annotations

import contextlib
import shlex
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from measuring.boards import Board, board_device
from measuring.campaigns import Finished, Subject, chosen, list_mutants, run_campaign, workplace
from measuring.comparison import Row
from measuring.counts import Times, times
from measuring.output import begin, campaign_options, end, listed, say, table

from tvm_mutate.server.emulation import TARGET

WAYS = {"content": [], "rebuild": ["--rebuild"]}
HEAD = ("way", "mutants", "s", "ms a mutant", "build", "run", "own", "rebuilt", "set-up s", "campaign s")


@dataclass
class Way:
    """All blocks of one way of evaluation."""

    blocks: list[Finished] = field(default_factory=list)

    @property
    def rows(self) -> list[Row]:
        """The rows of all mutants."""
        return [row for block in self.blocks for row in block.rows]

    @property
    def times(self) -> Times:
        """Where the time of the mutants went."""
        return times(self.rows, sum(block.mutants_seconds for block in self.blocks))

    @property
    def set_up(self) -> float:
        """What comes before and after the mutants of one campaign."""
        return statistics.mean(block.seconds - block.mutants_seconds for block in self.blocks)

    @property
    def campaign(self) -> float:
        """The time of one campaign with all mutants."""
        return self.set_up + self.times.phase

    def figures(self, name: str) -> list[object]:
        """The row of this way under HEAD; milliseconds are those of one mutant."""
        spent, count = self.times, max(len(self.rows), 1)
        parts = [f"{1e3 * seconds / count:.1f}" for seconds in (spent.phase, spent.build, spent.run, spent.own)]
        rebuilt = sum(row["evaluation"] == "rebuild" for row in self.rows)
        return [name, len(self.rows), spent.phase, *parts, rebuilt, self.set_up, self.campaign]


def side_by_side(subject: Subject, mutants: list[str], blocks: int, arguments: list[str], folder: Path) -> list[Way]:
    """Both ways, block by block, each beginning in turn."""
    ways = {name: Way() for name in WAYS}
    for number in range(min(blocks, len(mutants))):
        asked = [*arguments, *chosen(mutants[number::blocks]), "--workers", "1"]
        for name in list(WAYS)[:: -1 if number % 2 else 1]:
            output = folder / f"throughput-{subject.name}-{name}-{number}"
            ways[name].blocks.append(run_campaign([*asked, *WAYS[name]], output))
    return list(ways.values())


def other_verdicts(fast: Iterable[Row], rebuilt: Iterable[Row]) -> list[str]:
    """The mutants that the two ways judge differently."""
    verdicts = {row["id"]: row["verdict"] for row in rebuilt}
    return [
        f"{row['id']}: {row['verdict']} -> {verdicts[row['id']]}"
        for row in fast
        if row["verdict"] != verdicts[row["id"]]
    ]


def measured(subject: Subject, mutants: list[str], inputs: int, options: dict[str, Any], folder: Path) -> dict:
    """The figures of one model with so many inputs, printed, too."""
    where = ["--device", options["device"]] if options["device"] else ["--target", options["target"]]
    arguments = [*subject.arguments(inputs), *where, *shlex.split(options["more"])]
    fast, rebuilt = side_by_side(subject, mutants, options["blocks"], arguments, folder / f"{inputs}")
    differ = other_verdicts(fast.rows, rebuilt.rows)
    ratios = rebuilt.times.phase / fast.times.phase, rebuilt.campaign / fast.campaign
    say(
        f"\n{subject.name}, {inputs} inputs",
        table(HEAD, [fast.figures("content"), rebuilt.figures("rebuild")]),
        f"  {ratios[0]:.1f}x in the mutants phase, {ratios[1]:.1f}x in the whole campaign",
        listed("verdicts, by content -> rebuilt", differ),
    )
    rows = [dict(zip(HEAD, way.figures(name), strict=True)) for way, name in ((fast, "content"), (rebuilt, "rebuild"))]
    ratio = {"phase_ratio": ratios[0], "campaign_ratio": ratios[1], "other_verdicts": differ}
    return {"model": subject.model, "inputs": inputs, **ratio, "ways": rows}


@click.command()
@click.argument("models", nargs=-1, required=True)
@click.option("--sample", default=100, show_default=True, help="Mutants of single sites a model.")
@click.option("--inputs-more", type=int, help="Once more, with so many inputs.")
@click.option("--blocks", default=4, show_default=True, help="Deal the mutants into so many blocks.")
@click.option("--rpc", is_flag=True, help="On a server of this machine, over TVM's RPC.")
@click.option("--emulated", is_flag=True, help="On aarch64 under qemu, over TVM's RPC.")
@campaign_options(inputs=10)
def main(
    models: tuple[str, ...], sample: int, inputs_more: int | None, rpc: bool, emulated: bool, **options: Any
) -> None:
    """Times the mutants of MODELS, evaluated by content and by rebuilding everything."""
    report = begin("throughput")
    report["measured"] = []
    options["target"] = TARGET if emulated else options["target"]
    options["device"] = board_device(options["target"]) if rpc or emulated else ""
    board = contextlib.closing(Board(emulated)) if options["device"] else contextlib.nullcontext()
    with workplace(options["keep"]) as folder, board:
        for subject in map(Subject.parse, models):
            asked = ["--sites", f"sample:{sample}", "--seed", str(options["seed"]), "--target", options["target"]]
            mutants = list_mutants(subject.model, *asked)
            for inputs in filter(None, (options["inputs"], inputs_more)):
                report["measured"].append(measured(subject, mutants, inputs, options, folder))
    end(report, options["json_file"])


if __name__ == "__main__":
    main()

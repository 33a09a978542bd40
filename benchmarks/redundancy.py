"""Which operators are worth running: subsumed and redundant ones, and the cheapest set that keeps the minimal mutants.

Run from the repository's root: `python benchmarks/redundancy.py RESULTS...`, with the output folders of campaigns of
single sites on classifiers, such as `tvm-mutate run zoo://alexnet --sample 300 --limit 50 --output RESULTS`. The more
mutants and inputs they have, the more the figures say. A set of operators costs all of its sites in these models.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click
from measuring.minimal_mutants import chosen_operators, killed_mutants, minimal_sets, redundancies
from measuring.output import begin, end, json_option, say, table

import tvm_mutate
from tvm_mutate.model import load_model

ROWS = ("operator", "killed", "minimal", "alone", "subsumed by", "of %")
CHOICE = ("operator", "minimal sets %", "sites %")


@click.command(help=__doc__)
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@json_option
def main(folders: tuple[Path, ...], json_file: str | None) -> None:
    report = begin("redundancy")
    mutants, sites, judged = [], Counter[str](), 0
    for results in map(tvm_mutate.read_results, folders):
        found = [row for row in results.mutants if not row.is_compiler_fault]
        judged += len(found)
        mutants += killed_mutants(results)
        everything = tvm_mutate.Specification(operators=tuple({row.operator for row in found}), sites="each")
        for model in results.models:
            for text in tvm_mutate.list_mutants(load_model(model.reference, shape=dict(model.shape)), everything):
                sites[text.partition("@")[0].partition("{")[0]] += 1
    rows = redundancies(mutants)
    chosen = chosen_operators(mutants, sites)
    minimal, killed = len(minimal_sets(mutants)), len(mutants)
    cells = [(row.operator, row.killed, row.minimal, row.alone, row.subsumed_by, percent(row.subsumed)) for row in rows]
    say(
        f"{judged} mutants in {len(folders)} campaigns, {killed} killed; {minimal} minimal kill sets",
        table(ROWS, cells),
        table(CHOICE, [(name, percent(kept), percent(cost)) for name, kept, cost in chosen]),
        f"without a minimal mutant: {', '.join(each.operator for each in rows if not each.minimal) or 'none'}",
    )
    end({**report, "mutants": judged, "chosen": chosen, "operators": [vars(each) for each in rows]}, json_file)


def percent(share: float) -> str:
    return f"{100 * share:.1f}"


if __name__ == "__main__":
    main()

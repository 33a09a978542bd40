"""Do tests that kill mutants find real bugs? Oracles, random inputs and the coupling effect, for each bug we can make.

Run from the repository's root: `python benchmarks/coupling.py --inputs 30`. The bugs are those of `tests/real_bugs`.
The question is that of R. Just et al., "Are mutants a valid substitute for real faults in software testing?", FSE 2014.
"""

from __future__ import annotations

import os
import random
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

os.environ["TVM_NUM_THREADS"] = "1"  # programs run in forked children
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import click
import numpy as np
from measuring.killing_inputs import Share, chance, coupled, killing_sets, share_among
from measuring.output import begin, end, json_option, say, table

from tests.real_bugs.programs import CATALOGUE, Program, module_of, program_of
from tests.real_bugs.real_bug import Made, RealBug, real_bugs
from tvm_mutate.device import Stage, mutant_headroom, run_isolated
from tvm_mutate.errors import MutateError
from tvm_mutate.mutant import Category, Mutant, Sites, Slot
from tvm_mutate.oracle import ORACLES, Oracle, check_oracles, is_noticed, parse_oracle
from tvm_mutate.passes import Selection
from tvm_mutate.samples import Sample, Samples

TESTS = ("tolerance", "bitwise")  # the oracles of the coupling effect
SECONDS = 2.0
ORDERS = 20
RUNNING = "running"

HEAD = ("bug", "own input: noticed by", "not by", "random: tolerance", "bitwise", "mutants", "killed", "bitwise",
        "same operator", "set", "kills the bug", "by chance", "bitwise")  # fmt: skip


@dataclass(frozen=True)
class Coupling:
    """How the tests with one oracle that kill mutants fare with the bug; a test is a random input.

    ``bug`` is the number of tests that kill the bug, of ``tests``. ``same_operator`` and ``any_operator`` are the tests
    that kill a mutant and the bug, of those that kill a mutant. ``set_size`` is the mean size of the greedy sets of
    tests that kill all ``killed`` mutants, and ``sets`` the sets that kill the bug; ``chance`` is the share of random
    sets of these sizes that do. ``coupled`` mutants are killed only by tests that kill the bug.
    """

    tests: int
    bug: int
    killed: int
    same_operator: Share
    any_operator: Share
    set_size: float
    sets: Share
    chance: float
    coupled: int


@dataclass(frozen=True)
class Figures:
    """What was measured for a bug.

    ``own_input`` says which oracles that can judge the outputs notice the bug on its own input, ``random_inputs`` on
    how many random inputs. ``mutants`` were run, and of these ``failed`` crashed, hung or raised an error. Not among
    them are those that ``again`` make the bug, in another slot, and those that were ``not_built``.
    """

    bug: str
    own_input: dict[str, bool]
    random_inputs: dict[str, int]
    mutants: int
    failed: int
    again: int
    not_built: int
    coupling: dict[str, Coupling]


@click.command()
@click.argument("bugs", nargs=-1)
@click.option("--inputs", default=30, show_default=True, help="Random inputs for each bug.")
@click.option(
    "--most", default=100, show_default=True, help="Mutants of other operators than the bug's, drawn by seed."
)
@click.option("--operators", default="*", show_default=True, help="Globs of operators, as `run` takes them.")
@click.option("--workers", default=1, show_default=True, help="Worker processes.")
@click.option("--seed", default=0, show_default=True, help="Seed of inputs, their orders, and mutants.")
@json_option
def main(bugs: tuple[str, ...], json_file: str | None, workers: int, **options: Any) -> None:
    """Measures what notices each bug of the corpus, and whether tests that kill mutants find it.

    BUGS are references such as apache/tvm#19512, by default all that a mutant makes. Random inputs have the shapes and
    dtypes of the bug's own input: normal numbers, integers from -128 to 127; integers that are indices stay the bug's
    own. Mutants are single sites of all operators, each in the variants of a campaign and in its first slot with sites:
    all of the bug's operator, and MOST others.
    """
    report = begin("coupling")
    chosen = [each for each in real_bugs() if each.made is not Made.NOT and (not bugs or each.reference in bugs)]
    with ProcessPoolExecutor(workers) as pool:
        found = []
        for figures in pool.map(partial(measure, **options), chosen):
            found.append(figures)
            end({**report, **options, "bugs": [asdict(each) for each in found]}, json_file)
            click.echo(f"  {figures.bug}: {figures.mutants} mutants", err=True)
    say(table(HEAD, map(row, found)), *totals(found))


def measure(bug: RealBug, inputs: int, most: int, operators: str, seed: int) -> Figures:
    """The figures of one bug."""
    program = program_of(bug)
    draw = np.random.default_rng([seed, *bug.reference.encode()])
    arguments = [bug.inputs, *(random_input(bug, draw) for _ in range(inputs))]
    golden, repeated, wrong = (outputs_of(program, each, arguments) for each in ("", "", bug.mutant))
    if not golden or not repeated or not wrong:
        raise click.ClickException(f"{bug.reference}: the program does not run, right or wrong; run its test")
    if kills(parse_oracle("bitwise"), golden, repeated).any():
        raise click.ClickException(f"{bug.reference}: the right program gives other bits when it runs again")
    noticed = {each.name: kills(each, golden, wrong) for each in oracles_for(golden)}
    own = CATALOGUE.parse(bug.mutant)
    same_operator, killed = [], []
    counts = Counter[str]()
    for mutant, is_own in drawn(list(mutants_of(program, operators.split(","), own)), own, most, seed):
        outputs = outputs_of(program, str(mutant), arguments)
        if outputs is None:
            counts["not_built"] += 1
        elif is_own and outputs and not kills(parse_oracle("bitwise"), wrong, outputs).any():
            counts["again"] += 1
        else:
            counts["failed"] += not outputs
            same_operator.append(is_own)
            killed.append([kills(parse_oracle(each), golden, outputs)[1:] for each in TESTS])
    by_test = np.array(killed, bool).reshape(len(killed), len(TESTS), inputs)
    return Figures(
        bug.reference,
        {name: bool(found[0]) for name, found in noticed.items()},
        {name: int(found[1:].sum()) for name, found in noticed.items()},
        len(killed),
        *(counts[each] for each in ("failed", "again", "not_built")),
        {
            name: coupling(noticed[name][1:], by_test[:, number], np.array(same_operator, bool), seed)
            for number, name in enumerate(TESTS)
        },
    )


def coupling(bug: np.ndarray, mutants: np.ndarray, same_operator: np.ndarray, seed: int) -> Coupling:
    """The coupling of a bug and mutants that the tests kill as these arrays say."""
    sets = killing_sets(mutants, ORDERS, seed)
    return Coupling(
        len(bug),
        int(bug.sum()),
        int(mutants.any(axis=1).sum()),
        share_among(bug, mutants[same_operator]),
        share_among(bug, mutants),
        float(np.mean([len(each) for each in sets])),
        Share(sum(bool(bug[each].any()) for each in sets), len(sets)),
        float(np.mean([chance(int(bug.sum()), len(bug), len(each)) for each in sets])),
        coupled(bug, mutants),
    )


def mutants_of(program: Program, operators: Sequence[str], own: Mutant) -> Iterator[Mutant]:
    """The single sites of the operators in the first slot where they have any, without the bug's own mutant."""
    variants = [
        [Selection.resolve(operator.mutation(variant, slot), CATALOGUE) for slot in operator.slots]
        for operator in CATALOGUE.select(operators)
        if operator.category is not Category.CANARY and Slot.PIPELINE not in operator.slots
        for variant in operator.variants
    ]
    selections = list(chain.from_iterable(variants))
    sites = dict(zip(map(id, selections), program.site_counts(selections), strict=True))
    for slots in variants:
        selection = next((each for each in slots if sites[id(each)]), slots[0])
        for function, count in sites[id(selection)].items():
            mutants = (Mutant((selection.mutation.at(function, Sites(site, site)),)) for site in range(count))
            yield from (each for each in mutants if each != own)


def drawn(mutants: Sequence[Mutant], own: Mutant, most: int, seed: int) -> Iterator[tuple[Mutant, bool]]:
    """All mutants of the operators of the bug's own one, and some of the others; with which of both they are."""
    operators = {each.operator for each in own.mutations}
    others = [each for each in mutants if each.mutations[0].operator not in operators]
    kept = {*mutants} - {*others}
    kept |= {*random.Random(f"{seed} {own}").sample(others, min(most, len(others)))}
    return ((each, each.mutations[0].operator in operators) for each in mutants if each in kept)


def outputs_of(program: Program, mutant: str, inputs: Sequence[Sequence[np.ndarray]]) -> list[Sample] | None:
    """The outputs for each input; none if the mutant crashes, hangs or raises, and None if it cannot be built."""

    def task(stage: Stage) -> list[Sample]:
        run = program.build(mutant)
        stage(RUNNING)
        return [run(each) for each in inputs]

    ending = run_isolated(task, SECONDS, mutant_headroom())
    return None if ending.stage != RUNNING else ending.value or []


def random_input(bug: RealBug, draw: np.random.Generator) -> list[np.ndarray]:
    """An input like the bug's own; integers that are indices of another buffer are the bug's own."""
    names = [each.name for each in module_of(bug.right)["main"].params]
    return [
        array if re.search(rf"\w\[{name}\[", bug.right) else random_like(array, draw)
        for name, array in zip(names, bug.inputs, strict=False)
    ]


def random_like(array: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Normal numbers, or integers from -128 to 127, of the shape and dtype of an array."""
    if np.issubdtype(array.dtype, np.integer):
        return draw.integers(-128, 128, array.shape).astype(array.dtype)
    return draw.standard_normal(array.shape).astype(array.dtype)


def oracles_for(golden: Sequence[Sample]) -> Iterator[Oracle]:
    """The oracles, with their default parameters, that can judge these outputs."""
    for name in ORACLES:
        oracle = parse_oracle(name)
        try:
            check_oracles([oracle], Samples.stack(golden))
        except MutateError:
            continue
        yield oracle


def kills(oracle: Oracle, golden: Sequence[Sample], outputs: Sequence[Sample]) -> np.ndarray:
    """On which inputs the oracle notices the outputs, bool ``[inputs]``; without outputs on all."""
    pairs = zip(golden, outputs or golden, strict=True)
    return np.array([not outputs or is_noticed(oracle, *pair) for pair in pairs], bool)


def row(figures: Figures) -> list[object]:
    """The row of a bug under HEAD."""
    tolerance, bitwise = (figures.coupling[name] for name in TESTS)
    missed = [name for name, is_noticed in figures.own_input.items() if not is_noticed]
    same = tolerance.same_operator
    return [
        figures.bug.removeprefix("apache/tvm"),
        f"{len(figures.own_input) - len(missed)} of {len(figures.own_input)}",
        ", ".join(missed) or None,
        tolerance.bug,
        bitwise.bug,
        figures.mutants,
        tolerance.killed,
        bitwise.killed,
        f"{same.count} of {same.total}" if same.total else None,
        tolerance.set_size,
        tolerance.sets.count / tolerance.sets.total,
        tolerance.chance,
        bitwise.sets.count / bitwise.sets.total,
    ]


def totals(found: Sequence[Figures]) -> Iterator[str]:
    """What holds for all bugs together, in lines; shares with 95 % Wilson intervals."""
    yield "  an oracle notices the bug on its own input; on random inputs"
    for name in ORACLES:
        judged = [each for each in found if name in each.own_input]
        own = Share(sum(each.own_input[name] for each in judged), len(judged))
        inputs = sum(next(iter(each.coupling.values())).tests for each in judged)
        yield f"    {name}: {own}; {Share(sum(each.random_inputs[name] for each in judged), inputs)}"
    yield "  mutants: " + ", ".join(
        f"{sum(getattr(each, name) for each in found)} {words}"
        for name, words in (("mutants", "run"), ("failed", "of them crashed, hung or raised an error"),
                            ("again", "the bug again"), ("not_built", "not built"))
    )  # fmt: skip
    mutants = sum(each.mutants for each in found)
    for name in TESTS:
        all_couplings = [each.coupling[name] for each in found]
        able = [each for each in all_couplings if each.bug]
        yield from (
            f"  {name}: mutants killed by any input: {Share(sum(each.killed for each in all_couplings), mutants)}",
            f"  {name}: bugs killed by any input: {Share(len(able), len(found))}",
            f"  {name}: inputs that kill the bug, of those that kill a mutant: "
            f"{pooled(each.any_operator for each in all_couplings)}",
            f"  {name}: the same, for a mutant of the same operator: "
            f"{pooled(each.same_operator for each in all_couplings)}",
            f"  {name}: greedy sets that kill the bug: {pooled(each.sets for each in all_couplings)}; "
            f"of bugs that any input kills: {pooled(each.sets for each in able)}; "
            f"by chance: {100 * np.mean([each.chance for each in all_couplings]):.1f} %",
            f"  {name}: bugs that every greedy set kills: "
            f"{Share(sum(each.sets.count == each.sets.total for each in all_couplings), len(found))}",
            f"  {name}: bugs with a mutant that is killed only by inputs that kill the bug: "
            f"{Share(sum(each.coupled > 0 for each in all_couplings), len(found))}",
        )


def pooled(shares: Iterable[Share]) -> Share:
    """Shares of several bugs as one."""
    counted = list(shares)
    return Share(sum(each.count for each in counted), sum(each.total for each in counted))


if __name__ == "__main__":
    main()

"""Proofs of equivalence on random kernels, with brute force over all iterations as the judge, and on a real model."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

import pytest
import tvm
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tvm.target import Target

from tests.passes.random_kernels import KernelWriter
from tests.passes.tir_interpreter import Interpreter
from tvm_mutate.model import load_model
from tvm_mutate.mutant import Mutant, Sites, Slot
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.passes import Selection, apply_mutations, count_all_sites, prove_equivalent
from tvm_mutate.pipeline import Stages

CATALOGUE = builtin_catalogue()
SWAPS = ["lt,to=le", "le,to=lt", "lt,to=gt", "lt,to=ne", "le,to=ge", "eq,to=le", "eq,to=ge", "ne,to=gt", "gt,to=ge"]
MUTATIONS = [f"tir.swap-compare{{from={swap}}}" for swap in SWAPS] + [
    f"tir.{moved}-threshold{{{by}}}"
    for moved, by in [("shift", "by=1.0"), ("shift", "by=-1.0"), ("scale", "factor=2.0"), ("percent", "percent=10.0")]
]


def selection(mutant: str) -> Selection:
    return Selection.resolve(Mutant.parse(mutant).mutations[0], CATALOGUE)


def memory() -> dict[str, dict[tuple[int, ...], int]]:
    return {"A": {(i,): (i * 7) % 5 - 1 for i in range(64)}, "B": {}}


def stores(function: tvm.tirx.PrimFunc) -> list:
    return Interpreter(function, memory()).stores


def random_mutants(function: tvm.tirx.PrimFunc, source: random.Random) -> list[list[Selection]]:
    """One mutant of each kind at one of its sites, or at all, and one of two mutations."""
    module, mutants = tvm.IRModule({"main": function}), []
    for name in MUTATIONS:
        everywhere = selection(f"{name}@main#*")
        count = count_all_sites(module, [everywhere])[0].get("main", 0)
        if count:
            site = source.randrange(count)
            sites = Sites() if source.random() < 0.2 else Sites(site, site)
            mutation = everywhere.mutation.at("main", sites)
            mutants.append([Selection(mutation, everywhere.operator, everywhere.parameters)])
    if len(mutants) > 1:
        mutants.append([*source.choice(mutants), *source.choice(mutants)])
    return mutants


class Judged(NamedTuple):
    """A mutant of a random kernel: whether it stores the same, the proof that it does, and what it is."""

    same: bool
    proof: str | None
    what: str


def judged(source: random.Random) -> Iterator[Judged]:
    """The mutants of one random kernel, each run over all iterations and tried to be proved."""
    script = KernelWriter(source).kernel()
    function = tvm.script.from_source(script)
    golden = stores(function)
    for mutant in random_mutants(function, source):
        mutated = apply_mutations(tvm.IRModule({"main": function}), mutant)[0]["main"]
        what = f"{script}\n{[str(each.mutation) for each in mutant]}"
        yield Judged(stores(mutated) == golden, prove_equivalent(function, "main", mutant), what)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32))
def test_nothing_is_proved_that_brute_force_refutes(seed: int):
    for mutant in judged(random.Random(seed)):
        assert mutant.same or mutant.proof is None, mutant


def test_a_large_share_of_the_mutants_with_equal_stores_is_proved():
    source = random.Random(7)
    mutants = [mutant for _ in range(40) for mutant in judged(source)]
    equal, proved = sum(mutant.same for mutant in mutants), sum(mutant.proof is not None for mutant in mutants)
    assert len(mutants) > equal + 50  # proofs could have gone wrong
    assert proved >= equal * 0.5, (len(mutants), equal, proved)


@pytest.mark.parametrize("slot", [Slot.KERNEL, Slot.LOWERED])
def test_padding_guards_of_a_real_model_are_proved_only_where_they_cannot_differ(slot: Slot):
    module = Stages(load_model("zoo://resnet").module, Target("llvm")).at(slot)
    outcomes: dict[str, list[bool]] = {}
    for after in ("le", "gt", "ne"):
        everywhere = selection(f"tir.swap-compare{{from=lt,to={after},slot={slot}}}@*#*")
        for name, count in count_all_sites(module, [everywhere])[0].items():
            for site in range(count):
                mutation = everywhere.mutation.at(name, Sites(site, site))
                mutant = Selection(mutation, everywhere.operator, everywhere.parameters)
                outcomes.setdefault(after, []).append(prove_equivalent(module[name], name, [mutant]) is not None)
    assert not any(outcomes["le"] + outcomes["gt"])
    # Where the padding is one wide, i < n is i != n.
    assert any(outcomes["ne"])

"""Switchable kernels: one build for many mutants, each of which is the one that a build of its own would be."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import tvm

from tvm_mutate.kernels import Kernel, build_batch, parse_target
from tvm_mutate.mutant import Mutation, Sites
from tvm_mutate.native import NO_SITE, activate_site, active_site, native_library, reach_count, reset_reach_counts
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.passes import Selection, Switchable, apply_mutations, count_sites, switchable

CATALOGUE = builtin_catalogue()
NETWORK = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((6, 5), "float32"), W: T.Buffer((5,), "float32"), B: T.Buffer((6,), "float32")):
    S = T.sblock_alloc_buffer((6,))
    for i, k in T.grid(6, 5):
        with T.sblock("sum"):
            vi, vk = T.axis.remap("SR", [i, k])
            with T.init():
                S[vi] = T.float32(0)
            S[vi] = S[vi] + T.if_then_else(1 <= vk, A[vi, vk], T.float32(0.5)) * W[vk]
    for i in range(6):
        with T.sblock("relu"):
            vi = T.axis.spatial(6, i)
            B[vi] = T.max(S[vi], T.float32(0.25))
"""
# Loops, blocks, stores, loads, conditions, constants: every kind of site, and those that cannot be guarded.
OPERATORS = ("tir.*",)


@pytest.fixture(scope="module", autouse=True)
def _runtime() -> None:
    if not native_library():
        pytest.skip(str(native_library().obstacle))


def function() -> tvm.tirx.PrimFunc:
    return tvm.script.from_source(NETWORK)


def single_sites(words: Sequence[str], keep: Callable[[Selection], bool] = lambda _: True) -> list[Selection]:
    module = tvm.IRModule({"main": function()})
    found = []
    for operator in CATALOGUE.select(words):
        for variant in operator.variants:
            mutation = operator.mutation(variant)
            whole = Selection.resolve(mutation, CATALOGUE)
            if str(whole.slot) == "kernel" and keep(whole):
                sites = count_sites(module, whole).get("main", 0)
                found += [resolved(mutation.at("main", Sites(site, site))) for site in range(sites)]
    return found


def resolved(mutation: Mutation) -> Selection:
    return Selection.resolve(mutation, CATALOGUE)


def built(primary: tvm.tirx.PrimFunc, target: str, folder: Path) -> Kernel:
    own = Path(tempfile.mkdtemp(dir=folder))  # a library that is loaded is not loaded again from the same path
    return build_batch({"main": primary}, parse_target(target), own)["main"]


def mutated(selection: Selection) -> tvm.tirx.PrimFunc:
    return apply_mutations(tvm.IRModule({"main": function()}), [selection])[0]["main"]


def result(kernel: Kernel, number: int = NO_SITE) -> bytes:
    data = np.random.default_rng(3).normal(size=(6, 5)).astype("float32")
    weights = np.random.default_rng(4).normal(size=5).astype("float32")
    out = tvm.runtime.tensor(np.full(6, 7, "float32"))
    activate_site(number)
    try:
        kernel.run(tvm.runtime.tensor(data), tvm.runtime.tensor(weights), out)
    finally:
        activate_site(NO_SITE)
    return out.numpy().tobytes()


@pytest.mark.parametrize("target", ["llvm", "c"])
def test_each_switched_mutant_has_the_bits_of_its_own_build_and_none_those_of_the_unmutated_one(tmp_path, target):
    selections = single_sites(OPERATORS)
    made = switchable(function(), "main", selections, values_only=True)
    kernel = built(made.function, target, tmp_path)
    plain = result(built(function(), target, tmp_path))
    assert result(kernel) == plain
    assert len(made.numbers) > 40
    assert sorted(made.numbers.values()) == list(range(1, len(made.numbers) + 1))
    checked = list(made.numbers)[::4]
    own = {position: mutated(selections[position]) for position in checked}
    separate = build_batch({f"m{at}": each for at, each in own.items()}, parse_target(target), tmp_path / "own")
    different = 0
    for position in checked:
        expected = result(separate[f"m{position}"])
        assert result(kernel, made.numbers[position]) == expected, selections[position].mutation
        different += expected != plain
    assert different > len(checked) // 2


def test_every_mutant_is_switched_or_told_why_not():
    selections = [*single_sites(OPERATORS), resolved(CATALOGUE.parse("tir.offset-store@main#*").mutations[0])]
    selections.append(resolved(CATALOGUE.parse("tir.offset-store@main#99").mutations[0]))
    selections.append(
        resolved(CATALOGUE.parse("graph.insert-transpose{argument=1,before=conv2d-matmul}@main#0").mutations[0])
    )
    made = switchable(function(), "main", selections)
    assert made.numbers.keys() | made.refused.keys() == set(range(len(selections)))
    assert not made.numbers.keys() & made.refused.keys()
    assert made.refused[len(selections) - 3].startswith("it is of several sites")
    assert made.refused[len(selections) - 2] == "it has no such site"
    assert made.refused[len(selections) - 1] == "it is no mutation of a kernel"


def test_the_bound_of_a_loop_and_a_site_that_other_mutants_access_otherwise_are_refused():
    selections = [
        resolved(CATALOGUE.parse(f"{text}@main#0").mutations[0])
        for text in ("tir.loop-extent", "tir.swap-load-indices", "tir.shift-store-index")
    ]
    made = switchable(function(), "main", selections, values_only=True)
    assert not made.numbers
    assert {reason.split(",")[0] for reason in made.refused.values()} <= {
        "it may access other elements",
        "it has no such site",
    }
    tvm.ir.assert_structural_equal(made.function, function())


def test_a_counting_kernel_tells_how_often_each_site_is_reached(tmp_path: Path):
    stores = single_sites(["tir.store-through"])
    made: Switchable = switchable(function(), "main", stores, counted=True, first=10)
    kernel = built(made.function, "llvm", tmp_path)
    reset_reach_counts()
    plain = result(kernel)
    assert plain == result(built(function(), "llvm", tmp_path))
    counts = [reach_count(made.numbers[position]) for position in range(len(stores))]
    assert sorted(set(counts)) == [6, 30], counts
    reset_reach_counts()
    assert reach_count(10) == 0


def test_the_runtime_refuses_numbers_that_no_site_has():
    for number in (-1, 1 << 20):
        with pytest.raises(ValueError, match="sites are numbered from 1 to 65536"):
            activate_site(number)
    assert active_site() == NO_SITE

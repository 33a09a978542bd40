"""Proofs of equivalence: what is proved, what must not be, and brute force over all iterations as the judge."""

from __future__ import annotations

import random

import pytest
import tvm
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_kernels import KernelWriter
from tir_interpreter import Interpreter
from tvm.ir import prim
from tvm.target import Target

from tvm_mutate.model import load_model
from tvm_mutate.mutant import Category, Example, Mutant, Operator, Slot, TirRule
from tvm_mutate.mutant.identifier import Sites
from tvm_mutate.operators import load_catalogue
from tvm_mutate.passes import Selection, apply_mutations, count_sites, prove_equivalent
from tvm_mutate.pipeline import Stages

CATALOGUE = load_catalogue()
HEAD = "@T.prim_func(s_tir=True)\ndef main(A: T.Buffer((64,), 'int32'), B: T.Buffer((64,), 'int32')"
SWAPS = ["lt,to=le", "le,to=lt", "lt,to=gt", "lt,to=ne", "le,to=ge", "eq,to=le", "eq,to=ge", "ne,to=gt", "gt,to=ge"]
MUTATIONS = [f"tir.swap-compare{{from={swap}}}" for swap in SWAPS] + [
    f"tir.{moved}-threshold{{{by}}}"
    for moved, by in [("shift", "by=1.0"), ("shift", "by=-1.0"), ("scale", "factor=2.0"), ("percent", "percent=10.0")]
]


def kernel(body: str, more: str = "") -> tvm.tirx.PrimFunc:
    lines = "\n".join(f"    {line}" for line in body.strip("\n").splitlines())
    return tvm.script.from_source(f"{HEAD}{more}):\n{lines}\n")


def selections(mutant: str) -> list[Selection]:
    return [Selection.resolve(mutation, CATALOGUE) for mutation in Mutant.parse(mutant).mutations]


def proof(function: tvm.tirx.PrimFunc, mutant: str) -> str | None:
    return prove_equivalent(function, "main", selections(mutant))


def swapped(before: str, after: str, site: int = 0) -> str:
    return f"tir.swap-compare{{from={before},to={after}}}@main#{site}"


PADDING = """
for i in range({}):
    B[i] = T.if_then_else(1 <= i and i < 8, A[i], 0)
"""


def test_a_padding_guard_that_decides_is_not_proved_and_one_that_cannot_is():
    assert proof(kernel(PADDING.format(9)), swapped("lt", "le")) is None
    assert proof(kernel(PADDING.format(10)), swapped("lt", "le")) is None
    assert proof(kernel(PADDING.format(8)), swapped("lt", "le")) == (
        "i <= 8 always equals i < 8 at site 0: proved by TVM's analyzer"
    )
    assert proof(kernel(PADDING.format(9)), swapped("lt", "ne")) is not None
    assert proof(kernel(PADDING.format(10)), swapped("lt", "ne")) is None


EQUIVALENT = {
    "the loop ends before the threshold": ("for i in range(8):\n    if i < 8:\n        B[i] = 1", "lt", "le"),
    "the guard around it decided already": (
        "for i in range(16):\n    if i < 6:\n        if i < 8:\n            B[i] = 1",
        "lt",
        "le",
        1,
    ),
    "the other branch was taken": (
        "for i in range(16):\n    if i < 6:\n        B[i] = 2\n    else:\n        if i <= 5:\n            B[i] = 1",
        "le",
        "lt",
    ),
    "the left-hand side of an and decided": (
        "for i in range(9):\n    B[i] = T.Select(i < 8 and i < 9, 1, 0)",
        "lt",
        "le",
        1,
    ),
    "the left-hand side of an or decided": (
        "for i in range(9):\n    B[i] = T.Select(i == 8 or i < 8, 1, 0)",
        "lt",
        "le",
    ),
    "a bound variable has too small a value": (
        "for i in range(9):\n    x: T.let[T.int32] = i * 2\n    B[i] = T.Select(x < 17, 1, 0)",
        "lt",
        "le",
    ),
    "a block iterator is bound to too small a value": (
        "for i, j in T.grid(4, 4):\n    with T.sblock('b'):\n        v = T.axis.spatial(16, i * 4 + j)\n"
        "        T.reads()\n        T.writes()\n        B[v] = T.Select(v < 16, 1, 0)",
        "lt",
        "le",
    ),
    "the predicate of the block excludes it": (
        "for i, j in T.grid(4, 4):\n    with T.sblock('b'):\n        v = T.axis.spatial(11, i * 4 + j)\n"
        "        T.where(i * 4 + j < 11)\n        T.reads()\n        T.writes()\n        B[v] = T.Select(v < 11, 1, 0)",
        "lt",
        "le",
        1,
    ),
    "the first iteration is the least": ("for i in range(9):\n    if i == 0:\n        B[i] = 1", "eq", "le"),
    "a symbolic extent is a threshold": ("for i in range(n):\n    if i < n:\n        B[i] = 1", "lt", "le"),
    "a thread has a range": (
        "for i in T.thread_binding(8, thread='threadIdx.x'):\n    if i < 8:\n        B[i] = 1",
        "lt",
        "le",
    ),
}
KILLABLE = {
    "a parameter may have any value": ("for i in range(8):\n    if n < 8:\n        B[i] = 1", "lt", "le"),
    "a loaded value may be any": ("for i in range(8):\n    if A[i] < 8:\n        B[i] = 1", "lt", "le"),
    "what was loaded may change before it is loaded again": (
        "for i in range(8):\n    if A[i] != 8:\n        A[i] = 8\n        if A[i] < 8:\n            B[i] = 1",
        "lt",
        "le",
    ),
    "the guard was an or": (
        "for i in range(9):\n    if i < 6 or n < 3:\n        if i < 8:\n            B[i] = 1",
        "lt",
        "le",
        2,
    ),
    "the guard ended": (
        "for i in range(9):\n    if i < 6:\n        B[i] = 2\n    if i < 8:\n        B[i] = 1",
        "lt",
        "le",
        1,
    ),
    "an assertion excludes it, which builds leave out": (
        "for i in range(9):\n    assert i < 8, ('ValueError', ['i'])\n    B[i] = T.Select(i < 8, 1, 0)",
        "lt",
        "le",
        1,
    ),
    "the assertion is in another branch": (
        "for i in range(9):\n    if n < 3:\n        assert i < 8, ('ValueError', ['i'])\n"
        "    B[i] = T.Select(i < 8, 1, 0)",
        "lt",
        "le",
        2,
    ),
    "the other loop was shorter": (
        "for i in range(8):\n    B[i] = 2\nfor i in range(9):\n    B[i] = T.Select(i < 8, 1, 0)",
        "lt",
        "le",
    ),
    "a block iterator exceeds the domain that it claims": (
        "for i in range(9):\n    with T.sblock('b'):\n        v = T.axis.spatial(8, i)\n"
        "        T.reads()\n        T.writes()\n        B[v] = T.Select(v < 8, 1, 0)",
        "lt",
        "le",
    ),
    "a block iterator is loaded": (
        "for i in range(8):\n    with T.sblock('b'):\n        v = T.axis.opaque(8, A[i])\n"
        "        T.reads()\n        T.writes()\n        B[v] = T.Select(v < 8, 1, 0)",
        "lt",
        "le",
    ),
    "the sum can overflow": ("for i in range(8):\n    if n < n + 1:\n        B[i] = 1", "lt", "ne"),
    "the wider sum can overflow": ("for i in range(8):\n    if m < m + T.int64(1):\n        B[i] = 1", "lt", "le"),
    "the product can overflow": (
        "for i in range(100000):\n    B[0] = T.Select(0 <= i * 100000, 1, 0)",
        "le",
        "ne",
    ),
    "unsigned numbers wrap around": ("for i in range(8):\n    if u - T.uint32(1) < u:\n        B[i] = 1", "lt", "le"),
    "it rounds towards zero": (
        "for i in range(-3, 4):\n    B[0] = T.Select(T.truncdiv(i, 4) < 0, 1, 0)",
        "lt",
        "ne",
    ),
}
SYMBOLS = ", n: T.int32, m: T.int64, u: T.uint32"


@pytest.mark.parametrize("case", EQUIVALENT)
def test_a_comparison_that_cannot_differ_is_proved_because(case: str):
    body, *swap = EQUIVALENT[case]
    assert proof(kernel(body, SYMBOLS), swapped(*swap))


@pytest.mark.parametrize("case", KILLABLE)
def test_a_comparison_is_not_proved_because(case: str):
    body, *swap = KILLABLE[case]
    function = kernel(body, SYMBOLS)
    applied = apply_mutations(tvm.IRModule({"main": function}), selections(swapped(*swap)))[1]
    assert any(each.changed for each in applied)
    assert proof(function, swapped(*swap)) is None


NESTED = "for i in range(9):\n    if i {} 8:\n        if i {} 8:\n            B[i] = 1"


def test_no_selected_site_is_taken_for_granted_in_the_proof_of_another():
    both, guarded = kernel(NESTED.format("<", "<=")), kernel(NESTED.format("<", "<"))
    assert proof(both, swapped("le", "lt"))
    assert proof(both, f"{swapped('le', 'lt')}+{swapped('lt', 'le')}") is None
    assert proof(guarded, swapped("lt", "le", 1))
    assert proof(guarded, "tir.swap-compare{from=lt,to=le}@main#*") is None
    assert proof(guarded, "tir.swap-compare{from=lt,to=ne}@main#*").endswith("at 1 more: proved by TVM's analyzer")


def test_two_mutations_of_one_comparison_are_proved_as_what_they_come_to():
    body = kernel("for i in range(9):\n    if i < 9:\n        B[i] = 1")
    assert proof(body, f"{swapped('lt', 'ne')}+tir.shift-threshold{{by=1.0}}@main#0")
    assert proof(body, f"{swapped('lt', 'ne')}+tir.shift-threshold{{by=-1.0}}@main#0") is None


FLOATS = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8,), "float32"), B: T.Buffer((8,), "float32")):
    for i in range(8):
        B[i] = T.max(A[i], T.float32(0)) * T.if_then_else(A[i] < A[i], T.float32(1), T.float32(2))
"""


@pytest.mark.parametrize(
    "mutant",
    [
        "tir.swap-compare{from=lt,to=gt}@main#*",
        "tir.swap-compare{from=gt,to=ge}@main#*",
        "tir.loop-extent@main#*",
        "tir.scale-store@main#*",
        "tir.shift-store-index@main#*",
        "canary.negate-output@main#*",
        "graph.convert-layout@main#*",
        "tir.swap-compare{from=ne,to=gt}@main#*",
        "tir.swap-compare{from=lt,to=le}@other#*",
    ],
)
def test_floats_statements_and_mutations_of_something_else_have_no_proof(mutant: str):
    assert proof(tvm.script.from_source(FLOATS), mutant) is None


def operator(rewrite, *node_types) -> Selection:
    made = Operator(
        "test.any", (Slot.KERNEL,), Category.CONDITIONAL, "", TirRule(node_types, rewrite), (Example("", ""),)
    )
    return Selection(made.mutation(), made, {})


def test_a_replacement_that_evaluates_more_than_the_original_is_not_proved():
    body = kernel("for i in range(9):\n    B[i] = T.Select(i < A[i], 1, 0)\n    B[i] = T.Select(i < 8, 1, 0)")
    load = body.body.body.seq[0].value.condition.b

    def adding(node, _parameters):
        return (
            prim.LT(prim.Add(node.a, prim.Mul(prim.IntImm("int32", 0), load)), node.b)
            if isinstance(node.b, prim.IntImm)
            else None
        )

    def adding_a_division(node, _parameters):
        return prim.LT(prim.Add(node.a, prim.FloorDiv(prim.IntImm("int32", 0), node.a)), node.b)

    def wrapping_around(node, _parameters):
        return prim.LT(
            prim.Sub(prim.Add(node.a, prim.IntImm("int32", 2**31 - 1)), prim.IntImm("int32", 2**31 - 1)), node.b
        )

    for rewrite in (adding, adding_a_division, wrapping_around):
        assert prove_equivalent(body, "main", [operator(rewrite, prim.LT)]) is None


def test_index_arithmetic_is_proved_too():
    body = kernel("for i in range(8):\n    B[(i * 4 + 3) // 4] = 1")
    dropped = operator(lambda node, _: node.a if isinstance(node.b, prim.IntImm) else None, prim.Add)
    assert prove_equivalent(body, "main", [dropped]) is None  # i * 4 and i * 4 + 3 differ, whatever is made of them
    divided = operator(lambda node, _: node.a.a.a, prim.FloorDiv)
    assert prove_equivalent(body, "main", [divided])


def test_a_min_of_integers_is_proved_to_be_what_is_chosen_instead():
    body = kernel("for i in range(8):\n    B[i] = T.min(i * 2 + 1, 15)")
    assert proof(body, "tir.shift-threshold{by=-1.0}@main#0")
    assert proof(body, "tir.shift-threshold{by=-2.0}@main#0") is None
    assert proof(body, swapped("lt", "ne"))
    assert proof(body, swapped("lt", "gt")) is None


def memory() -> dict[str, dict[tuple[int, ...], int]]:
    return {"A": {(i,): (i * 7) % 5 - 1 for i in range(64)}, "B": {}}


def stores(function: tvm.tirx.PrimFunc) -> list:
    return Interpreter(function, memory()).stores


def random_mutants(function: tvm.tirx.PrimFunc, source: random.Random) -> list[list[Selection]]:
    """One mutant of each kind at one of its sites, or at all, and one of two mutations."""
    module, mutants = tvm.IRModule({"main": function}), []
    for name in MUTATIONS:
        [everywhere] = selections(f"{name}@main#*")
        count = count_sites(module, everywhere).get("main", 0)
        if count:
            site = source.randrange(count)
            sites = Sites() if source.random() < 0.2 else Sites(site, site)
            mutation = everywhere.mutation.at("main", sites)
            mutants.append([Selection(mutation, everywhere.operator, everywhere.parameters)])
    if len(mutants) > 1:
        mutants.append([*source.choice(mutants), *source.choice(mutants)])
    return mutants


def survey(source: random.Random) -> tuple[int, int, int]:
    """How many mutants of a random kernel there are, store the same, and are proved; every proof is checked."""
    script = KernelWriter(source).kernel()
    function = tvm.script.from_source(script)
    golden, equal, proved = stores(function), 0, 0
    mutants = random_mutants(function, source)
    for mutant in mutants:
        mutated = apply_mutations(tvm.IRModule({"main": function}), mutant)[0]["main"]
        same = stores(mutated) == golden
        found = prove_equivalent(function, "main", mutant)
        assert same or found is None, f"{found}\n{script}\n{[str(each.mutation) for each in mutant]}"
        equal += same
        proved += found is not None
    return len(mutants), equal, proved


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32))
def test_nothing_is_proved_that_brute_force_refutes(seed: int):
    survey(random.Random(seed))


def test_a_good_share_of_the_mutants_that_store_the_same_is_proved():
    source = random.Random(7)
    counts = [survey(source) for _ in range(80)]
    mutants, equal, proved = (sum(column) for column in zip(*counts, strict=True))
    assert mutants > equal + 100  # proofs could have gone wrong
    assert proved >= equal * 0.5, (mutants, equal, proved)


@pytest.mark.parametrize("slot", [Slot.KERNEL, Slot.LOWERED])
def test_padding_guards_of_a_real_model_are_proved_only_where_they_cannot_differ(slot: Slot):
    module = Stages(load_model("zoo://resnet").module, Target("llvm")).at(slot)
    outcomes: dict[str, list[bool]] = {}
    for after in ("le", "gt", "ne"):
        [everywhere] = selections(f"tir.swap-compare{{from=lt,to={after},slot={slot}}}@*#*")
        for name, count in count_sites(module, everywhere).items():
            for site in range(count):
                mutation = everywhere.mutation.at(name, Sites(site, site))
                mutant = Selection(mutation, everywhere.operator, everywhere.parameters)
                outcomes.setdefault(after, []).append(prove_equivalent(module[name], name, [mutant]) is not None)
    assert not any(outcomes["le"] + outcomes["gt"])
    # Where the padding is one wide, i < n is i != n.
    assert any(outcomes["ne"])

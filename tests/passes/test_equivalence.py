"""Proofs of equivalence of conditions, index arithmetic and choices, and mutations that must not be proved."""

from __future__ import annotations

import pytest
import tvm
from tvm.ir import prim

from tvm_mutate.mutant import Category, Example, Mutant, Operator, Slot, TirRule
from tvm_mutate.operators import load_catalogue
from tvm_mutate.passes import Selection, apply_mutations, prove_equivalent

CATALOGUE = load_catalogue()
HEAD = "@T.prim_func(s_tir=True)\ndef main(A: T.Buffer((64,), 'int32'), B: T.Buffer((64,), 'int32')"


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


def test_the_proof_of_one_site_does_not_assume_another_selected_site():
    both, guarded = kernel(NESTED.format("<", "<=")), kernel(NESTED.format("<", "<"))
    assert proof(both, swapped("le", "lt"))
    assert proof(both, f"{swapped('le', 'lt')}+{swapped('lt', 'le')}") is None
    assert proof(guarded, swapped("lt", "le", 1))
    assert proof(guarded, "tir.swap-compare{from=lt,to=le}@main#*") is None
    assert proof(guarded, "tir.swap-compare{from=lt,to=ne}@main#*").endswith("at 1 more: proved by TVM's analyzer")


def test_two_mutations_of_one_comparison_are_proved_together():
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
def test_floats_statements_and_mutations_of_other_functions_have_no_proof(mutant: str):
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


def test_a_min_of_integers_is_proved_equal_to_its_replacement():
    body = kernel("for i in range(8):\n    B[i] = T.min(i * 2 + 1, 15)")
    assert proof(body, "tir.shift-threshold{by=-1.0}@main#0")
    assert proof(body, "tir.shift-threshold{by=-2.0}@main#0") is None
    assert proof(body, swapped("lt", "ne"))
    assert proof(body, swapped("lt", "gt")) is None

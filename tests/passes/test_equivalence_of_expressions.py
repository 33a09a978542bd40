"""Proofs of equivalence of more than conditions: index arithmetic, choices, and what has no proof at all."""

from __future__ import annotations

import pytest
import tvm
from kernels_to_prove import kernel, proof, swapped
from tvm.ir import prim

from tvm_mutate.mutant import Category, Example, Operator, Slot, TirRule
from tvm_mutate.passes import Selection, prove_equivalent

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

"""Conditional Statement Operations: connectives of conditions exchanged or left out."""

from __future__ import annotations

from typing import Any

from tvm.ir import prim

from tvm_mutate.mutant import Category, Example, Operator, Parameter, Parameters, Slot, TirRule

_SLOTS = (Slot.KERNEL, Slot.LOWERED, Slot.CODEGEN)
_CONNECTIVES = {"and": (prim.And, prim.Or), "or": (prim.Or, prim.And)}


def _swap(node: Any, parameters: Parameters) -> Any | None:
    before, after = _CONNECTIVES[str(parameters["from"])]
    return after(node.a, node.b) if isinstance(node, before) else None


def _drop(node: Any, parameters: Parameters) -> Any:
    return node.b if parameters["operand"] == "left" else node.a


_PADDING = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((20,), "float32")):
    for i in range(20):
        B[i] = T.if_then_else({}, A[i - 2], T.float32(0))
"""
_IF = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for i in range(16):
        if {}:
            B[i] = A[i]
"""

SWAP_LOGIC = Operator(
    name="tir.swap-logic",
    fault="a condition that is negated or merged without exchanging its connectives (incorrect code logic, Shen "
    "et al. 2021; TVM's src/arith/canonical_simplify.cc)",
    slots=_SLOTS,
    category=Category.CONDITIONAL,
    description="replaces a logical and by an or, or the reverse; of a guard against accesses outside of a "
    "buffer that is and, little is left",
    rule=TirRule((prim.And, prim.Or), _swap),
    parameters=(Parameter("from", "the connective that is replaced", "and", choices=tuple(_CONNECTIVES)),),
    variants=({"from": "and"},),
    more_variants=({"from": "or"},),
    examples=(
        Example(_PADDING.format("2 <= i and i < 18"), _PADDING.format("2 <= i or i < 18")),
        Example(_IF.format("i < 3 or A[i] < A[0]"), _IF.format("i < 3 and A[i] < A[0]"), {"from": "or"}),
    ),
    undefined_behaviour=True,
    by_default=False,
)

DROP_OPERAND = Operator(
    name="tir.drop-operand",
    fault="a part of a condition that is simplified away as always true, though it is not (incorrect code logic, "
    "Shen et al. 2021; TVM's StmtSimplify)",
    slots=_SLOTS,
    category=Category.CONDITIONAL,
    description="leaves out the left-hand or right-hand operand of a logical and or or; a guard against accesses "
    "outside of a buffer lets some of them through",
    rule=TirRule((prim.And, prim.Or), _drop),
    parameters=(Parameter("operand", "the operand that is left out", "right", choices=("left", "right")),),
    variants=({"operand": "left"}, {"operand": "right"}),
    examples=(
        Example(_PADDING.format("2 <= i and i < 18"), _PADDING.format("2 <= i")),
        Example(_IF.format("i < 3 or A[i] < A[0]"), _IF.format("A[i] < A[0]"), {"operand": "left"}),
    ),
    undefined_behaviour=True,
    by_default=False,
)

OPERATORS = (SWAP_LOGIC, DROP_OPERAND)

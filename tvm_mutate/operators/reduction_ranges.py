"""Loop Structure: reductions that leave out the last or the first value of one of their iterators."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.ir import prim
from tvm.s_tir import SBlock

from tvm_mutate.mutant import Category, Example, Operator, Parameter, Parameters, Slot, TirRule
from tvm_mutate.operators.tir_nodes import (
    REDUCTION,
    accumulated,
    block_with,
    constant_like,
    iterator_extent,
    literal,
    storing,
)


def _iterator(block: Any, parameters: Parameters) -> Any | None:
    """The first or the last reduction iterator with more than one value; one that is alone is the first."""
    iterators = [
        each
        for each in block.iter_vars
        if each.iter_type == REDUCTION and iterator_extent(each) > 1 and literal(each.dom.min) == 0
    ]
    if parameters["iterator"] == "first":
        return iterators[0] if iterators else None
    return iterators[-1] if len(iterators) > 1 else None


def _shorten(block: Any, parameters: Parameters) -> Any | None:
    iterator = _iterator(block, parameters)
    if iterator is None:
        return None
    return _only_where(prim.LT(iterator.var, constant_like(iterator.var, iterator_extent(iterator) - 1)), block)


def _start_late(block: Any, parameters: Parameters) -> Any | None:
    iterator = _iterator(block, parameters)
    return None if iterator is None else _only_where(prim.GE(iterator.var, constant_like(iterator.var, 1)), block)


def _only_where(condition: Any, block: Any) -> Any:
    """The block that updates only under a condition, and initialises as before.

    Where the block initialises, it takes what it starts from, which changes nothing, as the term that is left out:
    TVM lowers reductions over threads only from an update without an ``if`` around it.
    """
    store, start = block.body, block.init
    term = accumulated(store, (prim.Add, prim.Mul, prim.Max, prim.Min)) if _is_store(store) else None
    if term is None or not _is_store(start) or literal(start.value) is None:
        return block_with(block, body=tirx.IfThenElse(condition, store, None))
    operands = [
        tirx.if_then_else(condition, term, start.value) if each.same_as(term) else each
        for each in (store.value.a, store.value.b)
    ]
    return block_with(block, body=storing(store, type(store.value)(*operands)))


def _is_store(statement: Any) -> bool:
    return isinstance(statement, tirx.BufferStore)


def _window(term: str) -> str:
    return f"""
@T.prim_func(s_tir=True)
def main(A: T.Buffer((18, 4), "float32"), B: T.Buffer((16,), "float32")):
    for i, c, k in T.grid(16, 4, 3):
        with T.sblock("window"):
            vi, vc, vk = T.axis.remap("SRR", [i, c, k])
            T.reads(A[vi + vk, vc])
            T.writes(B[vi])
            with T.init():
                B[vi] = T.float32(0)
            B[vi] = B[vi] + {term}
"""


def _scheduled(condition: str) -> str:
    """A reduction whose initialisation a schedule has moved to a block of its own."""
    script = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16, 8), "float32"), B: T.Buffer((16,), "float32")):
    for i in range(16):
        with T.sblock("sum_init"):
            vi = T.axis.spatial(16, i)
            B[vi] = T.float32(0)
        for k in range(8):
            with T.sblock("sum_update"):
                vi, vk = T.axis.remap("SR", [i, k])
                T.reads(B[vi], A[vi, vk])
                T.writes(B[vi])
                {}B[vi] = B[vi] + A[vi, vk]
"""
    return script.format(condition and f"if {condition}:\n                    ")


_TERM = "A[vi + vk, vc]"
_PARAMETER = Parameter("iterator", "which of several reduction iterators it is", "first", choices=("first", "last"))
_VARIANTS = ({"iterator": "first"}, {"iterator": "last"})

REDUCTION_EXTENT = Operator(
    name="tir.reduction-extent",
    fault="a tail that is lost when a reduction is split or vectorised, as by LoopPartition (incorrect loop bounds, "
    "Shen et al. 2021)",
    slots=(Slot.KERNEL,),
    category=Category.LOOPS,
    description="leaves the last value of a reduction's iterator out",
    rule=TirRule((SBlock,), _shorten),
    parameters=(_PARAMETER,),
    variants=_VARIANTS,
    examples=(
        Example(_window(_TERM), _window(f"T.if_then_else(vc < 3, {_TERM}, T.float32(0))")),
        Example(_window(_TERM), _window(f"T.if_then_else(vk < 2, {_TERM}, T.float32(0))"), {"iterator": "last"}),
        Example(_scheduled(""), _scheduled("vk < 7")),
    ),
)

REDUCTION_START = Operator(
    name="tir.reduction-start",
    fault="a reduction that starts one late, as where the iteration that initialises is peeled off (incorrect loop "
    "bounds, Shen et al. 2021)",
    slots=(Slot.KERNEL,),
    category=Category.LOOPS,
    description="leaves the first value of a reduction's iterator out; the reduction is initialised as before",
    rule=TirRule((SBlock,), _start_late),
    parameters=(_PARAMETER,),
    variants=_VARIANTS,
    examples=(
        Example(_window(_TERM), _window(f"T.if_then_else(vc >= 1, {_TERM}, T.float32(0))")),
        Example(_window(_TERM), _window(f"T.if_then_else(vk >= 1, {_TERM}, T.float32(0))"), {"iterator": "last"}),
        Example(_scheduled(""), _scheduled("vk >= 1")),
    ),
)

OPERATORS = (REDUCTION_EXTENT, REDUCTION_START)

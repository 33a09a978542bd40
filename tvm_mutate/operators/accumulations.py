"""Memory & Initialisation: reductions that start from a wrong value or none, and that accumulate wrongly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import prim
from tvm.s_tir import SBlock

from tvm_mutate.mutant import Category, Example, Operator, Parameter, Parameters, Slot, TirRule, Value
from tvm_mutate.operators.tir_nodes import (
    accumulated,
    another_constant,
    block_with,
    element_type,
    literal,
    nothing,
    storing,
)

_SLOTS = (Slot.KERNEL, Slot.LOWERED)
_DECOMPOSED = "_init"  # how TVM's decompose_reduction ends the name of the block that initialises
_VALUES = {"zero": 0, "one": 1, "minus-one": -1, "lowest": None, "highest": None}


def _initialisation(block: Any) -> Any | None:
    """The store of a constant that a reduction starts from, in its own block or in one of a schedule's."""
    store = block.init
    if store is None and str(block.name_hint).endswith(_DECOMPOSED):
        store = block.body
    return store if isinstance(store, tirx.BufferStore) and literal(store.value) is not None else None


def _drop_initialisation(block: Any, _parameters: Parameters) -> Any | None:
    if _initialisation(block) is None:
        return None
    return block_with(block, body=nothing()) if block.init is None else block_with(block, init=None)


def _initial_value(block: Any, parameters: Parameters) -> Any | None:
    store = _initialisation(block)
    if store is None:
        return None
    changed = storing(store, another_constant(store.value, _number(str(parameters["to"]), store)))
    if changed is None:
        return None
    return block_with(block, body=changed) if block.init is None else block_with(block, init=changed)


def _number(name: str, store: Any) -> int | float:
    number = _VALUES[name]
    if number is not None:
        return number
    dtype = element_type(store.value)
    limit = tirx.min_value(str(dtype)) if name == "lowest" else tirx.max_value(str(dtype))
    return int(limit.value) if dtype.is_integer else float(limit.value)


def _drop_accumulation(store: Any, _parameters: Parameters) -> Any | None:
    return storing(store, accumulated(store, (prim.Add, prim.Mul, prim.Max, prim.Min)))


def _subtract(store: Any, _parameters: Parameters) -> Any | None:
    added = accumulated(store, (prim.Add,))
    if added is None:
        return None
    held = store.value.a if added.same_as(store.value.b) else store.value.b
    return storing(store, prim.Sub(held, added))


def _narrow(store: Any, parameters: Parameters) -> Any | None:
    if accumulated(store, (prim.Add,)) is None or element_type(store.value) != "float32":
        return None
    wide = store.value.ty.dtype
    if parameters["type"] == "bfloat16":
        return storing(store, _rounded_to_bfloat16(store.value, wide))
    narrow = str(tvm_ffi.dtype("float16").with_lanes(wide.lanes))
    total = prim.Add(prim.Cast(narrow, store.value.a), prim.Cast(narrow, store.value.b))
    return storing(store, prim.Cast(str(wide), total))


def _rounded_to_bfloat16(value: Any, wide: Any) -> Any:
    """The nearest value of 16 bits, in integers: BF16ComputeLegalize would take conversions out again."""
    unsigned = tvm_ffi.dtype("uint32").with_lanes(wide.lanes)
    bits = tirx.reinterpret(str(unsigned), value)
    half, odd, upper = (prim.const(number, unsigned) for number in (0x7FFF, 1, 0xFFFF0000))
    rounded = (bits + half + ((bits >> prim.const(16, unsigned)) & odd)) & upper
    return tirx.reinterpret(str(wide), rounded)


def _sum(init: str, update: str = "B[vi] + A[vi, vk]") -> str:
    script = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16, 8), "float32"), B: T.Buffer((16,), "float32")):
    for i, k in T.grid(16, 8):
        with T.sblock("sum"):
            vi, vk = T.axis.remap("SR", [i, k])
            T.reads(A[vi, vk])
            T.writes(B[vi])
            {}
            B[vi] = {}
"""
    return script.format(f"with T.init():\n                B[vi] = {init}" if init else "", update)


def _scheduled(init: str) -> str:
    """A reduction whose initialisation a schedule has moved to a block of its own."""
    script = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16, 8), "float32"), B: T.Buffer((16,), "float32")):
    for i in range(16):
        with T.sblock("max_init"):
            vi = T.axis.spatial(16, i)
            T.reads()
            T.writes(B[vi])
            {}
        for k in range(8):
            with T.sblock("max_update"):
                vi, vk = T.axis.remap("SR", [i, k])
                T.reads(B[vi], A[vi, vk])
                T.writes(B[vi])
                B[vi] = T.max(B[vi], A[vi, vk])
"""
    return script.format(init)


def _loop(before: str, after: str, parameters: Mapping[str, Value] | None = None) -> Example:
    script = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((1,), "float32")):
    for k in range(16):
        B[0] = {}
"""
    return Example(script.format(before), script.format(after), parameters or {})


_ZERO = "T.float32(0)"

DROP_INITIALISATION = Operator(
    name="tir.drop-initialisation",
    fault="an accumulator that is never initialised, as where LowerInitBlock or a decomposed reduction goes wrong "
    "(incorrect code logic, Shen et al. 2021)",
    slots=(Slot.KERNEL,),
    category=Category.MEMORY,
    description="leaves out the initialisation of a reduction, which then starts from what is in memory",
    rule=TirRule((SBlock,), _drop_initialisation),
    examples=(
        Example(_sum(_ZERO), _sum("")),
        Example(_scheduled("B[vi] = T.float32(-1)"), _scheduled("T.evaluate(0)")),
    ),
    undefined_behaviour=True,
    by_default=False,
)

INITIAL_VALUE = Operator(
    name="tir.initial-value",
    fault="a reduction that starts from the identity of another one, such as max pooling from 0 (incorrect code "
    "logic, Shen et al. 2021)",
    slots=(Slot.KERNEL,),
    category=Category.MEMORY,
    description="starts a reduction from another value",
    rule=TirRule((SBlock,), _initial_value),
    parameters=(Parameter("to", "the value that it starts from", "one", choices=tuple(_VALUES)),),
    variants=({"to": "one"}, {"to": "zero"}),
    more_variants=({"to": "minus-one"}, {"to": "lowest"}, {"to": "highest"}),
    examples=(
        Example(_sum(_ZERO), _sum("T.float32(1)")),
        Example(
            _scheduled("B[vi] = T.float32(-3.4028234663852886e+38)"), _scheduled(f"B[vi] = {_ZERO}"), {"to": "zero"}
        ),
    ),
)

DROP_ACCUMULATION = Operator(
    name="tir.drop-accumulation",
    fault="a reduction that keeps only its last term, as where a pass takes its iterations to be independent "
    "(incorrect code logic, Shen et al. 2021)",
    slots=_SLOTS,
    category=Category.MEMORY,
    description="stores a term of a reduction instead of adding it to, or taking its maximum with, what is there",
    rule=TirRule((tirx.BufferStore,), _drop_accumulation),
    examples=(
        Example(_sum(_ZERO), _sum(_ZERO, "A[vi, vk]")),
        _loop("T.max(B[0], A[k])", "A[k]"),
    ),
)

SUBTRACT_ACCUMULATION = Operator(
    name="tir.subtract-accumulation",
    fault="a term with the wrong sign, as by a wrong rewriting of a multiply-add (incorrect code logic, "
    "Shen et al. 2021)",
    slots=_SLOTS,
    category=Category.MEMORY,
    description="takes a term away from a sum instead of adding it",
    rule=TirRule((tirx.BufferStore,), _subtract),
    examples=(
        Example(_sum(_ZERO), _sum(_ZERO, "B[vi] - A[vi, vk]")),
        _loop("A[k] + B[0]", "B[0] - A[k]"),
    ),
)

NARROW_ACCUMULATOR = Operator(
    name="tir.narrow-accumulator",
    fault="an accumulator in the type of its operands instead of a wider one, as by ToMixedPrecision (type problems, "
    "Shen et al. 2021)",
    slots=_SLOTS,
    category=Category.MEMORY,
    description="adds up a float32 sum in a narrower floating-point type",
    rule=TirRule((tirx.BufferStore,), _narrow),
    parameters=(Parameter("type", "the type of the sum", "float16", choices=("float16", "bfloat16")),),
    variants=({"type": "float16"}, {"type": "bfloat16"}),
    examples=(
        _loop("B[0] + A[k]", 'T.Cast("float32", T.Cast("float16", B[0]) + T.Cast("float16", A[k]))'),
        _loop(
            "B[0] + A[k]",
            'T.reinterpret("float32", T.bitwise_and(T.reinterpret("uint32", B[0] + A[k]) + T.uint32(32767) + '
            'T.bitwise_and(T.shift_right(T.reinterpret("uint32", B[0] + A[k]), T.uint32(16)), T.uint32(1)), '
            "T.uint32(4294901760)))",
            {"type": "bfloat16"},
        ),
    ),
)

OPERATORS = (DROP_INITIALISATION, INITIAL_VALUE, DROP_ACCUMULATION, SUBTRACT_ACCUMULATION, NARROW_ACCUMULATOR)

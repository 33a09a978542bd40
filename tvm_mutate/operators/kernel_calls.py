"""Kernel Calls: arguments of a kernel that are exchanged or stale, and kernels that do not run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import tvm_ffi
from tvm import relax

from tvm_mutate.mutant import Category, Example, GraphRule, Operator, Parameters, Slot
from tvm_mutate.operators.parameters import choice
from tvm_mutate.operators.relax_calls import (
    bound_values,
    first_pair_of_one_type,
    is_call,
    same_type,
    static_shape,
    swapped,
    with_argument,
)

_CALL = "relax.call_tir"


def _values(function: relax.Function) -> list[Any]:
    """The parameters of the function, then the results of its kernels, in the order in which they are made."""
    results = [variable for variable, value in bound_values(function).items() if is_call(value, _CALL)]
    return [*function.params, *results]


def _arguments(call: Any) -> list[Any]:
    return list(call.args[1].fields) if isinstance(call.args[1], relax.Tuple) else []


def _swap_arguments(call: Any, _parameters: Parameters) -> Any:
    arguments = _arguments(call)
    pair = first_pair_of_one_type(arguments)
    return with_argument(call, 1, relax.Tuple(swapped(arguments, *pair))) if pair else None


def _stale(call: Any, parameters: Parameters, values: Sequence[Any]) -> Any:
    arguments = _arguments(call)
    positions = {value: number for number, value in enumerate(values)}
    made = [at for at, each in enumerate(arguments) if isinstance(each, relax.Var) and each in positions]
    if not made:
        return None
    if parameters["of"] == "result":
        latest = max(positions[arguments[at]] for at in made)
        result = call.ty_args[0]
        earlier = reversed(values[: latest + 1])
        return next((each for each in earlier if tvm_ffi.structural_equal(each.ty, result)), None)
    at = max(made, key=lambda each: positions[arguments[each]])
    earlier = values[: positions[arguments[at]]]
    stale = next((each for each in reversed(earlier) if same_type(each, arguments[at])), None)
    return None if stale is None else _with(call, arguments, at, stale)


def _unset_input(call: Any, _parameters: Parameters, values: Sequence[Any]) -> Any:
    arguments = _arguments(call)
    for at, each in enumerate(arguments):
        shape = static_shape(each) if isinstance(each, relax.Var) and each in values else None
        if shape is not None:
            return _with(call, arguments, at, relax.const(np.zeros(shape, str(each.ty.dtype))))
    return None


def _with(call: Any, arguments: list[Any], at: int, value: Any) -> Any:
    return with_argument(call, 1, relax.Tuple([*arguments[:at], value, *arguments[at + 1 :]]))


def _parameters_of(function: relax.Function) -> list[Any]:
    return list(function.params)


# Two kernels, for programs whose calls are mutated.
TWO_KERNELS = """
@I.ir_module
class Module:
    @T.prim_func(s_tir=True)
    def double(A: T.Buffer((4,), "float32"), B: T.Buffer((4,), "float32")):
        for i in range(4):
            with T.sblock("double"):
                vi = T.axis.spatial(4, i)
                B[vi] = A[vi] * T.float32(2)

    @T.prim_func(s_tir=True)
    def minus(A: T.Buffer((4,), "float32"), B: T.Buffer((4,), "float32"), C: T.Buffer((4,), "float32")):
        for i in range(4):
            with T.sblock("minus"):
                vi = T.axis.spatial(4, i)
                C[vi] = A[vi] - B[vi]
"""


def _example(before: str, after: str, sites: str = "*", **parameters: Any) -> Example:
    """Calls of two kernels: ``before`` and ``after`` are the argument of the first and the arguments of the second."""

    def script(calls: str) -> str:
        first, second = calls.split(" / ")
        return f"""{TWO_KERNELS}
    @R.function
    def main(x: R.Tensor((4,), "float32"), y: R.Tensor((4,), "float32")) -> R.Tensor((4,), "float32"):
        cls = Module
        with R.dataflow():
            lv = {first}
            gv = {second}
            R.output(gv)
        return gv
"""

    return Example(script(before), script(after), parameters, sites)


_DOUBLE = 'R.call_tir(cls.double, ({},), R.Tensor((4,), "float32"))'
_MINUS = 'R.call_tir(cls.minus, ({}), R.Tensor((4,), "float32"))'
_BOTH = f"{_DOUBLE} / {_MINUS}"
_operator = partial(Operator, slots=(Slot.CALL,), category=Category.GRAPH_STRUCTURE)

OPERATORS = (
    _operator(
        name="call.swap-arguments",
        fault="arguments that are bound or synchronised in the wrong order (apache/tvm#16988: auxiliary data of a "
        "key-value cache)",
        description="exchanges the first two arguments of a kernel that have the same type",
        rule=GraphRule((_CALL,), _swap_arguments),
        examples=(_example(_BOTH.format("x", "lv, y"), _BOTH.format("x", "y, lv")),),
    ),
    _operator(
        name="call.stale-value",
        fault="a kernel that runs before its argument is ready, on another stream or in another order, and reads what "
        "the buffer held before",
        description="gives a kernel the value that was made before its latest argument, or drops the kernel so that "
        "its result is an earlier value; both of the same type",
        rule=GraphRule((_CALL,), _stale, _values),
        **choice("of", "whether the argument or the result is stale", "argument result"),
        examples=(
            _example(_BOTH.format("x", "lv, y"), _BOTH.format("x", "y, y"), of="argument"),
            _example(_BOTH.format("x", "lv, y"), f"{_DOUBLE} / lv".format("x"), "1", of="result"),
        ),
    ),
    _operator(
        name="call.unset-input",
        fault="an input that is copied before it is set (apache/tvm#15291: arguments without a copy are not seen)",
        description="gives a kernel zeros in place of the first of its arguments that is an input of the model",
        rule=GraphRule((_CALL,), _unset_input, _parameters_of),
        examples=(
            _example(_BOTH.format("x", "lv, lv"), _BOTH.format("R.const([0.0, 0.0, 0.0, 0.0], 'float32')", "lv, lv")),
        ),
    ),
)

"""The canaries: mutants whose verdict is known in advance. Every other verdict depends on their verdicts."""

from __future__ import annotations

from typing import Any

import tvm
import tvm_ffi
from tvm import relax, tirx
from tvm.ir.prim import Div, FloorDiv, FloorMod, IntImm, Mod, Sub
from tvm.s_tir import SBlockRealize

from tvm_mutate.mutant import Category, Example, FunctionRule, Operator, Parameters, Slot, TirRule
from tvm_mutate.operators.relax_calls import is_float_tensor, with_function

_SPATIAL = 0


def _negated(value: Any, kind: Any) -> Any:
    """The value with all its float tensors negated; the same object if there are none."""
    if is_float_tensor(kind):
        return relax.op.negative(value)
    if not isinstance(kind, relax.TupleType):
        return value
    inline = isinstance(value, relax.Tuple)
    fields = [value.fields[i] if inline else relax.TupleGetItem(value, i) for i in range(len(kind.fields))]
    negated = [_negated(field, kind.fields[i]) for i, field in enumerate(fields)]
    return value if all(new is old for new, old in zip(negated, fields, strict=True)) else relax.Tuple(negated)


def _negate_output(module: tvm.IRModule, name: str, _parameters: Parameters) -> tvm.IRModule | None:
    function = module[name]
    if not function.attrs or "global_symbol" not in function.attrs:
        return None  # the result of a subroutine is no output of the model
    result = function.body.body
    negated = _negated(result, result.ty)
    if negated is result:
        return None
    output = relax.Var("negated", result.ty)
    body = relax.SeqExpr(_appended(function.body.blocks, relax.VarBinding(output, negated)), output)
    mutated = relax.Function(function.params, body, function.ret_ty, function.is_pure, function.attrs, function.span)
    return relax.transform.Normalize()(with_function(module, name, mutated))


def _appended(blocks: Any, binding: Any) -> list[Any]:
    """The blocks with one more binding at the end, inside the last dataflow block if there is one."""
    if blocks and not isinstance(blocks[-1], relax.DataflowBlock):
        return [*blocks, relax.BindingBlock([binding])]
    bindings = blocks[-1].bindings if blocks else []
    return [*blocks[:-1], relax.DataflowBlock([*bindings, binding])]


def _reverse_loop(realize: SBlockRealize, _parameters: Parameters) -> Any:
    values = list(realize.iter_values)
    plain = all(isinstance(value, (tirx.Var, IntImm)) for value in values)
    if not plain or not (isinstance(realize.predicate, IntImm) and int(realize.predicate) == 1):
        return None
    if _divides(realize.block):
        return None
    for index, variable in enumerate(realize.block.iter_vars):
        if _is_reversible(variable, values[index]):
            values[index] = Sub(IntImm(values[index].ty, int(variable.dom.extent) - 1), values[index])
            return SBlockRealize(values, realize.predicate, realize.block)
    return None


def _divides(block: Any) -> bool:
    """Whether a block divides, for example in the indices of a grouped convolution.

    TVM 0.27 compiles a division of a reversed index into code that reads uninitialised memory.
    """
    found: list[Any] = []
    tvm_ffi.structural_walk(block, [((FloorDiv, FloorMod, Div, Mod), found.append)])
    return bool(found)


def _is_reversible(variable: Any, value: Any) -> bool:
    low, extent = variable.dom.min, variable.dom.extent
    if variable.iter_type != _SPATIAL or not isinstance(value, tirx.Var):
        return False
    return isinstance(low, IntImm) and isinstance(extent, IntImm) and int(low) == 0 and int(extent) > 1


def _with_no_op(store: tirx.BufferStore, _parameters: Parameters) -> Any:
    # TVM removes an Evaluate of 0 wherever it joins statements.
    return tirx.SeqStmt([tirx.Evaluate(IntImm("int32", 1)), store])


OPERATORS = (
    Operator(
        name="canary.negate-output",
        slots=(Slot.GRAPH,),
        category=Category.CANARY,
        description="negates every floating-point output of the model: must be killed",
        rule=FunctionRule(_negate_output),
        examples=(
            Example(
                before="""
@I.ir_module
class Module:
    @R.function
    def main(x: R.Tensor((2, 3), "float32")) -> R.Tensor((2, 3), "float32"):
        with R.dataflow():
            gv: R.Tensor((2, 3), "float32") = R.exp(x)
            R.output(gv)
        return gv
""",
                after="""
@I.ir_module
class Module:
    @R.function
    def main(x: R.Tensor((2, 3), "float32")) -> R.Tensor((2, 3), "float32"):
        with R.dataflow():
            gv: R.Tensor((2, 3), "float32") = R.exp(x)
            gv1: R.Tensor((2, 3), "float32") = R.negative(gv)
            R.output(gv, gv1)
        return gv1
""",
            ),
        ),
    ),
    Operator(
        name="canary.reverse-loop",
        slots=(Slot.KERNEL,),
        category=Category.CANARY,
        description="runs the first spatial loop of a block backwards: other code, the same values, must survive",
        rule=TirRule((SBlockRealize,), _reverse_loop),
        examples=(
            Example(
                before="""
@T.prim_func(s_tir=True)
def main(A: T.Buffer((1, 16), "float32"), B: T.Buffer((1, 16), "float32")):
    for i, j in T.grid(1, 16):
        with T.sblock("double"):
            v_i, v_j = T.axis.remap("SS", [i, j])
            B[v_i, v_j] = A[v_i, v_j] * T.float32(2)
""",
                after="""
@T.prim_func(s_tir=True)
def main(A: T.Buffer((1, 16), "float32"), B: T.Buffer((1, 16), "float32")):
    for i, j in T.grid(1, 16):
        with T.sblock("double"):
            v_i = T.axis.spatial(1, i)
            v_j = T.axis.spatial(16, 15 - j)
            B[v_i, v_j] = A[v_i, v_j] * T.float32(2)
""",
            ),
        ),
    ),
    Operator(
        name="canary.no-op",
        slots=(Slot.LOWERED,),
        category=Category.CANARY,
        description="puts a statement without effect before a store: must survive in every kernel",
        rule=TirRule((tirx.BufferStore,), _with_no_op),
        examples=(
            Example(
                before="""
@T.prim_func
def main(A: T.Buffer((16,), "float32")):
    for i in range(16):
        A[i] = T.float32(1)
""",
                after="""
@T.prim_func
def main(A: T.Buffer((16,), "float32")):
    for i in range(16):
        T.evaluate(1)
        A[i] = T.float32(1)
""",
            ),
        ),
    ),
)

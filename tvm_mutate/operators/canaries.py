"""The canaries: mutants whose verdict is known in advance. Every other verdict depends on their verdicts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import tvm
from tvm import relax, tirx
from tvm.ir.prim import Div, FloorDiv, FloorMod, IntImm, Mod, Sub
from tvm.s_tir import SBlockRealize

from tvm_mutate.mutant import Category, Example, FunctionRule, Operator, Parameters, Slot, TirRule
from tvm_mutate.operators.examples import kernel_examples
from tvm_mutate.operators.relax_calls import is_float_tensor, with_function
from tvm_mutate.operators.tir_nodes import SPATIAL, is_thread, literal, mentions, node_with, nodes_within, substituted


def _negated(value: Any, kind: Any, negate: Callable[[Any, Any], Any]) -> Any:
    """The value with all its tensors negated; the same object if ``negate`` gives None for all of them."""
    if not isinstance(kind, relax.TupleType):
        negated = negate(value, kind) if isinstance(kind, relax.TensorType) else None
        return value if negated is None else negated
    inline = isinstance(value, relax.Tuple)
    fields = [value.fields[i] if inline else relax.TupleGetItem(value, i) for i in range(len(kind.fields))]
    negated = [_negated(field, kind.fields[i], negate) for i, field in enumerate(fields)]
    return value if all(new is old for new, old in zip(negated, fields, strict=True)) else relax.Tuple(negated)


def _negated_float(value: Any, kind: Any) -> Any:
    return relax.op.negative(value) if is_float_tensor(kind) else None


def _negated_whole(value: Any, kind: Any) -> Any:
    """Every bit of an integer inverted, which changes every integer, or the opposite of a boolean."""
    return relax.op.logical_not(value) if str(kind.dtype) == "bool" else relax.op.bitwise_not(value)


def _negate_output(module: tvm.IRModule, name: str, _parameters: Parameters) -> tvm.IRModule | None:
    function = module[name]
    if not function.attrs or "global_symbol" not in function.attrs:
        return None  # the result of a subroutine is no output of the model
    result = function.body.body
    negated = _negated(result, result.ty, _negated_float)
    if negated is result:  # integers stay as they are beside floats: they may be indices in a later call
        negated = _negated(result, result.ty, _negated_whole)
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


def _reverse_loop(node: SBlockRealize | tirx.For, _parameters: Parameters) -> Any:
    return _with_reversed_grid(node) if isinstance(node, tirx.For) else _with_reversed_loop(node)


def _with_reversed_grid(loop: tirx.For) -> Any:
    """The loop over the thread blocks of a GPU, which are independent, in reverse order."""
    is_grid = is_thread(loop) and str(loop.thread_binding.thread_tag).startswith("blockIdx.")
    extent = literal(loop.extent)
    if not is_grid or extent is None or extent < 2 or not _is_order_free(loop):
        return None
    reversed_index = Sub(IntImm(loop.extent.ty, int(extent) - 1), loop.loop_var)
    return node_with(loop, body=substituted(loop.body, {loop.loop_var: reversed_index}))


def _is_order_free(grid: tirx.For) -> bool:
    """Whether TVM compiles a reversed grid correctly, and no block inside reverses the same loop back.

    TVM 0.27 does not recognise a reduction across threads (LowerCrossThreadReduction) when a spatial index of its block
    is reversed: it generates code without the reduction, which reads memory that was never written.
    """
    indices = [loop.loop_var for loop in nodes_within(grid.body, tirx.For) if is_thread(loop)]
    for block in nodes_within(grid.body, SBlockRealize):
        for variable, value in zip(block.block.iter_vars, block.iter_values, strict=True):
            across_threads = variable.iter_type != SPATIAL and any(mentions(value, index) for index in indices)
            if across_threads or value.same_as(grid.loop_var):
                return False
    return True


def _with_reversed_loop(realize: SBlockRealize) -> Any:
    values = list(realize.iter_values)
    plain = all(isinstance(value, (tirx.Var, IntImm)) for value in values) and literal(realize.predicate) == 1
    if not plain or _divides(realize.block) or not _is_global(realize.block):
        return None
    for index, variable in enumerate(realize.block.iter_vars):
        if _is_reversible(variable, values[index]):
            values[index] = Sub(_last_index(variable.dom.extent, values[index].ty), values[index])
            return SBlockRealize(values, realize.predicate, realize.block)
    return None


def _last_index(extent: Any, kind: Any) -> Any:
    known = literal(extent)
    return Sub(extent, IntImm(kind, 1)) if known is None else IntImm(kind, int(known) - 1)


def _divides(block: Any) -> bool:
    """Whether a block divides, for example in the indices of a grouped convolution.

    TVM 0.27 compiles a division of a reversed index into code that reads uninitialised memory.
    """
    return bool(nodes_within(block, FloorDiv, FloorMod, Div, Mod))


def _is_global(block: Any) -> bool:
    """Whether all threads share the buffers of a block; a reversed thread would use the registers of another."""
    return all(region.source.scope() == "global" for region in (*block.reads, *block.writes))


def _is_reversible(variable: Any, value: Any) -> bool:
    is_spatial_loop = variable.iter_type == SPATIAL and isinstance(value, tirx.Var)
    extent = variable.dom.extent
    known = literal(extent)
    is_long = known > 1 if known is not None else extent.ty == value.ty  # a symbolic extent may be 1
    return is_spatial_loop and literal(variable.dom.min) == 0 and is_long


def _with_no_op(store: tirx.BufferStore, _parameters: Parameters) -> Any:
    # TVM removes an Evaluate of 0 wherever it joins statements.
    return tirx.SeqStmt([tirx.Evaluate(IntImm("int32", 1)), store])


_MODULE = """
@I.ir_module
class Module:
    @R.function
    def main(x: R.Tensor((2, 3), "float32")) -> R.Tensor((2, 3), "{}"):
        with R.dataflow():
            gv = R.{}(x)
            {}
"""
_GRID = """
    A: (64,), B: (64,)
    for x in T.thread_binding(4, thread="blockIdx.x"):
        for t in T.thread_binding(16, thread="threadIdx.x"):
            with T.sblock("double"):
                ...
                B[v_i] = A[v_i] * T.float32(2)
"""
_LOOP = """
    A: (16, 16), B: (16, 16)
    for i, j in T.grid(1, 16):
        with T.sblock("double"):
            ...
            B[v_i, v_j] = A[v_i, v_j] * T.float32(2)
"""
_operator = partial(Operator, category=Category.CANARY)

OPERATORS = (
    _operator(
        name="canary.negate-output",
        slots=(Slot.GRAPH,),
        description="negates every floating-point output of the model, or every output without such: must be killed",
        rule=FunctionRule(_negate_output),
        examples=tuple(
            Example(
                _MODULE.format(dtype, call, "R.output(gv)\n        return gv"),
                _MODULE.format(dtype, call, f"gv1 = R.{other}(gv)\n            R.output(gv, gv1)\n        return gv1"),
            )
            for dtype, call, other in (("float32", "exp", "negative"), ("bool", "isnan", "logical_not"))
        ),
    ),
    _operator(
        name="canary.reverse-loop",
        slots=(Slot.KERNEL,),
        description="runs a spatial loop backwards, on a GPU the grid: other code, the same values, must survive",
        rule=TirRule((SBlockRealize, tirx.For), _reverse_loop),
        examples=kernel_examples(
            """
            loop
            v_i, v_j = T.axis.remap("SS", [i, j])
            v_i = T.axis.spatial(1, i); v_j = T.axis.spatial(16, 15 - j)
            grid
            v_i = T.axis.spatial(64, x * 16 + t)
            v_i = T.axis.spatial(64, (3 - x) * 16 + t)
            """,
            {"loop": _LOOP, "grid": _GRID},
        ),
    ),
    _operator(
        name="canary.no-op",
        slots=(Slot.LOWERED,),
        description="puts a statement without effect before a store: must survive in every kernel",
        rule=TirRule((tirx.BufferStore,), _with_no_op),
        examples=kernel_examples("""
            map
            B[i] = A[i]
            T.evaluate(1); B[i] = A[i]
        """),
    ),
)

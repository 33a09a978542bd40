"""Compiler Passes: a pass of the compiler's pipelines is skipped, repeated, exchanged, or run with other options."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import tvm
from tvm import relax, s_tir, tirx

from tvm_mutate.mutant import Category, Operator, Parameter, Parameters, PipelineRule, Slot
from tvm_mutate.operators.examples import pass_examples

_Passes = Sequence[Any]
_PASS = Parameter("pass", "the pass's name, as pass instruments see it")


def _rule(change: Callable[[_Passes, Parameters], _Passes | None], each_pass: bool = True) -> PipelineRule:
    """The rule that changes the list of passes at the pass that the parameter ``pass`` names."""

    def rewrite(passes: _Passes, parameters: Parameters) -> _Passes | None:
        return change(passes, parameters) if passes[0].info.name == parameters["pass"] else None

    return PipelineRule(rewrite, each_pass)


def _swap(passes: _Passes, _parameters: Parameters) -> _Passes | None:
    return [passes[1], passes[0], *passes[2:]] if len(passes) > 1 else None


def _change_option(passes: _Passes, parameters: Parameters) -> _Passes | None:
    name, to = str(parameters["pass"]), str(parameters["to"])
    change = _OPTIONS.get((name, to))
    if change is None:
        return None
    changed = _configured(passes[0], change) if isinstance(change, Mapping) else change()
    # The name tells instruments the changed pass from the original one.
    renamed = tvm.transform.module_pass(lambda module, _context: changed(module), opt_level=0, name=f"{name}({to})")
    return [renamed, *passes[1:]]


def _configured(each: Any, config: Mapping[str, Any]) -> Any:
    """The pass under another configuration of the pass context."""

    def run(module: tvm.IRModule, context: tvm.transform.PassContext) -> tvm.IRModule:
        with tvm.transform.PassContext(opt_level=context.opt_level, config={**context.config, **config}):
            return each(module)

    return tvm.transform.module_pass(run, opt_level=0)


# By the names of a pass and an option: the configuration of the pass context, or the constructor of another pass.
_OPTIONS: dict[tuple[str, str], Mapping[str, Any] | Callable[[], Any]] = {
    ("LegalizeOps", "skip-relu"): partial(relax.transform.LegalizeOps, skip_ops=["relax.nn.relu"]),
    ("FuseOps", "level-0"): partial(relax.transform.FuseOps, fuse_opt_level=0),
    ("FuseOps", "level-1"): partial(relax.transform.FuseOps, fuse_opt_level=1),
    ("FuseOps", "depth-2"): {"relax.FuseOps.max_depth": 2},
    ("DeadCodeElimination", "entry-none"): partial(relax.transform.DeadCodeElimination, ["no_such_function"]),
    ("s_tir.CompactBufferAllocation", "lenient"): partial(s_tir.transform.CompactBufferAllocation, is_strict=False),
    ("tirx.NarrowDataType", "16-bit"): partial(tirx.transform.NarrowDataType, 16),
    ("tirx.NarrowDataType", "8-bit"): partial(tirx.transform.NarrowDataType, 8),
    ("tirx.NarrowDataType", "64-bit"): partial(tirx.transform.NarrowDataType, 64),
    ("tirx.VectorizeLoop", "off"): partial(tirx.transform.VectorizeLoop, False),
    ("tirx.VectorizeLoop", "predicated"): {"tirx.enable_buffer_level_predication": True},
    ("tirx.UnrollLoop", "auto-16"): {"tirx.UnrollLoop": {"auto_max_step": 16}},
    ("tirx.UnrollLoop", "auto-512"): {"tirx.UnrollLoop": {"auto_max_step": 512}},
    ("tirx.UnrollLoop", "only-marked"): {"tirx.UnrollLoop": {"auto_max_step": 64, "explicit_unroll": False}},
    ("s_tir.LoopPartition", "constant-loops"): {"s_tir.LoopPartition": {"partition_const_loop": True}},
    ("s_tir.HoistIfThenElse", "block-scope"): {"s_tir.HoistIfThenElse": {"support_block_scope_hoisting": True}},
    ("tirx.StmtSimplify", "transitive"): {"tirx.StmtSimplify": {"transitively_prove_inequalities": True}},
    ("tirx.StmtSimplify", "conjunctive"): {"tirx.StmtSimplify": {"convert_boolean_to_and_of_ors": True}},
    ("tirx.StmtSimplify", "constrained"): {"tirx.StmtSimplify": {"apply_constraints_to_boolean_branches": True}},
    ("tirx.RemoveNoOp", "no-steps"): {"tirx.RemoveNoOp": {"max_simplification_steps": 1}},
    ("tirx.LowerIntrin", "fast-math"): {"tirx.enable_fast_math": True},
    ("s_tir.MergeSharedMemoryAllocations", "static"): {"tirx.merge_static_smem": True},
}


_operator = partial(
    Operator, slots=(Slot.PIPELINE,), category=Category.COMPILER_PASSES, by_default=False, parameters=(_PASS,)
)

OPERATORS = (
    _operator(
        name="pipeline.skip-pass",
        description="removes a pass from the compiler's pipeline",
        fault="a pass that is missing from a pipeline or switched off: incorrect code logic and misconfiguration in "
        "the loading, transformation and optimisation of models (Shen et al., ESEC/FSE 2021, bugs of TVM, Glow, "
        "nGraph)",
        rule=_rule(lambda passes, _parameters: passes[1:]),
        variants=(),
        examples=pass_examples("""
            passes | pass=tirx.VectorizeLoop
            tirx.FlattenBuffer tirx.VectorizeLoop tirx.UnrollLoop
            tirx.FlattenBuffer tirx.UnrollLoop
            passes | pass=A sites=1
            A B A A
            A B A
            passes | pass=A
            A B A A
            B
        """),
    ),
    _operator(
        name="pipeline.repeat-pass",
        description="runs a pass of the compiler's pipeline twice in a row",
        fault="a pipeline that contains a pass twice although the pass is not idempotent (Tzer, OOPSLA 2022, finds "
        "such bugs of TVM by mutating sequences of passes together with the IR)",
        rule=_rule(lambda passes, _parameters: [passes[0], *passes]),
        variants=(),
        examples=pass_examples("""
            passes | pass=tirx.VectorizeLoop
            tirx.FlattenBuffer tirx.VectorizeLoop tirx.UnrollLoop
            tirx.FlattenBuffer tirx.VectorizeLoop tirx.VectorizeLoop tirx.UnrollLoop
            passes | pass=A
            A B A
            A A B A A
        """),
    ),
    _operator(
        name="pipeline.swap-passes",
        description="exchanges a pass of the compiler's pipeline with the next pass",
        fault="passes in an order for which they were not written (Tzer, OOPSLA 2022: bugs of TVM that only some "
        "orders of passes reveal)",
        rule=_rule(_swap),
        variants=(),
        examples=pass_examples("""
            passes | pass=tirx.FlattenBuffer
            tirx.FlattenBuffer tirx.VectorizeLoop tirx.UnrollLoop
            tirx.VectorizeLoop tirx.FlattenBuffer tirx.UnrollLoop
            passes | pass=A
            A B A C A
            B A C A A
        """),
    ),
    _operator(
        name="pipeline.wrong-option",
        description="runs a pass of the compiler's pipeline with another option, or under another configuration",
        fault="a pass whose options do not fit the code, such as NarrowDataType with too few bits for an index "
        "(misconfiguration in Shen et al., ESEC/FSE 2021)",
        rule=_rule(_change_option, each_pass=False),
        parameters=(
            _PASS,
            Parameter("to", "the option or configuration", choices=tuple(dict.fromkeys(to for _, to in _OPTIONS))),
        ),
        variants=tuple({"pass": name, "to": to} for name, to in _OPTIONS),
        examples=pass_examples("""
            passes | pass=tirx.NarrowDataType to=16-bit
            tirx.NarrowDataType tirx.VectorizeLoop
            tirx.NarrowDataType(16-bit) tirx.VectorizeLoop
        """),
    ),
)

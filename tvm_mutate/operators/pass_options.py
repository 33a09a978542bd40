"""The operator that runs a pass of the compiler with other options than its pipeline gives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tvm
from tvm import relax, s_tir, tirx

from tvm_mutate.mutant import Category, Example, Operator, Parameter, Parameters, PipelineRule, Slot
from tvm_mutate.operators.pass_order import PASS, is_at

# What a pass of the pipeline becomes; it is made only where it is needed.
_Change = Callable[[Any], Any]


def _made(make: Callable[[], Any]) -> _Change:
    """Another instance of the pass takes its place."""
    return lambda _each: make()


def _configured(config: Mapping[str, Any]) -> _Change:
    """The pass runs under another configuration of the pass context."""

    def change(each: Any) -> Any:
        def run(module: tvm.IRModule, context: tvm.transform.PassContext) -> tvm.IRModule:
            with tvm.transform.PassContext(opt_level=context.opt_level, config={**context.config, **config}):
                return each(module)

        return tvm.transform.module_pass(run, opt_level=0)

    return change


_CHANGES: dict[tuple[str, str], _Change] = {
    ("LegalizeOps", "skip-relu"): _made(lambda: relax.transform.LegalizeOps(skip_ops=["relax.nn.relu"])),
    ("FuseOps", "level-0"): _made(lambda: relax.transform.FuseOps(fuse_opt_level=0)),
    ("FuseOps", "level-1"): _made(lambda: relax.transform.FuseOps(fuse_opt_level=1)),
    ("FuseOps", "depth-2"): _configured({"relax.FuseOps.max_depth": 2}),
    ("DeadCodeElimination", "entry-none"): _made(lambda: relax.transform.DeadCodeElimination(["no_such_function"])),
    ("s_tir.CompactBufferAllocation", "lenient"): _made(
        lambda: s_tir.transform.CompactBufferAllocation(is_strict=False)
    ),
    ("tirx.NarrowDataType", "16-bit"): _made(lambda: tirx.transform.NarrowDataType(16)),
    ("tirx.NarrowDataType", "8-bit"): _made(lambda: tirx.transform.NarrowDataType(8)),
    ("tirx.NarrowDataType", "64-bit"): _made(lambda: tirx.transform.NarrowDataType(64)),
    ("tirx.VectorizeLoop", "off"): _made(lambda: tirx.transform.VectorizeLoop(False)),
    ("tirx.VectorizeLoop", "predicated"): _configured({"tirx.enable_buffer_level_predication": True}),
    ("tirx.UnrollLoop", "auto-16"): _configured({"tirx.UnrollLoop": {"auto_max_step": 16}}),
    ("tirx.UnrollLoop", "auto-512"): _configured({"tirx.UnrollLoop": {"auto_max_step": 512}}),
    ("tirx.UnrollLoop", "only-marked"): _configured(
        {"tirx.UnrollLoop": {"auto_max_step": 64, "explicit_unroll": False}}
    ),
    ("s_tir.LoopPartition", "constant-loops"): _configured({"s_tir.LoopPartition": {"partition_const_loop": True}}),
    ("s_tir.HoistIfThenElse", "block-scope"): _configured(
        {"s_tir.HoistIfThenElse": {"support_block_scope_hoisting": True}}
    ),
    ("tirx.StmtSimplify", "transitive"): _configured({"tirx.StmtSimplify": {"transitively_prove_inequalities": True}}),
    ("tirx.StmtSimplify", "conjunctive"): _configured({"tirx.StmtSimplify": {"convert_boolean_to_and_of_ors": True}}),
    ("tirx.StmtSimplify", "constrained"): _configured(
        {"tirx.StmtSimplify": {"apply_constraints_to_boolean_branches": True}}
    ),
    ("tirx.RemoveNoOp", "no-steps"): _configured({"tirx.RemoveNoOp": {"max_simplification_steps": 1}}),
    ("tirx.LowerIntrin", "fast-math"): _configured({"tirx.enable_fast_math": True}),
    ("s_tir.MergeSharedMemoryAllocations", "static"): _configured({"tirx.merge_static_smem": True}),
}


def _change_option(passes: Sequence[Any], parameters: Parameters) -> Sequence[Any] | None:
    change = _CHANGES.get((str(parameters["pass"]), str(parameters["to"])))
    if change is None or not is_at(passes, parameters):
        return None
    return [_named(change(passes[0]), f"{parameters['pass']}({parameters['to']})"), *passes[1:]]


def _named(each: Any, name: str) -> Any:
    """The pass under a name by which instruments can tell it from the one whose place it takes."""
    return tvm.transform.module_pass(lambda module, _context: each(module), opt_level=0, name=name)


WRONG_OPTION = Operator(
    name="pipeline.wrong-option",
    slots=(Slot.PIPELINE,),
    category=Category.COMPILER_PASSES,
    description="runs a pass of the compiler's pipeline with another option, or under another configuration",
    rule=PipelineRule(_change_option),
    parameters=(
        PASS,
        Parameter("to", "the option or configuration", choices=tuple(dict.fromkeys(to for _, to in _CHANGES))),
    ),
    variants=tuple({"pass": name, "to": to} for name, to in _CHANGES),
    fault="a pass that is given options for other code than it gets, as NarrowDataType whose bits do not hold every "
    "index (misconfiguration in Shen et al., ESEC/FSE 2021)",
    examples=(
        Example(
            before="tirx.NarrowDataType\ntirx.VectorizeLoop\n",
            after="tirx.NarrowDataType(16-bit)\ntirx.VectorizeLoop\n",
            parameters={"pass": "tirx.NarrowDataType", "to": "16-bit"},
        ),
    ),
    by_default=False,
)

OPERATORS = (WRONG_OPTION,)

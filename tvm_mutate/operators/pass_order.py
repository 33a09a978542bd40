"""Operators on the compiler's lists of passes: one left out, run twice, or exchanged with the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm_mutate.mutant import Category, Example, Operator, Parameter, Parameters, PipelineRule, Slot

PASS = Parameter("pass", "the pass's name, as pass instruments see it")
_LOWERING = "tirx.FlattenBuffer\ntirx.VectorizeLoop\ntirx.UnrollLoop\n"


def is_at(passes: Sequence[Any], parameters: Parameters) -> bool:
    """Whether the first of the passes is the one that is meant."""
    return bool(passes[0].info.name == parameters["pass"])


def _skip(passes: Sequence[Any], parameters: Parameters) -> Sequence[Any] | None:
    return passes[1:] if is_at(passes, parameters) else None


def _repeat(passes: Sequence[Any], parameters: Parameters) -> Sequence[Any] | None:
    return [passes[0], *passes] if is_at(passes, parameters) else None


def _swap(passes: Sequence[Any], parameters: Parameters) -> Sequence[Any] | None:
    if not is_at(passes, parameters) or len(passes) < 2:
        return None
    return [passes[1], passes[0], *passes[2:]]


SKIP_PASS = Operator(
    name="pipeline.skip-pass",
    slots=(Slot.PIPELINE,),
    category=Category.COMPILER_PASSES,
    description="leaves a pass out of the compiler's pipeline",
    rule=PipelineRule(_skip, each_pass=True),
    parameters=(PASS,),
    variants=(),
    fault="a pass that is missing from a pipeline or switched off there: incorrect code logic and misconfiguration in "
    "the loading, transformation and optimisation of models (Shen et al., ESEC/FSE 2021, bugs of TVM, Glow, nGraph)",
    examples=(
        Example(
            before=_LOWERING,
            after="tirx.FlattenBuffer\ntirx.UnrollLoop\n",
            parameters={"pass": "tirx.VectorizeLoop"},
        ),
        Example(before="A\nB\nA\nA\n", after="A\nB\nA\n", parameters={"pass": "A"}, sites="1"),
        Example(before="A\nB\nA\nA\n", after="B\n", parameters={"pass": "A"}),
    ),
    by_default=False,
)

REPEAT_PASS = Operator(
    name="pipeline.repeat-pass",
    slots=(Slot.PIPELINE,),
    category=Category.COMPILER_PASSES,
    description="runs a pass of the compiler's pipeline twice in a row",
    rule=PipelineRule(_repeat, each_pass=True),
    parameters=(PASS,),
    variants=(),
    fault="a pass that is in a pipeline twice and is not idempotent (Tzer, OOPSLA 2022, finds such bugs of TVM by "
    "mutating sequences of passes together with the IR)",
    examples=(
        Example(
            before=_LOWERING,
            after="tirx.FlattenBuffer\ntirx.VectorizeLoop\ntirx.VectorizeLoop\ntirx.UnrollLoop\n",
            parameters={"pass": "tirx.VectorizeLoop"},
        ),
        Example(before="A\nB\nA\n", after="A\nA\nB\nA\nA\n", parameters={"pass": "A"}),
    ),
    by_default=False,
)

SWAP_PASSES = Operator(
    name="pipeline.swap-passes",
    slots=(Slot.PIPELINE,),
    category=Category.COMPILER_PASSES,
    description="exchanges a pass of the compiler's pipeline with the one that follows it",
    rule=PipelineRule(_swap, each_pass=True),
    parameters=(PASS,),
    variants=(),
    fault="passes in an order for which they were not written (Tzer, OOPSLA 2022: bugs of TVM that only some orders "
    "of passes bring out)",
    examples=(
        Example(
            before=_LOWERING,
            after="tirx.VectorizeLoop\ntirx.FlattenBuffer\ntirx.UnrollLoop\n",
            parameters={"pass": "tirx.FlattenBuffer"},
        ),
        Example(before="A\nB\nA\nC\nA\n", after="B\nA\nC\nA\nA\n", parameters={"pass": "A"}),
    ),
    by_default=False,
)

OPERATORS = (SKIP_PASS, REPEAT_PASS, SWAP_PASSES)

"""Evaluation: what a mutant's build computes on the inputs."""

from tvm_mutate.evaluate.content import ContentEvaluator, Unsuitable, golden_in_child
from tvm_mutate.evaluate.golden import Golden
from tvm_mutate.evaluate.rebuild import COMPILING, RUNNING, RebuildEvaluator, Run

__all__ = [
    "COMPILING",
    "RUNNING",
    "ContentEvaluator",
    "Golden",
    "RebuildEvaluator",
    "Run",
    "Unsuitable",
    "golden_in_child",
]

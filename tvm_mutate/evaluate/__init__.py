"""Evaluation: what a mutant's build computes on the inputs."""

from tvm_mutate.evaluate.rebuild import COMPILING, RUNNING, RebuildEvaluator, Run

__all__ = ["COMPILING", "RUNNING", "RebuildEvaluator", "Run"]

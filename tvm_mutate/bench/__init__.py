"""The bench: MutateNN's experiment (arXiv 2306.01697) in one command."""

from tvm_mutate.bench.experiment import Experiment, run_experiment

__all__ = ["Experiment", "run_experiment"]

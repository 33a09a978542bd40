"""The statistics floor: intervals, tests and rank correlations over plain numbers."""

from tvm_mutate.statistics.interval import wilson_interval
from tvm_mutate.statistics.latency import SIGNIFICANCE_LEVEL, LatencyTest, latency_difference
from tvm_mutate.statistics.ranking import (
    Agreements,
    agreements,
    kendall_tau,
    rank_biased_overlap,
    ranking,
    top_k,
)
from tvm_mutate.statistics.scores import absolute_differences, as_float64

__all__ = [
    "SIGNIFICANCE_LEVEL",
    "Agreements",
    "LatencyTest",
    "absolute_differences",
    "agreements",
    "as_float64",
    "kendall_tau",
    "latency_difference",
    "rank_biased_overlap",
    "ranking",
    "top_k",
    "wilson_interval",
]

"""What a mutant did to a model's outputs, what counts as noticed, and the verdict; the statistics for it."""

from tvm_mutate.oracle.comparison import RELATIVE_FLOOR, Comparison, compare
from tvm_mutate.oracle.judgement import Judgement, judge
from tvm_mutate.oracle.oracle import Finding, Oracle
from tvm_mutate.oracle.oracles import (
    ORACLES,
    Examined,
    check_oracles,
    examine_all,
    is_noticed,
    parse_oracle,
    usual_oracle,
)
from tvm_mutate.oracle.outputs import (
    NO_LABEL,
    absolute_differences,
    as_float64,
    changed_labels,
    classifier_scores,
    device_disagreement,
    largest_differences,
    top_labels,
)
from tvm_mutate.oracle.significance import LatencyTest, latency_difference, wilson_interval
from tvm_mutate.oracle.vocabulary import Behaviour, Outcome, Rung, Verdict

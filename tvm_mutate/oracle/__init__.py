"""The oracle floor: what a mutant did to a model's outputs, what counts as noticed, and the verdict."""

from tvm_mutate.oracle.comparison import RELATIVE_FLOOR, Comparison, compare
from tvm_mutate.oracle.judgement import Judgement, judge
from tvm_mutate.oracle.labels import NO_LABEL, device_disagreement, top_labels
from tvm_mutate.oracle.protocol import Oracle, is_noticed
from tvm_mutate.oracle.registry import ORACLES, parse_oracle
from tvm_mutate.oracle.vocabulary import Behaviour, Outcome, Rung, Verdict

__all__ = [
    "NO_LABEL",
    "ORACLES",
    "RELATIVE_FLOOR",
    "Behaviour",
    "Comparison",
    "Judgement",
    "Oracle",
    "Outcome",
    "Rung",
    "Verdict",
    "compare",
    "device_disagreement",
    "is_noticed",
    "judge",
    "parse_oracle",
    "top_labels",
]

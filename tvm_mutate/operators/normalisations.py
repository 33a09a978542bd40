"""Layer Attributes: epsilons, statistics and affine parts of normalisations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tvm_mutate.mutant import Category, Example, GraphRule, Operator, Parameter, Parameters, Slot, Value
from tvm_mutate.operators.graph_calls import graph_example, is_constant, with_argument, with_attributes
from tvm_mutate.operators.sizes import FACTORS

_BATCH_NORM = "relax.nn.batch_norm"
_AFFINE = (_BATCH_NORM, "relax.nn.layer_norm", "relax.nn.group_norm", "relax.nn.instance_norm")
_OPS = (*_AFFINE, "relax.nn.rms_norm")
_PAIRS = {"statistics": (3, 4), "affine": (1, 2)}  # the arguments that are exchanged
_PARTS = {"scale": ("scale", 1, 1.0), "centre": ("center", 2, 0.0)}  # attribute, argument, what it is without effect


def _wrong_epsilon(call: Any, parameters: Parameters) -> Any | None:
    before = float(call.attrs.epsilon)
    after = before * float(parameters["factor"])
    return with_attributes(call, epsilon=after) if after != before else None


def _swap(call: Any, parameters: Parameters) -> Any | None:
    pair = str(parameters["pair"])
    if pair == "statistics" and call.op.name != _BATCH_NORM:
        return None
    first, second = _PAIRS[pair]
    return with_argument(with_argument(call, first, call.args[second]), second, call.args[first])


def _drop_affine(call: Any, parameters: Parameters) -> Any | None:
    attribute, index, neutral = _PARTS[str(parameters["part"])]
    values = call.args[index]
    if not getattr(call.attrs, attribute) or (is_constant(values) and bool(np.all(values.value.numpy() == neutral))):
        return None
    return with_attributes(call, **{attribute: False})


def _batch_norm_example(before: str, after: str, parameters: Mapping[str, Value]) -> Example:
    signature = "x: (1, 4, 8, 8), g: (4,), b: (4,), m: (4,), v: (4,) -> (1, 4, 8, 8)"
    script = """
    lv = R.nn.batch_norm(x, {}, axis=1)
    gv = lv[0]
    """
    return graph_example(signature, script.format(before), script.format(after), parameters)


def _layer_norm_example(before: str, after: str, parameters: Mapping[str, Value]) -> Example:
    script = "gv = R.nn.layer_norm(x, {}, axes=[-1])"
    signature = "x: (2, 5), g: (5,), b: (5,) -> (2, 5)"
    return graph_example(signature, script.format(before), script.format(after), parameters)


WRONG_EPSILON = Operator(
    name="graph.wrong-epsilon",
    fault="an epsilon that is not read, so that the default of another framework holds (1e-5 in PyTorch, 1e-3 in "
    "Keras; incorrect frontend conversion, Shen et al. 2021)",
    slots=(Slot.GRAPH,),
    category=Category.ATTRIBUTES,
    description="multiplies the epsilon of a normalisation by a factor",
    rule=GraphRule(_OPS, _wrong_epsilon),
    parameters=(Parameter("factor", "what epsilon is multiplied by; with 0 it is gone", 100.0, magnitude=FACTORS),),
    variants=({"factor": 100.0}, {"factor": 10000.0}),
    more_variants=({"factor": 0.0},),
    examples=(
        _batch_norm_example("g, b, m, v, epsilon=0.5", "g, b, m, v, epsilon=2.0", {"factor": 4.0}),
        _layer_norm_example("g, b, epsilon=0.5", "g, b, epsilon=0.0", {"factor": 0.0}),
    ),
)

SWAP_STATISTICS = Operator(
    name="graph.swap-statistics",
    fault="weights that are bound to the wrong arguments (incorrect frontend conversion, Shen et al. 2021)",
    slots=(Slot.GRAPH,),
    category=Category.ATTRIBUTES,
    description="exchanges mean and variance of a batch normalisation, or scale and shift of a normalisation",
    rule=GraphRule(_AFFINE, _swap),
    parameters=(Parameter("pair", "mean and variance, or scale and shift", "statistics", tuple(_PAIRS)),),
    variants=({"pair": "statistics"}, {"pair": "affine"}),
    examples=(
        _batch_norm_example("g, b, m, v, epsilon=0.5", "g, b, v, m, epsilon=0.5", {}),
        _layer_norm_example("g, b, epsilon=0.5", "b, g, epsilon=0.5", {"pair": "affine"}),
    ),
)

DROP_AFFINE = Operator(
    name="graph.drop-affine",
    fault="an optional scale or shift that is not applied (incorrect frontend conversion, Shen et al. 2021)",
    slots=(Slot.GRAPH,),
    category=Category.ATTRIBUTES,
    description="leaves out the scale or the shift of a normalisation, unless it is 1 or 0 everywhere",
    rule=GraphRule(_AFFINE, _drop_affine),
    parameters=(Parameter("part", "what is left out", choices=tuple(_PARTS)),),
    variants=({"part": "scale"}, {"part": "centre"}),
    examples=(
        _batch_norm_example("g, b, m, v, scale=True", "g, b, m, v, scale=False", {"part": "scale"}),
        _layer_norm_example("g, b, center=True", "g, b, center=False", {"part": "centre"}),
    ),
)

OPERATORS = (WRONG_EPSILON, SWAP_STATISTICS, DROP_AFFINE)

"""Layer Attributes: bounds and slopes of activations."""

from __future__ import annotations

from math import isfinite
from typing import Any

from tvm import relax

from tvm_mutate.mutant import Category, GraphRule, Operator, Parameter, Parameters, Slot
from tvm_mutate.operators.graph_calls import graph_example, with_attributes
from tvm_mutate.operators.literals import literal
from tvm_mutate.operators.relax_types import is_float_tensor
from tvm_mutate.operators.sizes import AMOUNTS, FACTORS

_CLIP = "relax.clip"
_NO_BOUND = 1e30  # what stands for one that is not given
_BOUND = Parameter("bound", "which of the two", choices=("low", "high"))


def _bounds(call: Any) -> tuple[float, float] | None:
    low, high = literal(call.args[1]), literal(call.args[2])
    if low is None or high is None or not is_float_tensor(call.args[0].ty) or not low < high:
        return None
    return float(low), float(high)


def _wrong_clip(call: Any, parameters: Parameters) -> Any | None:
    bounds = _bounds(call)
    shift = float(parameters["by"])
    if bounds is None or shift == 0 or max(map(abs, bounds)) >= _NO_BOUND:
        return None
    low, high = bounds
    by = shift * (high - low)
    low, high = (low + by, high) if parameters["bound"] == "low" else (low, high + by)
    return relax.op.clip(call.args[0], low, high) if low < high and isfinite(by) else None


def _drop_bound(call: Any, parameters: Parameters) -> Any | None:
    bounds = _bounds(call)
    if bounds is None:
        return None
    low, high = bounds
    data = call.args[0]
    dropped, kept = (low, high) if parameters["bound"] == "low" else (high, low)
    if abs(dropped) >= _NO_BOUND:
        return None
    limit = relax.op.minimum if parameters["bound"] == "low" else relax.op.maximum
    return limit(data, relax.const(kept, str(data.ty.dtype))) if abs(kept) < _NO_BOUND else data


def _wrong_slope(call: Any, parameters: Parameters) -> Any | None:
    before = float(call.attrs.alpha)
    after = before * float(parameters["factor"])
    return with_attributes(call, alpha=after) if after != before else None


WRONG_CLIP = Operator(
    name="graph.wrong-clip",
    fault="a wrong bound, as by a rounded or truncated constant (incorrect frontend conversion, Shen et al. 2021)",
    slots=(Slot.GRAPH,),
    category=Category.ATTRIBUTES,
    description="moves one bound of a clip by a part of the distance between the two",
    rule=GraphRule((_CLIP,), _wrong_clip),
    parameters=(_BOUND, Parameter("by", "how far it rises, as a part of the distance", 0.1, magnitude=AMOUNTS)),
    variants=({"bound": "low", "by": 0.1}, {"bound": "high", "by": -0.5}),
    more_variants=({"bound": "low", "by": -0.1}, {"bound": "high", "by": 0.5}),
    examples=(
        graph_example(
            "x: (2, 3) -> (2, 3)",
            "gv = R.clip(x, 0.0, 6.0)",
            "gv = R.clip(x, 0.0, 3.0)",
            {"bound": "high", "by": -0.5},
        ),
        graph_example(
            "x: (2, 3) -> (2, 3)",
            "gv = R.clip(x, -2.0, 2.0)",
            "gv = R.clip(x, -1.0, 2.0)",
            {"bound": "low", "by": 0.25},
        ),
    ),
)

DROP_BOUND = Operator(
    name="graph.drop-bound",
    fault="a bounded activation that is imported as an unbounded one, relu6 as relu (wrong operator mapping, "
    "Shen et al. 2021)",
    slots=(Slot.GRAPH,),
    category=Category.ATTRIBUTES,
    description="leaves out one bound of a clip",
    rule=GraphRule((_CLIP,), _drop_bound),
    parameters=(_BOUND,),
    variants=({"bound": "low"}, {"bound": "high"}),
    examples=(
        graph_example(
            "x: (2, 3) -> (2, 3)",
            "gv = R.clip(x, 0.0, 6.0)",
            'gv = R.maximum(x, R.const(0.0, "float32"))',
            {"bound": "high"},
        ),
        graph_example(
            "x: (2, 3) -> (2, 3)",
            "gv = R.clip(x, -2.0, 2.0)",
            'gv = R.minimum(x, R.const(2.0, "float32"))',
            {"bound": "low"},
        ),
    ),
)

WRONG_SLOPE = Operator(
    name="graph.wrong-slope",
    fault="a slope that is not read, so that the default of another framework holds (0.01 or 0.3; incorrect frontend "
    "conversion, Shen et al. 2021)",
    slots=(Slot.GRAPH,),
    category=Category.ATTRIBUTES,
    description="multiplies the slope of a leaky relu by a factor",
    rule=GraphRule(("relax.nn.leakyrelu",), _wrong_slope),
    parameters=(Parameter("factor", "what the slope is multiplied by", 10.0, magnitude=FACTORS),),
    variants=({"factor": 10.0},),
    more_variants=({"factor": 0.0}, {"factor": -1.0}),
    examples=(
        graph_example(
            "x: (2, 3) -> (2, 3)",
            "gv = R.nn.leakyrelu(x, alpha=0.25)",
            "gv = R.nn.leakyrelu(x, alpha=0.5)",
            {"factor": 2.0},
        ),
        graph_example(
            "x: (2, 3) -> (2, 3)",
            "gv = R.nn.leakyrelu(x, alpha=0.25)",
            "gv = R.nn.leakyrelu(x, alpha=0.0)",
            {"factor": 0.0},
        ),
    ),
)

OPERATORS = (WRONG_CLIP, DROP_BOUND, WRONG_SLOPE)
